"""How many windows of each class are on each side, and the refusal of a class that no window teaches.

A class whose clips are all shorter than a window, or that test subjects alone perform, would stand in the contract and
never be found; the report would then say nothing of it. It is refused, unless ``data.allow_missing_classes`` says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from vskd.errors import ConfigError
from vskd_training.data.experiment import Experiment, Part

#: Class -> side -> windows.
ClassWindows = dict[str, dict[str, int]]


@dataclass(frozen=True)
class MissingClasses:
    """Classes that no labelled window teaches.

    Attributes
    ----------
    untaught : nor any other window: of no training recording there is one
    unlabelled : only subjects whose labels are withheld perform them
    """

    untaught: tuple[str, ...]
    unlabelled: tuple[str, ...]


def class_windows(experiment: Experiment) -> ClassWindows:
    """Windows of each class on each side that has recordings; those without labels count by what they truly are."""
    sides: tuple[Part, ...] = ("train", "validation", "test")
    counts = {side: _count(experiment, side) for side in sides if getattr(experiment.split, side)}
    if experiment.sides.unlabelled:
        counts["unlabelled"] = _count(experiment, "unlabelled")
    return {label: {side: found[label] for side, found in counts.items()} for label in experiment.contract.labels}


def _count(experiment: Experiment, part: Part) -> Counter[str]:
    infos = experiment.prepared.infos
    return Counter(infos[recording].label for recording in experiment.windows(part).recordings.tolist())


def missing_classes(counts: Mapping[str, Mapping[str, int]]) -> MissingClasses:
    """Those of ``class_windows`` without a training window."""
    without = [label for label, sides in counts.items() if not sides.get("train")]
    unlabelled = tuple(label for label in without if counts[label].get("unlabelled"))
    return MissingClasses(tuple(label for label in without if label not in unlabelled), unlabelled)


def refuse_missing(counts: Mapping[str, Mapping[str, int]], *, allowed: bool) -> None:
    """Refuse classes that nothing teaches.

    Parameters
    ----------
    counts : windows of each class on each side
    allowed : ``data.allow_missing_classes``

    Raises
    ------
    ConfigError : names them, and where their windows are
    """
    untaught = missing_classes(counts).untaught
    if not untaught or allowed:
        return
    elsewhere = [f"{label} ({_places(counts[label])})" for label in untaught]
    raise ConfigError(
        f"{len(untaught)} of {len(counts)} activities have no training window: {', '.join(elsewhere)}",
        hint="Shorten window.samples, record more, take another split, or leave their clips out; "
        "--allow-missing-classes (data.allow_missing_classes = true) trains without them",
    )


def _places(sides: Mapping[str, int]) -> str:
    there = [f"{count} of {side}" for side, count in sides.items() if count]
    return ", ".join(there) if there else "no window at all"


def in_words(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The counts in a line, and a sentence for every class that is missing where it is needed."""
    sides = list(next(iter(counts.values()), {}))
    listed = ", ".join(f"{label} {'/'.join(str(one[side]) for side in sides)}" for label, one in counts.items())
    lines = [f"windows of each activity ({'/'.join(sides)}): {listed}"]
    missing = missing_classes(counts)
    if missing.untaught:
        lines.append(f"MISSING: no training window of {', '.join(missing.untaught)}: never found, though listed")
    if missing.unlabelled:
        lines.append(f"warning: no labelled subject performs {', '.join(missing.unlabelled)}; draw other subjects")
    for side in ("validation", "test"):
        if side in sides and (without := [label for label, one in counts.items() if not one[side]]):
            lines.append(
                f"note: {len(without)} of {len(counts)} activities have no {side} window: {', '.join(without)}"
            )
    return lines
