from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd.errors import DataError
from vskd_export.quantize.calibrate import WindowSet, balanced_rows, calibration_digest, draw_calibration


def window_set(labels: list[int], *, subjects: list[str], tag: str = "w") -> WindowSet:
    count = len(labels)
    windows = np.arange(count * 3 * 8, dtype=np.float32).reshape(count, 3, 8) / 100
    return WindowSet(windows, np.array(labels), tuple(f"{tag}{index}" for index in range(count)), tuple(subjects))


@given(labels=st.lists(st.integers(0, 5), min_size=1, max_size=60), count=st.integers(1, 80))
def test_rows_are_distinct_and_no_class_is_short_while_another_has_more(labels: list[int], count: int) -> None:
    truth = np.array(labels)
    rows = balanced_rows(truth, count)

    assert len(rows) == min(count, len(labels))
    assert len(set(rows.tolist())) == len(rows)
    taken, available = np.bincount(truth[rows], minlength=6), np.bincount(truth, minlength=6)
    for label in np.flatnonzero(available):
        # Only a class that gave all it has may stand more than one below the largest share.
        assert taken[label] == available[label] or taken[label] >= taken.max() - 1


def test_the_draw_is_balanced_and_the_same_each_time() -> None:
    training = window_set([0] * 50 + [1] * 10 + [2] * 3, subjects=["anna"] * 63)
    held_out = window_set([0, 1], subjects=["cara"] * 2, tag="h")

    drawn = draw_calibration(training, held_out=held_out, count=21)

    assert np.bincount(drawn.labels).tolist() == [9, 9, 3]
    assert drawn.ids == draw_calibration(training, held_out=held_out, count=21).ids
    # Evenly spaced over the class: not its first recordings only.
    assert {"w0", "w49"} <= set(drawn.ids)


def test_subjects_of_the_held_out_set_are_refused() -> None:
    training = window_set([0, 1, 0, 1], subjects=["anna", "anna", "cara", "ben"])
    held_out = window_set([0, 1], subjects=["cara", "dora"], tag="h")

    with pytest.raises(DataError, match="calibration would use subjects of the held-out set: cara"):
        draw_calibration(training, held_out=held_out)


def test_a_leaky_protocol_may_share_subjects_but_not_windows() -> None:
    training = window_set([0, 1, 0, 1], subjects=["anna"] * 4)
    elsewhere = window_set([0, 1], subjects=["anna"] * 2, tag="h")

    assert len(draw_calibration(training, held_out=elsewhere, leaky=True)) == 4
    with pytest.raises(DataError, match=r"2 windows of the held-out set, e\.g\. w0"):
        draw_calibration(training, held_out=window_set([0, 1], subjects=["anna"] * 2), leaky=True)


def test_the_digest_depends_on_every_sample_name_and_label() -> None:
    original = window_set([0, 1], subjects=["anna", "ben"])
    samples = original.windows.copy()
    samples[1, 2, 7] += 1e-6
    variants = [
        original,
        dataclasses.replace(original, windows=samples),
        dataclasses.replace(original, ids=("w0", "w2")),
        dataclasses.replace(original, labels=np.array([1, 1])),
        dataclasses.replace(original, subjects=("anna", "cara")),
    ]
    assert len({calibration_digest(variant) for variant in variants}) == len(variants)
