"""What ``vskd run`` prints at the end, about the samples that it got."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vskd.contract import Contract, Unit
from vskd.errors import StreamError
from vskd.stream import Health, to_g


def stream_notes(health: Health, contract: Contract, events: int) -> Iterator[str]:
    """Sentences for the end of a stream that gave so many events: counts first, then warnings."""
    rate = "unknown" if health.mean_rate_hz is None else f"{health.mean_rate_hz:.2f} Hz"
    windows = health.windows + health.without_activity
    yield (
        f"{health.samples} samples at {rate} -> {events} decisions; dropped: {health.out_of_order} out of order, "
        f"{health.not_finite} not finite; {health.gaps} gaps; {health.saturated} beyond "
        f"+-{contract.sensor.range_g:g} g"
    )
    if health.reordered or health.spread or health.wild:
        yield (
            f"{health.reordered} samples came late and were sorted in, {health.spread} shared a time and were spread, "
            f"{health.wild} with a wild time were dropped"
        )
    if health.leading_zeros:
        yield f"the first {health.leading_zeros} samples are 0 on every axis, as of a sensor that is not awake yet"
    yield from _signal_notes(health, contract, windows)
    if contract.decision.still_below_g > 0:
        yield f"motion gate: {health.still} of {health.windows} windows ({health.still_share:.0%}) skipped the network"
    rate_hz = contract.window.rate_hz
    if health.is_filtered(contract):
        yield f"the sensor ran at {health.rate_hz:.1f} Hz; a low-pass filter took it to {rate_hz:g} Hz"
    if health.is_rate_off(contract):
        yield f"warning: the sensor ran at {health.rate_hz:.1f} Hz; the model was trained at {rate_hz:g} Hz"
    if health.without_activity:
        yield f"{health.without_activity} of {windows} windows got no activity: their signal cannot be known"


def _signal_notes(health: Health, contract: Contract, windows: int) -> Iterator[str]:
    if health.resets:
        yield f"warning: the clock was set back {health.resets} times; if the file is out of order, sort it by time"
    if health.turned:
        yield f"warning: {health.turned}"
    if health.cut_off:
        yield f"warning: readings are cut off in {health.cut_off} of {windows} windows; check the sensor's range"
    for axis, flat in zip(contract.sensor.axes, health.flat, strict=True):
        if flat:
            yield f"warning: axis {axis} read one value throughout {flat} of {windows} windows; is it dead?"


def refuse_nothing_decided(health: Health, contract: Contract, *, was_stopped: bool) -> None:
    """A run that decided on nothing has failed, whatever else it said.

    Parameters
    ----------
    was_stopped : by the user, which is no failure before the first window

    Raises
    ------
    StreamError : no window went to the network or was still
    """
    if health.windows or (was_stopped and not health.without_activity):
        return
    window = contract.window
    if health.without_activity:
        raise StreamError(
            f"nothing was decided: none of {health.without_activity} windows has a signal that can be known",
            hint="The warnings above say why",
        )
    raise StreamError(
        f"nothing was decided: one decision needs {window.samples} samples at {window.rate_hz:g} Hz "
        f"({window.duration_s:g} s) without a gap"
    )


def recording_notes(xyz: list[NDArray[np.float64]], unit: Unit, axes: str, contract: Contract) -> Iterator[str]:
    """Warnings about a recording that is one window: what a stream would have counted of it."""
    xyz_g = to_g(np.concatenate(xyz), unit=unit, axes=axes)
    saturated = int((np.abs(xyz_g) >= contract.sensor.range_g).any(axis=1).sum())
    if saturated:
        yield f"warning: {saturated} of {len(xyz_g)} samples beyond +-{contract.sensor.range_g:g} g"
    for axis, is_flat in zip(contract.sensor.axes, (xyz_g == xyz_g[:1]).all(axis=0).tolist(), strict=True):
        if is_flat:
            yield f"warning: axis {axis} read one value throughout the recording; is it dead?"
