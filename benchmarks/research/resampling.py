"""What the low-pass filter ahead of the resampling changes, on real recordings.

A recording at 50 Hz plays the sensor that is well faster than a contract of 25 or 20 Hz. Each recording is taken apart,
by its spectrum, into what lies below half of the contract's rate and what lies above; both go through the stream that
ships, with and without the filter, which are linear:

- ``alias``: what comes out of the part above, movement that nobody made;
- ``lost``: how far what comes out of the part below is from it, at the same times (by the spectrum, in float64).

Root mean squares over all recordings and axes, g, beside that of the movement itself (without its mean).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import scipy.signal
from numpy.typing import NDArray

from research.document import Script
from vskd.contract import Contract, GafSpec, ResamplingSpec, WindowSpec
from vskd.stream import cut_windows
from vskd_training.data.sources import open_source
from vskd_training.settings import DataConfig
from vskd_training.settings.resampling import todays_resampling

Float64 = NDArray[np.float64]

CONTRACT_HZ = (25.0, 20.0)
#: The rate of the times at which the reference is known; a multiple of every rate here.
FINE_HZ = 400.0
#: The part above is laid on gravity, without which no stream is believed, and taken off again.
GRAVITY_G = np.array([0.0, 0.0, 1.0])
WAYS = {"linear": ResamplingSpec(), "low-pass": todays_resampling()}


@dataclass
class Sums:
    """Of squares, and of how many values."""

    squares: float = 0.0
    count: int = 0

    def add(self, values: Float64) -> None:
        """Add the squares of some values."""
        self.squares += float(np.square(values).sum())
        self.count += values.size

    @property
    def rms(self) -> float:
        """Root mean square; 0 of nothing."""
        return float(np.sqrt(self.squares / self.count)) if self.count else 0.0


def split(xyz: Float64, sensor_hz: float, below_hz: float) -> tuple[Float64, Float64]:
    """A recording (samples, 3) as what lies below a frequency, and the rest."""
    spectrum = np.fft.rfft(xyz, axis=0)
    spectrum[np.fft.rfftfreq(len(xyz), 1 / sensor_hz) >= below_hz] = 0
    below = np.fft.irfft(spectrum, n=len(xyz), axis=0)
    return below, xyz - below


def regular(xyz: Float64, sensor_hz: float, contract_hz: float, spec: ResamplingSpec) -> tuple[Float64, Float64]:
    """What the stream makes of a recording: times (n,), s, and values (n, 3)."""
    window = WindowSpec(samples=16, hop_samples=16, rate_hz=contract_hz)
    contract = Contract(labels=("a", "b"), window=window, gaf=GafSpec(size=8), resampling=spec)
    windows = cut_windows(contract, np.arange(len(xyz)) / sensor_hz, xyz)
    if not windows:
        return np.empty(0), np.empty((0, 3))
    times = np.concatenate([window.start_s + np.arange(16) / contract_hz for window in windows])
    return times, np.concatenate([window.samples.T for window in windows]).astype(np.float64)


def measure(recordings: Iterator[tuple[Float64, float]], contract_hz: float) -> dict[str, float]:
    """Root mean squares, g, over recordings (samples, 3) and their rates, Hz."""
    names = ("movement", "above", *(f"{what} {way}" for way in WAYS for what in ("alias", "lost")))
    sums = {name: Sums() for name in names}
    for xyz, sensor_hz in recordings:
        below, above = split(xyz, sensor_hz, contract_hz / 2)
        sums["movement"].add(xyz - xyz.mean(axis=0))
        sums["above"].add(above)
        fine = scipy.signal.resample(below, round(len(below) * FINE_HZ / sensor_hz))
        for way, spec in WAYS.items():
            _, alias = regular(above + GRAVITY_G, sensor_hz, contract_hz, spec)
            times, kept = regular(below, sensor_hz, contract_hz, spec)
            inner = (times > 0.5) & (times < len(xyz) / sensor_hz - 0.5)  # a spectrum has no ends
            sums[f"alias {way}"].add(alias - GRAVITY_G)
            sums[f"lost {way}"].add((kept - fine[np.rint(times * FINE_HZ).astype(int)])[inner])
    return {name: round(one.rms, 5) for name, one in sums.items()}


def recordings_of(name: str, root: Path | None, most: int) -> Iterator[tuple[Float64, float]]:
    """Acceleration (samples, 3), g, and rate, Hz, of recordings that are long enough."""
    source = open_source(DataConfig(dataset=name, view="none"), root)
    for number, recording in enumerate(source.recordings()):
        if number >= most:
            return
        sensor_hz = (len(recording.time_s) - 1) / (recording.time_s[-1] - recording.time_s[0])
        yield recording.acceleration_g, float(round(sensor_hz, 3))


@click.command(cls=Script, epilog="Example: python -m research.resampling --dataset shoulder-watch")
@click.option("--dataset", required=True, help="utd-mhad, shoulder-watch or another one.")
@click.option("--root", type=click.Path(path_type=Path, exists=True), default=None, help="Its folder.")
@click.option("--most", type=click.IntRange(min=1), default=10**6, help="Recordings.  [default: all]")
def main(dataset: str, root: Path | None, most: int) -> None:
    """Print what comes of a data set's recordings at each contract's rate, and all of it as one line of JSON."""
    found = {f"{hz:g} Hz": measure(recordings_of(dataset, root, most), hz) for hz in CONTRACT_HZ}
    for rate, values in found.items():
        for name, value in values.items():
            click.echo(f"{rate:>6}  {name:18} {value:.4f} g", err=True)
    click.echo(json.dumps({"dataset": dataset, "rms_g": found}))


if __name__ == "__main__":
    main()
