"""What `vskd data check` shows, as data: a data set read from start to end and counted.

This module prints nothing and changes nothing on disk.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from vskd.contract import ResamplingSpec, WindowSpec
from vskd.errors import nearest
from vskd.stream.signal_checks import SLOW_S, SlowPart, flat_axes, gravity_problem
from vskd_training.datasets.examined import Examined
from vskd_training.datasets.gravity import SubjectGravity, compare_subjects
from vskd_training.datasets.plausible import rate_hz, stretches, videos_that_differ
from vskd_training.datasets.recording import MISSING_TRIAL, Defect, Recording, RecordingInfo, Source

#: A label is rare beside one that is so many times as frequent; and words are nearly equal that are so much alike.
_RARE, _LIKENESS = 5, 0.85


@runtime_checkable
class KnowsItsTree(Protocol):
    """A source that knows how many trials each of its folders holds."""

    def files_by_stream(self) -> dict[str, int]:
        """Trials in each folder of the tree, whether it was read or not."""
        ...


@runtime_checkable
class KnowsAxes(Protocol):
    """A source whose description says how each subject's sensor sat, and can be changed."""

    def axes_of(self, subject: str) -> str:
        """The map of a subject's axes, as ``vskd.stream.AxisMap`` takes it."""
        ...


@dataclass(frozen=True)
class Lengths:
    """Lengths over all recordings: smallest, median, largest."""

    shortest: float
    median: float
    longest: float


@dataclass(frozen=True)
class ClassCount:
    """The recordings of one activity.

    Attributes
    ----------
    recordings, subjects : how many
    duration_s : lengths of a recording, s; None without any
    """

    recordings: int
    subjects: int
    duration_s: Lengths | None


@dataclass(frozen=True)
class DatasetReport:
    """A data set, counted.

    Attributes
    ----------
    name, view : as of the source
    recordings : how many could be read
    by_subject, by_label : recordings of each; who and what is never left is listed with 0, "" holds those without one
    by_class : the same for each label, with subjects and lengths; "" is not among them
    by_stream : trials in each folder of the tree; for other sources, recordings with sensor and with frames
    samples, frames : lengths of a recording; ``frames`` is None without video
    duration_s : lengths of a recording, s
    rate_hz : rates of a recording between its gaps, Hz
    groups : recordings with each value of each further column
    gravity : of each subject; empty where the readings hold none
    largest_acceleration_g : largest reading of any axis, g; near 80 it is in m/s^2
    missing_trials : ids of trials of which there is no file; empty where the source does not know what should be there
    defects : everything else that was left out, and why
    """

    name: str
    view: str
    recordings: int
    by_subject: dict[str, int]
    by_label: dict[str, int]
    by_class: dict[str, ClassCount]
    by_stream: dict[str, int]
    samples: Lengths | None
    frames: Lengths | None
    duration_s: Lengths | None
    rate_hz: Lengths | None
    groups: dict[str, dict[str, int]]
    gravity: dict[str, SubjectGravity]
    largest_acceleration_g: float
    missing_trials: tuple[str, ...]
    defects: tuple[Defect, ...]

    @property
    def defects_by_kind(self) -> dict[str, int]:
        """How many defects of each kind, the most frequent first."""
        return dict(Counter(defect.kind for defect in self.defects).most_common())

    @property
    def left_out(self) -> int:
        """How many defects cost a recording; the others cost a part of one."""
        return sum(defect.left_out for defect in self.defects)

    @property
    def doubtful(self) -> int:
        """How many defects make doubtful what is used."""
        return sum(defect.doubtful for defect in self.defects)

    def way_out(self, kind: str) -> str:
        """What to do about a kind of defect: another thing where most recordings have it than where few do."""
        of_kind = [defect for defect in self.defects if defect.kind == kind]
        first, fine = of_kind[0], self.recordings
        if first.left_out:
            few = 2 * len(of_kind) < len(of_kind) + fine
        else:
            few, fine = 2 * len(of_kind) < fine, fine - len(of_kind)
        if few or not first.if_most:
            others = f"; the other {fine} recordings are fine" if few and first.way_out and first.if_most else ""
            return first.way_out + others
        return first.if_most

    def remarks(self) -> list[str]:
        """What a split or a window could lose: what has no recordings, or short ones, slow ones, or one subject's."""
        known = {label: one for label, one in self.by_class.items() if one.duration_s}
        usual_s = float(np.median([one.duration_s.median for one in known.values() if one.duration_s] or [0.0]))
        found = [f"{label}: no recording" for label in self.by_class if label not in known]
        found += [
            f"subject {name}: no recording that can be read" for name, count in self.by_subject.items() if not count
        ]
        for label, one in known.items():
            if one.subjects == 1 and len(self.by_subject) > 1:
                found.append(f"{label}: of one subject only, so it is trained on or tested, never both")
            if one.duration_s and one.duration_s.longest < usual_s / 2:
                found.append(f"{label}: no recording is longer than {one.duration_s.longest:.2f} s, and a window that "
                             "is longer leaves the activity out")  # fmt: skip
        usual_hz, tolerance = WindowSpec().rate_hz, ResamplingSpec().rate_tolerance
        if self.rate_hz and self.rate_hz.shortest < (1 - tolerance) * usual_hz:
            found.append(f"{self.rate_hz.shortest:.3g} Hz is slower than the {usual_hz:g} Hz of windows: train with "
                         "window.rate_hz of at most that")  # fmt: skip
        return found


