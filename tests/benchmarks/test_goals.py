"""The goals: one owner, and the figures of the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vskd.errors import ConfigError
from vskd_benchmarks.goals import GOALS, VERSION, goals_of_a_result, width_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def readme_goals() -> list[str]:
    """The first column of the table of goals, wherever it stands."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES if page.is_file())
    (table,) = re.findall(r"^\| goal \| measured \| \|\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [line.split("|")[1].strip() for line in table.splitlines()]


def test_the_readmes_goals_are_these_goals():
    elsewhere = {"help", "training_speed_up", "encoding_share"}
    assert sorted(readme_goals()) == sorted(goal.words for name, goal in GOALS.items() if name not in elsewhere)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("help", r"`vskd --help` takes .* Elapsed, goal 200 ms"),
        ("training_speed_up", r"useful images a second, .* Goal 30\."),
        ("encoding_share", r"Encoding and augmentation take .* of a step \(goal 10 %\)"),
    ],
)
def test_goals_in_the_readmes_prose_are_these_goals(name, words):
    text = " ".join(" ".join(page.read_text(encoding="utf-8").split()) for page in PAGES if page.is_file())
    assert re.search(words, text)
    assert f" {GOALS[name].limit:g}" in words.replace("\\", "")


@pytest.mark.parametrize("goal", GOALS.values(), ids=GOALS)
def test_a_goals_limit_stands_in_its_words_and_is_met_at_the_limit(goal):
    assert re.search(rf"(?<![\d.]){re.escape(f'{goal.limit:g}')}(?![\d.])", goal.words)
    worse = -1e-6 if goal.bound == "at least" else 1e-6
    assert goal.met(goal.limit)
    assert not goal.met(goal.limit + worse)


def test_committed_results_knew_looser_goals():
    old = {name: goal.limit for name, goal in goals_of_a_result(1).items()}
    assert old == {"speed_up": 20, "overhead": 60, "encoder_speed_up": 15, "import": 30, "int8_size": 3.9}
    assert [goals_of_a_result(version)["overhead"].limit for version in (2, VERSION)] == [30, 20]
    assert set(goals_of_a_result(VERSION)) - set(goals_of_a_result(2)) == {
        "watch_latency", "watch_over_image", "watch_over_pyts",
    }  # fmt: skip
    with pytest.raises(ConfigError, match=rf"no goals of version {VERSION + 1}\. This vskd knows 1 to {VERSION}"):
        goals_of_a_result(VERSION + 1)


def test_the_width_is_told_by_the_size_of_the_int8_file():
    assert [width_of(size) for size in (11_515_168, 3_000_000, 830_000)] == ["full", "other", "quarter"]
