"""The Pareto set, the preset, and one search with real conversions: costs are those of the files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd.closed import to_mapping
from vskd.contract import Contract
from vskd_export.package.describe import describe_model
from vskd_export.search.budget import Costs
from vskd_export.search.costs import least_costs, measure_costs, untrained
from vskd_export.search.journal import Scores
from vskd_export.search.preset import write_preset
from vskd_export.search.result import Candidate, pareto
from vskd_training.runs.run import Run
from vskd_training.settings import Config, load_config

from .tiny_search import CONFIG, SEARCH, Call, WriteSearch


def candidate(key: str, accuracy: float, macs: int, flash: int, arena: int) -> Candidate:
    return Candidate(key, {}, Scores(accuracy, 0.0, {"1": accuracy}, 1.0), Costs(macs, flash, arena))


MERITS = st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))


@given(st.lists(MERITS, max_size=12))
def test_the_pareto_set_is_what_nothing_else_beats(merits: list[tuple[float, int, int, int]]) -> None:
    """By the definition: some weighing of the four is best there; equal ones are named once."""
    found = pareto(candidate(f"{row:02}", *one) for row, one in enumerate(merits))
    marked = [
        (one.scores.accuracy, one.costs.macs, one.costs.flash_bytes, one.costs.arena_bytes)
        for one in found
        if one.pareto
    ]
    assert len(marked) == len(set(marked))
    for one in merits:
        better = [
            other
            for other in merits
            if other != one
            and other[0] >= one[0]
            and all(mine <= its for mine, its in zip(other[1:], one[1:], strict=True))
        ]
        assert (one in marked) == (not better)
    assert [one.costs.macs for one in found] == sorted(one.costs.macs for one in found)


def test_a_student_that_micro_refuses_does_not_beat_one_that_runs() -> None:
    refused = Candidate("a", {}, Scores(0.9, 0.0, {}, 1.0), Costs(5, 5, None, refused="an operator"))
    runs = candidate("b", 0.9, 5, 5, 9999)
    assert [one.key for one in pareto([refused, runs]) if one.pareto] == ["b"]


def test_a_candidate_is_written_as_a_config(tmp_path: Path) -> None:
    config = load_config("utd-mhad-whole", changes=("seed=7", "augment.mixup=0.123"))
    write_preset(tmp_path / "made.toml", config, ["a comment", ""])
    assert to_mapping(load_config(tmp_path / "made.toml")) == to_mapping(config)
    assert (tmp_path / "made.toml").read_text().startswith("# a comment\n#\n")


@pytest.fixture(scope="module")
def tiny_config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    path = tmp_path_factory.mktemp("config") / "tiny.toml"
    path.write_text(CONFIG)
    return load_config(path)


def contract_of(config: Config) -> Contract:
    return config.contract(("a", "b", "c"), "no data")


@pytest.mark.slow  # two conversions, and every process imports a converter
def test_a_search_with_real_conversions(write_search: WriteSearch, call: Call, tmp_path: Path) -> None:
    """From the search file to a trained student of the preset; costs and latency are of the files."""
    out = tmp_path / "out"
    text = SEARCH.replace("[4, 8, 64]", "[8, 64]")
    words = ("--mmac", "0.1", "--flash", "64kB", "--arena", "32KiB", "--trials", 2, "--out", out)
    done = call(write_search(text), *words)
    assert done.code == 0, done.err
    result = json.loads((out / "result.json").read_text())
    (file,) = out.glob("costs/*/*.tflite")
    for one in result["candidates"]:
        assert one["costs"]["macs"] == describe_model(file.read_bytes(), "tflite")["macs"]
        assert one["costs"]["flash_bytes"] == file.stat().st_size
        assert 1000 < one["costs"]["arena_bytes"] < 32768
    (best, *_) = [one for one in result["candidates"] if one["pareto"]]
    assert set(best["latency_us"]) == {"litert", "onnxruntime"}
    assert all(0.1 < value < 1e5 for value in best["latency_us"].values())
    (budget,) = result["budgets"].values()
    assert budget["winner"] == best["key"]
    assert best["key"] in done.out
    assert "short timing on this machine" in done.out
    assert done.out == (out / "table.md").read_text()
    assert (out / "pareto.png").read_bytes().startswith(b"\x89PNG")
    (preset,) = out.glob("preset-*.toml")
    assert preset.name == "preset-mmac0.1-flash64kB-arena32768B.toml"
    config = load_config(preset)
    assert (config.student.channels, config.student.blocks) == (8, 1)
    assert config.student_training.learning_rate == best["set"]["student_training.learning_rate"]
    assert (config.data.protocol, config.data.test_subjects, config.data.subjects) == ("fixed", ("4",), ())

    from click.testing import CliRunner

    from vskd_training.commands.train import train

    cache = tmp_path / "cache"
    done_training = CliRunner().invoke(
        train, ["student", "--config", str(preset), "--out", str(tmp_path / "run"), "--cache", str(cache)]
    )
    assert done_training.exit_code == 0, done_training.stderr
    assert Run.open(tmp_path / "run", role="student").card["data"]["split"]["test"] == ["4"]


FAMILY_CHANGES = {
    "raw-resnet": ("student.family='raw-resnet'", "student.channels=8", "raw.transforms=['g']"),
    "gaf-resnet": ("student.family='gaf-resnet'", "student.channels=32", "student.width=0.125", "gaf.size=32"),
}


@pytest.mark.slow  # two conversions
@pytest.mark.parametrize("family", FAMILY_CHANGES)
def test_bounds_are_no_higher_than_what_is_measured(family: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(CONFIG)
    config = load_config(tmp_path / "tiny.toml", changes=FAMILY_CHANGES[family])
    contract = contract_of(config)
    student = untrained(config, contract)
    least, measured = least_costs(student, contract), measure_costs(student, contract, tmp_path / "costs")
    assert 0.5 * measured.macs < least.macs <= measured.macs
    assert least.flash_bytes <= measured.flash_bytes
    assert measure_costs(student, contract, tmp_path / "costs") == measured


def test_bounds_count_the_layers(tiny_config: Config) -> None:
    """By hand: a separable network of 12, 16 and 28 channels, two blocks in each stage, on 6 channels of 64 samples."""
    contract = contract_of(tiny_config)
    macs, width, samples = 12 * 6 * 9 * 32, 12, 32
    weights = 12 * 6 * 9
    for stage, channels in enumerate((12, 16, 28)):
        for block in range(2):
            samples = samples // 2 if stage and not block else samples
            macs += samples * (9 * width + width * channels)
            weights += 9 * width + width * channels
            width = channels
    head = 28 * 300 + 300 * 3
    assert least_costs(untrained(tiny_config, contract), contract) == Costs(macs + head, weights + head)
