"""The command line: JSON lines on stdout and nothing else, one sentence per error, exit codes 0, 1 and 2."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import vskd
from runtime.command_line import Result
from vskd.bundle import Bundle, write_bundle
from vskd.bundle_files import CONTRACT, LAYOUT
from vskd.contract import STANDARD_GRAVITY_M_S2, Contract, DecisionSpec
from vskd.description import contract_in_words
from vskd.engines import ENGINES, open_engine
from vskd.sources.layout import AxisNames, Described, Layout
from vskd.stream import cut_windows

HEADER = "time_s,ax,ay,az"


@pytest.fixture
def bundle(tmp_path: Path, make_bundle, contract: Contract) -> Path:
    return make_bundle(tmp_path / "wrist.bundle", contract)


@pytest.fixture
def whole_bundle(tmp_path: Path, make_bundle, whole_contract: Contract) -> Path:
    return make_bundle(tmp_path / "whole.bundle", whole_contract)


def rows(samples: int = 100, *, rate_hz: float = 50.0, factor: float = 1.0, axis: int = 2, start_s: float = 0.0):
    values = np.full((samples, 3), 0.01)
    values[:, axis] = 1.0
    return [
        f"{start_s + index / rate_hz:.4f}," + ",".join(f"{value * factor:.6f}" for value in row)
        for index, row in enumerate(values)
    ]


def text(lines: list[str], header: str = HEADER) -> str:
    return "\n".join([header, *lines]) + "\n"


def recording(folder: Path, lines: list[str], header: str = HEADER) -> Path:
    path = folder / "walk.csv"
    path.write_text(text(lines, header))
    return path


# --- run


@pytest.mark.parametrize("engine", ["onnxruntime", "litert"])
def test_a_recording_gives_one_json_line_per_window(command, bundle, tmp_path, engine):
    result = command("run", bundle, "--input", recording(tmp_path, rows()), "--engine", engine)
    assert result.code == 0
    assert len(result.events) == 1 + (100 - 32) // 16
    first = result.events[0]
    assert (first["label"], first["start_s"], first["end_s"]) == ("z up", 0.0, 0.62)
    assert list(first["probabilities"]) == ["x up", "y up", "z up"]
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert f"model.fp32.{ENGINES[engine].format} on {engine}" in result.err
    assert "100 samples at unknown -> 5 decisions" in result.err  # two seconds are not there yet


def test_standard_input_gives_what_the_file_gives(command, bundle, tmp_path):
    lines = rows(150) + rows(60, start_s=9.0, axis=0)
    from_file = command("run", bundle, "--input", recording(tmp_path, lines), "--engine", "onnxruntime")
    from_pipe = command("run", bundle, "--input", "-", "--engine", "onnxruntime", stdin=text(lines))
    assert from_pipe.code == from_file.code == 0
    assert from_pipe.out == from_file.out
    assert "1 gaps" in from_pipe.err


def test_the_events_are_those_of_the_windows(command, bundle, tmp_path, contract):
    lines = rows(120)
    result = command("run", bundle, "--input", recording(tmp_path, lines), "--engine", "onnxruntime")
    table = np.array([[float(value) for value in line.split(",")] for line in lines])
    windows = cut_windows(contract, table[:, 0], table[:, 1:])
    assert [event["start_s"] for event in result.events] == pytest.approx([window.start_s for window in windows])


def test_unit_axes_and_time_column_are_taken_as_named(command, bundle, tmp_path):
    lines = [line.replace(line.split(",")[0], str(index * 20)) for index, line in enumerate(rows(60, factor=9.80665))]
    path = recording(tmp_path, lines, "time_ms,ax,ay,az")
    result = command("run", bundle, "--input", path, "--unit", "m/s^2", "--axes=-z,y,x", "--engine", "onnxruntime")
    assert result.code == 0
    assert {event["label"] for event in result.events} == {"y up"}  # x now reads -1 g
    assert result.events[0]["end_s"] == 0.62


def test_a_bundle_reads_files_like_those_that_it_was_trained_on(command, bundle, tmp_path, contract):
    opened = Bundle.open(bundle)
    held = {name: opened.read(name) for name in opened.files if name != CONTRACT}
    files = Described(Layout(separator=";"), unit="m/s^2", axes=AxisNames("y", "z", "x"))
    known = tmp_path / "known.bundle"
    write_bundle(known, contract=contract, models=opened.models, files={**held, LAYOUT: files.as_toml().encode()})
    (tmp_path / "own").mkdir()
    own = recording(tmp_path / "own", rows(factor=STANDARD_GRAVITY_M_S2), HEADER)
    own.write_text(own.read_text().replace(",", ";"))
    done = command("run", known, "--input", own)
    assert {event["label"] for event in done.events} == {"y up"}  # its z is the contract's y
    assert "read as what the model was trained on: m/s^2, axes y,z,x" in done.err
    assert not [line for line in done.err.splitlines() if "warning" in line and "dead" not in line]
    assert command("run", known, "--input", "-", stdin=own.read_text()).events == done.events
    said = ("--unit", "m/s^2", "--axes", "y,z,x", "--layout", "separator=;")
    assert command("run", bundle, "--input", own, *said).events == done.events
    assert command("run", known, "--input", own, *said).events == done.events
    in_g = command("run", known, "--input", recording(tmp_path, rows(), "time_s,ax_g,ay_g,az_g"))
    assert {event["label"] for event in in_g.events} == {"z up"}
    assert "read in g, as its columns say; the model was trained on files in m/s^2" in in_g.err
    assert "\nfiles        m/s^2, axes y,z,x, where neither" in command("inspect", known).out
    wrong = command("run", known, "--input", own, "--unit", "g")
    assert (wrong.code, "It looks like m/s^2" in wrong.err, "read as" in wrong.err) == (1, True, False)


def test_a_whole_recording_gives_one_line_on_the_sensors_clock(command, whole_bundle, tmp_path):
    path = recording(tmp_path, rows(77, start_s=500.0, axis=1))
    result = command("run", whole_bundle, "--input", path, "--engine", "litert")
    assert result.code == 0
    (event,) = result.events
    assert (event["label"], event["start_s"], event["end_s"]) == ("y up", 500.0, 501.52)


def test_a_wrong_rate_is_named(command, bundle, tmp_path):
    path = recording(tmp_path, rows(100, rate_hz=25))
    result = command("run", bundle, "--input", path, "--engine", "onnxruntime")
    assert result.code == 0
    assert "warning: the sensor ran at 25.0 Hz; the model was trained at 50 Hz" in result.err


def test_a_recording_too_short_for_a_window_says_so(command, bundle, tmp_path):
    result = command("run", bundle, "--input", recording(tmp_path, rows(20)), "--engine", "onnxruntime")
    assert (result.code, result.out) == (1, "")
    assert "nothing was decided: one decision needs 32 samples at 50 Hz (0.64 s) without a gap" in result.err


def test_nan_and_disorder_are_counted_not_hidden(command, bundle, tmp_path):
    lines = rows(100)
    lines[50] = lines[50].replace("1.000000", "nan")
    lines[60] = lines[59]
    result = command("run", bundle, "--input", recording(tmp_path, lines), "--engine", "onnxruntime")
    assert result.code == 0
    assert "dropped: 1 out of order, 1 not finite; 0 gaps" in result.err


def test_rules_can_be_overridden_and_the_skipped_share_is_told(command, bundle, tmp_path):
    path = recording(tmp_path, rows(100) + rows(60, start_s=9.0, axis=0))
    rules = ["--set", "no_signal_after_s=3", "--set", "still_below_g=0.01", "--set", "smoothing=0.5"]
    result = command("run", bundle, "--input", path, "--engine", "onnxruntime", *rules)
    assert result.code == 0
    labels = [event["label"] for event in result.events]
    assert labels == ["still"] * 5 + ["no signal"] + ["still"] * 2
    assert result.events[5]["reason"] == "no samples for 7.020 s"
    assert "motion gate: 7 of 7 windows (100%) skipped the network" in result.err


def test_an_npz_gives_what_the_csv_gives(command, bundle, tmp_path):
    lines = rows(100)
    table = np.array([[float(value) for value in line.split(",")] for line in lines])
    np.savez(tmp_path / "walk.npz", time_s=table[:, 0], xyz=table[:, 1:])
    from_csv = command("run", bundle, "--input", recording(tmp_path, lines), "--engine", "onnxruntime")
    from_npz = command("run", bundle, "--input", tmp_path / "walk.npz", "--engine", "onnxruntime")
    assert from_npz.code == 0
    assert from_npz.out == from_csv.out != ""


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_events_go_into_a_file_and_not_on_standard_output(command, bundle, tmp_path, suffix):
    words = ["run", bundle, "--input", recording(tmp_path, rows()), "--engine", "onnxruntime"]
    out = tmp_path / f"events.{suffix}"
    result = command(*words, "--output", out)
    assert (result.code, result.out) == (0, "")
    assert "-> 5 decisions" in result.err
    assert len(out.read_text().splitlines()) == 5 + (suffix == "csv")
    assert_refused(command(*words, "--output", out), "exists", "--append")
    assert command(*words, "--output", out, "--append").code == 0
    assert len(out.read_text().splitlines()) == 10 + (suffix == "csv")


def test_an_output_of_another_kind_is_refused_and_not_made(command, bundle, tmp_path):
    words = ["run", bundle, "--input", recording(tmp_path, rows()), "--engine", "onnxruntime"]
    assert_refused(command(*words, "--output", tmp_path / "events.txt"), "'events.txt'", ".jsonl or .csv")
    assert not (tmp_path / "events.txt").exists()
    assert_refused(command(*words, "--output", tmp_path / "events.csv", "--axes", "x,y"), "an axis map names")
    assert not (tmp_path / "events.csv").exists()


def test_an_output_that_cannot_be_written_is_refused_before_a_sample_is_read(command, bundle, tmp_path):
    (tmp_path / "there.csv").write_text("")
    (tmp_path / "folder.csv").mkdir()
    for words, message in [
        (["there.csv"], "there.csv exists"),
        (["there.csv/below.csv"], "cannot write"),
        (["folder.csv", "--append"], "folder.csv: a folder"),
    ]:
        result = command("run", bundle, "--input", "-", "--output", tmp_path / words[0], *words[1:], stdin="no header")
        assert_refused(result, message)
    deep = tmp_path / "new" / "folder" / "events.csv"
    assert command("run", bundle, "--input", recording(tmp_path, rows()), "--output", deep).code == 0
    assert len(deep.read_text().splitlines()) == 6


def test_a_replay_takes_its_time_and_gives_the_same_events(command, bundle, tmp_path):
    words = ["run", bundle, "--input", recording(tmp_path, rows(60)), "--engine", "onnxruntime"]
    at_once = command(*words)
    started = time.monotonic()
    replayed = command(*words, "--replay-speed", "4")
    assert time.monotonic() - started >= 59 / 50 / 4
    assert replayed.code == 0
    assert replayed.out == at_once.out != ""


def test_the_engine_gets_the_threads_that_were_asked_for(command, bundle, tmp_path, monkeypatch):
    asked = []

    def noting(name, model, *, threads):
        asked.append(threads)
        return open_engine(name, model, threads=threads)

    monkeypatch.setattr("vskd.bundle.open_engine", noting)
    words = ["run", bundle, "--input", recording(tmp_path, rows()), "--engine", "onnxruntime"]
    assert "1 thread(s)" in command(*words).err
    assert "3 thread(s)" in command(*words, "--threads", "3").err
    assert asked == [1, 3]


def test_a_live_run_gives_the_signal_of_termination_back(command, bundle):
    before = signal.getsignal(signal.SIGTERM)
    assert command("run", bundle, "--input", "-", "--engine", "onnxruntime", stdin=text(rows())).code == 0
    assert signal.getsignal(signal.SIGTERM) == before


# --- refusals: one sentence, a way out, exit code 1, no traceback


def assert_refused(result: Result, *parts: str) -> None:
    assert result.code == 1
    assert result.err.count("error: ") == 1
    assert "Traceback" not in result.err
    for part in parts:
        assert part in result.err


@pytest.mark.parametrize(
    ("lines", "header", "parts"),
    [
        ([*rows(5), *["0.1,0,zero,1"] * 6], HEADER, ["walk.csv: 6 of 11 lines are no samples", "line 7: 'zero' is no"]),
        (rows(5), "time_s,ax,ay,zz", ["walk.csv, line 1: lacks 'az'", "Known: ax, ay, time_s, zz"]),
        ([], HEADER, ["walk.csv: holds no samples"]),
        (rows(60, factor=9.80665), HEADER, ["gravity alone makes it 1", "--unit m/s^2"]),
        (rows(60, factor=4096), HEADER, ["raw counts"]),
        (rows(60, factor=0.01), HEADER, ["without gravity"]),
    ],
)
@pytest.mark.parametrize("mode", ["sliding", "whole"])
def test_a_bad_recording_is_refused(command, bundle, whole_bundle, tmp_path, lines, header, parts, mode):
    which = bundle if mode == "sliding" else whole_bundle
    path = recording(tmp_path, lines, header)
    assert_refused(command("run", which, "--input", path, "--engine", "onnxruntime"), *parts)


@pytest.mark.parametrize("words", [("no.csv",), ("no.csv", "--follow"), ("no.npz",)])
def test_a_file_that_is_not_there_is_refused_before_the_model_is_loaded(command, bundle, tmp_path, words):
    result = command("run", bundle, "--input", tmp_path / words[0], *words[1:], "--engine", "onnxruntime")
    assert_refused(result, f"{words[0]}: No such file or directory", "Give the path of a file that you can read")
    assert "thread(s)" not in result.err


def test_a_folder_is_no_recording(command, bundle, tmp_path):
    assert_refused(command("run", bundle, "--input", tmp_path), "is a folder, and --input is one recording")


def test_a_picture_is_no_recording(command, bundle, tmp_path):
    (tmp_path / "photo.csv").write_bytes(bytes(range(256)))
    result = command("run", bundle, "--input", tmp_path / "photo.csv", "--engine", "onnxruntime")
    assert_refused(result, "photo.csv", "Give CSV text in UTF-8")


def test_a_whole_recording_with_a_hole_is_refused(command, whole_bundle, tmp_path):
    lines = rows(60)
    lines[7] = lines[7].replace("1.000000", "nan")
    result = command("run", whole_bundle, "--input", recording(tmp_path, lines), "--engine", "onnxruntime")
    assert_refused(result, "NaN or infinity at sample 7", "Drop such samples")


def test_bad_axes_and_missing_bundles_are_refused(command, bundle, tmp_path):
    path = recording(tmp_path, rows(60))
    assert_refused(command("run", bundle, "--input", path, "--axes", "x,y"), "an axis map names x, y and z once each")
    assert_refused(command("run", tmp_path / "no.bundle", "--input", path), "there is no bundle at", "vskd export")
    assert_refused(command("run", bundle, "--input", path, "--recipe", "int4"), "no model of recipe int4", "It holds:")


def test_a_rule_that_does_not_exist_or_fit_is_refused(command, bundle, tmp_path):
    words = ["run", bundle, "--input", recording(tmp_path, rows(60)), "--set"]
    assert_refused(command(*words, "smothing=0.5"), "unknown key 'smothing' in decision", "Did you mean 'smoothing'")
    assert_refused(command(*words, "smoothing=2"), "decision.smoothing must lie between 0.001 and 1, got 2.0")
    assert_refused(command(*words, "smoothing=much"), "decision.smoothing must be of type float, got 'much'")
    result = command(*words, "smoothing")
    assert (result.code, result.out) == (2, "")
    assert "'smoothing' is not RULE=VALUE" in result.err


def test_a_changed_model_is_refused(command, bundle, tmp_path):
    model = bundle / "model.fp32.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\x00")
    result = command("run", bundle, "--input", recording(tmp_path, rows()), "--engine", "onnxruntime")
    assert_refused(result, "model.fp32.onnx was changed", "Copy or export the bundle again")


def test_events_before_a_bad_row_of_a_pipe_are_kept(command, bundle):
    lines = [*rows(60), *["1.2,0,zero,1"] * 30]
    result = command("run", bundle, "--input", "-", "--engine", "onnxruntime", stdin=text(lines))
    assert_refused(result, "standard input: 21 of the last 81 lines are no samples, the first is line 62")
    assert len(result.events) == 2


# --- misuse: exit code 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu"], "there is no command 'rnu'. Did you mean 'run'?"),
        (["run"], "Missing argument 'BUNDLE'"),
        (["run", "x.bundle"], "Missing option '--input'"),
        (["run", "x.bundle", "--input", "-", "--engine", "onnx"], "Invalid value for '--engine'"),
        (["run", "x.bundle", "--input", "-", "--unit", "m/s2"], "Invalid value for '--unit'"),
        (["run", "x.bundle", "--input", "-", "--threads", "0"], "Invalid value for '--threads'"),
        (["run", "x.bundle", "--inptu", "-"], "No such option"),
        (["run", "x.bundle", "--input", "-", "--follow"], "--follow waits for more of a CSV file, which '-' is not"),
        (["run", "x.bundle", "--input", "x.npz", "--follow"], "--follow waits for more of a CSV file"),
        (["run", "x.bundle", "--input", "-", "--replay-speed", "1"], "--replay-speed is for recordings"),
        (
            ["run", "x.bundle", "--input", "x.csv", "--follow", "--replay-speed", "1"],
            "--replay-speed is for recordings",
        ),
        (["run", "x.bundle", "--input", "x.csv", "--replay-speed", "0"], "Invalid value for '--replay-speed'"),
        (["run", "x.bundle", "--input", "x.csv", "--append"], "--append adds to a file; name it with --output"),
        (["--frobnicate"], "No such option"),
    ],
)
def test_misuse_is_explained_with_exit_code_2(command, words, message):
    result = command(*words)
    assert result.code == 2
    assert message in result.err
    assert result.out == ""


def test_help_and_version_are_no_errors(command):
    result = command("--version")
    assert (result.code, result.out) == (0, f"vskd, version {vskd.__version__}\n")
    result = command("run", "--help")
    assert result.code == 0
    assert "Print each decision" in result.out


# --- inspect


def test_inspect_shows_models_and_the_contract_in_words(command, bundle):
    result = command("inspect", bundle)
    assert result.code == 0
    assert "model.fp32.tflite" in result.out
    assert "32 samples at 50 Hz (0.64 s), one every 16 (0.32 s)" in result.out
    assert "3: x up, y up, z up" in result.out
    assert result.out.count("the same inside the file") == 2
    assert result.out.count("another exporter wrote this bundle") == 2


def test_inspect_shows_a_whole_contract_and_its_rules(command, tmp_path, make_bundle, whole_contract):
    told = whole_contract.with_decision(smoothing=0.5, min_dwell_windows=3, unknown_below=0.4)
    result = command("inspect", make_bundle(tmp_path / "x.bundle", told))
    assert "a whole recording, stretched to 32 samples" in result.out
    assert "0.5 in a running average; a new label after 3 windows; unknown below 0.4" in result.out


@pytest.mark.parametrize(
    "rule", [rule for rule in fields(DecisionSpec) if rule.name != "temperature"], ids=lambda rule: rule.name
)
def test_inspect_names_every_rule_that_is_on_and_no_other(rule, contract):
    """Also one that is added later: a rule that nobody reads of decides all the same."""
    words = dict(contract_in_words(contract))["decision"]
    assert words == "softmax(logits / 1)"
    off, on = rule.default, {int: 7, float: 0.625, bool: True}[type(rule.default)]
    told = dict(contract_in_words(contract.with_decision(**{rule.name: on})))["decision"]
    assert off != on
    assert str(on) in told if not isinstance(on, bool) else told != words
    assert told.count(";") == 1


def test_inspect_gives_machines_one_document(command, bundle, contract):
    told = json.loads(command("inspect", bundle, "--json").out)
    assert Contract.from_mapping(told["contract"]) == contract
    assert [model["file"] for model in told["models"]] == ["model.fp32.onnx", "model.fp32.tflite"]


def test_inspect_refuses_a_report_that_is_none(command, tmp_path, contract):
    files = {"report.json": b"[1]"}
    folder = write_bundle(tmp_path / "x.bundle", contract=contract, models=[], files=files)
    assert_refused(command("inspect", folder), "is no report", "Export the run again")


def test_inspect_refuses_what_is_no_bundle(command, tmp_path):
    assert_refused(command("inspect", tmp_path), "is no bundle: it has no manifest.json")


# --- verify, selftest, doctor


def test_verify_names_the_extra_of_the_engine_that_is_missing(
    command, tmp_path, make_golden_bundle, contract, monkeypatch
):
    bundle = make_golden_bundle(tmp_path / "x.bundle", contract)
    result = command("verify", bundle, "--engine", "litert")
    assert_refused(result, "1 of 4 checks failed on this machine", "vskd doctor")
    assert "the bundle has no model for litert. It holds: model.fp32.onnx" in result.out
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    result = command("verify", bundle, "--engine", "onnxruntime")
    assert result.code == 1
    assert "running x.bundle needs onnxruntime, which is not installed. pip install 'vskd[onnx]'" in result.out


@pytest.mark.parametrize("name", ["verify", "selftest", "doctor"])
def test_a_bundle_that_is_not_there_is_one_sentence_with_the_way_to_one(command, tmp_path, name):
    result = command(name, tmp_path / "nope")
    assert_refused(
        result, f"there is no bundle at {tmp_path / 'nope'}", "`vskd export RUN --out NAME.bundle` writes one"
    )
    (tmp_path / "file").write_text("")
    assert_refused(command(name, tmp_path / "file"), "file is a file; a bundle is a folder")


def test_verify_finds_a_changed_byte_before_it_replays(command, bundle):
    (bundle / "report.json").write_bytes(b'{"passed": TRUE}\n')
    assert_refused(command("verify", bundle), "report.json was changed", "Copy or export the bundle again")


def test_selftest_prints_a_line_per_stage(command, tmp_path, make_golden_bundle, contract):
    bundle = make_golden_bundle(tmp_path / "x.bundle", contract)
    result = command("selftest", bundle, "--input", recording(tmp_path, rows(150)))
    assert result.code == 0
    lines = result.out.splitlines()
    stages = ["integrity", "contract", "encoder", "engine", "stream"]
    assert [line.split()[1] for line in lines] == [*stages, "source"]
    assert all(line.startswith("ok ") for line in lines)
    assert command("verify", bundle).out.splitlines() == lines[: len(stages)]


def test_a_selftest_that_fails_says_where_and_ends_with_1(command, tmp_path, make_golden_bundle, contract):
    bundle = make_golden_bundle(tmp_path / "x.bundle", contract)
    result = command("selftest", bundle, "--input", recording(tmp_path, rows(150, rate_hz=25)))
    assert_refused(result, "1 of 6 checks failed on this machine", "vskd doctor")
    assert "FAILED source" in result.out
    assert "the sensor runs at 25.0 Hz" in result.out


def test_doctor_says_what_is_there_and_what_is_missing(command, tmp_path, make_golden_bundle, contract, monkeypatch):
    bundle = make_golden_bundle(tmp_path / "x.bundle", contract)
    result = command("doctor", bundle)
    assert result.code == 0
    assert "runs on onnxruntime" in result.out
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    result = command("doctor", bundle)
    assert_refused(result, "no engine here runs a model of this bundle", "pip install 'vskd[onnx]'")


# --- a process of its own


def start(*words: str | Path, **settings: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "vskd", *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        # A test run in the background of a shell inherits an ignored SIGINT, and so would this process.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # no threads here
        **settings,  # type: ignore[call-overload]
    )


def first_of_a_live_pipe(process: subprocess.Popen[str]) -> dict[str, object]:
    """Write 40 rows, which complete one window, and read its event while the pipe is open."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(text(rows(40)))
    process.stdin.flush()
    event: dict[str, object] = json.loads(process.stdout.readline())
    return event


