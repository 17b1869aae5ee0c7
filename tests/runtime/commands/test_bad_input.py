"""Bad input, row by row: what becomes of it through the two public ways in, ``Classifier`` and ``vskd run``.

The rule: what cannot be right is refused by name; what can be lived with is counted, named in the health, and leaves
the decisions around it as they are. Nothing is silently wrong. A row that another module covers is named here.
"""

from __future__ import annotations

import ast
import json
import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from runtime.mean_engine import MeanEngine
from vskd import Classifier, Event
from vskd.cli import main
from vskd.contract import STANDARD_GRAVITY_M_S2, Contract
from vskd.errors import StreamError

#: Every kind of bad input that has a defined outcome.
TABLE = (
    "NaN", "NaN in a timestamp", "NaN for a second", "infinity", "+-1e30", "denormals", "nothing but denormals",
    "flat axes", "one dead axis", "an axis that dies", "saturation", "m/s^2 called g", "g called m/s^2", "int16 counts",
    "int16 in the right unit", "swapped axes", "repeated timestamps", "backward timestamps", "a clock set back", "gap",
    "25 Hz", "100 Hz", "200 Hz", "wrong shape", "wrong type", "an answer that is not finite",
    "a source that disappears and comes back", "a sensor that disappears and comes back",
    "a file still being written", "a pipe that closes", "a reader that goes away", "a bundle replaced while running",
    "a model overwritten while running",
)  # fmt: skip

RUNTIME_TESTS = Path(__file__).parents[1]
#: Row -> the module and test that hold it.
ELSEWHERE = {
    "an answer that is not finite": "test_decide.py::test_an_answer_that_is_not_finite_is_unknown_and_forgotten",
    "a source that disappears and comes back": (
        "test_commands.py::test_a_file_still_being_written_is_followed_through_loss_and_return_until_a_signal"
    ),
    "a sensor that disappears and comes back": (
        "test_i2c.py::test_a_sensor_that_goes_away_and_comes_back_is_a_gap_and_no_signal"
    ),
    "a file still being written": "test_live_text.py::test_a_growing_file_gives_whole_lines_as_they_are_finished",
    "a pipe that closes": "test_commands.py::test_a_live_pipe_is_answered_while_it_is_open_and_stdout_holds_only_json",
    "a reader that goes away": "test_commands.py::test_a_reader_that_goes_away_ends_the_run_in_silence",
    "a bundle replaced while running": (
        "test_commands.py::test_a_bundle_replaced_while_running_goes_on_with_the_old_one"
    ),
    "a model overwritten while running": (
        "test_commands.py::test_a_model_written_over_in_place_while_running_changes_nothing"
    ),
}

SAMPLES = 200
WINDOW, HOP = 32, 16


@dataclass(frozen=True)
class Row:
    """One kind of bad input.

    Attributes
    ----------
    time_s, xyz : the recording
    settings : of the classifier: unit, axes
    refused : what the refusal says, as a pattern; empty if the input is lived with
    health : what is counted; every other count is 0
    decisions : how many there are
    labels : that are given, where the row decides that
    says : what ``vskd run`` tells beside the events
    """

    time_s: np.ndarray
    xyz: np.ndarray
    settings: dict[str, str] = field(default_factory=dict)
    refused: str = ""
    health: dict[str, object] = field(default_factory=dict)
    decisions: int = 1 + (SAMPLES - WINDOW) // HOP
    labels: frozenset[str] | None = frozenset({"z up"})
    says: tuple[str, ...] = ()


def wrist(samples: int = SAMPLES) -> np.ndarray:
    """(samples, 3), g: z up, and as noisy as a sensor."""
    return np.random.default_rng(1).normal([0.05, -0.1, 1.0], 0.02, (samples, 3))


def clock(samples: int = SAMPLES, rate_hz: float = 50.0) -> np.ndarray:
    return np.arange(samples) / rate_hz


def good(**changes: object) -> Row:
    return Row(clock(), wrist(), **changes)


def with_values(rows: object, columns: object, values: object, **outcome: object) -> Row:
    xyz = wrist()
    xyz[rows, columns] = values
    return Row(clock(), xyz, **outcome)


def with_times(change: Callable[[np.ndarray], None], **outcome: object) -> Row:
    time_s = clock()
    change(time_s)
    return Row(time_s, wrist(), **outcome)


def repeat(time_s: np.ndarray) -> None:
    time_s[60] = time_s[59]


def step_back(time_s: np.ndarray) -> None:
    time_s[60] = time_s[57]


def set_back(time_s: np.ndarray) -> None:
    time_s[100:] -= 100


def pause(time_s: np.ndarray) -> None:
    time_s[100:] += 1


def lose_a_time(time_s: np.ndarray) -> None:
    time_s[60] = math.nan


def at_rate(rate_hz: float, samples: int, decisions: int) -> Row:
    says = (f"warning: the sensor ran at {rate_hz:.1f} Hz; the model was trained at 50 Hz",)
    return Row(clock(samples, rate_hz), wrist(samples), decisions=decisions, says=says)


