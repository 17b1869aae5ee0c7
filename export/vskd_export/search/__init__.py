"""The search for the best student within a budget of a device: ``vskd search``."""
