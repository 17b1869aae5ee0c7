"""What options of several commands offer, by name alone: naming an engine or a sensor loads nothing, not even numpy.

A test holds the names against ``vskd.engines`` and ``vskd.sources.i2c``.
"""

from __future__ import annotations

ENGINES = ("litert", "onnxruntime", "tflite-runtime", "tensorflow")
SENSORS = ("lsm6dsox", "mpu6050")

#: What an ``--input`` that names a sensor begins with.
SENSOR_PREFIX = "i2c:"
