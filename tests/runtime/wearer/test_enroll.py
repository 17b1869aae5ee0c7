"""Recordings of a wearer that become examples: through ``Classifier``, and which ones do not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from runtime.example_engine import ExampleEngine
from runtime.mean_engine import MeanEngine
from vskd import Classifier
from vskd.bundle import Bundle
from vskd.contract import STANDARD_GRAVITY_M_S2, ExamplesSpec, ExampleWeights, RecordingSpec, SignalSpec
from vskd.errors import ContractError, ProfileError, StreamError
from vskd.stream import cut_windows
from vskd.wearer.profile import Profile
from vskd.wearer.recording import Samples, keep, kept
from vskd.wearer.rule import example_of

SPEC = ExamplesSpec("nearest", (ExampleWeights(0.0, 20, 0.8),))
AXES = {"x up": [1, 0, 0], "y up": [0, 1, 0], "z up": [0, 0, 1]}


def clip(seconds=2.0, *, up="x up", shake=(0.2, 0.05, 0.02), seed=0):
    """Gravity along an axis, and a shake of so many g along each."""
    time_s = np.arange(round(seconds * 50)) / 50
    rng = np.random.default_rng(seed)
    return time_s, np.array(AXES[up]) + rng.normal(size=(len(time_s), 3)) * shake


@pytest.fixture
def with_examples(contract):
    return dataclasses.replace(contract, examples=SPEC)


@pytest.fixture
def classifier(with_examples):
    return Classifier(with_examples, ExampleEngine(), profile=Profile("ab" * 32, "cd" * 32))


def test_an_example_is_the_mean_embedding_of_the_windows(classifier):
    time_s, xyz = clip()
    example = classifier.enroll("x up", time_s, xyz)
    windows = cut_windows(classifier.contract, time_s, xyz)
    assert len(windows) > 2
    expected = example_of(np.stack([ExampleEngine().infer_both(window.samples)[1] for window in windows]))
    assert example.embedding == expected.tobytes()
    assert classifier.profile.examples == (example,)


def test_a_new_activity_is_decided_by_its_examples(classifier):
    tilted = np.array([0.6, 0.5, 0.62])
    time_s, xyz = clip()
    classifier.enroll("wave", time_s, xyz - [1, 0, 0] + tilted)
    assert classifier.labels == ("x up", "y up", "z up", "wave")
    time_s, xyz = clip(seed=1)
    events = classifier.push(time_s, xyz - [1, 0, 0] + tilted)
    assert {event.label for event in events} == {"wave"}
    assert len(events[0].probabilities) == 4
    other = Classifier(classifier.contract, ExampleEngine(), profile=classifier.profile)
    assert {event.label for event in other.push(*clip(up="y up"))} == {"y up"}


def test_with_an_empty_profile_events_are_those_of_before(classifier, contract):
    before = Classifier(contract, MeanEngine()).push(*clip(4))
    after = classifier.push(*clip(4))
    assert [event.to_mapping(contract.labels) for event in after] == [e.to_mapping(contract.labels) for e in before]
    assert [event.probabilities.tobytes() for event in after] == [event.probabilities.tobytes() for event in before]


def test_units_axes_and_times_of_an_example_are_those_of_the_classifier(classifier, with_examples):
    time_s, xyz = clip()
    plain = classifier.enroll("x up", time_s, xyz)
    turned = np.stack([xyz[:, 1], -xyz[:, 0], xyz[:, 2]], axis=1) * STANDARD_GRAVITY_M_S2
    how = {"unit": "m/s^2", "axes": "-y,x,z", "time_unit": "ms"}
    other = Classifier(with_examples, ExampleEngine(), **how, profile=Profile("ab" * 32, "cd" * 32))
    assert other.enroll("x up", time_s * 1e3, turned).embedding == plain.embedding


def test_an_example_that_contradicts_its_own_label_is_questioned(classifier):
    classifier.enroll("x up", *clip())
    classifier.enroll("y up", *clip(up="y up"))
    before = classifier.profile
    with pytest.raises(
        ProfileError, match=r"this example of 'x up' contradicts the others: it is nearer to an .*'y up'"
    ):
        classifier.enroll("x up", *clip(up="y up", seed=3))
    assert classifier.profile == before
    classifier.enroll("x up", *clip(up="y up", seed=3), sure=True)
    assert len(classifier.profile.examples) == 3


def refused(classifier, error, match, time_s, xyz, label="x up"):
    """The error, after which nothing has changed."""
    before = classifier.profile
    with pytest.raises(error, match=match):
        classifier.enroll(label, time_s, xyz)
    assert classifier.profile == before
    assert classifier.labels == classifier.contract.labels


def test_what_is_no_example_is_refused_and_changes_nothing(classifier):
    refused(classifier, ProfileError, "lasts 0.58 s and holds no window: one needs 32 samples at 50 Hz", *clip(0.6))
    refused(classifier, ProfileError, "is still: the wrist does not move", *clip(shake=0.001))
    refused(classifier, ProfileError, "lasts 700 s, and an example at most 600 s", [0, 700], np.eye(3)[:2])
    time_s, xyz = clip()
    refused(classifier, StreamError, r"m/s\^2", time_s, xyz * STANDARD_GRAVITY_M_S2)
    refused(classifier, StreamError, "samples", time_s[:5], xyz)
    refused(classifier, ProfileError, "holds no window", [], np.empty((0, 3)))
    for label, problem in [("wa\x1bve", "invisible"), ("unknown", "event without an activity"), ("", "is empty")]:
        refused(classifier, ProfileError, problem, time_s, xyz, label)


def test_a_signal_that_cannot_be_known_is_no_example(with_examples, whole_contract):
    judged = dataclasses.replace(with_examples, signal=SignalSpec())
    frozen = np.repeat([[0.1, 0.2, 0.97]], 100, axis=0)
    classifier = Classifier(judged, ExampleEngine(), profile=Profile("ab" * 32, "cd" * 32))
    refused(classifier, ProfileError, "is no example: no axis changes", np.arange(100) / 50, frozen)
    limits = RecordingSpec(shortest_s=1.0, longest_s=4.0)
    whole = dataclasses.replace(whole_contract, examples=SPEC, recording=limits)
    classifier = Classifier(whole, ExampleEngine(), profile=Profile("ab" * 32, "cd" * 32))
    refused(classifier, ProfileError, "is no example: the recording lasts 0.38 s", *clip(0.4))
    assert classifier.enroll("wave", *clip()).label == "wave"


def test_a_model_that_cannot_use_examples_says_so(contract, with_examples):
    with pytest.raises(ProfileError, match="belongs to a bundle"):
        Classifier(with_examples, ExampleEngine()).enroll("x up", *clip())
    with pytest.raises(ContractError, match=r"cannot use a profile"):
        Classifier(contract, ExampleEngine(), profile=Profile("ab" * 32, "cd" * 32)).enroll("x up", *clip())


def test_a_bundle_opens_with_its_profile_and_no_other(tmp_path, make_bundle, with_examples, monkeypatch):
    monkeypatch.setattr(Bundle, "load", lambda *_, **__: ExampleEngine())
    place = make_bundle(tmp_path / "one.bundle", with_examples)
    classifier = Classifier.open(place, engine="onnxruntime")
    classifier.enroll("wave", *clip())
    classifier.profile.save(tmp_path / "ann.profile")
    again = Classifier.open(place, engine="onnxruntime", profile=tmp_path / "ann.profile")
    assert again.profile == classifier.profile
    assert again.labels[-1] == "wave"
    other = make_bundle(tmp_path / "other.bundle", with_examples.with_decision(temperature=3.0))
    with pytest.raises(ProfileError, match="made with a bundle of another contract"):
        Classifier.open(other, profile=tmp_path / "ann.profile")


def test_a_kept_recording_gives_the_same_example_again(tmp_path, classifier, with_examples):
    time_s, xyz = clip()
    turned = np.stack([xyz[:, 1], -xyz[:, 0], xyz[:, 2]], axis=1) * STANDARD_GRAVITY_M_S2
    samples = Samples(1e9 + time_s * 1e3, turned, "m/s^2", "-y,x,z", "ms")
    name = keep(tmp_path / "ann.profile", samples)
    assert name == keep(tmp_path / "ann.profile", samples)
    found = kept(tmp_path / "ann.profile", name)
    np.testing.assert_allclose(found.xyz, xyz, atol=1e-12)
    assert classifier.enroll("x up", found.time, found.xyz).label == "x up"
    file = tmp_path / "ann.profile.recordings" / f"{name}.npz"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ProfileError, match=r"the kept recording .* was changed"):
        kept(tmp_path / "ann.profile", name)
    file.unlink()
    with pytest.raises(ProfileError, match=r"cannot read the kept recording .*No such file"):
        kept(tmp_path / "ann.profile", name)
