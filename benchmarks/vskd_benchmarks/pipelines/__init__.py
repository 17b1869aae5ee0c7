"""What is timed: the bundle's models, the baselines they are compared with, and the signal that feeds them."""
