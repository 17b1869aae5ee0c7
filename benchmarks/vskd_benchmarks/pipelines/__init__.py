"""What is timed: the bundle's models, the baselines beside them, and the signal that feeds them."""
