"""From a finished run to a bundle: convert, calibrate, quantize, check, write."""
