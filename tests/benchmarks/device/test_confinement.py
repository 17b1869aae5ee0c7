"""Limits: real ones on real processes, the clock on a tree of files, and undone afterwards."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys

import pytest

from vskd_benchmarks.device.confinement import Confinement
from vskd_benchmarks.device.profiles import ProfileSettings

ALLOWED = sorted(os.sched_getaffinity(0))
SETTINGS = ProfileSettings(cores=1, frequency_khz=1_000_000, memory_bytes=400_000_000, rate_hz=1.0)


@pytest.fixture
def child():
    """A process that has just started."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def cpufreq(root, *, highest=1_800_000, now=1_800_000):
    paths = []
    for core in ALLOWED:
        folder = root / f"sys/devices/system/cpu/cpu{core}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "cpuinfo_max_freq").write_text(f"{highest}\n")
        (folder / "scaling_max_freq").write_text(f"{now}\n")
        paths.append(folder / "scaling_max_freq")
    return paths


def test_cores_and_memory_hold_on_a_real_process(child, tmp_path):
    with Confinement(SETTINGS, root=tmp_path) as confinement:
        confinement.on_process(child.pid)
        assert sorted(os.sched_getaffinity(child.pid)) == ALLOWED[-1:]
        assert resource.prlimit(child.pid, resource.RLIMIT_DATA) == (400_000_000, 400_000_000)
    assert confinement.applied["cores"].got == tuple(ALLOWED[-1:])
    assert confinement.applied["memory_bytes"].means == "RLIMIT_DATA"
    assert os.sched_getaffinity(0) == set(ALLOWED)


def test_a_process_that_asks_for_more_memory_is_refused_it(tmp_path):
    script = "input(); import numpy; numpy.ones(60_000_000)"
    with Confinement(SETTINGS, root=tmp_path) as confinement:
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        confinement.on_process(process.pid)
        found = process.communicate("\n", timeout=60)[1]
    assert process.returncode == 1
    assert "MemoryError" in found


def test_fewer_cores_than_wanted_are_named(child, tmp_path):
    wanted = len(ALLOWED) + 1
    settings = ProfileSettings(wanted, 1_000_000, 400_000_000, 1.0)
    with Confinement(settings, root=tmp_path) as confinement:
        confinement.on_process(child.pid)
    assert confinement.not_applied["cores"].code == "no-such-cores"
    assert confinement.not_applied["cores"].reason == f"this process may use {len(ALLOWED)}"
    assert "cores" not in confinement.applied


def test_a_process_that_is_gone_is_named_and_not_taken_for_held(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with Confinement(SETTINGS, root=tmp_path) as confinement:
        confinement.on_process(process.pid)
    assert "No such process" in confinement.not_applied["cores"].reason
    assert "No such process" in confinement.not_applied["memory_bytes"].reason


def test_the_clock_is_capped_on_the_pinned_cores_and_set_back(tmp_path):
    paths = cpufreq(tmp_path)
    with Confinement(SETTINGS, root=tmp_path) as confinement:
        assert paths[-1].read_text() == "1000000\n"
        assert all(path.read_text() == "1800000\n" for path in paths[:-1])
    assert confinement.applied["frequency_khz"].got == 1_000_000
    assert all(path.read_text() == "1800000\n" for path in paths)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_the_clock_is_set_back_whatever_ends_the_run(tmp_path, error):
    paths = cpufreq(tmp_path, now=1_700_000)
    with pytest.raises(error, match="while at 1000000"), Confinement(SETTINGS, root=tmp_path):
        raise error(f"while at {paths[-1].read_text()}")
    assert paths[-1].read_text() == "1700000\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_and_sets_the_clock_back(tmp_path, number):
    paths = cpufreq(tmp_path)
    script = (
        "import signal, sys, time; from pathlib import Path\n"
        "from vskd_benchmarks.device.confinement import Confinement\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it\n"
        "from vskd_benchmarks.device.profiles import ProfileSettings\n"
        "with Confinement(ProfileSettings(1, 1_000_000, 10**9, 1.0), root=Path(sys.argv[1])):\n"
        "    print('capped', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"capped\n"
    assert paths[-1].read_text() == "1000000\n"
    process.send_signal(number)
    assert process.wait(timeout=30) in (128 + number, -number)
    assert paths[-1].read_text() == "1800000\n"


def test_no_cpufreq_is_named(tmp_path):
    with Confinement(SETTINGS, root=tmp_path) as confinement:
        pass
    assert confinement.not_applied["frequency_khz"].code == "no-cpufreq"


def test_a_clock_beyond_the_machine_is_named_and_not_touched(tmp_path):
    paths = cpufreq(tmp_path, highest=900_000, now=900_000)
    with Confinement(SETTINGS, root=tmp_path) as confinement:
        assert paths[-1].read_text() == "900000\n"
    assert confinement.not_applied["frequency_khz"].code == "out-of-reach"
    assert "900000 kHz at most" in confinement.not_applied["frequency_khz"].reason


def test_a_clock_that_may_not_be_written_is_named(tmp_path, monkeypatch):
    paths = cpufreq(tmp_path)
    write = type(paths[0]).write_text

    def refuse(path, text, **how):
        if path.name == "scaling_max_freq":
            raise PermissionError(13, "Permission denied", str(path))
        return write(path, text, **how)

    monkeypatch.setattr(type(paths[0]), "write_text", refuse)
    with Confinement(SETTINGS, root=tmp_path) as confinement:
        pass
    found = confinement.not_applied["frequency_khz"]
    assert found.code == "no-permission"
    assert found.reason == "scaling_max_freq: Permission denied; it takes root"


def test_the_handlers_of_signals_are_set_back(tmp_path):
    handler = signal.getsignal(signal.SIGTERM)
    with Confinement(SETTINGS, root=tmp_path):
        assert signal.getsignal(signal.SIGTERM) != handler
    assert signal.getsignal(signal.SIGTERM) == handler


def test_a_failure_on_one_process_is_not_made_up_by_the_next(child, tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with Confinement(SETTINGS, root=tmp_path) as confinement:
        confinement.on_process(gone.pid)
        confinement.on_process(child.pid)
    assert not {"cores", "memory_bytes"} & confinement.applied.keys()