MORE_ROWS = "\n".join(rows(40, start_s=0.8)) + "\n"


def test_a_live_pipe_is_answered_while_it_is_open_and_stdout_holds_only_json(bundle):
    process = start("run", bundle, "--input", "-", "--engine", "litert")
    assert first_of_a_live_pipe(process)["end_s"] == 0.62
    rest, notes = process.communicate(MORE_ROWS, timeout=60)
    assert [json.loads(line)["start_s"] for line in rest.splitlines()] == [0.32, 0.64, 0.96]
    assert process.returncode == 0
    assert "80 samples" in notes


def test_a_reader_that_goes_away_ends_the_run_in_silence(bundle):
    process = start("run", bundle, "--input", "-", "--engine", "onnxruntime")
    first_of_a_live_pipe(process)
    process.stdout.close()
    process.stdin.write("\n".join(rows(200, start_s=0.8)) + "\n")
    process.stdin.close()
    assert process.wait(timeout=60) == 0
    notes = process.stderr.read()
    process.stderr.close()
    assert "rror" not in notes
    assert "Traceback" not in notes


@pytest.mark.parametrize("engine", ["onnxruntime", "litert"])
def test_a_bundle_replaced_while_running_goes_on_with_the_old_one(bundle, contract, engine):
    process = start("run", bundle, "--input", "-", "--engine", engine)
    first_of_a_live_pipe(process)
    write_bundle(bundle, contract=contract, models=[], files={}, overwrite=True)
    rest, _ = process.communicate(MORE_ROWS, timeout=60)
    assert process.returncode == 0
    assert len(rest.splitlines()) == 3


