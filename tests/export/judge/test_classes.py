"""Every class of the contract was taught, or the gate says which one was not."""

from __future__ import annotations

import numpy as np

from vskd_export.judge.classes import check_classes, not_judged
from vskd_export.judge.violations import REMEDIES
from vskd_export.quantize.calibrate import WindowSet


def windows(*labels: int) -> WindowSet:
    count = len(labels)
    names = tuple(str(number) for number in range(count))
    return WindowSet(np.zeros((count, 3, 8), np.float32), np.array(labels), names, names)


def test_a_class_that_nothing_taught_is_a_violation_and_one_that_is_not_judged_is_named() -> None:
    table, violations = check_classes(("jog", "walk", "wave"), {"jog": 5, "walk": 2}, windows(0, 0, 2))
    assert table == {
        "jog": {"training": 5, "judged": 2},
        "walk": {"training": 2, "judged": 0},
        "wave": {"training": 0, "judged": 1},
    }
    (violation,) = violations
    assert violation.code == "class-training"
    assert violation.message == "no window of 'wave' was trained on: the contract lists it, and it is never found"
    assert len(REMEDIES[violation.code]) == 2
    assert not_judged(table) == "1 of 3 activities have no held-out window and are not judged: walk"


def test_where_all_are_there_nothing_is_said() -> None:
    table, violations = check_classes(("jog", "walk"), {"jog": 1, "walk": 1}, windows(0, 1))
    assert (violations, not_judged(table)) == ((), "")
