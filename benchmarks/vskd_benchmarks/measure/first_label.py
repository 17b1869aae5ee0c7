"""A fresh process that gives its first label and ends.

``python -m vskd_benchmarks.measure.first_label BUNDLE ENGINE RECIPE THREADS``

It does what a user's program does: import vskd, open the bundle, push samples. Its one line on standard output gives
the time of each part; the whole, from the start of the process, is the parent's to measure.
"""

from __future__ import annotations

import json
import os
import sys
import time

_START_NS = time.perf_counter_ns()

from vskd import Classifier, Event  # noqa: E402  # its import is part of what is measured
from vskd_benchmarks.pipelines.wrist_signal import synthetic_wrist  # noqa: E402


def main() -> None:
    """Entry point of the process."""
    bundle, engine, recipe, threads = sys.argv[1:]
    imported_ns = time.perf_counter_ns()
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    classifier = Classifier.open(bundle, engine=engine, recipe=recipe, threads=int(threads))
    opened_ns = time.perf_counter_ns()
    first_event(classifier)
    labelled_ns = time.perf_counter_ns()
    stages = {
        "import_ns": imported_ns - _START_NS,
        "open_ns": opened_ns - imported_ns,
        "first_window_ns": labelled_ns - opened_ns,
    }
    channel.write(json.dumps({"ready": stages}) + "\n")
    channel.flush()


def first_event(classifier: Classifier) -> Event:
    """The first decision on a synthetic wrist."""
    window = classifier.contract.window
    xyz = synthetic_wrist(2 * window.samples / window.rate_hz, window.rate_hz)
    time_s = [index / window.rate_hz for index in range(len(xyz))]
    if window.mode == "whole":
        return classifier.classify(time_s, xyz)
    return classifier.push(time_s[: window.samples], xyz[: window.samples])[0]


if __name__ == "__main__":
    main()
