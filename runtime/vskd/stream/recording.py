"""Whole recordings: their windows, or all of one stretched to a window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from vskd.contract import Contract, Unit
from vskd.errors import StreamError
from vskd.stream.health import Health
from vskd.stream.judge import WindowJudge
from vskd.stream.order import in_order
from vskd.stream.samples import LARGEST, TimeUnit, as_samples, finite, per_second, to_g
from vskd.stream.signal_checks import saturated_share
from vskd.stream.sliding import Stream
from vskd.stream.unit_check import refuse_wrong_unit
from vskd.stream.window import UNKNOWN, Defect, Window

if TYPE_CHECKING:  # numpy.typing takes a quarter of the time of `import vskd`
    from numpy.typing import ArrayLike, NDArray

    Float64 = NDArray[np.float64]


#: A whole recording that loses a larger share of its samples gets no activity.
DROPPED_SHARE = 0.1


def cut_windows(contract: Contract, time_s: Float64, xyz: Float64) -> list[Window]:
    """Every window of one recording: what a stream of the same samples gives, or the whole recording as one.

    Parameters
    ----------
    time_s : (samples,), s
    xyz : (samples, 3), g, in the contract's axes

    Returns
    -------
    one window in mode ``whole``; in mode ``sliding`` as many as fit, none if the recording is shorter than a window
    """
    if contract.window.mode == "sliding":
        stream = Stream(contract)
        items = [*stream.advance(time_s, xyz), *stream.finish()]
        return [item for item in items if isinstance(item, Window)]
    return [Window(stretch(time_s, xyz, contract.window.samples), float(time_s[0]), float(time_s[-1]), True)]


def stretch(time_s: Float64, xyz: Float64, samples: int) -> NDArray[np.float32]:
    """Stretch a whole recording to a fixed number of samples, by linear interpolation.

    Parameters
    ----------
    time_s : (n,), strictly increasing, s
    xyz : (n, 3)
    samples : of the result

    Returns
    -------
    (3, samples), float32

    Raises
    ------
    StreamError : fewer than two samples, values that are not finite, or times that do not increase
    """
    if len(time_s) < 2 or xyz.shape != (len(time_s), 3):
        raise StreamError(f"a recording needs two samples or more of xyz, got {time_s.shape} and {xyz.shape}")
    elapsed_s = time_s - time_s[0]
    # A comparison with NaN is false, so that each of these also refuses what is no number.
    if not (np.abs(xyz).max() <= LARGEST and elapsed_s[-1] <= LARGEST and (elapsed_s[1:] - elapsed_s[:-1]).min() > 0):
        raise _no_recording(time_s, xyz)
    grid = np.arange(samples) * (elapsed_s[-1] / (samples - 1))
    stretched = np.empty((3, samples), dtype=np.float32)
    for row, column in zip(stretched, xyz.T, strict=True):
        row[:] = np.interp(grid, elapsed_s, column)
    return stretched


def _no_recording(time_s: Float64, xyz: Float64) -> StreamError:
    usable = finite(time_s, xyz)
    if not usable.all():
        where = int(np.flatnonzero(~usable)[0])
        return StreamError(f"the recording holds NaN or infinity at sample {where}", hint="Drop such samples")
    where = int(np.flatnonzero(np.diff(time_s) <= 0)[0]) + 1
    return StreamError(f"the recording's time does not increase at sample {where}", hint="Sort or drop the sample")


def whole_window(
    contract: Contract,
    time: ArrayLike,
    xyz: ArrayLike,
    *,
    unit: Unit = "g",
    axes: str = "x,y,z",
    time_unit: TimeUnit = "s",
) -> Window:
    """One recording of a sensor as one window.

    Parameters
    ----------
    time : (n,), in ``time_unit``; integers keep nanoseconds exact
    xyz : (n, 3), in ``unit`` and ``axes``

    Samples that are no numbers, or out of order, are dealt with as in a stream (``vskd.stream.order``), and named; a
    contract from before ``signal`` refuses them.

    Raises
    ------
    StreamError : not a recording, see ``stretch``, or values that cannot be in this unit
    ConfigError : an unknown unit or axis map
    """
    times, raw = as_samples(time, xyz)
    values = to_g(raw, unit=unit, axes=axes)
    dropped: tuple[Defect, ...] = ()
    if contract.signal is not None and not _is_plain(times, values):
        times, values, dropped = _put_right(times, values, contract, unit_s=1 / per_second(time_unit))
    elapsed_s = (times - times[:1]) / per_second(time_unit)
    samples = stretch(elapsed_s, values, contract.window.samples)
    if contract.sensor.gravity == "included":
        refuse_wrong_unit(_magnitudes(values), unit=unit, is_judged=contract.signal is not None)
    start_s = float(times[0]) / per_second(time_unit)
    end_s = start_s + float(elapsed_s[-1])
    of_length = (*dropped, *_of_its_length(contract, elapsed_s))
    defects = (*of_length, *_of_its_signal(contract, elapsed_s, values, samples, axes=axes))
    return Window(samples, start_s, end_s, after_gap=True, defects=defects)


def _is_plain(times: NDArray[Any], xyz: Float64) -> bool:
    return bool(finite(times, xyz).all()) and bool((times[1:] > times[:-1]).all())


def _put_right(
    times: NDArray[Any], xyz: Float64, contract: Contract, *, unit_s: float
) -> tuple[NDArray[Any], Float64, tuple[Defect, ...]]:
    """The samples that are left, in order, and the defect that counts the others."""
    usable = finite(times, xyz)
    kept, values = times[usable], xyz[usable]
    spec = contract.resampling
    elapsed_s = ((kept - kept[:1]) * unit_s).tolist()
    ordered = in_order(elapsed_s, values.tolist(), max_gap_s=spec.max_gap_s, reorder_s=spec.reorder_s)
    if ordered.resets:
        raise StreamError(
            f"the recording's clock is set back at sample {ordered.rows[ordered.resets[0]]}",
            hint="Cut it there, or sort it",
        )
    lost = len(times) - len(ordered.rows)
    text = f"{lost} of {len(times)} samples are dropped: {len(times) - len(kept)} not finite, the rest out of order"
    label = UNKNOWN if lost > DROPPED_SHARE * len(times) else ""
    in_seconds = np.array(ordered.time_s) + (float(kept[0]) * unit_s if len(kept) else 0.0)
    return in_seconds / unit_s, values[ordered.rows], (Defect("dropped samples", text, label),) if lost else ()


def _magnitudes(xyz: Float64) -> list[float]:
    """|a| of each sample (n, 3) that is not 0 on every axis, as before a sensor wakes; of all where each is."""
    magnitudes: list[float] = np.sqrt(np.einsum("ij,ij->i", xyz, xyz)).tolist()
    return [each for each in magnitudes if each] or magnitudes


def _of_its_length(contract: Contract, elapsed_s: Float64) -> Iterator[Defect]:
    """Where a recording is longer, shorter or sparser than those of the training, with the contract's margin."""
    spec = contract.recording
    if spec is None:
        return
    lasts_s, gap_s = float(elapsed_s[-1]), float(np.diff(elapsed_s).max())
    rate_hz = (len(elapsed_s) - 1) / lasts_s
    if not spec.shortest_s <= lasts_s <= spec.longest_s:
        text = f"the recording lasts {lasts_s:g} s; the model decides on {spec.shortest_s:g} to {spec.longest_s:g} s"
        yield Defect("duration", text, UNKNOWN)
    if gap_s > spec.largest_gap_s:
        text = f"the recording has a gap of {gap_s:g} s; the model allows {spec.largest_gap_s:g} s"
        yield Defect("gap", text, UNKNOWN)
    if rate_hz < spec.lowest_rate_hz:
        text = f"the recording has {rate_hz:.3g} samples a second; the model needs {spec.lowest_rate_hz:g}"
        yield Defect("rate", text, UNKNOWN)


def _of_its_signal(
    contract: Contract, elapsed_s: Float64, xyz: Float64, samples: NDArray[np.float32], *, axes: str
) -> tuple[Defect, ...]:
    if contract.signal is None:
        return ()
    health = Health(recent_saturated=saturated_share(xyz.T, range_g=contract.sensor.range_g))
    return WindowJudge(contract, contract.signal, axes=axes).judge(
        samples, start_s=0.0, end_s=float(elapsed_s[-1]), after_gap=True, health=health
    )
