"""Where gravity points for each subject, and whose sign is the other one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd.stream.signal_checks import SlowPart, slow_part
from vskd_training.datasets.gravity import compare_subjects

#: How an arm is held in each activity.
DIRECTIONS = {"sit": (0.3, -0.6, 0.74), "walk": (-0.9, 0.1, 0.4), "wave": (0.1, 0.9, 0.4)}


def recordings(seed: int, sign: float) -> dict[str, list[SlowPart]]:
    """A subject's strap is turned by some degrees."""
    rng = np.random.default_rng(seed)
    found = {}
    for label, direction in DIRECTIONS.items():
        turned = np.array(direction) + rng.normal(0, 0.15, 3)
        turned /= np.linalg.norm(turned)
        samples = sign * (turned[:, np.newaxis] + rng.normal(0, 0.02, (3, 100)))
        found[label] = [slow_part(samples), slow_part(samples)]
    return found


def data_set(signs: list[float], seed: int = 0) -> dict[tuple[str, str], list[SlowPart]]:
    return {
        (f"p{number}", label): parts
        for number, sign in enumerate(signs)
        for label, parts in recordings(seed + number, sign).items()
    }


@given(seed=st.integers(0, 999), others=st.integers(2, 8), opposite=st.integers(0, 8))
def test_the_one_with_the_other_sign_is_named_and_nobody_else(seed: int, others: int, opposite: int) -> None:
    signs = [1.0] * (others + 1)
    signs[opposite % len(signs)] = -1.0
    found = compare_subjects(data_set(signs, seed))
    assert [one.opposite for one in found.values()] == [sign < 0 for sign in signs]
    for one in found.values():
        assert one.from_others_deg is not None
        assert (one.from_others_deg > 120) == one.opposite
        assert one.direction is not None
        assert np.linalg.norm(one.direction) == pytest.approx(1)


def test_where_all_agree_nobody_is_named_whatever_the_sign() -> None:
    for sign in (1.0, -1.0):
        assert not any(one.opposite for one in compare_subjects(data_set([sign] * 4)).values())


def test_of_two_who_differ_both_are_named() -> None:
    assert [one.opposite for one in compare_subjects(data_set([1.0, -1.0])).values()] == [True, True]


def test_one_subject_and_other_activities_cannot_be_compared() -> None:
    (alone,) = compare_subjects(data_set([1.0])).values()
    assert (alone.from_others_deg, alone.opposite) == (None, False)
    parts = data_set([1.0, 1.0])
    apart = {key: parts[key] for key in (("p0", "sit"), ("p1", "walk"))}
    assert all(one.from_others_deg is None for one in compare_subjects(apart).values())
    assert compare_subjects({("p0", "sit"): []})["p0"].direction is None
