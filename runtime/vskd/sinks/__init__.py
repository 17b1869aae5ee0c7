"""Where events and a service's state go: JSON lines, CSV, systemd."""
