"""What the exporter, the Pushgateway and Nagios say, made from what the monitor knows."""
