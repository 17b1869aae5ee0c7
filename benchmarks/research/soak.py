"""The long proof that memory is fixed: millions of samples through stream, gate and decision, memory read on the way.

``python -m research.soak --samples 10000000``

The engine answers from the window's means, so that hours of signal take a minute; what a real engine holds is measured
by ``vskd bench``. The last line of standard output is one JSON document; exit code 1 if memory grew.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from vskd import Classifier, Contract
from vskd.engines import Engine
from vskd_benchmarks.measure.memory import resident_bytes

#: Python's allocator rounds to arenas of 1 MiB; a growth of two is none.
MOST_GROWTH_BYTES = 2 * 2**20

#: Samples in one push: a sensor's FIFO of half a second.
PUSH = 25
READINGS = 20


class MeanEngine(Engine):
    """Logits are the means of the axes."""

    name = "mean"
    version = "1"

    def infer(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        # In float64 no sum of readings overflows, whatever they are.
        means: NDArray[np.float32] = (window.mean(axis=1, dtype=np.float64) * 8).astype(np.float32)
        return means


def soak(samples: int) -> dict[str, Any]:
    """Push samples; resident memory (bytes) after each twentieth of them.

    Parameters
    ----------
    samples : how many, at 50 Hz, with a pause after every thousand pushes
    """
    contract = Contract(labels=("x", "y", "z")).with_decision(
        smoothing=0.2, min_dwell_windows=3, no_signal_after_s=1.0, still_below_g=0.05
    )
    classifier = Classifier(contract, MeanEngine())
    xyz = np.random.default_rng(0).normal([0.0, 0.0, 1.0], 0.2, (PUSH, 3))
    pushes = samples // PUSH
    resident, events = [], 0
    started = time.perf_counter()
    for index in range(pushes):
        time_s = (np.arange(PUSH) + index * PUSH) / 50 + index // 1000 * 5
        events += len(classifier.push(time_s, xyz))
        if (index + 1) % max(1, pushes // READINGS) == 0:
            resident.append(resident_bytes())
    return {
        "samples": classifier.health.samples,
        "events": events,
        "gaps": classifier.health.gaps,
        "seconds": round(time.perf_counter() - started, 2),
        "resident_bytes": resident,
        "growth_bytes": resident[-1] - resident[0],
    }


@click.command(epilog="Example: python -m research.soak --samples 1000000")
@click.option("--samples", type=click.IntRange(PUSH * READINGS), default=10_000_000, show_default=True)
def main(samples: int) -> None:
    """Push millions of samples and see that memory does not grow."""
    result = soak(samples)
    click.echo(json.dumps(result))
    sys.exit(int(result["growth_bytes"] > MOST_GROWTH_BYTES))


if __name__ == "__main__":
    main()
