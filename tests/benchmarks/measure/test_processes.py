"""The parent's side: a dead, mute or refusing worker is one clear error."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from vskd.errors import BundleError, EngineError
from vskd_benchmarks.measure import startup
from vskd_benchmarks.measure.memory import peak_memory, resident_bytes
from vskd_benchmarks.measure.processes import WorkerError, WorkerProcess, environment, worker_command


def script(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def start(command: list[str], **options: float) -> None:
    with WorkerProcess("toy", command, threads=1, **options):
        pass


READY = "print('{\"ready\": {}}', flush=True)\n"


def test_a_worker_that_dies_at_the_start_leaves_its_last_words():
    code = "import sys\nfor n in range(9): sys.stderr.write(f'line {n}\\n')\nsys.exit(3)"
    with pytest.raises(
        WorkerError, match=r"process of toy ended with exit code 3; its last lines:\n  line 4\n(.*\n)*  line 8$"
    ):
        start(script(code))


def test_a_worker_that_dies_later_is_told_from_one_that_answers():
    code = READY + "input()\nprint('{\"memory\": 1}', flush=True)\ninput()\nimport os\nos.abort()"
    with WorkerProcess("toy", script(code), threads=1) as process:
        assert process.ask("memory") == {"memory": 1}
        with pytest.raises(WorkerError, match="process of toy ended with exit code -6"):
            process.ask("memory")
        with pytest.raises(WorkerError, match="process of toy ended with exit code -6"):
            process.ask("memory")


def test_half_an_answer_is_no_answer():
    with pytest.raises(WorkerError, match="ended with exit code 0; it printed nothing"):
        start(script("print('{\"ready\"', end='')"))


def test_a_worker_that_hangs_is_ended():
    with pytest.raises(WorkerError, match=r"toy did not answer within 0\.5 s"):
        start(script("import time\ntime.sleep(60)"), timeout_s=0.5)


def test_a_workers_own_error_comes_through_with_kind_and_hint():
    job = {"kind": "model", "bundle": "nowhere.bundle", "file": "x", "engine": "onnxruntime", "threads": 1}
    with pytest.raises(BundleError, match=r"no bundle at nowhere\.bundle\. `vskd export"):
        start(worker_command(job))


def test_a_missing_extra_comes_through_as_an_engine_error():
    error = {"kind": "MissingExtraError", "message": "x needs y", "hint": "pip install y"}
    with pytest.raises(EngineError, match=r"x needs y\. pip install y"):
        start(script(f"print({json.dumps({'error': error})!r})"))


def test_peak_memory_is_the_programs_own_and_not_its_parents():
    ballast = b"x" * 200_000_000
    code = "from vskd_benchmarks.measure.memory import peak_memory\nprint(peak_memory()['bytes'])"
    done = subprocess.run(script(code), capture_output=True, text=True, check=True)
    assert peak_memory()["bytes"] > len(ballast)
    assert int(done.stdout) < 100_000_000


def test_a_system_that_does_not_tell_the_memory_is_an_error(tmp_path):
    (tmp_path / "status").write_text("VmRSS:\t  12 kB\n")
    assert resident_bytes(tmp_path / "status") == 12 * 1024
    with pytest.raises(OSError, match="does not hold VmHWM"):
        peak_memory(tmp_path / "status")


def test_a_worker_gets_the_variables_that_are_named_for_it():
    code = "import json, os; print(json.dumps({'ready': {'seen': os.environ['VSKD_TOY']}}), flush=True); input()"
    with WorkerProcess("toy", script(code), threads=1, variables={"VSKD_TOY": "seen"}) as process:
        assert process.ready == {"seen": "seen"}


def test_libraries_and_the_cold_start_get_the_threads_that_were_asked_for(monkeypatch, tmp_path):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    assert [environment(3)[name] for name in names] == ["3"] * 3
    commands = []
    monkeypatch.setattr(startup, "_first_answer", lambda what, command, *more: commands.append(command) or (1, {}))
    startup.cold_start(tmp_path, engine="litert", recipe="fp32", threads=3, repeats=1)
    assert [command[-4:] for command in commands] == [[str(tmp_path), "litert", "fp32", "3"]] * 2
