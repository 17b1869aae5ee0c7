"""What comes from outside, checked before anything works with it: names (``text``), JSON and TOML (``documents``),
arrays (``arrays``).

These modules know nothing of the rest of vskd but its errors.
"""