@pytest.mark.parametrize("engine", ["onnxruntime", "litert"])
def test_a_model_written_over_in_place_while_running_changes_nothing(bundle, engine):
    process = start("run", bundle, "--input", "-", "--engine", engine)
    first = first_of_a_live_pipe(process)
    for model in bundle.glob("model.*"):
        model.write_bytes(b"")  # `cp` over it begins with this; a mapped file would now end the process
    rest, _ = process.communicate(MORE_ROWS, timeout=60)
    assert process.returncode == 0
    assert [json.loads(line)["label"] for line in rest.splitlines()] == [first["label"]] * 3


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_file_still_being_written_is_followed_through_loss_and_return_until_a_signal(bundle, tmp_path, stop):
    path = recording(tmp_path, rows(40))
    rules = ["--set", "no_signal_after_s=0.3"]
    process = start("run", bundle, "--input", path, "--follow", "--engine", "litert", *rules)
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["end_s"] == 0.62
    silent = json.loads(process.stdout.readline())
    assert (silent["label"], silent["start_s"]) == ("no signal", 0.78)
    path.unlink()
    time.sleep(0.25)
    recording(tmp_path, rows(40, start_s=5.0))
    back = json.loads(process.stdout.readline())
    assert (back["label"], back["start_s"]) == ("z up", 5.0)
    while json.loads(process.stdout.readline())["label"] != "no signal":
        pass  # the file is read to its end
    process.send_signal(stop)
    rest, notes = process.communicate(timeout=60)
    assert process.returncode == 0
    assert rest == ""  # a silence is told once
    assert "stopped" in notes
    assert "80 samples" in notes
    assert "1 gaps" in notes


def test_a_whole_recording_cannot_be_followed(command, whole_bundle, tmp_path):
    result = command("run", whole_bundle, "--input", recording(tmp_path, rows()), "--follow")
    assert result.code == 2
    assert "--follow has no end" in result.err


@pytest.mark.parametrize(
    ("header", "factor", "words"),
    [("ax,ay,az", 1, []), ("ay,az,ax", STANDARD_GRAVITY_M_S2, ["--unit", "m/s^2", "--axes", "y,z,x"])],
)
def test_the_notes_on_a_recording_are_about_all_of_it(command, whole_bundle, tmp_path, header, factor, words):
    readings = [(9 if index == 3 else index % 7 / 100, index % 5 / 100, 1) for index in range(1500)]
    lines = [f"{index / 50},{x * factor},{y * factor},{z * factor}" for index, (x, y, z) in enumerate(readings)]
    (tmp_path / "long.csv").write_text("\n".join([f"time_s,{header}", *lines]))
    result = command("run", whole_bundle, "--input", tmp_path / "long.csv", "--engine", "onnxruntime", *words)
    assert result.code == 0
    assert "warning: 1 of 1500 samples beyond +-8 g" in result.err
    assert "warning: axis z read one value throughout the recording" in result.err
