"""The doors of monitoring, held against the real Prometheus, Pushgateway, Alertmanager and Nagios."""
