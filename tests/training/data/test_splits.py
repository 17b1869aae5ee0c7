"""The split that a config names, among the subjects who take part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd.errors import ConfigError
from vskd_training.data.splits import folds_of, split_of
from vskd_training.datasets.recording import RecordingInfo
from vskd_training.settings import DataConfig

INFOS = tuple(
    RecordingInfo(f"a{action}_s{subject}", str(subject), f"action{action}", 1)
    for action in range(1, 4)
    for subject in range(1, 9)
)


def data(**changes: object) -> DataConfig:
    return DataConfig(**{"dataset": "utd-mhad", "view": "none", **changes})  # type: ignore[arg-type]


@given(st.sets(st.integers(1, 8), min_size=3), st.data())
def test_only_those_who_take_part_are_on_a_side(subjects: set[int], draw: st.DataObject) -> None:
    names = tuple(sorted(map(str, subjects)))
    how = data(subjects=names, protocol="leave-one-subject-out")
    assert folds_of(INFOS, how) == names
    fold = draw.draw(st.sampled_from(names))
    split = split_of(INFOS, data(subjects=names, protocol="leave-one-subject-out", fold=fold))
    used = {side: {INFOS[index].subject for index in getattr(split, side)} for side in ("train", "validation", "test")}
    assert used["test"] == {fold}
    assert used["train"] | used["validation"] == set(names) - {fold}
    assert (used["train"], used["validation"]) == (set(split.train_subjects), set(split.validation_subjects))
    assert len(split.train + split.validation + split.test) == 3 * len(names)


def test_everybody_takes_part_by_default() -> None:
    everybody = tuple(str(subject) for subject in range(1, 9))
    for protocol, fold in (("cross-subject", ""), ("leave-one-subject-out", "5")):
        plain = split_of(INFOS, data(protocol=protocol, fold=fold))
        assert split_of(INFOS, data(protocol=protocol, fold=fold, subjects=everybody)) == plain


def test_a_stranger_cannot_take_part() -> None:
    with pytest.raises(ConfigError, match=r"data.subjects names '9', of which there is no recording.*Known: 1, 2"):
        split_of(INFOS, data(subjects=("1", "9")))


def test_a_protocol_without_its_subjects_is_refused() -> None:
    with pytest.raises(ConfigError, match="leaves no recording for test"):
        split_of(INFOS, data(subjects=("1", "3", "5", "7")))
