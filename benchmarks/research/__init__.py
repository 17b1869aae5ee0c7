"""One-off measurements, outside the wheel. Each is a script: ``python -m research.NAME --help``."""
