"""The smallest config that trains in seconds, and its owner: tests that need another one change keys of it."""

from __future__ import annotations

SYNTHETIC = """
threads = 1
seed = 3
[data]
dataset = "synthetic"
view = "rendered"
[data.synthetic]
subjects = 4
trials = 1
duration_s = 3.5
"""
NETWORKS = """
[window]
samples = 64
rate_hz = 25.0
hop_samples = 8
[gaf]
size = 16
[student]
width = 0.125
[student_training]
epochs = 3
batch = 16
[teacher]
width = 0.125
segments = 3
[teacher_training]
epochs = 1
batch = 16
[loss]
kd = 0.5
distance = 0.1
"""
TINY = SYNTHETIC + NETWORKS
