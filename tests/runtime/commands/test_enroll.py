"""``vskd enroll`` and ``vskd run --profile``, as whole commands."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from runtime.conftest import mean_model_tflite
from runtime.example_engine import ExampleEngine
from vskd import Classifier
from vskd.bundle import Bundle, ModelEntry, write_bundle
from vskd.contract import STANDARD_GRAVITY_M_S2, ExamplesSpec, ExampleWeights
from vskd.errors import EngineError
from vskd.wearer.profile import MOST_EXAMPLES, Example, Profile
from vskd.wearer.rule import FULL

SPEC = ExamplesSpec("nearest", (ExampleWeights(0.0, 20, 0.8),))


def write_clip(path, up, *, seed=0, seconds=2.0, shake=(0.2, 0.05, 0.02), unit=1.0):
    time_s = np.arange(round(seconds * 50)) / 50
    xyz = (np.array(up) + np.random.default_rng(seed).normal(size=(len(time_s), 3)) * shake) * unit
    rows = (f"{t:.3f},{x:.6f},{y:.6f},{z:.6f}" for t, (x, y, z) in zip(time_s, xyz.tolist(), strict=True))
    path.write_text("\n".join(["time_s,ax,ay,az", *rows]) + "\n")
    return path


@pytest.fixture
def bundle(tmp_path, make_bundle, contract, monkeypatch):
    monkeypatch.setattr(Bundle, "load", lambda *_, **__: ExampleEngine())
    return make_bundle(tmp_path / "wrist.bundle", dataclasses.replace(contract, examples=SPEC))


@pytest.fixture
def enroll(command, bundle, tmp_path):
    """Run ``vskd enroll`` on the bundle and ann.profile."""

    def run(*words, into="ann.profile", of=bundle):
        return command("enroll", of, "--profile", tmp_path / into, *words)

    return run


TILTED = (0.6, 0.5, 0.62)


def test_from_a_clip_to_a_decision(enroll, command, bundle, tmp_path):
    clips = [write_clip(tmp_path / f"{seed}.csv", TILTED, seed=seed) for seed in range(3)]
    done = enroll("--label", "wave", *(word for clip in clips[:2] for word in ("--input", clip)))
    assert done.code == 0, done.err
    assert "'wave' is new: the model does not know it" in done.err
    assert "did you mean" not in done.err
    assert "decide on it; did you mean 'x up'?" in enroll("--label", "xup", "--input", clips[0], into="slip").err
    assert [row["number"] for row in done.events[0]["added"]] == [1, 2]
    assert done.events[0]["bytes"] == (tmp_path / "ann.profile").stat().st_size

    plain = command("run", bundle, "--input", clips[2])
    with_profile = command("run", bundle, "--input", clips[2], "--profile", tmp_path / "ann.profile")
    assert with_profile.code == 0, with_profile.err
    assert "wave" not in plain.out
    assert {event["label"] for event in with_profile.events} == {"wave"}
    assert list(with_profile.events[0]["probabilities"]) == ["x up", "y up", "z up", "wave"]
    table = tmp_path / "events.csv"
    assert (
        command("run", bundle, "--input", clips[2], "--profile", tmp_path / "ann.profile", "--output", table).code == 0
    )
    assert "p(wave)" in table.read_text().splitlines()[0]


def test_list_check_and_remove(enroll, tmp_path):
    for seed, (label, up) in enumerate(
        [("x up", (1, 0, 0)), ("y up", (0, 1, 0)), ("x up", (1, 0, 0)), ("y up", (0, 1, 0))]
    ):
        assert enroll("--input", write_clip(tmp_path / "clip.csv", up, seed=seed), "--label", label).code == 0
    listed = enroll("--list").events
    assert [(row["number"], row["label"]) for row in listed] == [(1, "x up"), (2, "y up"), (3, "x up"), (4, "y up")]
    assert listed[0]["when"].endswith("+00:00")
    checked = enroll("--check")
    assert checked.events == [{"checked": 4, "right": 4, "accuracy": 1.0, "wrong": [], "single": []}]
    assert enroll("--remove", 3, "--remove", 1).events == [{"removed": [1, 3], "examples": 2}]
    checked = enroll("--check")
    assert checked.events[0] | {"single": 0} == {"checked": 2, "right": 2, "accuracy": 1.0, "wrong": [], "single": 0}


def test_a_mistaken_example_shows(enroll, tmp_path):
    for seed, up in enumerate([(1, 0, 0), (1, 0, 0), (0, 1, 0), (0, 1, 0)]):
        clip = write_clip(tmp_path / "clip.csv", up, seed=seed)
        assert enroll("--input", clip, "--label", "x up" if up[0] else "y up").code == 0
    clip = write_clip(tmp_path / "clip.csv", (0, 1, 0), seed=9)
    before = (tmp_path / "ann.profile").read_bytes()
    done = enroll("--input", clip, "--label", "x up")
    assert (done.code, done.out) == (1, "")
    assert "this example of 'x up' contradicts the others" in done.err
    assert (tmp_path / "ann.profile").read_bytes() == before
    assert enroll("--input", clip, "--label", "x up", "--sure").code == 0
    assert {"number": 5, "label": "x up", "taken_for": "y up"} in enroll("--check").events[0]["wrong"]


def test_several_clips_are_enrolled_together_or_none_is(enroll, tmp_path):
    good = write_clip(tmp_path / "good.csv", (1, 0, 0))
    short = write_clip(tmp_path / "short.csv", (1, 0, 0), seconds=0.5)
    done = enroll("--input", good, "--input", short, "--label", "x up", "--keep-recordings")
    assert done.code == 1
    assert not (tmp_path / "ann.profile").exists()
    assert not (tmp_path / "ann.profile.recordings").exists()


BAD = {
    "short": ({"seconds": 0.5}, "x up", "holds no window: one needs 32 samples at 50 Hz (0.64 s) without a gap"),
    "unit": ({"unit": STANDARD_GRAVITY_M_S2}, "x up", "m/s^2"),
    "still": ({"shake": (0.001, 0.001, 0.001)}, "x up", "is still: the wrist does not move in it"),
    "control": ({}, "wa\x1bve", "holds the invisible character U+001B"),
    "reserved": ({}, "no signal", "is what vskd calls an event without an activity"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_changes_nothing(enroll, tmp_path, case):
    clip, label, message = BAD[case]
    assert enroll("--input", write_clip(tmp_path / "clip.csv", (1, 0, 0)), "--label", "x up").code == 0
    before = (tmp_path / "ann.profile").read_bytes()
    done = enroll("--input", write_clip(tmp_path / "clip.csv", (1, 0, 0), seed=1, **clip), "--label", label)
    assert (done.code, done.out) == (1, "")
    assert message in done.err
    assert done.err.count("error:") == 1
    assert "\x1b" not in done.err
    assert (tmp_path / "ann.profile").read_bytes() == before


def test_a_full_a_damaged_and_a_foreign_profile_are_refused(enroll, command, bundle, tmp_path, make_bundle, contract):
    clip = write_clip(tmp_path / "clip.csv", (1, 0, 0))
    empty = Profile.of(Bundle.open(bundle))
    rows = np.random.default_rng(0).integers(0, 50, (MOST_EXAMPLES, 6)).astype(np.int8)
    rows[:, 0] = FULL
    full = (Example("x up", 0, bytes([FULL, row // 100, row % 100, 0, 0, 0])) for row in range(MOST_EXAMPLES))
    dataclasses.replace(empty, examples=tuple(full)).save(tmp_path / "full.profile")
    done = enroll("--input", clip, "--label", "x up", into="full.profile")
    assert (done.code, done.out) == (1, "")
    assert f"the profile is full: it holds at most {MOST_EXAMPLES} examples" in done.err

    content = bytearray((tmp_path / "full.profile").read_bytes())
    content[-1] ^= 1
    (tmp_path / "damaged.profile").write_bytes(content)
    for words in (("--list",), ("--check",), ("--remove", 1), ("--input", clip, "--label", "x up")):
        done = enroll(*words, into="damaged.profile")
        assert (done.code, done.out) == (1, "")
        assert "holds no profile: it is damaged" in done.err
    assert (tmp_path / "damaged.profile").read_bytes() == content

    other = make_bundle(tmp_path / "other.bundle", dataclasses.replace(contract, examples=SPEC, trained_on="other"))
    for words in (("--list",), ("--input", clip, "--label", "x up")):
        done = enroll(*words, into="full.profile", of=other)
        assert (done.code, done.out) == (1, "")
        assert "was made with a bundle of another contract" in done.err
    done = command("run", other, "--input", clip, "--profile", tmp_path / "full.profile")
    assert (done.code, done.out) == (1, "")
    assert "--again OLD" in done.err


def test_kept_recordings_are_enrolled_again_for_a_new_model(enroll, tmp_path, make_bundle, contract):
    clip = write_clip(tmp_path / "clip.csv", (1, 0, 0))
    assert enroll("--input", write_clip(tmp_path / "lost.csv", (0, 1, 0)), "--label", "y up").code == 0
    assert enroll("--input", clip, "--label", "x up", "--keep-recordings").code == 0
    other = make_bundle(tmp_path / "new.bundle", dataclasses.replace(contract, examples=SPEC, trained_on="new"))
    done = enroll("--again", tmp_path / "ann.profile", into="new.profile", of=other)
    assert done.code == 0, done.err
    assert "warning: 1 of 2 examples are left out: their recordings were not kept" in done.err
    old, new = Profile.open(tmp_path / "ann.profile"), Profile.open(tmp_path / "new.profile")
    assert new.examples[0].when_s == old.examples[1].when_s
    assert new.bundle_sha256 == Bundle.open(other).sha256()
    assert len(list((tmp_path / "new.profile.recordings").iterdir())) == 1
    assert enroll("--remove", 1, into="new.profile", of=other).code == 0
    assert not list((tmp_path / "new.profile.recordings").iterdir())
    assert enroll("--remove", 2).code == 0
    done = enroll("--again", tmp_path / "ann.profile", into="third.profile", of=other)
    assert (done.code, done.out) == (1, "")
    assert "no recording was kept beside" in done.err


def test_a_contract_that_does_not_say_how_examples_count_refuses_a_profile(command, tmp_path, make_bundle, contract):
    plain = make_bundle(tmp_path / "plain.bundle", contract)
    Profile.of(Bundle.open(plain)).save(tmp_path / "ann.profile")
    clip = write_clip(tmp_path / "clip.csv", (1, 0, 0))
    done = command("enroll", plain, "--profile", tmp_path / "ann.profile", "--input", clip, "--label", "x up")
    assert (done.code, done.out) == (1, "")
    assert "this model cannot use a profile" in done.err


def test_misuse(enroll, tmp_path):
    clip = write_clip(tmp_path / "clip.csv", (1, 0, 0))
    for words, message in [
        ((), "give one of --input, --again, --list, --remove and --check"),
        (("--list", "--check"), "give one of"),
        (("--input", clip), "--input and --label belong together"),
        (("--list", "--label", "wave"), "--input and --label belong together"),
        (("--input", "i2c:lsm6dsox", "--label", "wave"), "has no end; give --seconds"),
        (("--input", clip, "--label", "wave", "--seconds", 0), "0"),
    ]:
        done = enroll(*words)
        assert done.code == 2, done.err
        assert message in done.err
    done = enroll("--check")
    assert done.code == 1
    assert "cannot read the profile" in done.err


@pytest.mark.parametrize("engine", ["onnxruntime", "litert"])
def test_with_the_engines_themselves(command, tmp_path, make_bundle, contract, engine):
    made = dataclasses.replace(contract, examples=dataclasses.replace(SPEC, spectrum=0.5))
    bundle = make_bundle(tmp_path / "wrist.bundle", made)
    profile = tmp_path / "ann.profile"
    clips = [write_clip(tmp_path / f"{seed}.csv", TILTED, seed=seed) for seed in range(2)]
    words = ("--engine", engine, "--profile", profile)
    done = command("enroll", bundle, "--input", clips[0], "--label", "wave", *words)
    assert done.code == 0, done.err
    done = command("run", bundle, "--input", clips[1], *words)
    assert done.code == 0, done.err
    assert {event["label"] for event in done.events} == {"wave"}


def test_a_model_without_an_embedding_takes_no_example_and_no_profile(command, tmp_path, contract):
    made = dataclasses.replace(contract, examples=SPEC)
    content = mean_model_tflite(contract=made)
    models = [ModelEntry("model.fp32.tflite", "tflite", "fp32")]
    bundle = write_bundle(tmp_path / "old.bundle", contract=made, models=models, files={"model.fp32.tflite": content})
    clip = write_clip(tmp_path / "clip.csv", (1, 0, 0))
    words = (bundle, "--engine", "litert", "--profile", tmp_path / "ann.profile", "--input", clip)
    refusal = "model.fp32.tflite gives logits and no embedding, by which examples are compared"
    done = command("enroll", *words, "--label", "x up")
    assert (done.code, done.out) == (1, "")
    assert refusal in done.err
    assert not (tmp_path / "ann.profile").exists()

    example = Example("x up", 0, bytes([FULL, 0, 0]))
    dataclasses.replace(Profile.of(Bundle.open(bundle)), examples=(example,)).save(tmp_path / "ann.profile")
    done = command("run", *words)
    assert (done.code, done.out) == (1, "")
    assert refusal in done.err
    assert "vskd export RUN" in done.err
    with pytest.raises(EngineError, match=refusal):
        Classifier.open(bundle, engine="litert", profile=tmp_path / "ann.profile")
    Profile.of(Bundle.open(bundle)).save(tmp_path / "ann.profile")
    assert command("run", *words).code == 0