TWO_HALVES = 2 * (1 + (100 - WINDOW) // HOP)

ROWS = {
    "NaN": with_values(slice(60, 63), 1, math.nan, health={"not_finite": 3}, says=("3 not finite; 0 gaps",)),
    "NaN in a timestamp": with_times(lose_a_time, health={"not_finite": 1}, says=("1 not finite",)),
    "NaN for a second": with_values(
        slice(60, 110), slice(None), math.nan, health={"not_finite": 50, "gaps": 1}, decisions=2 + 4, says=("1 gaps",)
    ),
    "infinity": with_values([60, 61], [0, 2], [math.inf, -math.inf], health={"not_finite": 2}, says=("2 not finite",)),
    "+-1e30": with_values(
        [60, 100], [2, 2], [1e30, -1e30], health={"saturated": 2}, labels=None, says=("2 beyond +-8 g",)
    ),
    "denormals": with_values(slice(60, 63), slice(None), 5e-324),
    "nothing but denormals": Row(
        clock(), np.full((SAMPLES, 3), 5e-324), refused=r"median \|a\| .*looks like acceleration without gravity"
    ),
    "flat axes": Row(
        clock(),
        np.tile([0.0, 0.0, 1.0], (SAMPLES, 1)),
        health={"flat": [11, 11, 11]},
        says=tuple(f"warning: axis {axis} read one value throughout 11 of 11 windows" for axis in "xyz"),
    ),
    "one dead axis": with_values(
        slice(None), 1, 0.03, health={"flat": [0, 11, 0]},
        says=("warning: axis y read one value throughout 11 of 11 windows; is it dead?",),
    ),
    "an axis that dies": with_values(
        slice(100, None), 0, 0.0, health={"flat": [4, 0, 0]},
        says=("warning: axis x read one value throughout 4 of 11 windows; is it dead?",),
    ),
    "saturation": with_values(
        slice(60, 80), slice(0, 2), [8.0, -9.5], health={"saturated": 20}, labels=None, says=("20 beyond +-8 g",)
    ),
    "m/s^2 called g": Row(
        clock(), wrist() * STANDARD_GRAVITY_M_S2, refused=r"gravity alone makes it 1\. It looks like m/s\^2: use"
    ),
    "g called m/s^2": good(settings={"unit": "m/s^2"}, refused=r"gravity alone makes it 9\.807\. It looks like g: use"),
    "int16 counts": Row(clock(), (wrist() * 2048).astype(np.int16), refused="looks like raw counts: multiply by"),
    "int16 in the right unit": Row(
        clock(),
        np.random.default_rng(2).integers([-1, -1, 9], [2, 2, 12], (SAMPLES, 3)).astype(np.int16),
        settings={"unit": "m/s^2"},
    ),
    # Nothing in the samples tells a swapped axis from a rotated wrist: the map is the user's word, and the self-test
    # says which way is up.
    "swapped axes": good(settings={"axes": "z,y,x"}, labels=frozenset({"x up"})),
    "repeated timestamps": with_times(repeat, health={"out_of_order": 1}, says=("1 out of order",)),
    "backward timestamps": with_times(step_back, health={"out_of_order": 1}, says=("1 out of order",)),
    "a clock set back": with_times(set_back, health={"gaps": 1}, decisions=TWO_HALVES, says=("1 gaps",)),
    "gap": with_times(pause, health={"gaps": 1}, decisions=TWO_HALVES, says=("1 gaps",)),
    "25 Hz": at_rate(25.0, 200, 1 + (399 - WINDOW) // HOP),
    "100 Hz": at_rate(100.0, 400, 11),
    "200 Hz": at_rate(200.0, 800, 11),
}  # fmt: skip

EACH_ROW = pytest.mark.parametrize("name", list(ROWS))


def pushed(row: Row, contract: Contract, size: int) -> tuple[list[Event], Classifier]:
    classifier = Classifier(contract, MeanEngine(gain=1), **row.settings)
    events = [
        event
        for at in range(0, len(row.time_s), size)
        for event in classifier.push(row.time_s[at : at + size], row.xyz[at : at + size])
    ]
    return events, classifier


@EACH_ROW
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_classifier_refuses_it_by_name_or_counts_it_and_goes_on(contract, name, size):
    row = ROWS[name]
    if row.refused:
        with pytest.raises(StreamError, match=row.refused):
            pushed(row, contract, size)
        return
    events, classifier = pushed(row, contract, size)
    assert len(events) == row.decisions
    assert row.labels is None or {event.label for event in events} == row.labels
    for event in events:
        assert np.isfinite(event.probabilities).all()
        assert event.probabilities.sum() == pytest.approx(1)
    nothing = {"out_of_order": 0, "not_finite": 0, "gaps": 0, "saturated": 0, "flat": [0, 0, 0]}
    counted = {count: getattr(classifier.health, count) for count in nothing}
    assert counted == nothing | row.health
    assert classifier.health.samples == len(row.time_s)


@EACH_ROW
def test_the_command_says_the_same_in_words(run, contract, tmp_path, make_bundle, name):
    row = ROWS[name]
    table = np.column_stack((row.time_s, row.xyz)).tolist()
    path = tmp_path / "bad.csv"
    path.write_text("time_s,ax,ay,az\n" + "".join(",".join(map(repr, line)) + "\n" for line in table))
    options = [word for option, value in row.settings.items() for word in (f"--{option}", value)]
    code, out, err = run(make_bundle(tmp_path / "x.bundle", contract), path, *options)
    assert "Traceback" not in err
    if row.refused:
        assert (code, out) == (1, "")
        assert err.count("error: ") == 1
        message, hint = (line.removeprefix("error: ").strip() for line in err.splitlines()[-2:])
        assert re.search(row.refused, f"{message}. {hint}")
        return
    assert code == 0
    assert len(out.splitlines()) == row.decisions
    assert row.labels is None or {json.loads(line)["label"] for line in out.splitlines()} == row.labels
    assert all(part in err for part in row.says), err
    assert row.says or "warning" not in err


@pytest.fixture
def run(command):
    return lambda bundle, source, *options: command(
        "run", bundle, "--input", source, "--engine", "onnxruntime", *options
    )


# --- what has no samples


@pytest.mark.parametrize(
    ("xyz", "line", "pattern", "says"),
    [
        ([[0.0, 1.0]], "0.1,0,1", r"got \(1,\) and \(1, 2\)", "line 3: 3 values, the header has 4"),
        ([["0", "0", "one"]], "0.1,0,0,one", "must be numbers", "line 3: 'one' is no number"),
    ],
    ids=["wrong shape", "wrong type"],
)
def test_what_are_no_samples_is_refused_and_the_stream_goes_on(
    run, contract, tmp_path, make_bundle, xyz, line, pattern, says
):
    classifier = Classifier(contract, MeanEngine(gain=1))
    with pytest.raises(StreamError, match=pattern):
        classifier.push([0.0], xyz)
    assert len(classifier.push(clock(), wrist())) == 11
    path = tmp_path / "bad.csv"
    path.write_text(f"time_s,ax,ay,az\n0,0,0,1\n{line}\n{line}\n")
    code, out, err = run(make_bundle(tmp_path / "x.bundle", contract), path)
    assert (code, out) == (1, "")
    assert says in err


# --- whole recordings, which have no health


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("one dead axis", "warning: axis y read one value throughout the recording; is it dead?"),
        ("saturation", "warning: 20 of 200 samples beyond +-8 g"),
        ("NaN", "error: the recording holds NaN or infinity at sample 60"),
        ("repeated timestamps", "error: the recording's time does not increase at sample 60"),
        ("backward timestamps", "error: the recording's time does not increase at sample 60"),
        ("m/s^2 called g", "It looks like m/s^2"),
        ("int16 counts", "It looks like raw counts"),
    ],
)
def test_a_whole_recording_is_refused_or_named_too(run, tmp_path, make_bundle, whole_contract, name, says):
    row = ROWS[name]
    path = tmp_path / "bad.npz"
    np.savez(path, time_s=row.time_s, xyz=row.xyz)
    code, out, err = run(make_bundle(tmp_path / "x.bundle", whole_contract), path)
    assert says in err
    assert (code, len(out.splitlines())) == ((0, 1) if says.startswith("warning") else (1, 0))


