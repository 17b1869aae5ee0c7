"""``vskd run`` on samples that cannot be known: no activity, the reason said once while it happens, the exit code."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import select
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vskd.contract import Contract, RecordingSpec, SignalSpec, WindowSpec

UP = np.array([0.3, -0.62, 0.72]) / np.linalg.norm([0.3, -0.62, 0.72])
SIGNAL = SignalSpec(min_rate_hz=30.0, gravity_direction=tuple(UP.tolist()), gravity_within_deg=60.0)


@pytest.fixture
def bundle(tmp_path: Path, make_bundle, contract: Contract) -> Path:
    window = WindowSpec(samples=128, hop_samples=32)
    return make_bundle(tmp_path / "wrist.bundle", dataclasses.replace(contract, signal=SIGNAL, window=window))


@pytest.fixture
def whole_bundle(tmp_path: Path, make_bundle, whole_contract: Contract) -> Path:
    limits = RecordingSpec(shortest_s=1.0, longest_s=30.0, lowest_rate_hz=30.0, largest_gap_s=0.5)
    return make_bundle(tmp_path / "whole.bundle", dataclasses.replace(whole_contract, signal=SIGNAL, recording=limits))


def wrist(seconds: float) -> np.ndarray:
    count = round(50 * seconds)
    return UP + np.random.default_rng(3).normal(0, 0.05, (count, 3))


def lines(xyz: np.ndarray, time_s: np.ndarray | None = None) -> str:
    times = np.arange(len(xyz)) / 50 if time_s is None else time_s
    table = np.column_stack((times, xyz)).tolist()
    return "time_s,ax,ay,az\n" + "".join(f"{t:.3f},{x:.4f},{y:.4f},{z:.4f}\n" for t, x, y, z in table)


@pytest.fixture
def run(command, tmp_path):
    def play(bundle: Path, xyz: np.ndarray, *options: str | Path, time_s: np.ndarray | None = None):
        (tmp_path / "in.csv").write_text(lines(xyz, time_s))
        return command("run", bundle, "--input", tmp_path / "in.csv", "--engine", "onnxruntime", *options)

    return play


def test_a_good_recording_says_nothing_and_ends_with_0(run, bundle):
    result = run(bundle, wrist(10))
    assert result.code == 0
    assert "warning" not in result.err
    assert all(event["defects"] == [] for event in result.events)


def test_idle_sleep_gets_no_activity_and_each_kind_is_said_once(run, bundle):
    xyz = wrist(40)
    xyz[500:1000] = 0.0
    xyz[1500:1800] = xyz[1499]
    result = run(bundle, xyz)
    assert result.code == 0
    silent = [event for event in result.events if event["label"] == "no signal"]
    assert len(silent) > 15
    assert all(event["reason"] in event["defects"] for event in silent)
    assert result.err.count("warning: at ") == len({line.split(": ", 2)[2][:14] for line in said(result.err)})
    assert sum("no axis changes" in line for line in said(result.err)) == 1
    assert f"{len(silent)} of {len(result.events)} windows got no activity" in result.err
    assert "is it dead?" not in result.err  # all axes rest


def said(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith("warning: at ")]


@pytest.mark.parametrize(
    ("xyz", "time_s", "says"),
    [
        (np.zeros((500, 3)), None, "all axes read 0"),
        (np.tile(UP, (500, 1)), None, "no axis changes"),
        (wrist(10) * 0.5, None, "half of the right one"),
        (wrist(10), np.arange(500) / 10, "the model was trained at 50 Hz and needs 30"),
        ((wrist(10) - UP) * 0.3, None, "gravity alone makes it 1 g"),
    ],
)
def test_a_run_that_decides_nothing_ends_with_1_and_keeps_its_events(run, bundle, xyz, time_s, says):
    result = run(bundle, xyz, time_s=time_s)
    assert result.code == 1
    assert "error: nothing was decided: none of" in result.err
    assert says in result.err or "no axis changes" in result.err
    assert {event["label"] for event in result.events} <= {"no signal", "unknown"}
    assert result.events


def test_too_few_samples_for_a_decision_end_with_1(run, bundle):
    result = run(bundle, wrist(0.4))
    assert result.code == 1
    assert "nothing was decided: one decision needs 128 samples at 50 Hz (2.56 s) without a gap" in result.err


def test_leading_zeros_are_counted_and_the_rest_is_decided(run, bundle):
    result = run(bundle, np.concatenate([np.zeros((60, 3)), wrist(10)]))
    assert result.code == 0
    assert "the first 60 samples are 0 on every axis" in result.err
    assert result.events[-1]["label"] == "z up"


def test_the_opposite_sign_is_named_with_the_option_that_mends_it(run, bundle):
    result = run(bundle, -wrist(60))
    assert result.code == 0
    assert said(result.err)[0].endswith("try --axes=-x,-y,-z")
    mended = run(bundle, -wrist(60), "--axes=-x,-y,-z")
    assert "warning" not in mended.err


def test_the_opposite_sign_of_a_short_stream_is_named_at_its_end(run, bundle):
    assert "try --axes=-x,-y,-z" in run(bundle, -wrist(8)).err
    assert "warning" not in run(bundle, -wrist(8), "--axes=-x,-y,-z").err


def test_blocks_out_of_order_are_named_as_a_clock_that_is_set_back(run, bundle):
    blocks = np.arange(1000).reshape(2, 2, 250)[:, ::-1].ravel()
    result = run(bundle, wrist(20)[blocks], time_s=blocks / 50)
    assert result.code == 0
    assert "the clock was set back 2 times; if the file is out of order, sort it by time" in result.err


def test_readings_that_are_cut_off_are_said_and_counted(run, bundle):
    xyz = wrist(20)
    xyz[500:] = np.clip(xyz[500:] + np.sin(np.arange(500) / 6)[:, None], -0.9, 0.9)
    result = run(bundle, xyz)
    assert result.code == 0
    assert "stay at +-0.9 g, as at the end of a sensor's range" in said(result.err)[0]
    assert "windows; check the sensor's range" in result.err


def test_a_csv_holds_the_defects(run, bundle, tmp_path):
    assert run(bundle, -wrist(60), "--output", tmp_path / "events.csv").code == 0
    with (tmp_path / "events.csv").open(newline="") as text:
        found = list(csv.DictReader(text))
    assert "gravity points" in found[-1]["defects"]
    assert found[0]["defects"] == ""


@pytest.mark.parametrize("seconds", [0.5, 100.0])
def test_a_whole_recording_outside_the_limits_ends_with_1(run, whole_bundle, seconds):
    result = run(whole_bundle, wrist(seconds))
    assert result.code == 1
    (event,) = result.events
    assert event["label"] == "unknown"
    assert "the model decides on 1 to 30 s" in event["reason"]
    assert "the model decides on 1 to 30 s" in result.err
    assert run(whole_bundle, wrist(5)).code == 0


def test_a_live_pipe_is_told_while_it_happens(bundle):
    words = ["run", str(bundle), "--input", "-", "--engine", "onnxruntime"]
    with subprocess.Popen(
        [sys.executable, "-m", "vskd", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stderr
        xyz = np.concatenate([wrist(4), np.zeros((300, 3))])
        process.stdin.write(lines(xyz).encode())
        process.stdin.flush()
        heard = b""
        while b"all axes read 0" not in heard and b"no axis changes" not in heard:
            assert select.select([process.stderr], [], [], 60)[0], heard
            heard += os.read(process.stderr.fileno(), 65536)
        assert process.poll() is None  # it still waits for samples
        out, _ = process.communicate()
    assert process.returncode == 0
    assert json.loads(out.splitlines()[-1])["label"] == "no signal"


def test_inspect_tells_the_limits_in_words(command, bundle, whole_bundle):
    result = command("inspect", bundle)
    assert "no axis changes for 50% of a window" in result.out
    assert "more than 60 degrees" in result.out
    assert (
        "no activity outside 1 to 30 s, below 30 Hz, or with a gap above 0.5 s" in command("inspect", whole_bundle).out
    )
