"""The search file: what it may say, and the sentence for what it may not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd.errors import ConfigError, DataError
from vskd_export.search.budget import Budget, Costs, parse_bytes, parse_mmac
from vskd_export.search.plan import open_search
from vskd_export.search.space import changes_of, space_of
from vskd_export.search.spec import read_spec
from vskd_training.settings import load_config
from vskd_training.settings.students import STUDENTS

from .tiny_search import CONFIG, SEARCH, WriteSearch

SEARCHES = Path(__file__).parents[3] / "training" / "searches"

SIZES = [
    ("160kB", 160_000), ("64KB", 64_000), ("64KiB", 65_536), ("1MB", 1_000_000), ("1MiB", 1_048_576), ("77", 77),
    ("1.5kB", 1500), (" 2 kB ", 2000), ("5B", 5),
]  # fmt: skip


@pytest.mark.parametrize(("text", "size"), SIZES)
def test_a_size_has_a_unit_or_none(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["160kb", "1GB", "", "kB", "-3", "1e5", "nan", "12 34", "1,5kB"])
def test_a_size_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"has a unit of B, kB, KB, KiB, MB, MiB, got .*For example 160kB"):
        parse_bytes(text)


@pytest.mark.parametrize("text", ["0", "1.5B", "0.0001kB", "0kB"])
def test_a_size_is_a_whole_number_of_bytes(text: str) -> None:
    with pytest.raises(ConfigError, match="whole number of bytes above 0"):
        parse_bytes(text)


@pytest.mark.parametrize("text", ["nan", "inf", "0", "-1", "3M", ""])
def test_mmac_is_a_finite_number_above_0(text: str) -> None:
    with pytest.raises(ConfigError, match="number of millions above 0"):
        parse_mmac(text)


@given(st.integers(1, 10**8), st.integers(1, 10**7), st.integers(1, 10**6))
def test_a_budget_takes_what_is_at_every_limit_and_nothing_beyond(macs: int, flash: int, arena: int) -> None:
    budget = Budget(macs / 1e6, flash, arena)
    assert budget.fits(Costs(macs, flash, arena))
    assert not budget.fits(Costs(macs + max(1, macs // 10**6), flash, arena))
    assert not budget.fits(Costs(macs, flash + 1, arena))
    assert not budget.fits(Costs(macs, flash, arena + 1))
    assert not budget.fits(Costs(macs, flash, None, refused="no such operator"))
    assert Budget(macs / 1e6, flash).fits(Costs(macs, flash, None, refused="no such operator"))


def test_a_budget_names_its_limits() -> None:
    assert Budget(3, 160_000, 32_768).name == "mmac3-flash160kB-arena32768B"
    assert Budget(0.25).name == "mmac0.25"
    with pytest.raises(ConfigError, match=r"needs a budget\. Give --mmac, --flash or --arena"):
        Budget()


def top(line: str) -> tuple[str, str]:
    """A line ahead of the space."""
    return "[space.student]", f"{line}\n[space.student]"


REFUSED = {
    "unknown key": (*top("seedz = [1]"), "unknown key 'seedz' in search.toml. Did you mean 'seed'"),
    "unknown section": (*top("[space.data]\nfold = ['1']"), r"\[space.data\] is no section that a search may change"),
    "unknown name": ("blocks", "blocs", r"unknown key 'blocs' in \[space.student\]. Did you mean 'blocks'"),
    "unknown key of a range": ("log = true", "logs = true", "unknown key 'logs'"),
    "no range": ("[1]", "1", "must be a table of settings, got 1"),
    "empty list": ("[1]", "[]", "must be a table of settings"),
    "twice": ("[4, 8, 64]", "[4, 8, 4]", "a value stands twice"),
    "low above high": ("high = 1e-2", "high = 1e-4", r"needs low below high, got 0.001 and 0.0001"),
    "no high": (", high = 1e-2", "", "needs low below high, got 0.001 and None"),
    "log from 0": ("low = 1e-3", "low = 0", "needs low above 0, got 0"),
    "step and log": ("log = true", "log = true, step = 0.1", "a step above 0 and no log beside it"),
    "values and low": ("[1]", "{ values = [1], low = 1 }", "values, or low and high, not both"),
    "a value that the config refuses": ("[4, 8, 64]", "[4, 8, 1000]", r"channels must lie in \[4, 512\], got 1000"),
    "an end that the config refuses": (
        "[4, 8, 64]",
        "{ low = 2, high = 8 }",
        r"channels must lie in \[4, 512\], got 2",
    ),
    "half channels": ("[4, 8, 64]", "{ low = 4, high = 8, step = 0.5 }", "channels holds whole numbers, got .*0.5"),
    "numbers for a word": ("blocks = [1]", "family = { low = 1, high = 2 }", "holds 'raw-separable', and a range"),
    "no family for it": ("blocks = [1]", "width = [0.25]", "student.width has no meaning for raw-separable"),
    "one fold": (*top("folds = 1"), "folds must be 0 .* or at least 2, got 1"),
    "too many folds": (*top("folds = 4"), "2 to 3 folds for 3 subjects, got 4"),
    "seeds": (*top("seeds = [1, 1]"), "seeds of a search must differ"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mistake_is_named(write_search: WriteSearch, case: str) -> None:
    old, new, message = REFUSED[case]
    assert old in SEARCH
    with pytest.raises(ConfigError, match=message):
        open_search(write_search(SEARCH.replace(old, new, 1)), root=None, outer_fold="")


def test_a_space_must_hold_something(write_search: WriteSearch) -> None:
    with pytest.raises(ConfigError, match="at least one key in \\[space\\]"):
        open_search(write_search('name = "a"\nconfig = "tiny.toml"\n[space]\n'), root=None, outer_fold="")


def test_a_missing_file_and_one_that_is_no_toml(write_search: WriteSearch) -> None:
    path = write_search("name = ")
    with pytest.raises(ConfigError, match="is not TOML"):
        open_search(path, root=None, outer_fold="")
    with pytest.raises(DataError, match=r"cannot read the search .*missing.toml"):
        open_search(path.with_name("missing.toml"), root=None, outer_fold="")


FAMILIES = """
name = "families"
config = "tiny.toml"
[space.student]
family = ["raw-separable", "gaf-resnet"]
channels = { low = 4, high = 16, step = 4 }
width = [0.125, 0.25]
[space.gaf]
size = [16, 32]
[space.raw]
transforms = [["g"], ["tanh", "centred"]]
[space.augment]
mixup = { low = 0, high = 0.5 }
"""


class First:
    """A trial that takes the first of everything, and this family."""

    def __init__(self, family: str) -> None:
        self.family = family

    def suggest_categorical(self, name: str, choices: list[str]) -> str:
        return json.dumps(self.family) if name == "student.family" else choices[0]

    def suggest_int(self, name: str, low: int, high: int, **_: object) -> int:
        return low

    def suggest_float(self, name: str, low: float, high: float, **_: object) -> float:
        return high / 3


def test_a_key_is_drawn_for_the_families_that_it_changes(write_search: WriteSearch) -> None:
    search = open_search(write_search(FAMILIES), root=None, outer_fold="")
    raw, image = (search.space.draw(First(family)) for family in search.space.families)  # type: ignore[arg-type]
    assert raw == {
        "student.family": "raw-separable", "student.channels": 4, "raw.transforms": ["g"], "augment.mixup": 0.167,
    }  # fmt: skip
    assert image == {
        "student.family": "gaf-resnet", "student.width": 0.125, "gaf.size": 16, "augment.mixup": 0.167,
    }  # fmt: skip
    assert search.space.sizes() == {"raw-separable": (4 * 2, 1), "gaf-resnet": (2 * 2, 1)}


def test_an_image_student_does_not_inherit_the_keys_of_the_configs_raw_one(write_search: WriteSearch) -> None:
    """channels = 12 in the config, which an image student refuses."""
    search = open_search(write_search(FAMILIES), root=None, outer_fold="")
    config = search.config({"student.family": "gaf-resnet", "student.width": 0.25})
    assert (config.student.family, config.student.width, config.student.channels) == ("gaf-resnet", 0.25, 32)


def test_changes_are_what_set_takes(write_search: WriteSearch) -> None:
    path = write_search().with_name("tiny.toml")
    choice = {"student.channels": 8, "raw.transforms": ["g", "tanh"], "student_training.learning_rate": 1e-5}
    config = load_config(path, changes=changes_of(choice))
    assert (config.student.channels, config.raw.transforms) == (8, ("g", "tanh"))
    assert config.student_training.learning_rate == 1e-5
    assert CONFIG.count("learning_rate") == 0


@pytest.mark.parametrize("path", sorted(SEARCHES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_committed_search_can_draw_every_raw_student_that_has_a_name(path: Path) -> None:
    spec = read_spec(path)
    space = space_of(spec, load_config(spec.config, changes=spec.set))
    for student in (student for name, student in STUDENTS.items() if name != "paper"):
        keys = {f"{section}.{key}" for section, chosen in student.items() for key in chosen}
        assert keys <= {one.key for one in space.dimensions}
        assert student["student"]["family"] in space.families
