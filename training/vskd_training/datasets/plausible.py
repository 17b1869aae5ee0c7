"""Whether one recording can be what it says: its rate, its readings, its axes, gravity, and its video's length.

What cannot be used at all is left out; what can hardly be is doubtful: used, named, and refused by ``vskd data check
--strict``. The rules of physics are the stream's own (``vskd.stream.signal_checks``), so that what is trained on is
what a device would answer for. Here they are asked of whole recordings, whose sensor's range nobody states.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vskd.stream import PLAUSIBLE_G
from vskd.stream.signal_checks import (
    CUT_OFF_SHARE,
    GRAVITY_G,
    SLOW_S,
    SlowPart,
    cut_off,
    equal_axes,
    flat_axes,
    gravity_problem,
    held_share,
    slow_part,
)
from vskd_training.datasets.files.clock import RESET_GAP_S
from vskd_training.datasets.recording import Defect, Gravity, Recording

#: Rates of a sensor at a body, Hz. Slower ones miss the movement, and no watch or phone is faster.
RATES_HZ = (5.0, 1000.0)
#: A suggested time unit must give a rate that is usual, Hz.
_USUAL_HZ = (10.0, 500.0)
#: Three times the range of the coarsest wearable motion sensor, +-32 g.
LARGEST_READING_G = 100.0
#: No axis changes for so long, s, or for the whole of a shorter recording.
FROZEN_S = 2.0
#: While another axis varies so much (standard deviation, g), no live one reads one value, not even in coarse steps.
_MOVES_G = 0.1
#: A step of so many usual ones is a gap.
_GAP_STEPS = 10
#: Stretches of ``SLOW_S`` that contradict gravity before the recording does.
_AGAINST_GRAVITY = 0.5
_SEVERAL = 3
#: Frames a second over the recording; fewer or more are no video of it.
_FRAMES_HZ = (1.0, 1000.0)
#: Cameras of one data set differ by less, also where one kept every fourth image.
_AS_OTHERS = 5.0

_AXES = "xyz"
_DROP = "drop this recording, or mend its file"
_MEND_UNIT = "give the true unit, and say truly whether gravity is included (dataset.toml: unit, gravity)"


def defects_of(recording: Recording, gravity: Gravity) -> list[Defect]:
    """What cannot be true of a recording; those that are ``left_out`` first."""
    found = [*_of_time(recording), *_of_readings(recording), *_of_gravity(recording, gravity), *_of_video(recording)]
    return sorted(found, key=lambda defect: not defect.left_out)


def rate_hz(time_s: NDArray[np.float64]) -> float:
    """The rate of increasing times (samples,), s, between their gaps: one over the median step, Hz."""
    return 1 / float(np.median(np.diff(time_s)))


def stretches(recording: Recording) -> list[SlowPart]:
    """The slow part of each ``SLOW_S`` of a recording, one after the other; none where it is shorter."""
    acceleration_g = recording.acceleration_g.T
    samples = max(1, round(SLOW_S * rate_hz(recording.time_s)))
    starts = range(0, acceleration_g.shape[1] - samples + 1, samples)
    return [slow_part(acceleration_g[:, start : start + samples]) for start in starts]


def _of_time(recording: Recording) -> Iterator[Defect]:
    rate = rate_hz(recording.time_s)
    if not RATES_HZ[0] <= rate <= RATES_HZ[1]:
        what = f"its times give {rate:.3g} Hz, and a sensor at the body has {RATES_HZ[0]:g} to {RATES_HZ[1]:g} Hz"
        yield Defect(recording.info.id, f"{what}{_suggested_unit(rate)}", "impossible rate", way_out=_DROP,
                     if_most="mend the name of the time column, or record faster")  # fmt: skip
    steps = np.diff(recording.time_s)
    # Where a clock started anew, the pause is the reader's own.
    gaps = (steps > _GAP_STEPS / rate) & (np.abs(steps - RESET_GAP_S) > 1e-6)
    gaps_s, rest_s = float(steps[gaps].sum()), float(steps[steps <= _GAP_STEPS / rate].sum())
    if gaps_s > rest_s:
        longest = int(np.where(gaps, steps, 0.0).argmax())
        what = (
            f"{gaps.sum()} gaps, the longest {steps[longest]:.3g} s after {recording.time_s[longest]:.3f} s, "
            f"last {gaps_s:.3g} s, longer than all the rest ({rest_s:.3g} s)"
        )
        yield _doubt(recording, what, "mostly gaps", "make clips of what lies between them")


def _suggested_unit(rate: float) -> str:
    """Which time unit would give a usual rate."""
    for factor, unit in ((1e3, "ms"), (1e6, "us"), (1e9, "ns")):
        if _USUAL_HZ[0] <= rate * factor <= _USUAL_HZ[1]:
            return f"; the times look like {unit} called s ({rate * factor:.3g} Hz): name the column time_{unit}"
        if _USUAL_HZ[0] <= rate / factor <= _USUAL_HZ[1]:
            return f"; the times look like s called {unit} ({rate / factor:.3g} Hz): name the column time_s"
    return ""


def _of_readings(recording: Recording) -> Iterator[Defect]:
    acceleration_g = recording.acceleration_g.T
    flat = flat_axes(acceleration_g)
    if len(flat) == len(acceleration_g):
        what = "no axis ever changes: the sensor slept, or its values were not recorded"
        yield Defect(recording.info.id, what, "frozen throughout", way_out=_DROP)
        return
    if flat:
        read = ", ".join(f"{_AXES[axis]} reads {acceleration_g[axis, 0]:.3g} g" for axis in flat)
        yield _doubt(recording, f"{read} throughout", "dead axis", _DROP)
    yield from _of_dying_axes(recording, flat)
    if equal := equal_axes(acceleration_g):
        what = f"{' and '.join(_AXES[axis] for axis in equal)} read the same throughout"
        yield _doubt(recording, what, "equal axes", "name the right columns")
    beyond = (np.abs(acceleration_g) > LARGEST_READING_G).any(axis=0)
    if beyond.any():
        what = (
            f"{beyond.sum()} samples read more than {LARGEST_READING_G:g} g, up to {np.abs(acceleration_g).max():.3g}"
        )
        yield _doubt(recording, what, "readings beyond any sensor", _DROP)
    frozen_s = held_share(acceleration_g) * acceleration_g.shape[1] / rate_hz(recording.time_s)
    asleep = int(acceleration_g.any(axis=0).argmax())
    if frozen_s >= FROZEN_S:
        what = f"no axis changes for {frozen_s:.1f} s, as of a sensor that sleeps"
        yield _doubt(recording, what, "frozen", "cut the clip there, or drop it")
    elif asleep:
        what = f"its first {asleep} samples read 0 on every axis, and no window holds them"
        yield Defect(recording.info.id, what, "zeros before the sensor wakes", left_out=False)
    share, at_g = cut_off(acceleration_g)
    if share > CUT_OFF_SHARE:
        what = f"{share:.1%} of the samples are cut off at {at_g:.3g} g, the end of the sensor's range"
        yield _doubt(recording, what, "clipped readings", "record with a larger range, or drop the clip")


def _of_dying_axes(recording: Recording, flat: tuple[int, ...]) -> Iterator[Defect]:
    """Axes other than the flat ones that read one value for ``FROZEN_S`` while another one moves."""
    acceleration_g, time_s = recording.acceleration_g.T, recording.time_s
    for axis in set(range(len(acceleration_g))).difference(flat):
        row = acceleration_g[axis]
        starts = np.concatenate(([0], np.flatnonzero(np.diff(row)) + 1, [len(row)]))
        longest = int(np.diff(starts).argmax())
        held = slice(starts[longest], starts[longest + 1])
        held_s = (held.stop - held.start) / rate_hz(time_s)
        if held_s >= FROZEN_S and acceleration_g[:, held].std(axis=1).max() > _MOVES_G:
            what = f"{_AXES[axis]} reads {row[held.start]:.3g} g for {held_s:.1f} s from {time_s[held.start]:.2f} s on"
            yield _doubt(recording, f"{what}, while another axis moves", "dead axis", _DROP)


def _of_gravity(recording: Recording, gravity: Gravity) -> Iterator[Defect]:
    if flat_axes(recording.acceleration_g.T):
        return  # without one axis gravity is shorter, and that is said already
    median_g = float(np.median(np.linalg.norm(recording.acceleration_g, axis=1)))
    if gravity == "included" and not PLAUSIBLE_G[0] <= median_g <= PLAUSIBLE_G[1]:
        what = f"the median |a| is {median_g:.3g} g, and gravity alone makes it 1 g"
        yield Defect(recording.info.id, what, "contradicts gravity", way_out=_DROP, if_most=_MEND_UNIT)
        return
    parts = stretches(recording)
    problems = [gravity_problem(each, included=gravity == "included") for each in parts]
    # In movement a short stretch may have a mean of nearly 0: it takes several to say so.
    against = [
        problem
        for problem, each in zip(problems, parts, strict=True)
        if problem and (len(parts) >= _SEVERAL or each.is_calm or each.rms_g < GRAVITY_G[0])
    ]
    if len(against) <= _AGAINST_GRAVITY * len(problems):
        return
    # The sentences differ in their numbers; the first one stands for all.
    what = f"in {len(against)} of {len(problems)} stretches of {SLOW_S:g} s gravity says no: {against[0]}"
    yield Defect(recording.info.id, what, "contradicts gravity", way_out=_DROP, if_most=_MEND_UNIT)


def _of_video(recording: Recording) -> Iterator[Defect]:
    frames = len(recording.frames)
    if frames < 2:
        return
    rate = (frames - 1) / float(recording.frame_time_s[-1] - recording.frame_time_s[0])
    if not _FRAMES_HZ[0] <= rate <= _FRAMES_HZ[1]:
        what = f"{frames} frames over the recording are {rate:.3g} a second, so they are no video of it"
        yield _doubt(recording, what, "video of another length", "give the right file, or time_s in the .npz")


def videos_that_differ(frame_rates_hz: dict[str, float]) -> list[Defect]:
    """Recordings whose frames per second are far from the others', by id: of another length than the recording."""
    if len(frame_rates_hz) < 3:
        return []
    # What can be no video at all is said of its recording already.
    usual = float(np.median(list(frame_rates_hz.values())))
    return [
        Defect(
            name,
            f"its video has {rate:.3g} frames a second over the recording, the others {usual:.3g}: another length?",
            "video of another length",
            left_out=False,
            doubtful=True,
            way_out="give the right file, or time_s in the .npz",
        )
        for name, rate in frame_rates_hz.items()
        if _FRAMES_HZ[0] <= rate <= _FRAMES_HZ[1] and not 1 / _AS_OTHERS <= rate / usual <= _AS_OTHERS
    ]


def _doubt(recording: Recording, what: str, kind: str, way_out: str) -> Defect:
    return Defect(recording.info.id, what, kind, left_out=False, doubtful=True, way_out=way_out)
