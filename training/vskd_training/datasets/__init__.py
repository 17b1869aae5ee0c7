"""Data sets: one reader each, the generator of the embedded default, the prepared cache and the protocols."""
