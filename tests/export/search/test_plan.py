"""Who chooses, and who never does."""

from __future__ import annotations

import itertools

import pytest

from vskd.errors import ConfigError
from vskd_export.search.plan import key_of, open_search
from vskd_training.data.sources import open_source
from vskd_training.data.splits import split_of

from .tiny_search import CONFIG, SEARCH, WriteSearch

FIXED = 'protocol = "fixed"\ntest_subjects = ["4"]\n'
EIGHT = CONFIG.replace("subjects = 4\n", "subjects = 8\n")


def of_protocol(lines: str, config: str = EIGHT) -> str:
    return config.replace(FIXED, lines)


def with_lines(lines: str) -> str:
    return SEARCH.replace("[space", f"{lines}\n[space", 1)


PROTOCOLS = [
    ('protocol = "cross-subject"\n', "", "1357", "2468"),
    ('protocol = "leave-one-subject-out"\n', "3", "1245678", "3"),
    ('protocol = "leave-one-subject-out"\nfold = "5"\n', "", "1234678", "5"),
    ('protocol = "subject-folds"\nfold_count = 4\n', "2", "134578", "26"),
    ('protocol = "fixed"\ntrain_subjects = ["1", "2", "3", "5"]\ntest_subjects = ["8"]\n', "", "1235", "8"),
]


@pytest.mark.parametrize(("lines", "outer", "choosing", "left_out"), PROTOCOLS)
def test_the_configs_training_subjects_choose_and_its_test_subjects_are_on_no_side(
    write_search: WriteSearch, lines: str, outer: str, choosing: str, left_out: str
) -> None:
    search = open_search(write_search(config=of_protocol(lines)), root=None, outer_fold=outer)
    assert (search.subjects, search.left_out) == (tuple(choosing), tuple(left_out))
    assert search.folds == tuple(choosing)
    infos = open_source(search.config({}).data, None).infos()
    tested = []
    for fold in search.folds:
        (cell,) = search.cells({"student.channels": 8}, fold)
        split = split_of(infos, cell.config.data)
        sides = {*split.train_subjects, *split.validation_subjects, *split.test_subjects}
        assert sides == set(choosing)
        assert not split.leaky
        assert cell.config.data.train_on_validation
        tested += split.test_subjects
    assert tested == list(choosing)


def test_folds_of_several_subjects(write_search: WriteSearch) -> None:
    config = of_protocol('protocol = "leave-one-subject-out"\n')
    search = open_search(write_search(with_lines("folds = 3\nseeds = [4, 9]"), config), root=None, outer_fold="8")
    infos = open_source(search.config({}).data, None).infos()
    cells = [cell for fold in search.folds for cell in search.cells({}, fold)]
    assert [cell.config.seed for cell in cells] == [4, 9] * 3
    assert search.trainings == len({cell.name for cell in cells}) == 6
    tested = [split_of(infos, cell.config.data).test_subjects for cell in cells[::2]]
    assert sorted(itertools.chain(*tested)) == list("1234567")


def test_the_preset_keeps_the_configs_own_split(write_search: WriteSearch) -> None:
    config = of_protocol('protocol = "leave-one-subject-out"\n')
    made = open_search(write_search(config=config), root=None, outer_fold="8").config({"student.channels": 8})
    assert (made.data.protocol, made.data.fold, made.data.subjects) == ("leave-one-subject-out", "8", ())
    assert (made.data.train_on_validation, made.seed, made.student.channels) == (False, 3, 8)


def test_test_subjects_may_not_choose(write_search: WriteSearch) -> None:
    with pytest.raises(ConfigError, match=r"would choose on '4', a test subject of fixed\. .*only: 1, 2, 3"):
        open_search(write_search(with_lines('subjects = ["1", "2", "4"]')), root=None, outer_fold="")


def test_a_protocol_that_tests_everybody_needs_to_know_whom_to_leave_out(write_search: WriteSearch) -> None:
    config = of_protocol('protocol = "leave-one-subject-out"\n')
    everybody = with_lines('subjects = ["1", "2", "3"]')
    for text in (SEARCH, everybody):
        with pytest.raises(ConfigError, match=r"tests every subject in turn.*--outer-fold SUBJECT"):
            open_search(write_search(text, config), root=None, outer_fold="")
    search = open_search(write_search(everybody, config), root=None, outer_fold="4")
    assert (search.subjects, search.left_out) == (("1", "2", "3"), ("4",))
    with pytest.raises(ConfigError, match="would choose on '2', a test subject"):
        open_search(write_search(everybody, config), root=None, outer_fold="2")


def test_subjects_who_are_not_there_or_do_not_train(write_search: WriteSearch) -> None:
    with pytest.raises(ConfigError, match="names '9', who is no training subject of fixed"):
        open_search(write_search(with_lines('subjects = ["1", "2", "9"]')), root=None, outer_fold="")
    config = of_protocol('protocol = "fixed"\ntrain_subjects = ["1", "2", "3", "5"]\ntest_subjects = ["8"]\n')
    with pytest.raises(ConfigError, match="names '6', who is no training subject"):
        open_search(write_search(with_lines('subjects = ["1", "2", "6"]'), config), root=None, outer_fold="")
    with pytest.raises(ConfigError, match=r"at least 3 training subjects, got 2: 1, 2"):
        open_search(write_search(with_lines('subjects = ["1", "2"]')), root=None, outer_fold="")


def test_a_split_with_the_same_subjects_on_all_sides_is_refused(write_search: WriteSearch) -> None:
    lines = 'protocol = "subject-specific"\n'
    config = of_protocol(lines, EIGHT.replace("trials = 1", "trials = 4"))
    with pytest.raises(ConfigError, match="into training and test"):
        open_search(write_search(config=config), root=None, outer_fold="")
    config = config.replace(lines, f"{lines}allow_leak = true\n")
    with pytest.raises(ConfigError, match="got 0; all are test subjects of subject-specific"):
        open_search(write_search(config=config), root=None, outer_fold="")


def test_the_signature_knows_what_makes_candidates_comparable(write_search: WriteSearch) -> None:
    def signature(text: str = SEARCH, config: str = CONFIG, outer: str = "") -> str:
        return open_search(write_search(text, config), root=None, outer_fold=outer).signature

    same = {signature(), signature(SEARCH.replace('"tiny"', '"renamed"'))}
    assert len(same) == 1
    loso = of_protocol('protocol = "leave-one-subject-out"\n')
    others = [
        signature(SEARCH.replace("[4, 8, 64]", "[4, 8]")),
        signature(config=CONFIG.replace("steps = 2", "steps = 3")),
        signature(with_lines("seeds = [1]")),
        signature(config=loso, outer="1"),
        signature(config=loso, outer="2"),
        *(signature(with_lines('subjects = ["1", "2", "3"]'), loso, outer) for outer in "45"),
    ]
    assert len({*same, *others}) == 8


def test_equal_choices_have_equal_names() -> None:
    assert key_of({"a.b": 1, "c.d": [1]}) == key_of({"c.d": [1], "a.b": 1})
    assert key_of({"a.b": 1}) != key_of({"a.b": 2})
