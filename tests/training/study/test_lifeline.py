"""Workers of a killed study die with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from vskd_training.study.lifeline import with_parent

#: Two workers that would go on for a minute, as a study's cells do; each says who it is.
SCRIPT = """
import os, sys, time
from pathlib import Path
from joblib import Parallel, delayed
from vskd_training.study.lifeline import with_parent

def work(folder, name):
    Path(folder, name).write_text(str(os.getpid()))
    time.sleep(60)

if __name__ == "__main__":
    Parallel(n_jobs=2)(delayed(with_parent)(os.getpid(), work, sys.argv[1], name) for name in ("one", "two"))
"""


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGTERM])
def test_workers_die_with_the_process_that_is_killed(tmp_path, with_signal):
    (tmp_path / "script.py").write_text(SCRIPT)
    said = tmp_path / "said"
    said.mkdir()
    study = subprocess.Popen([sys.executable, tmp_path / "script.py", said], cwd=tmp_path)
    deadline = time.monotonic() + 120
    while len(workers := [path.read_text() for path in said.iterdir()]) < 2 or not all(workers):
        assert time.monotonic() < deadline
        assert study.poll() is None
        time.sleep(0.1)
    study.send_signal(with_signal)
    study.wait()
    deadline = time.monotonic() + 20
    while any(alive(int(pid)) for pid in workers):
        assert time.monotonic() < deadline, "a worker goes on"
        time.sleep(0.1)


def test_in_the_process_itself_nothing_is_watched():
    assert with_parent(os.getpid(), lambda one, two: one + two, 1, 2) == 3


def test_a_study_gives_its_workers_the_lifeline(monkeypatch):
    from vskd_training.study import running

    parents = []
    monkeypatch.setattr(running, "with_parent", lambda parent, call, *rest: parents.append(parent) or call(*rest))
    with running.on_cores(1) as run:
        assert list(run(lambda task: task.name, [SimpleNamespace(name="one", threads=1)])) == ["one"]
    assert parents == [os.getpid()]
