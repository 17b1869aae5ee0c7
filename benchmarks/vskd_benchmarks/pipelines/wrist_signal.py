"""What the benchmark feeds a model: raw samples as a sensor delivers them, with jittered timestamps.

The values come from the golden windows of the bundle where it has them (real ones; adversarial ones that no sensor
gives are left out), else from a synthetic wrist. A *delivery* is what arrives between two decisions: the samples that
complete the next window, in one batch, as a sensor's FIFO hands them over; or one whole recording.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import Bundle
from vskd.bundle_files import GOLDEN_VECTORS
from vskd.checks.golden import read_golden
from vskd.contract import Contract
from vskd.errors import ContractError
from vskd.stream import PLAUSIBLE_G, Stream, cut_windows

Float64 = NDArray[np.float64]

#: Timestamps deviate from the nominal ones by up to so much of a period, either way.
JITTER = 0.2

#: Golden windows used: enough for some fifty decisions before the signal starts again.
MOST_WINDOWS = 16

#: Length of a synthetic recording for contracts of whole recordings, s: the median of UTD-MHAD.
RECORDING_S = 3.5


@dataclass(frozen=True)
class Delivery:
    """Raw samples of the sensor: time (samples,) in s and xyz (samples, 3) in g."""

    time_s: Float64
    xyz: Float64


@dataclass(frozen=True)
class WristSignal:
    """Deliveries for one contract.

    Attributes
    ----------
    source : where the values come from: ``"golden windows"`` or ``"synthetic"``
    prime : what a stream needs before the first delivery completes a window; None for whole recordings
    deliveries : each completes one window
    """

    source: str
    prime: Delivery | None
    deliveries: tuple[Delivery, ...]

    def describe(self) -> dict[str, Any]:
        """Plain values for the result."""
        return {"source": self.source, "different_windows": len(self.deliveries), "timestamp_jitter_periods": JITTER}


def wrist_signal(bundle: Bundle) -> WristSignal:
    """The signal for a bundle; equal bundles give equal signals.

    Raises
    ------
    BundleError : the golden vectors were changed
    """
    windows = _golden_windows(bundle)
    contract = bundle.contract
    if contract.window.mode == "whole":
        recordings = [synthetic_wrist(RECORDING_S, contract.window.rate_hz)] if windows is None else list(windows)
        deliveries = [_jittered(xyz, contract.window.rate_hz) for xyz in recordings]
        return WristSignal(_source(windows), None, tuple(deliveries))
    if windows is None:
        values = synthetic_wrist(contract.window.duration_s * MOST_WINDOWS, contract.window.rate_hz)
    else:
        values = np.concatenate(list(windows))
    prime, *deliveries = deliver(contract, _jittered(values, contract.window.rate_hz))
    return WristSignal(_source(windows), prime, tuple(deliveries))


def synthetic_wrist(duration_s: float, rate_hz: float) -> Float64:
    """A swinging forearm, (samples, 3) in g: gravity turns with the swing, and the swing adds its own acceleration."""
    time_s = np.arange(int(duration_s * rate_hz)) / rate_hz
    angle = 0.9 * np.sin(2 * np.pi * 0.8 * time_s)
    swing = 0.4 * np.sin(2 * np.pi * 1.6 * time_s + 0.5)
    return np.stack([np.sin(angle) + swing, 0.15 * np.cos(2 * np.pi * 2.3 * time_s), np.cos(angle)], axis=1)


def deliver(contract: Contract, samples: Delivery) -> list[Delivery]:
    """Cut a stream where its windows are completed.

    Parameters
    ----------
    contract : of mode ``sliding``
    samples : all of them

    Returns
    -------
    the samples up to the first window, then those of each further one; samples after the last window are left out

    Raises
    ------
    ContractError : the samples complete fewer than two windows
    """
    stream = Stream(contract)
    cuts = [0]
    for index in range(len(samples.time_s)):
        if stream.push(samples.time_s[index : index + 1], samples.xyz[index : index + 1]):
            cuts.append(index + 1)
    if len(cuts) < 3:
        raise ContractError(f"{len(samples.time_s)} samples complete {len(cuts) - 1} windows, two are needed")
    return [Delivery(samples.time_s[start:end], samples.xyz[start:end]) for start, end in itertools.pairwise(cuts)]


def ready_windows(contract: Contract, signal: WristSignal) -> list[NDArray[np.float32]]:
    """The windows that the signal's deliveries complete, each (channels, samples) in g."""
    parts = ([signal.prime] if signal.prime else []) + list(signal.deliveries)
    if contract.window.mode == "whole":
        return [cut_windows(contract, part.time_s, part.xyz)[0].samples for part in parts]
    time_s, xyz = np.concatenate([part.time_s for part in parts]), np.concatenate([part.xyz for part in parts])
    return [window.samples for window in cut_windows(contract, time_s, xyz)]


def _source(windows: NDArray[np.float64] | None) -> str:
    return "synthetic" if windows is None else "golden windows"


def _golden_windows(bundle: Bundle) -> Float64 | None:
    """(windows, samples, 3) in g, those that a wrist can give; None if the bundle has none."""
    if GOLDEN_VECTORS not in bundle.files:
        return None
    windows = read_golden(bundle).windows.astype(np.float64).transpose(0, 2, 1)
    strength = np.median(np.linalg.norm(windows, axis=2), axis=1)
    moves = windows.std(axis=1).max(axis=1) > 0
    within = np.abs(windows).max(axis=(1, 2)) <= bundle.contract.sensor.range_g
    plausible = windows[(strength >= PLAUSIBLE_G[0]) & (strength <= PLAUSIBLE_G[1]) & moves & within][:MOST_WINDOWS]
    return plausible if len(plausible) >= 2 else None


def _jittered(values: Float64, rate_hz: float) -> Delivery:
    shift = np.random.default_rng(0).uniform(-JITTER, JITTER, len(values))
    return Delivery((np.arange(len(values)) + shift) / rate_hz, np.asarray(values))
