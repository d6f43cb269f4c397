"""Writes the configuration of Prometheus, Alertmanager, Grafana, Nagios, cron, systemd and Kubernetes."""
