"""Energy of a run: one source, its assumptions, and figures that the raw readings give again."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
import time
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner

from vskd.closed import to_mapping
from vskd.errors import ConfigError, DataError
from vskd_benchmarks.commands.bench import bench as command
from vskd_benchmarks.device.energy import (
    EnergySettings,
    choose_source,
)
from vskd_benchmarks.device.power_counters import Probe
from vskd_benchmarks.device.profiles import read_profile
from vskd_benchmarks.measure import bench
from vskd_benchmarks.measure.bench import raws_of, run_bench
from vskd_benchmarks.measure.settings import Settings
from vskd_benchmarks.result.check import differences
from vskd_benchmarks.result.derive import derive
from vskd_benchmarks.result.facts import facts
from vskd_benchmarks.result.folder import SCHEMA, read_result, write_result

from ..conftest import no_progress

WATCH = read_profile("generic-watch")
PROBE = Probe("rapl", "RAPL: package-0", 0.01, lambda: [1.0], (1000,))


@pytest.mark.parametrize(
    ("meter", "probe", "profile", "source"),
    [
        (Path("m.csv"), PROBE, WATCH, "power-meter"),
        (None, PROBE, WATCH, "rapl"),
        (None, PROBE, None, "rapl"),
        (None, None, WATCH, "model"),
    ],
)
def test_a_measurement_comes_before_a_model(meter, probe, profile, source):
    assert choose_source(EnergySettings(meter), profile, probe, ())[0] == source


def test_nothing_that_tells_energy_is_an_error_with_the_ways_out():
    with pytest.raises(ConfigError, match="nothing here measures energy: RAPL: none; hwmon: none") as caught:
        choose_source(EnergySettings(), None, None, ("RAPL: none", "hwmon: none"))
    assert caught.value.hint == "Give --power-meter FILE, or --profile NAME for a model"


@pytest.fixture
def short(make_bundle, tmp_path, monkeypatch, least_effort):
    """As short a soak as there can be, with an idle time."""
    monkeypatch.setattr("vskd_benchmarks.measure.settings.SOAK_ROUND_S", 0.4)
    monkeypatch.setattr(bench, "QUICK_IDLE_S", 0.6)
    bundle = make_bundle(tmp_path / "tiny.bundle")

    def settings(energy, **more):
        return Settings((bundle,), mode="soak", duration_s=0.9, quick=True, comparison=False, energy=energy, **more)

    return settings


class Meter:
    """A power meter: writes 2 W while this process rests and 5 W while it measures, as told."""

    def __init__(self, path, step_s=0.01):
        self._path, self._step_s = path, step_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.power_w = 2.0

    def __enter__(self):
        self._path.write_text("time_s,power_w\n")
        self._thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self._done.set()
        self._thread.join()

    def _write(self):
        with self._path.open("a", buffering=1) as file:
            while not self._done.wait(self._step_s):
                file.write(f"{time.time()!r},{self.power_w}\n")

    def follow(self, what, done, total):
        """Follow the run: it computes in its rounds and nowhere else."""
        self.power_w = 5.0 if what.startswith("round") else 2.0


def measured_run(settings, progress):
    run = run_bench(settings, progress)
    raws = raws_of(run)
    return derive(facts(run), raws), raws


def test_a_power_meter_beside_a_run(short, tmp_path):
    with Meter(tmp_path / "meter.csv") as meter:
        result, raws = measured_run(short(EnergySettings(tmp_path / "meter.csv", battery_wh=1.3)), meter.follow)
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(to_mapping(result))
    assert result.energy.problem is None
    assert (result.energy.source, result.energy.of) == ("power-meter", "this-machine")
    case = result.cases[0]
    figures = case.energy
    assert figures.idle_w == pytest.approx(2.0)
    assert figures.active_w == pytest.approx(5.0, rel=0.2)
    spent_s = np.diff(raws[case.id]["interval"], axis=1).sum() / 1e9
    each_mj = 3.0 * spent_s / figures.inferences * 1e3
    assert figures.per_inference_mj == pytest.approx(each_mj, abs=3 * figures.uncertainty_mj)
    assert figures.total_per_inference_mj > figures.per_inference_mj > 0
    day_j = figures.per_inference_mj / 1e3 * 86_400
    assert case.battery.percent_per_day == pytest.approx(100 * day_j / (1.3 * 3600))
    # What is written down follows from the raw readings, and an edit of it shows.
    folder = write_result(tmp_path / "result", result, raws)
    assert differences(folder) == []
    halved = replace(figures, per_inference_mj=figures.per_inference_mj / 2)
    result = replace(result, cases=(replace(case, energy=halved),))
    edited = differences(write_result(folder, result, raws, overwrite=True))
    assert re.search(r"json: cases\[.*\]\.energy\.per_inference_mj is", edited[0])


def test_a_meter_that_stopped_too_early_leaves_a_result_without_energy(short, tmp_path):
    path = tmp_path / "meter.csv"
    path.write_text("time_s,power_w\n" + "".join(f"{time.time() - 100 + second},1\n" for second in range(30)))
    result, raws = measured_run(short(EnergySettings(path)), no_progress)
    assert "do not overlap the run" in result.energy.problem
    assert result.cases[0].energy is None
    assert result.cases[0].sensor_to_label.windows > 0
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(to_mapping(result))
    assert differences(write_result(tmp_path / "result", result, raws)) == []


def test_a_meters_file_that_comes_afterwards(short, tmp_path):
    with Meter(tmp_path / "meter.csv") as meter:
        result, raws = measured_run(short(EnergySettings(meter_later=True, battery_wh=1.3)), meter.follow)
    folder = write_result(tmp_path / "result", result, raws)
    assert result.energy.problem.startswith("the power meter's file is still to come")
    assert result.cases[0].energy is None
    (tmp_path / "wrong.csv").write_text("time_s,power_w\n" + "".join(f"{1.5e9 + n},1\n" for n in range(20)))
    refused = CliRunner().invoke(command, ["--add-power", str(folder), "--power-meter", str(tmp_path / "wrong.csv")])
    assert isinstance(refused.exception, DataError)
    assert "do not overlap the run" in str(refused.exception)
    done = CliRunner().invoke(command, ["--add-power", str(folder), "--power-meter", str(tmp_path / "meter.csv")])
    assert done.exit_code == 0, done.output
    assert re.search(r"onnxruntime fp32: \S+ mJ an inference, \+- \S+", done.stdout)
    assert "its report is to be made again: vskd report" in done.stderr
    assert differences(folder) == []
    figures = read_result(folder).cases[0].energy
    assert figures.idle_w == pytest.approx(2.0)
    assert figures.per_inference_mj > 0


def test_a_result_without_a_meter_takes_no_file(short, tmp_path):
    run = run_bench(dataclasses.replace(short(None), mode="paced", rate_hz=50.0), no_progress)
    raws = raws_of(run)
    folder = write_result(tmp_path / "result", derive(facts(run), raws), raws)
    (tmp_path / "m.csv").write_text("time_s,power_w\n")
    done = CliRunner().invoke(command, ["--add-power", str(folder), "--power-meter", str(tmp_path / "m.csv")])
    assert isinstance(done.exception, ConfigError)
    assert "was not measured beside a power meter" in str(done.exception)


def test_the_machines_own_counter_beside_a_run(short, monkeypatch):
    started = time.perf_counter()
    # A counter of 4 W that starts again each 20 J, five seconds: on a busy machine readings come late, never so late.
    probe = Probe("rapl", "RAPL: package-0", 0.01, lambda: [(time.perf_counter() - started) * 4e6 % 2e7], (20_000_000,))
    monkeypatch.setattr(bench, "find_probe", lambda: (probe, ()))
    result, _ = measured_run(short(EnergySettings()), no_progress)
    figures = result.cases[0].energy
    assert figures.source == "rapl"
    assert figures.idle_w == pytest.approx(4.0, rel=0.2)
    assert figures.active_w == pytest.approx(4.0, rel=0.2)
    assert abs(figures.per_inference_mj) <= 0.4 * figures.total_per_inference_mj
    assert result.cases[0].battery is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--energy"], "--energy means nothing in mode single-stream"),
        (["--battery-wh", "1.3"], "--battery-wh means nothing in mode single-stream"),
        (["--profile", "pi-4", "--mode", "single-stream", "--duty-cycle", "0.5"], "--duty-cycle means nothing in"),
        (["--mode", "soak", "--meter-offset-s", "3"], "--meter-offset-s means nothing without --power-meter"),
        (["--mode", "soak", "--meter-later", "--power-meter", __file__], "--meter-later contradicts --power-meter"),
        (
            ["--profile", "generic-watch", "--threads", "2"],
            "--threads 2 contradicts --profile generic-watch, which has 1",
        ),
        (["--add-power", "x"], "--add-power takes a result folder and no BUNDLE"),
        (["--mode", "soak", "--power-meter", "gone.csv"], "gone.csv' does not exist"),
        (["--mode", "soak", "--battery-wh", "0"], "0.0 is not in the range x>0"),
        (["--mode", "soak", "--duty-cycle", "1.5"], "1.5 is not in the range 0<x<=1"),
    ],
)
def test_options_that_contradict_are_misuse(words, message):
    done = CliRunner().invoke(command, ["x.bundle", *words], terminal_width=200)
    assert done.exit_code == 2
    assert message in re.sub(r"\s+", " ", done.output)


@pytest.mark.parametrize("option", ["--battery-wh", "--duty-cycle"])
def test_a_day_cannot_be_changed_when_the_meters_file_is_added(option):
    done = CliRunner().invoke(command, ["--add-power", "x", option, "1"], terminal_width=200)
    assert done.exit_code == 2
    assert f"{option} belongs to the measurement" in done.output


def test_a_meter_without_its_columns_is_refused_before_anything_is_measured(short, tmp_path):
    path = tmp_path / "meter.csv"
    path.write_text("t,P\n")
    with pytest.raises(DataError, match="has no column time_s, it has t, P"):
        run_bench(short(EnergySettings(path)), lambda *step: pytest.fail("something was measured"))
