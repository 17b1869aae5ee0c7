"""The fuzz commands, for seconds: they find nothing where nothing is wrong, and what is planted."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import numpy as np
import pytest
from click.testing import CliRunner

from research import fuzz
from vskd.decide import Event
from vskd.errors import ProfileError
from vskd.wearer.rule import FULL


def test_some_streams_are_sound():
    assert [problem for seed in range(15) for problem in fuzz.stream_problems(seed)] == []


def test_a_command_tells_what_it_found(monkeypatch):
    monkeypatch.setattr(fuzz, "stream_problems", lambda seed: iter(["wrong"] if seed == 7 else []))
    done = CliRunner().invoke(fuzz.main, ["stream", "--minutes", "0.001", "--seed", "7"])
    document = json.loads(done.stdout.splitlines()[0])
    assert (done.exit_code, document["violations"]) == (1, [{"problem": "wrong", "count": 1, "seed": 7}])


@pytest.mark.parametrize("name", fuzz.READERS)
def test_some_files_with_changed_bytes_are_an_answer_or_a_sentence(name):
    read, content = fuzz.READERS[name][0], fuzz.READERS[name][1]()
    read(content)
    assert [problem for seed in range(100) for problem in fuzz.reader_problems(read, content, seed)] == []


def test_damage_of_a_profile_lies_behind_its_hash():
    content = fuzz._profile_seed()
    with pytest.raises(ProfileError, match="its header does not fit 47 bytes of embeddings"):
        fuzz._profile(content[:-1])
    with pytest.raises(ProfileError, match=f"the largest entry of an embedding is {FULL}"):
        fuzz._profile(content[:-48] + b"\0" + content[-47:])


def test_examples_that_decide_no_number_are_found(monkeypatch):
    monkeypatch.setattr(fuzz.ExampleRule, "mixed", lambda *_: ([np.nan], 0.0))
    with pytest.raises(ArithmeticError, match="a number that is none"):
        fuzz._profile(fuzz._profile_seed())


def test_a_kill_leaves_nothing_half(tmp_path):
    assert list(fuzz.kill_problems(tmp_path, 1)) == []


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError(), MemoryError()])
def test_a_reader_that_crashes_is_found(error):
    def read(content: bytes) -> None:
        raise error

    assert len(list(fuzz.reader_problems(read, b"abc", 0))) == 1


def event(label: str = "x up", probability: float = 0.5) -> Event:
    return Event(label, probability, "", 0.5, 1.5, 0.0, np.full(3, 1 / 3))


TIMES, WRIST = np.arange(100) / 50, np.random.default_rng(0).normal(size=(100, 3))


@pytest.mark.parametrize("wrong", [("dance", 0.5), ("x up", np.nan), ("x up", 2.0), ("still", 0.5)])
def test_events_that_cannot_be_are_found(wrong):
    assert list(fuzz.event_problems(event(), TIMES, WRIST)) == []
    assert len(list(fuzz.event_problems(event(*wrong), TIMES, WRIST))) == 1


@pytest.mark.parametrize(
    ("xyz", "what"),
    [
        (np.ones((100, 3)), "the sensor was frozen"),
        (WRIST / 1000, "there was no gravity"),
        (WRIST + 50, "every sample was beyond the range"),
        (WRIST[:, [0, 1, 0]], "two axes read the same"),
    ],
)
def test_an_activity_of_what_cannot_be_known_is_found(xyz, what):
    assert list(fuzz.event_problems(event(), TIMES, xyz)) == [f"an activity while {what}"]
    assert list(fuzz.event_problems(event(), TIMES - 3, xyz)) == []


def test_every_kind_of_damage_is_drawn():
    assert len({fuzz.mutated(b"0123456789" * 9, np.random.default_rng(seed)) for seed in range(50)}) > 40
    drawn = [fuzz.damaged(np.random.default_rng(seed)) for seed in range(50)]
    assert any(np.isnan(xyz).any() for _, xyz in drawn)
    assert any((np.diff(times) < 0).any() for times, _ in drawn)


def test_a_try_without_an_end_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "LONGEST_TRY_S", 0.05)

    def endless(seed: int) -> Iterator[str]:
        while seed == 1:
            with contextlib.suppress(Exception):
                seed = 1
        yield from ()

    found = fuzz.repeated(endless, 0.002, 0)
    assert found["tries"] > 1
    assert found["violations"] == [{"problem": "no end within 0.05 s of the processor", "count": 1, "seed": 1}]
