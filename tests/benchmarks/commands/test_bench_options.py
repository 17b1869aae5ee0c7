"""Every option of ``vskd bench`` arrives in the settings of the run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from vskd_benchmarks.commands import bench as bench_module
from vskd_benchmarks.commands.bench import bench
from vskd_benchmarks.device.energy import EnergySettings
from vskd_benchmarks.device.profiles import read_profile
from vskd_benchmarks.measure.settings import Settings


class Stopped(Exception):  # noqa: N818  # nothing went wrong
    """Carries the settings out of the command before anything is measured."""


@pytest.fixture
def settings_of(monkeypatch):
    def stop(settings):
        raise Stopped(settings)

    monkeypatch.setattr(bench_module, "_measure", stop)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/vskd", "bench", "a b"])

    def settings_of(*words: object) -> Settings:
        done = CliRunner().invoke(bench, [str(word) for word in words])
        assert isinstance(done.exception, Stopped), done.output
        (settings,) = done.exception.args
        return settings

    return settings_of


def test_without_options(settings_of):
    assert settings_of("x.bundle") == Settings((Path("x.bundle"),), command="vskd bench 'a b'")


def test_with_every_option(settings_of):
    found = settings_of(
        "x.bundle", "y.bundle", "--mode", "soak", "--engine", "litert", "--engine", "onnxruntime", "--recipe", "fp32",
        "--threads", "3", "--profile", "pi-4", "--rate-hz", 2, "--duration-s", 5, "--meter-later",
        "--battery-wh", 1.3, "--duty-cycle", 0.5, "--quick",
        "--comparison",
    )  # fmt: skip
    energy = EnergySettings(meter_later=True, battery_wh=1.3, duty_cycle=0.5)
    assert found == Settings(
        (Path("x.bundle"), Path("y.bundle")), engines=("litert", "onnxruntime"), recipes=("fp32",), threads=3,
        mode="soak", rate_hz=2.0, duration_s=5.0, quick=True, comparison=True, command="vskd bench 'a b'",
        profile=read_profile("pi-4"), energy=energy,
    )  # fmt: skip


def test_a_profile_is_paced_with_energy_and_without_baselines(settings_of):
    found = settings_of("x.bundle", "--profile", "generic-watch")
    assert (found.mode, found.comparison, found.energy) == ("paced", False, EnergySettings())
