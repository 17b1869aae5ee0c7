"""A study's cells on a Ray cluster of two nodes on this machine, and clusters that are none."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from training.command_line import Command
from vskd.errors import ConfigError, DataError, MissingExtraError
from vskd_training.study.ray_backend import NodeReport, Shared, _inspect, on_cluster, refuse

CLUSTER = """
import sys
from ray.cluster_utils import Cluster
node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
cluster.add_node(**node)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""

#: What a study never does: cells that die once or always, raise, take their time, ask for too much.
DRIVER = """
import json, os, signal, sys, time
from dataclasses import dataclass
from pathlib import Path
from vskd.errors import VskdError, ConfigError
from vskd_training.study.ray_backend import Shared, on_cluster

address, folder = sys.argv[1], Path(sys.argv[2])

@dataclass(frozen=True)
class Work:
    name: str
    threads: int = 1

def call(work):
    import ray
    with (folder / work.name).open("a") as tries:
        tries.write("x")
    if work.name == "dies-always" or (work.name == "dies-once" and (folder / work.name).read_text() == "x"):
        os.kill(os.getpid(), signal.SIGKILL)
    if work.name == "raises":
        raise ConfigError("gaf.size is 3", hint="Take 64")
    # Two cells that wait for each other must run at once, and so on two nodes of one core each.
    for other in {"a": "b", "b": "a"}.get(work.name, ""):
        while not (folder / other).exists():
            time.sleep(0.05)
    return f"{work.name} {ray.get_runtime_context().get_node_id()} {os.environ['OMP_NUM_THREADS']}"

def fingerprint():
    return ("the same",)

shared = Shared((folder / "out", folder / "cache"), fingerprint)
outcomes = []
with on_cluster(address, shared, at_a_time=None) as run:
    left = sorted(path.name for path in folder.glob("*/.seen*"))
    outcomes.append(["good", left, list(run(call, [Work("dies-once"), Work("a"), Work("b")]))])
    for work in (Work("raises"), Work("dies-always"), Work("greedy", threads=2)):
        try:
            outcomes.append(["no error", list(run(call, [work]))])
        except VskdError as error:
            outcomes.append([type(error).__name__, str(error)])
with on_cluster(address, shared, at_a_time=None, lost=lambda name, error: f"{name} {error}") as run:
    outcomes.append(list(run(call, [Work("dies-always"), Work("fine")])))
print(json.dumps(outcomes))
"""


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    # Paths of Ray's sockets must be short.
    folder = tempfile.mkdtemp(prefix="ray-")
    # A busy machine starts a node slowly, and starves Ray's workers, who are nice to others by default.
    patient = {"RAY_raylet_start_wait_time_s": "300", "RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    yield {**os.environ, **patient, "RAY_TMPDIR": folder}
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def address(environment: dict[str, str]) -> Iterator[str]:
    pytest.importorskip("ray", reason="needs the extra ray")
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen([sys.executable, "-c", CLUSTER], env=environment, **pipes) as process:
        found = next((line.strip() for line in process.stdout if line.count(":") == 1), "")
        assert found, "the cluster did not start"
        yield found
        process.communicate()


def test_two_nodes_replace_workers_and_report_what_they_raise(
    address: str, environment: dict[str, str], tmp_path: Path
) -> None:
    words = [sys.executable, "-c", DRIVER, address, str(tmp_path)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    good, raised, dead, greedy, lost = json.loads(done.stdout)
    assert good[:2] == ["good", []]
    results = [line.split() for line in good[2]]
    assert sorted(name for name, _, _ in results) == ["a", "b", "dies-once"]
    assert len({node for name, node, _ in results if name in ("a", "b")}) == 2
    assert {threads for _, _, threads in results} == {"1"}
    assert (tmp_path / "dies-once").read_text() == "xx"
    assert raised == ["ConfigError", "gaf.size is 3. Take 64"]
    assert dead[0] == "DataError"
    assert dead[1].startswith("the cell dies-always was lost: its worker died 3 times (WorkerCrashedError). Look at")
    assert dead[1].endswith("the same command resumes the study")
    assert (tmp_path / "dies-always").read_text() == "x" * 3 * 2
    told, fine = sorted(lost)
    assert told.startswith("dies-always the cell dies-always was lost: its worker died 3 times")
    assert fine.startswith("fine ")
    assert greedy[0] == "DataError"
    assert greedy[1].startswith("the cell greedy needs 2 cores (threads), and no node has more than 1")


STUDY = """
name = "tiny"
config = "tiny.toml"
seeds = [0]
set = ["data.train_on_validation=true", "student_training.steps=2", "teacher_training.steps=2"]
[[arm]]
name = "alone"
[[arm]]
name = "again"
teacher = "alone"
"""


@pytest.mark.slow  # every worker imports torch
def test_a_study_on_a_cluster_gives_the_bytes_of_one_machine(
    address: str, environment: dict[str, str], vskd: Command, tiny_config_file: Path, tiny_cache: Path, tmp_path: Path
) -> None:
    path = tiny_config_file.with_name("on-a-cluster.toml")
    path.write_text(STUDY)
    words = ["study", str(path), "--cache", str(tiny_cache), "--out", str(tmp_path / "ray")]
    command = [sys.executable, "-c", "from vskd.cli import main; main()", *words, "--backend", "ray"]
    command += ["--ray-address", address]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    here = vskd(*words[:-1], tmp_path / "loky")
    assert here.code == 0, here.err
    assert here.out == done.stdout
    made = {
        out: {
            str(file.relative_to(tmp_path / out)): file.read_bytes()
            for file in (tmp_path / out).rglob("*")
            if file.name in ("run.json", "model.safetensors", "result.json", "table.md")
        }
        for out in ("ray", "loky")
    }
    assert len(made["ray"]) == 2 * 2 + 2
    assert made["ray"] == made["loky"]


# --- refusals, without a cluster ------------------------------------------------------------------------------------

OURS = NodeReport("this machine", {"torch": "2", "vskd": "1"}, (), ("abc",))


@pytest.mark.parametrize(
    ("node", "unwritten", "message"),
    [
        (
            NodeReport("n", OURS.versions, ("/out",), ()),
            (),
            "node n does not share the folder /out.*same path, and may wr",
        ),
        (NodeReport("n", OURS.versions, (), ("abc",)), ("/cache",), "node n does not share the folder /cache"),
        (NodeReport("n", {"torch": "1", "vskd": "1"}, (), ("abc",)), (), "node n has torch 1, this machine 2"),
        (NodeReport("n", {"vskd": "1"}, (), ("abc",)), (), "node n has torch None, this machine 2"),
        (NodeReport("n", OURS.versions, (), ("abd",)), (), "node n sees other recordings than this machine.*--root"),
    ],
)
def test_a_node_that_differs_is_refused(node: NodeReport, unwritten: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        refuse(OURS, node, unwritten)


def test_a_node_that_is_alike_is_taken() -> None:
    refuse(OURS, NodeReport("n", OURS.versions, (), ("abc",)), ())


def test_a_node_tells_which_folders_it_does_not_see(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "stale").mkdir()
    marks = [tmp_path / name / ".seen" for name in ("here", "gone", "stale")]
    marks[0].write_text("token")
    marks[2].write_text("of another time")
    report = _inspect("n1", marks, "token", lambda: ("abc",))
    assert report.unseen == (str(tmp_path / "gone"), str(tmp_path / "stale"))
    assert report.fingerprint == ()
    assert (tmp_path / "here" / ".seen-n1").is_file()
    assert _inspect("n1", marks[:1], "token", lambda: ("abc",)).fingerprint == ("abc",)


SHARED = Shared((), lambda: ())


@pytest.mark.parametrize("address", ["somewhere", "host:", ":6379", "host:0", "host:99999", "host:port"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with (
        pytest.raises(ConfigError, match=rf"is HOST:PORT, got \'{address}\'"),
        on_cluster(address, SHARED, at_a_time=None),
    ):
        pass


def test_nobody_at_the_address_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with (
        pytest.raises(DataError, match=rf"no Ray cluster at 127.0.0.1:{port}: .*ray start --head"),
        on_cluster(f"127.0.0.1:{port}", SHARED, at_a_time=None),
    ):
        pass


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(MissingExtraError, match=r"--backend ray needs ray, which is not installed.*vskd\[ray\]"),
        on_cluster("127.0.0.1:1", SHARED, at_a_time=None),
    ):
        pass


def test_backend_and_address_go_together(vskd: Command, tiny_config_file: Path, tmp_path: Path) -> None:
    path = tiny_config_file.with_name("unused.toml")
    path.write_text(STUDY)
    for words in (("--backend", "ray"), ("--ray-address", "127.0.0.1:1")):
        done = vskd("study", path, "--out", tmp_path / "out", *words)
        assert done.code == 2
        assert "--backend ray and --ray-address HOST:PORT go together" in done.err