def check(source: Source, *, progress: Callable[[int, int], None] | None = None) -> DatasetReport:
    """Read every recording and count.

    Parameters
    ----------
    source : the data set
    progress : called as ``progress(recordings done, recordings in all)``
    """
    subjects = [info.subject for info in source.infos()]
    seen = []
    for done, recording in enumerate(source.recordings(), start=1):
        seen.append(_measure(recording))
        if progress:
            progress(done, len(subjects))
    gravity = compare_subjects(_slow_by_subject_and_label(seen)) if source.gravity == "included" else {}
    defects = (*source.defects(), *_of_all(seen, source, gravity))
    tree = source.inner if isinstance(source, Examined) else source
    with_frames = sum(one.frames > 0 for one in seen)
    return DatasetReport(
        name=source.name,
        view=source.view,
        recordings=len(seen),
        by_subject=_counts((one.info.subject for one in seen), subjects),
        by_label=_counts((one.info.label for one in seen), source.labels),
        by_class=_classes(seen, source.labels),
        by_stream=tree.files_by_stream()
        if isinstance(tree, KnowsItsTree)
        else {"sensor": len(seen), "frames": with_frames},
        samples=_lengths([one.samples for one in seen]),
        frames=_lengths([one.frames for one in seen]) if with_frames else None,
        duration_s=_lengths([one.duration_s for one in seen]),
        rate_hz=_lengths([one.rate_hz for one in seen]),
        groups=_groups(source.infos()),
        gravity=gravity,
        largest_acceleration_g=max((one.largest_g for one in seen), default=0.0),
        missing_trials=tuple(defect.where for defect in defects if defect.kind == MISSING_TRIAL),
        defects=tuple(defect for defect in defects if defect.kind != MISSING_TRIAL),
    )


@dataclass(frozen=True)
class _Measured:
    info: RecordingInfo
    samples: int
    frames: int
    duration_s: float
    rate_hz: float
    frames_s: float
    largest_g: float
    flat_axes: int
    slow: list[SlowPart]


def _measure(recording: Recording) -> _Measured:
    time_s, frame_s = recording.time_s, recording.frame_time_s
    return _Measured(
        info=recording.info,
        samples=len(time_s),
        frames=len(recording.frames),
        duration_s=float(time_s[-1] - time_s[0]),
        rate_hz=rate_hz(time_s),
        frames_s=float(frame_s[-1] - frame_s[0]) if len(frame_s) else 0.0,
        largest_g=float(np.abs(recording.acceleration_g).max()),
        flat_axes=len(flat_axes(recording.acceleration_g.T)),
        slow=stretches(recording),
    )


def _slow_by_subject_and_label(seen: Iterable[_Measured]) -> dict[tuple[str, str], list[SlowPart]]:
    slow: dict[tuple[str, str], list[SlowPart]] = {}
    for one in seen:
        slow.setdefault((one.info.subject, one.info.label), []).extend(one.slow)
    return slow


