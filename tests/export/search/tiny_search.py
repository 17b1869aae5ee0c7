"""The files of the tiny search, and what its fixtures give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

CONFIG = """
threads = 1
seed = 3
[data]
dataset = "synthetic"
view = "rendered"
protocol = "fixed"
test_subjects = ["4"]
[data.synthetic]
subjects = 4
trials = 1
duration_s = 3.5
[window]
samples = 64
rate_hz = 25.0
hop_samples = 16
[student]
family = "raw-separable"
channels = 12
[raw]
transforms = ["tanh", "centred"]
[student_training]
steps = 2
batch = 16
"""

SEARCH = """
name = "tiny"
config = "tiny.toml"
[space.student]
channels = [4, 8, 64]
blocks = [1]
[space.student_training]
learning_rate = { low = 1e-3, high = 1e-2, log = true }
"""

#: Students of 4 and 8 channels fit, those of 64 do not.
BUDGET = ("--mmac", "0.1")


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Call = Callable[..., Outcome]
#: Writes a search file beside its config, and gives its path.
WriteSearch = Callable[..., Path]
