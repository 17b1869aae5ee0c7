"""Where samples come from: CSV, NPZ, a sensor on an I2C bus, text that is still being written."""
