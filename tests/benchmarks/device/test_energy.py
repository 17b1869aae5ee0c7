"""Energy of a run: one source, its assumptions, and figures that the raw readings give again."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
import time
from dataclasses import replace

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
from vskd_benchmarks.device.profiles import read_profile
from vskd_benchmarks.measure import bench
from vskd_benchmarks.measure.bench import raws_of, run_bench
from vskd_benchmarks.measure.settings import Settings
from vskd_benchmarks.result.check import differences
from vskd_benchmarks.result.derive import derive
from vskd_benchmarks.result.facts import facts
from vskd_benchmarks.result.folder import SCHEMA, read_raw, read_result, write_result

from ..conftest import no_progress

WATCH = read_profile("generic-watch")
NO_CHIP = "power management chip: no vcgencmd"


@pytest.mark.parametrize(
    ("meter_later", "pmic", "profile", "source", "lacks"),
    [
        (True, lambda: 1.0, WATCH, "power-meter", ()),
        (False, lambda: 1.0, WATCH, "pmic", ()),
        (False, lambda: 1.0, None, "pmic", ()),
        (False, NO_CHIP, WATCH, "model", (NO_CHIP,)),
    ],
)
def test_a_measurement_comes_before_a_model(meter_later, pmic, profile, source, lacks):
    record = choose_source(EnergySettings(meter_later=meter_later), profile, pmic, unix_ns=5)
    assert (record.source, record.lacks, record.unix_ns) == (source, lacks, 5)
    assert (record.power_w is not None) == (source == "pmic")


def test_nothing_that_tells_energy_is_an_error_with_the_ways_out():
    with pytest.raises(ConfigError, match="nothing here measures energy: power management chip: no vcg") as caught:
        choose_source(EnergySettings(), None, NO_CHIP, unix_ns=0)
    assert caught.value.hint == "Log a power meter and give --meter-later, or give --profile NAME for a model"


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
        result, raws = measured_run(short(EnergySettings(meter_later=True, battery_wh=1.3)), meter.follow)
    folder = write_result(tmp_path / "result", result, raws)
    assert result.energy.problem.startswith("the power meter's file is still to come")
    assert result.cases[0].energy is None
    assert result.cases[0].sensor_to_label.windows > 0
    assert differences(folder) == []
    (tmp_path / "wrong.csv").write_text("time_s,power_w\n" + "".join(f"{1.5e9 + n},1\n" for n in range(20)))
    refused = CliRunner().invoke(command, ["add-power", str(folder), str(tmp_path / "wrong.csv")])
    assert isinstance(refused.exception, DataError)
    assert "do not overlap the run" in str(refused.exception)
    done = CliRunner().invoke(command, ["add-power", str(folder), str(tmp_path / "meter.csv")])
    assert done.exit_code == 0, done.output
    assert re.search(r"onnxruntime fp32: \S+ mJ an inference, \+- \S+", done.stdout)
    assert "its report is to be made again: vskd report" in done.stderr
    assert differences(folder) == []
    result = read_result(folder)
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(to_mapping(result))
    assert (result.energy.problem, result.energy.detail) == (None, "meter.csv")
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
    halved = replace(figures, per_inference_mj=figures.per_inference_mj / 2)
    raws |= {"power": read_raw(folder, "power")}
    edited = write_result(tmp_path / "edited", replace(result, cases=(replace(case, energy=halved),)), raws)
    assert re.search(r"json: cases\[.*\]\.energy\.per_inference_mj is", differences(edited)[0])


def test_a_result_without_a_meter_takes_no_file(short, tmp_path):
    run = run_bench(dataclasses.replace(short(None), mode="paced", rate_hz=50.0), no_progress)
    raws = raws_of(run)
    folder = write_result(tmp_path / "result", derive(facts(run), raws), raws)
    (tmp_path / "m.csv").write_text("time_s,power_w\n")
    done = CliRunner().invoke(command, ["add-power", str(folder), str(tmp_path / "m.csv")])
    assert isinstance(done.exception, ConfigError)
    assert "was not measured beside a power meter" in str(done.exception)


def test_a_folder_that_was_changed_takes_no_file(short, tmp_path):
    """Its manifest is written anew, which would hide the change."""
    with Meter(tmp_path / "meter.csv") as meter:
        result, raws = measured_run(short(EnergySettings(meter_later=True)), meter.follow)
    folder = write_result(tmp_path / "result", result, raws)
    raw = folder / result.cases[0].raw
    raws[result.cases[0].id]["infer"][0, 0] += 1
    with raw.open("wb") as file:
        np.savez_compressed(file, **raws[result.cases[0].id])
    done = CliRunner().invoke(command, ["add-power", str(folder), str(tmp_path / "meter.csv")])
    assert isinstance(done.exception, DataError)
    assert "was changed: its SHA-256 is not the manifest's" in str(done.exception)


def test_the_boards_own_chip_beside_a_run(short, monkeypatch):
    monkeypatch.setattr(bench, "find_pmic", lambda: lambda: 4.0)
    monkeypatch.setattr(bench, "STEP_S", 0.01)
    result, raws = measured_run(short(EnergySettings()), no_progress)
    figures = result.cases[0].energy
    assert figures.source == "pmic"
    assert (figures.idle_w, figures.active_w) == (pytest.approx(4.0), pytest.approx(4.0))
    assert figures.per_inference_mj == pytest.approx(0.0, abs=1e-9)
    assert result.cases[0].battery is None
    assert raws["power"]["time_ns"][0] < result.energy.idle_ns[0]
    assert raws["power"]["time_ns"][-1] > raws[result.cases[0].id]["interval"].max()


def test_a_chip_that_fails_leaves_a_result_without_energy(short, monkeypatch):
    def fail():
        raise OSError(5, "gone")

    monkeypatch.setattr(bench, "find_pmic", lambda: fail)
    result, raws = measured_run(short(EnergySettings()), no_progress)
    assert result.energy.problem == "the readings of the power management chip ended: [Errno 5] gone"
    assert (result.cases[0].energy, "power" in raws) == (None, False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--meter-later"], "--meter-later means nothing in mode single-stream"),
        (["--battery-wh", "1.3"], "--battery-wh means nothing in mode single-stream"),
        (["--profile", "pi-4", "--mode", "single-stream", "--duty-cycle", "0.5"], "--duty-cycle means nothing in"),
        (
            ["--profile", "generic-watch", "--threads", "2"],
            "--threads 2 contradicts --profile generic-watch, which has 1",
        ),
        (["--mode", "soak", "--battery-wh", "0"], "0.0 is not in the range x>0"),
        (["--mode", "soak", "--duty-cycle", "1.5"], "1.5 is not in the range 0<x<=1"),
    ],
)
def test_options_that_contradict_are_misuse(words, message):
    done = CliRunner().invoke(command, ["x.bundle", *words], terminal_width=200)
    assert done.exit_code == 2
    assert message in re.sub(r"\s+", " ", done.output)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["add-power", "x"], "Missing argument 'FILE'"),
        (["add-power", "x", "gone.csv"], "'gone.csv' does not exist"),
        (["add-power", "x", __file__, "--battery-wh", "1"], "No such option"),
        (["check"], "Missing argument 'RESULT'"),
        ([], "which bundle to measure"),
    ],
)
def test_verbs_take_a_result_and_its_file_alone(words, message):
    done = CliRunner().invoke(command, words, terminal_width=200)
    assert done.exit_code == 2
    assert message in done.output
