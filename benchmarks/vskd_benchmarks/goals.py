"""The goals of vskd's speed and size, with their limits, in one place.

``vskd bench``, the research scripts and the reports judge by these and hold no limit of their own. A goal's ``words``
are the README's, where its limit can be read; a test holds the two equal. Figures of the network's accuracy and the
limits of the export gate are not here.

A result names the version of the goals that it was judged by. Version 1 lives on because committed results were judged
by it: its limits were looser than the README's (60 us of overhead, 20 and 15 times), and it did not know the widths.
Version 2 allowed 30 us of overhead and did not know the ``watch`` student.

A goal in microseconds is judged in plain microseconds, and not in yardsticks or in microseconds of a machine's best
mode: it promises what a user waits for, a yardstick weighs another mix of work than a model does, and its own time
differs from machine to machine. A slow mode must not be computed away. It shows in the run's validity instead, and
since version 3 each verdict carries that status: a goal that a degraded run met or missed is marked as such, and
proves neither. Goals in times are ratios within a round, where the machine's mode cancels out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vskd.errors import ConfigError

#: The version that new results are judged by.
VERSION = 3

#: Since this version a verdict carries the status of the run.
FIRST_WITH_STATUS = 3

#: The size of an int8 file tells its width: 11.5 MB at full width, 3 MB at half, 0.8 MB at a quarter.
FULL_WIDTH_BYTES, QUARTER_WIDTH_BYTES = 5_000_000, 1_500_000

#: A raw network has the size of the ``watch`` student above the first and up to the second, multiply-accumulates.
TINY_MACS, WATCH_MACS = 1_000_000, 3_000_000


@dataclass(frozen=True)
class Goal:
    """One goal.

    Attributes
    ----------
    words : the goal with its limit
    bound : which side of the limit is good
    limit : in ``unit``
    unit : of the limit and of what is measured
    judged_by : what measures it: ``vskd bench``, a research script, or a person by hand
    """

    words: str
    bound: Literal["at least", "at most"]
    limit: float
    unit: str
    judged_by: str = "vskd bench"

    def met(self, measured: float) -> bool:
        """Whether a measured value keeps the goal; the limit itself does."""
        return measured >= self.limit if self.bound == "at least" else measured <= self.limit

    @property
    def limit_words(self) -> str:
        """E.g. ``<= 30``."""
        return f"{'>=' if self.bound == 'at least' else '<='} {self.limit:g}"


_COST, _SPEED, _HAND = "research.runtime_cost", "research.training_speed", "by hand"

#: Every goal of today by its name.
GOALS = {
    "full_width_speed_up": Goal(
        "int8 at full width at least 25 times faster than pyts + eager torch", "at least", 25, "times"),
    "quarter_width_speed_up": Goal("int8 at quarter width at least 150 times", "at least", 150, "times"),
    "watch_latency": Goal(
        "`watch` student int8, sensor -> label, at most 50 us (p50) in the better engine", "at most", 50, "us"),
    "watch_over_image": Goal(
        "the same at least 20 times faster than the full-width image student int8", "at least", 20, "times"),
    "watch_over_pyts": Goal(
        "the same at least 300 times faster than pyts + eager torch", "at least", 300, "times"),
    "integer_peak": Goal("int8 at least 0.5 of the core's integer peak", "at least", 0.5, "share", "research.peak"),
    "litert_int8_gain": Goal(
        "LiteRT int8 at full width at least 4.5 times faster than its fp32 (bare calls)",
        "at least", 4.5, "times", _HAND),
    "onnxruntime_int8_gain": Goal(
        "ONNX Runtime int8 at full width at least 4.5 times faster than its fp32 (bare calls)",
        "at least", 4.5, "times", _HAND),
    "encoder_in_graph": Goal(
        "encoder in the graph within 10 % of the image-input int8 model, the model's call alone",
        "at most", 10, "%", _HAND),
    "encoder_in_graph_path": Goal(
        "the same within 10 % from sensor to label, where the image is drawn by numpy", "at most", 10, "%", _HAND),
    "overhead": Goal("own overhead at most 20 us a window", "at most", 20, "us"),
    "overhead_share": Goal("own overhead at most 5 % of the full-width int8 call", "at most", 5, "%"),
    "signal_checks": Goal("checks of the signal at most 5 us a window", "at most", 5, "us", _COST),
    "decision_with_examples": Goal(
        "a decision with 3 examples of each of 27 activities at most 20 us in numpy", "at most", 20, "us", _COST),
    "profile_size": Goal("the profile of these at most 10 kB", "at most", 10, "kB", _COST),
    "encoder_speed_up": Goal(
        "numpy encoder at least 20 times faster than pyts, window by window in turns", "at least", 20, "times", _COST),
    "encoder_batch_speed_up": Goal(
        "the same in batches of 256, at least 3 times", "at least", 3, "times", _COST),
    "one_push_a_second": Goal(
        "one push a second of a 50 Hz stream at most 1 % of a core", "at most", 1, "%", _COST),
    "memory_growth": Goal("no growth of memory in that (64 kB)", "at most", 64, "kB", _COST),
    "start": Goal(
        "process start to first event at most 400 ms, quarter width, LiteRT", "at most", 400, "ms", _COST),
    "peak_memory": Goal(
        "peak memory at most 60 MB over an interpreter with numpy and the engine", "at most", 60, "MB", _COST),
    "import": Goal("`import vskd` at most 30 ms over numpy", "at most", 30, "ms"),
    "int8_size": Goal("int8 at least 3.9 times smaller", "at least", 3.9, "times"),
    "export_time": Goal(
        "whole export of a full-width student, gate included, within 90 s on two cores", "at most", 90, "s", _HAND),
    "micro_arena": Goal(
        "TensorFlow Lite Micro arena, full width, from the raw window, at most 260 KB", "at most", 260, "KB", _HAND),
    "help": Goal("`vskd --help` within 200 ms", "at most", 200, "ms", _COST),
    "training_speed_up": Goal(
        "at least 30 times the public recipe's useful images a second", "at least", 30, "times", _SPEED),
    "encoding_share": Goal("encoding and augmentation at most 10 % of a training step", "at most", 10, "%", _SPEED),
}  # fmt: skip

_FOR_BENCH = {name: goal for name, goal in GOALS.items() if goal.judged_by == "vskd bench"}

#: By version, what ``vskd bench`` judges a result by.
_OF_A_RESULT = {
    1: {
        "speed_up": Goal("int8 at 64 px, one thread, over pyts + eager torch (times)", "at least", 20, "times"),
        "overhead": Goal("runtime's overhead over the bare engine call (us)", "at most", 60, "us"),
        "encoder_speed_up": Goal("numpy encoder over pyts, one window (times)", "at least", 15, "times"),
        "import": Goal("import vskd over numpy (ms)", "at most", 30, "ms"),
        "int8_size": Goal("int8 smaller than fp32 (times)", "at least", 3.9, "times"),
    },
    2: {
        name: Goal("own overhead at most 30 us a window", "at most", 30, "us") if name == "overhead" else goal
        for name, goal in _FOR_BENCH.items()
        if not name.startswith("watch_")
    },
    VERSION: _FOR_BENCH,
}


def goals_of_a_result(version: int) -> dict[str, Goal]:
    """The goals that ``vskd bench`` judges a result by, by name.

    Raises
    ------
    ConfigError : no such version
    """
    if version not in _OF_A_RESULT:
        raise ConfigError(f"there are no goals of version {version}", hint=f"This vskd knows 1 to {VERSION}")
    return _OF_A_RESULT[version]


def width_of(int8_bytes: int) -> Literal["full", "quarter", "other"]:
    """Which width an int8 model's file has, by its size."""
    if int8_bytes >= FULL_WIDTH_BYTES:
        return "full"
    return "quarter" if int8_bytes <= QUARTER_WIDTH_BYTES else "other"


def is_watch(macs: int | None) -> bool:
    """Whether a raw network of so many multiply-accumulates has the size of the ``watch`` student."""
    return macs is not None and TINY_MACS < macs <= WATCH_MACS
