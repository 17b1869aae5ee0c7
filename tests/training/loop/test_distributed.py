"""Several processes take the steps that one takes; when one stops, all stop. Real processes, connected by gloo."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from vskd.errors import ConfigError
from vskd_training.data.experiment import Experiment
from vskd_training.loop.distributed import ALONE, VARIABLES, Processes, from_environment
from vskd_training.loop.train import train_student, train_teacher
from vskd_training.runs.run import Run

WORKER = Path(__file__).with_name("distributed_worker.py")
OF_TORCHRUN = {
    "RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", **more}


@pytest.fixture(scope="module")
def teacher(tiny: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("teacher") / "run"
    return train_teacher(tiny, out)


@dataclass(frozen=True)
class Played:
    """What the rounds left: a folder, and the exit code of each process."""

    out: Path
    codes: dict[str, list[int]]

    def said(self, name: str, rank: int) -> str:
        return (self.out / f"{name}-{rank}.txt").read_text()

    def lines(self, name: str) -> int:
        return len((self.out / name).read_text().splitlines())


@pytest.fixture(scope="module")
def played(tiny_config_file: Path, tiny_cache: Path, teacher: Run, tmp_path_factory: pytest.TempPathFactory) -> Played:
    task = {
        "rounds": [
            ("steps of two", 2, ["steps"]),
            ("steps of three", 3, ["steps"]),
            ("train", 2, ["train"]),
            ("killed", 2, ["killed"]),
            ("resumed", 2, ["resumed"]),
            ("fail", 2, ["fail"]),
        ],
        "out": str(tmp_path_factory.mktemp("together")),
        "config": str(tiny_config_file),
        "cache": str(tiny_cache),
        "teacher": str(teacher.path),
    }
    done = subprocess.run(
        [sys.executable, str(WORKER), json.dumps(task)],
        env=environment(),
        stdout=subprocess.PIPE,
        timeout=1500,
        check=True,
    )
    return Played(Path(task["out"]), json.loads(done.stdout))


@pytest.mark.parametrize(("name", "count"), [("steps of two", 2), ("steps of three", 3)])
def test_several_processes_take_the_steps_of_one(played: Played, name: str, count: int) -> None:
    """Of a network without batch norm and dropout, where the rows of every batch divide evenly."""
    assert played.codes[name] == [0] * count
    found = [torch.load(played.out / f"{rank}-of-{count}.pt", weights_only=True) for rank in range(count)]
    for key, value in found[0]["alone"].items():
        torch.testing.assert_close(found[0]["together"][key], value, rtol=1e-9, atol=1e-11)
    for other in found[1:]:
        assert all(torch.equal(other["together"][key], value) for key, value in found[0]["together"].items())


def test_a_run_of_two_processes_is_one_run(played: Played, tiny: Experiment, teacher: Run, tmp_path: Path) -> None:
    assert played.codes["train"] == [0, 0]
    run = Run.open(played.out / "whole", role="student")
    assert run.card["processes"] == {"count": 2, "device": "cpu", "batch_norm": "per process"}
    cards = [json.loads((played.out / f"whole-card-{rank}.json").read_text()) for rank in range(2)]
    assert cards == [run.card, run.card]
    assert not (played.out / "whole-progress-1").exists()
    alone = train_student(tiny, tmp_path / "one", teachers=[teacher])
    assert "processes" not in alone.card
    first, expected = (json.loads((path / "log.jsonl").read_text().splitlines()[0]) for path in (run.path, alone.path))
    assert first.keys() == expected.keys()
    # The same windows in the same batches; batch norms and augmentation differ.
    assert first["ce"] == pytest.approx(expected["ce"], rel=0.1)


def test_when_a_process_is_killed_the_other_says_so_and_stops(played: Played) -> None:
    assert played.codes["killed"] == [-signal.SIGKILL, 1]
    said = played.said("killed", 1)
    assert "process 1 of 2 stops, because another one stopped or cannot be reached" in said
    assert "Traceback" not in said


def test_a_killed_and_resumed_run_of_two_equals_an_uninterrupted_one(played: Played) -> None:
    assert played.codes["resumed"] == [0, 0]
    whole, resumed = (Run.open(played.out / name, role="student") for name in ("whole", "killed"))
    assert (resumed.path / "model.safetensors").read_bytes() == (whole.path / "model.safetensors").read_bytes()
    assert resumed.card == whole.card
    # Both parts together repeat the epoch in which the kill fell, not the whole run.
    assert played.lines("whole-progress-0") < played.lines("killed-progress-0") < 2 * played.lines("whole-progress-0")


def test_what_one_process_finds_wrong_stops_all(played: Played) -> None:
    assert played.codes["fail"] == [1, 1]
    assert "error: the disk of this machine is empty" in played.said("fail", 1)
    assert "process 0 of 2 stops, because another one stopped" in played.said("fail", 0)


def test_a_loss_that_leaves_the_classifier_out_is_refused(tiny: Experiment, teacher: Run, tmp_path: Path) -> None:
    """DDP would stop in its second step, with a message that names no setting."""
    loss = dataclasses.replace(tiny.config.loss, ce=0.0, kd=0.0)
    experiment = dataclasses.replace(tiny, config=dataclasses.replace(tiny.config, loss=loss))
    with pytest.raises(ConfigError, match=r"no gradient reaches the classifier\. Set loss\.ce or loss\.kd"):
        train_student(experiment, tmp_path / "run", teachers=[teacher], processes=Processes(0, 2))
    assert not (tmp_path / "run").exists()


def test_a_batch_that_leaves_a_process_one_row_is_refused(tiny: Experiment, teacher: Run, tmp_path: Path) -> None:
    nine = Processes(0, 9)
    with pytest.raises(ConfigError, match=r"a batch of 16 windows leaves 9 processes fewer than two .* 18 at least"):
        train_student(tiny, tmp_path / "student", teachers=[teacher], processes=nine)
    with pytest.raises(ConfigError, match=r"a batch of 16 windows leaves 9 processes fewer than two .* 18 at least"):
        train_teacher(tiny, tmp_path / "teacher", processes=nine)
    assert not any(tmp_path.iterdir())


def test_torchrun_starts_the_command(tiny_config_file: Path, tiny_cache: Path, tmp_path: Path) -> None:
    """As the README has it, and refused as a whole: the backbone does not fit."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "vskd"]
    command += ["train", "teacher", "--set", "teacher.backbone=joints"]
    options = ["--config", tiny_config_file, "--cache", tiny_cache, "--out", tmp_path / "run"]
    done = subprocess.run(
        [*command, *map(str, options)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert "error: the teacher 'joints' does not take the view 'rendered'" in done.stderr
    assert done.stderr.count("subjects train 1; validation 3; test 2, 4") == 1
    assert not (tmp_path / "run").exists()


def test_without_the_variables_of_torchrun_a_process_is_alone() -> None:
    for variables in ({}, {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500", "LOCAL_RANK": "3"}):
        found = from_environment(variables, device="cpu")
        assert (found.rank, found.count, found.device.type, found.card()) == (0, 1, "cpu", {})


def test_one_process_by_torchrun_is_alone_too() -> None:
    found = from_environment({**OF_TORCHRUN, "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}, device="cpu")
    assert found == ALONE


def test_the_variables_of_torchrun_say_which_process_this_is() -> None:
    assert from_environment(OF_TORCHRUN, device="cpu") == Processes(1, 2, 1, torch.device("cpu"))


@pytest.mark.parametrize("missing", VARIABLES)
def test_a_half_set_environment_is_refused(missing: str) -> None:
    variables = {name: value for name, value in OF_TORCHRUN.items() if name != missing}
    with pytest.raises(ConfigError, match=f"but {missing} is not set. Start them by torchrun, or unset"):
        from_environment(variables, device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_cuda_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"needs a CUDA device of its own; torch .* sees 0\. Use --device cpu"):
        from_environment({}, device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_run_on_a_cuda_device_trains_and_says_where(tiny: Experiment, tmp_path: Path) -> None:
    cuda = Processes(device=torch.device("cuda", 0))
    teacher = train_teacher(tiny, tmp_path / "teacher", processes=cuda)
    run = train_student(tiny, tmp_path / "student", teachers=[teacher], processes=cuda)
    assert run.card["processes"] == {"count": 1, "device": "cuda"}
    first, *_, last = (json.loads(line) for line in (run.path / "log.jsonl").read_text().splitlines())
    assert last["ce"] < first["ce"]
