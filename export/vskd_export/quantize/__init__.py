"""Calibration, quantization and the recipes that name them."""
