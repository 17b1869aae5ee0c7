"""The speed of training: its summary on figures made up, and the command with processes that only pretend to train."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner

from research import training_speed


def answer(images: int, elapsed_s: float, cpu_s: float, **parts_s: float) -> dict[str, Any]:
    return {"images": images, "elapsed_s": elapsed_s, "cpu_s": cpu_s, "parts_s": parts_s}


ROUNDS = [
    {"vskd": answer(256, 1.0, 2.0, augment=0.03, encode=0.01), "public": answer(8, 1.0, 2.0, load=0.1)},
    {"vskd": answer(256, 2.0, 2.0, augment=0.03, encode=0.01), "public": answer(8, 4.0, 2.0, load=0.1)},
    {"vskd": answer(256, 1.0, 2.0, augment=0.3, encode=0.1), "public": answer(8, 2.0, 4.0, load=0.1)},
]


class Pretender:
    """Answers as a process that trains would, and remembers the order of all questions."""

    sent: ClassVar[list[str]] = []

    def __init__(self, kind: str, threads: int) -> None:
        self._kind = kind
        self.ready = {"batch": 32 if kind == "vskd" else 16, "threads": threads}

    def __enter__(self) -> Pretender:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was started."""

    def ask(self, do: str, *, count: int) -> dict[str, Any]:
        assert do == "steps"
        self.sent.append(f"{count} {self._kind}")
        return answer(32 * count, 1.0, 1.0, augment=0.05) if self._kind == "vskd" else answer(8 * count, 2.0, 2.0)


@pytest.fixture
def pretenders(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    sent: list[str] = []
    monkeypatch.setattr(Pretender, "sent", sent)
    monkeypatch.setattr(training_speed, "_process", Pretender)
    return sent


def test_the_ratio_is_taken_within_each_round() -> None:
    found = training_speed.summarise(ROUNDS)
    assert found["ratio"] == {"median": 64.0, "lowest": 32.0, "highest": 64.0}
    assert found["cpu_ratio"] == {"median": 32.0, "lowest": 32.0, "highest": 64.0}
    assert found["images_per_s"]["vskd"] == {"median": 256.0, "lowest": 128.0, "highest": 256.0}
    assert found["images_per_cpu_s"]["public"] == {"median": 4.0, "lowest": 2.0, "highest": 4.0}
    assert found["share_of_encoding_and_augmentation"]["median"] == pytest.approx(0.04)
    assert found["share_of_loading"]["median"] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("ratio", "share", "met"), [(30.0, 0.1, [True, True]), (29.9, 0.05, [False, True]), (40.0, 0.101, [True, False])]
)
def test_goals_are_met_at_their_limits(ratio: float, share: float, met: list[bool]) -> None:
    summary = {"ratio": {"median": ratio}, "share_of_encoding_and_augmentation": {"median": share}}
    assert [goal.met for goal in training_speed.verdicts(summary)] == met


def test_the_command_leaves_a_document(pretenders: list[str], tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    done = CliRunner().invoke(training_speed.main, ["--out", str(out), "--rounds", "3", "--threads", "1"])
    assert done.exit_code == 0
    result = json.loads(done.stdout.splitlines()[-1])
    assert json.loads((out / "training-speed.json").read_text()) == result
    assert (len(result["rounds"]), result["threads"], result["ratio"]["median"]) == (3, 1, 64.0)
    assert result["trained"] == {"vskd": {"batch": 32, "threads": 1}, "public": {"batch": 16, "threads": 1}}
    assert "64.0 (64.0 to 64.0)" in done.stderr
    # One round that does not count, then three; each begins with the other one.
    assert pretenders == ["1 public", "8 vskd", "8 vskd", "1 public"] * 2


def test_a_machine_without_torch_is_told_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(training_speed, "find_spec", lambda package: None if package == "torch" else package)
    done = CliRunner().invoke(training_speed.main, ["--out", str(tmp_path / "out")])
    assert (done.exit_code, "the speed of training needs torch" in done.stderr) == (1, True)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(training_speed.main, ["--out", str(tmp_path / "file" / "out")])
    assert done.exit_code == 1
    assert re.search("Error: cannot write .*Not a directory. Give another --out", done.stderr)


@pytest.mark.parametrize("wrong", [[], ["--out", "x", "--rounds", "0"], ["--out", "x", "--threads", "two"]])
def test_a_wrong_command_line_is_misuse(wrong: list[str]) -> None:
    done = CliRunner().invoke(training_speed.main, wrong)
    assert (done.exit_code, done.stderr[:6]) == (2, "Usage:")
