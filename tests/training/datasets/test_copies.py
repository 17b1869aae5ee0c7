"""Stretches of samples that two recordings share, against a search that compares every offset."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vskd_training.datasets.copies import ALWAYS_FOUND, RUN, SPACING, CopyFinder, kept_runs

Float64 = NDArray[np.float64]


def signal(seed: int, samples: int) -> Float64:
    return np.random.default_rng(seed).normal((0, 0, 1), 0.5, (samples, 3))


@given(
    seed=st.integers(0, 999),
    length=st.integers(ALWAYS_FOUND, 200),
    first=st.integers(0, 300),
    other_first=st.integers(0, 300),
    digits=st.sampled_from([4, 17]),
)
def test_a_shared_stretch_is_found_at_any_offset(
    seed: int, length: int, first: int, other_first: int, digits: int
) -> None:
    original, crop = signal(seed, 500), signal(seed + 1000, 500)
    crop[first : first + length] = original[other_first : other_first + length]
    finder = CopyFinder()
    assert finder.add("original", original) == ()
    assert finder.add("stranger", signal(seed + 2000, 500)) == ()
    (shared,) = finder.add("crop", crop.round(digits))
    assert shared.other == "original"
    assert first <= shared.first < first + length
    assert shared.first - shared.other_first == first - other_first
    assert length - 2 * SPACING <= shared.samples <= length


def test_a_crop_in_another_unit_and_written_with_few_digits_is_found() -> None:
    original = signal(1, 300)
    crop = np.array([[float(f"{value:.6f}") for value in row] for row in original[100:200] * 9.80665]) / 9.80665
    finder = CopyFinder()
    finder.add("original", original)
    (shared,) = finder.add("crop", crop)
    assert shared.samples > 60


def test_the_largest_share_comes_first_and_pieces_at_several_offsets_are_added() -> None:
    finder = CopyFinder()
    one, other = signal(1, 400), signal(2, 400)
    finder.add("one", one)
    finder.add("other", other)
    first, second = finder.add("both", np.concatenate([other[:60], one[:100], one[200:300]]))
    assert (first.other, second.other) == ("one", "other")
    assert 200 - 4 * SPACING <= first.samples <= 200


@pytest.mark.parametrize("what", ["held", "zeros", "one step", "short"])
def test_what_says_nothing_is_no_copy(what: str) -> None:
    still = np.tile([[0.0, 0.0, 1.0]], (300, 1))
    if what == "zeros":
        still[:] = 0
    if what == "one step":
        still[::20] += 0.01  # one axis of a coarse sensor changes now and then
    if what == "short":
        still = signal(1, RUN)
    finder = CopyFinder()
    assert finder.add("a", still) == ()
    assert finder.add("b", still) == ()


def test_readings_beyond_every_integer_are_compared_too() -> None:
    finder, one = CopyFinder(), signal(1, 300)
    one[7, 1] = 1e30
    finder.add("a", one)
    assert finder.add("b", one[20:])[0].samples > 200


def test_too_short_for_a_run_is_nothing() -> None:
    assert kept_runs(signal(1, RUN - 1)) == []
    assert CopyFinder().add("a", signal(1, 2)) == ()


def test_a_thousand_recordings_take_seconds() -> None:
    recordings = [signal(seed, 500) for seed in range(200)]
    finder, started = CopyFinder(), time.process_time()
    for number, recording in enumerate(recordings):
        assert finder.add(str(number), recording) == ()
    assert time.process_time() - started < 2  # of a thousand then less than ten seconds, on a slow machine
