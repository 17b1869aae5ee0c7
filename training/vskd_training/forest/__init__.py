"""The baseline that is no network: a random forest on hand-made features of each window."""