def _classes(seen: Sequence[_Measured], labels: Iterable[str]) -> dict[str, ClassCount]:
    found = {}
    for label in dict.fromkeys((*labels, *(one.info.label for one in seen if one.info.label))):
        ours = [one for one in seen if one.info.label == label]
        lengths = _lengths([one.duration_s for one in ours])
        found[label] = ClassCount(len(ours), len({one.info.subject for one in ours}), lengths)
    return found


def _of_all(seen: Sequence[_Measured], source: Source, gravity: dict[str, SubjectGravity]) -> Iterator[Defect]:
    """What only all recordings together show."""
    for subject, one in gravity.items():
        if one.opposite:
            what = f"gravity points the other way: {one.from_others_deg:.0f} degrees from the other subjects'"
            yield Defect(f"subject {subject}", what, "gravity of the opposite sign", left_out=False, doubtful=True,
                         way_out=_turn(subject, source))  # fmt: skip
    rates = {one.info.id: (one.frames - 1) / one.frames_s for one in seen if one.frames_s}
    yield from videos_that_differ(rates)
    yield from _slips(one.info.label for one in seen)
    parts = [each for one in seen if not one.flat_axes for each in one.slow]
    against = [problem for each in parts if (problem := gravity_problem(each, included=source.gravity == "included"))]
    if 2 * len(against) > len(parts):
        what = f"in {len(against)} of {len(parts)} stretches of {SLOW_S:g} s gravity says no: {against[0]}"
        way_out = "give the true unit, and say truly whether gravity is included"
        yield Defect(source.name, what, "contradicts gravity", left_out=False, doubtful=True, way_out=way_out)


def _slips(labels: Iterable[str]) -> Iterator[Defect]:
    """Rare labels that hardly differ from a frequent one."""
    counts = Counter(label for label in labels if label)
    for label, count in counts.items():
        usual = next((one for one in counts if _RARE * count <= counts[one] and _is_slip(label, one)), "")
        if usual:
            what = f"{count} of this label, and {counts[usual]} of {usual!r}, which it is nearly"
            yield Defect(f"label {label}", what, "nearly another label", left_out=False, doubtful=True,
                         way_out=f"if it is a slip of the pen, write {usual!r} into clips.csv")  # fmt: skip


def _is_slip(label: str, usual: str) -> bool:
    """Whether two labels have the same words but for a letter or two in one of them; numbers are never slips."""
    ours, theirs = (re.split(r"[\W_]+", name.casefold().strip()) for name in (label, usual))
    pairs = [(one, other) for one, other in zip(ours, theirs, strict=False) if one != other]
    if len(ours) != len(theirs) or len(pairs) > 1:
        return False
    return all(
        re.findall(r"\d", one) == re.findall(r"\d", other)
        and (sorted(one) == sorted(other) or bool(nearest(one, [other], likeness=_LIKENESS)))
        for one, other in pairs
    )


def _turn(subject: str, source: Source) -> str:
    """The lines that give a subject's sensor the sign of the others'."""
    for_run = "for vskd run, before any other axes: --axes=-x,-y,-z"
    tree = source.inner if isinstance(source, Examined) else source
    if not isinstance(tree, KnowsAxes):
        return for_run
    names = [name.strip().lstrip("+") for name in tree.axes_of(subject).split(",")]
    turned = [name[1:] if name.startswith("-") else f"-{name}" for name in names]
    key = subject if re.fullmatch(r"[A-Za-z0-9_-]+", subject) else json.dumps(subject)
    lines = [f"[subject_axes.{key}]", *(f'{axis} = "{name}"' for axis, name in zip("xyz", turned, strict=True))]
    return f"write into dataset.toml the lines {' / '.join(lines)}; {for_run}"


def _counts(values: Iterable[str], known: Iterable[str]) -> dict[str, int]:
    """How often each value occurs: the known ones first and in their order, then others as they came."""
    counter = Counter(dict.fromkeys(known, 0))
    counter.update(values)
    return dict(counter)


def _groups(infos: Iterable[RecordingInfo]) -> dict[str, dict[str, int]]:
    values: dict[str, list[str]] = {}
    for info in infos:
        for column, value in info.groups.items():
            values.setdefault(column, []).append(value)
    return {column: _counts(sorted(found), ()) for column, found in values.items()}


def _lengths(values: Sequence[float]) -> Lengths | None:
    if not values:
        return None
    return Lengths(float(min(values)), float(np.median(values)), float(max(values)))
