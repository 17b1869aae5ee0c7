"""The gate: evidence, limits, and what becomes of a violation."""
