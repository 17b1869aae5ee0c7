"""Where gravity points for each subject, and who wore a sensor whose sign is the other one.

Phones and watches disagree: iOS and Apple Watch give the opposite sign of Android and of most sensors. In one data set
that is a subject whose every direction is opposite. Subjects are compared activity by activity, since an arm hangs in
one and is raised in another.

This module knows the slow parts of recordings by subject and label. It reads no files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vskd.stream.signal_checks import Direction, SlowPart, mean_direction

#: Slow parts of the recordings of a subject and an activity.
BySubjectAndLabel = Mapping[tuple[str, str], Sequence[SlowPart]]

#: Below this mean cosine a subject's gravity points the other way: above 120 degrees from the others'.
_OPPOSITE = -0.5


@dataclass(frozen=True)
class SubjectGravity:
    """Where gravity points for a subject.

    Attributes
    ----------
    direction : unit vector in the contract's axes; None where it has no direction
    from_others_deg : mean angle to the other subjects' direction in the same activities; None without any
    opposite : that angle is that of the opposite sign
    """

    direction: Direction | None
    from_others_deg: float | None
    opposite: bool


def compare_subjects(slow: BySubjectAndLabel) -> dict[str, SubjectGravity]:
    """Each subject's direction of gravity, compared with that of the others.

    Where as many have one sign as the other, nobody can say who is right, and all are called opposite.
    """
    subjects = list(dict.fromkeys(subject for subject, _ in slow))
    cosines = _cosines(subjects, slow)
    signs = _signs(cosines)
    found = {}
    for row, subject in enumerate(subjects):
        reference = [other for other in range(len(subjects)) if other != row and not np.isnan(cosines[row, other])]
        # The others' cosines, each seen from the sign that most have.
        seen = [float(cosines[row, other] * signs[other]) for other in reference]
        cosine = float(np.mean(seen)) if seen else None
        parts = [one for (name, _), ones in slow.items() if name == subject for one in ones]
        found[subject] = SubjectGravity(
            direction=mean_direction(parts) if parts else None,
            from_others_deg=None if cosine is None else float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
            opposite=cosine is not None and cosine < _OPPOSITE,
        )
    return found


def _cosines(subjects: Sequence[str], slow: BySubjectAndLabel) -> NDArray[np.float64]:
    """Mean cosine between each two subjects' directions over the activities of both; NaN where there is none."""
    directions: dict[str, dict[str, NDArray[np.float64]]] = {subject: {} for subject in subjects}
    for (subject, label), parts in slow.items():
        if parts and (direction := mean_direction(parts)) is not None:
            directions[subject][label] = np.array(direction)
    cosines = np.full((len(subjects), len(subjects)), np.nan)
    for row, one in enumerate(subjects):
        for column, other in enumerate(subjects):
            both = directions[one].keys() & directions[other].keys()
            if both:
                cosines[row, column] = np.mean([directions[one][label] @ directions[other][label] for label in both])
    return cosines


def _signs(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for those whose gravity points as that of most, -1 for the others; all 1 where it is even."""
    count = len(cosines)
    if count < 2:
        return np.ones(count)
    # The strongest common direction of all: of subjects with one sign its entries have one sign.
    entries = np.linalg.eigh(np.nan_to_num(cosines))[1][:, -1]
    signs = np.where(entries < 0, -1.0, 1.0)
    balance = signs.sum()
    return np.ones(count) if balance == 0 else signs * np.sign(balance)
