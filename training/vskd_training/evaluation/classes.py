"""How many windows of each class are on each side, and the refusal of a class that no window teaches.

A class whose clips are all shorter than a window, or that test subjects alone perform, would stand in the contract and
never be found; the report would then say nothing of it. It is refused, unless ``data.allow_missing_classes`` says so.

Where subjects train whose labels are withheld, what they perform is not looked at: a class without a labelled window
may be theirs, and is warned of instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from vskd.errors import ConfigError
from vskd_training.data.experiment import Experiment, Part

#: Class -> side -> windows.
ClassWindows = Mapping[str, Mapping[str, int]]


def class_windows(experiment: Experiment) -> dict[str, dict[str, int]]:
    """Windows of each class on each side of the split that has recordings."""
    infos = experiment.prepared.infos
    counts = {
        side: Counter(infos[recording].label for recording in experiment.windows(side).recordings.tolist())
        for side in _sides(experiment)
    }
    return {label: {side: found[label] for side, found in counts.items()} for label in experiment.contract.labels}


def _sides(experiment: Experiment) -> list[Part]:
    """The sides of the split that have recordings."""
    sides: tuple[Part, ...] = ("train", "validation", "test")
    return [side for side in sides if getattr(experiment.split, side)]


def without_window(experiment: Experiment) -> list[str]:
    """A sentence for each side of which recordings hold no window, with the subjects of whom nothing is left."""
    found = []
    for side in _sides(experiment):
        table = experiment.windows(side)
        if not table.too_short:
            continue
        gone = [name for name in getattr(experiment.split, f"{side}_subjects") if name not in table.subjects]
        subjects = f", so nothing is left of the subjects {', '.join(gone)}" if gone else ""
        recordings = len(getattr(experiment.split, side))
        found.append(f"note: {table.too_short} of {recordings} {side} recordings hold no window{subjects}")
    return found


def without_training(counts: ClassWindows) -> list[str]:
    """The classes of ``class_windows`` that no labelled window teaches."""
    return [label for label, sides in counts.items() if not sides.get("train")]


def refuse_missing(experiment: Experiment) -> None:
    """Refuse an experiment with a class that nothing teaches, see ``refuse_untaught``."""
    allowed = experiment.config.data.allow_missing_classes or experiment.labels_withheld
    refuse_untaught(class_windows(experiment), allowed=allowed)


def refuse_untaught(counts: ClassWindows, *, allowed: bool) -> None:
    """Refuse classes that nothing teaches.

    Parameters
    ----------
    counts : windows of each class on each side
    allowed : by ``data.allow_missing_classes``, or because labels are withheld

    Raises
    ------
    ConfigError : names them, and where their windows are
    """
    untaught = without_training(counts)
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


def in_words(counts: ClassWindows, *, withheld: bool) -> list[str]:
    """The counts in a line, and a sentence for every class that is missing where it is needed.

    Parameters
    ----------
    counts : windows of each class on each side
    withheld : labels of training subjects are, see ``Experiment.labels_withheld``
    """
    sides = list(next(iter(counts.values()), {}))
    listed = ", ".join(f"{label} {'/'.join(str(one[side]) for side in sides)}" for label, one in counts.items())
    lines = [f"windows of each activity ({'/'.join(sides)}): {listed}"]
    untaught = ", ".join(without_training(counts))
    if untaught and withheld:
        lines.append(f"warning: no labelled window of {untaught}; label or draw other subjects (labels)")
    elif untaught:
        lines.append(f"MISSING: no training window of {untaught}: never found, though listed")
    for side in ("validation", "test"):
        if side in sides and (without := [label for label, one in counts.items() if not one[side]]):
            lines.append(
                f"note: {len(without)} of {len(counts)} activities have no {side} window: {', '.join(without)}"
            )
    return lines
