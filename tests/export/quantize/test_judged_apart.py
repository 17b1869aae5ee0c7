"""Windows of a run on everybody: some recordings calibrate, others judge, and every subject and class does both."""

from __future__ import annotations

import numpy as np

from vskd_export.quantize.calibrate import WindowSet, judged_apart


def windows_of(subjects: int, classes: int, per_recording: int) -> tuple[WindowSet, np.ndarray]:
    """One recording of each subject and class, subject by subject, as data sets list them."""
    recordings = np.repeat(np.arange(subjects * classes), per_recording)
    labels = recordings % classes
    worn_by = tuple(str(one) for one in (recordings // classes).tolist())
    ids = tuple(f"r{one}@{place}" for place, one in enumerate(recordings.tolist()))
    samples = np.zeros((len(recordings), 3, 8), dtype=np.float32)
    return WindowSet(samples, labels.astype(np.int64), ids, worn_by), recordings


def test_every_subject_and_class_is_on_both_sides_and_no_recording_is() -> None:
    windows, recordings = windows_of(subjects=4, classes=6, per_recording=3)
    sides = judged_apart(windows, recordings)
    assert {len(side) for side in sides} == {36}
    for side in sides:
        assert set(side.subjects) == set("0123")
        assert set(side.labels.tolist()) == set(range(6))
    first, second = ({one.partition("@")[0] for one in side.ids} for side in sides)
    assert not first & second


def test_a_class_with_one_recording_calibrates_and_judges_nothing() -> None:
    windows, recordings = windows_of(subjects=1, classes=3, per_recording=2)
    calibration, judged = judged_apart(windows, recordings)
    assert (len(calibration), len(judged)) == (6, 0)