# --- swapped axes


def test_the_right_map_gives_the_same_events_and_the_self_test_says_which_way_is_up(
    monkeypatch, capsys, contract, tmp_path, make_golden_bundle
):
    swapped = Row(clock(), wrist()[:, [2, 1, 0]], settings={"axes": "z,y,x"})
    events, _ = pushed(swapped, contract, 7)
    expected, _ = pushed(good(), contract, 7)
    assert [event.to_mapping(contract.labels) for event in events] == [
        event.to_mapping(contract.labels) for event in expected
    ]
    np.savez(tmp_path / "r.npz", time_s=swapped.time_s, xyz=swapped.xyz)
    bundle = make_golden_bundle(tmp_path / "x.bundle", contract)
    monkeypatch.setattr(sys, "argv", ["vskd", "selftest", str(bundle), "--input", str(tmp_path / "r.npz")])
    with pytest.raises(SystemExit):
        main()
    assert "median x +1.00 g, y -0.10 g, z +0.05 g" in capsys.readouterr().out


# --- the table


def test_every_row_of_the_table_has_a_test():
    held = {*ROWS, *ELSEWHERE, "wrong shape", "wrong type"}
    assert held == set(TABLE)


@pytest.mark.parametrize("name", list(ELSEWHERE))
def test_what_another_module_covers_is_there(name):
    module, _, test = ELSEWHERE[name].partition("::")
    (path,) = RUNTIME_TESTS.rglob(module)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
