from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from vskd.closed import from_mapping
from vskd.errors import ConfigError
from vskd_training.datasets.synthetic import SyntheticSettings
from vskd_training.datasets.synthetic import generator as synthetic
from vskd_training.datasets.synthetic.generator import LABELS, SyntheticSource, continuous
from vskd_training.datasets.utd_mhad import ACTIONS as UTD_ACTIONS

SMALL = SyntheticSettings(subjects=2, trials=1, duration_s=3.0)
FIELDS = ("time_s", "acceleration_g", "frame_time_s", "frames")


@pytest.fixture(scope="module")
def recordings():
    return list(SyntheticSource(SMALL).recordings())


def same_bytes(one, other) -> bool:
    return all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in FIELDS)


def test_the_labels_are_actions_of_utd_mhad():
    assert len(LABELS) >= 10
    assert set(LABELS) <= set(UTD_ACTIONS)
    assert SyntheticSource(SMALL).labels == LABELS


def test_the_same_seed_gives_the_same_bytes(recordings):
    again = list(SyntheticSource(SMALL).recordings())
    assert all(same_bytes(one, other) for one, other in zip(recordings, again, strict=True))


def test_another_seed_gives_another_recording(recordings):
    other = next(SyntheticSource(dataclasses.replace(SMALL, seed=1)).recordings())
    for name in ("time_s", "acceleration_g", "frames"):
        assert getattr(recordings[0], name).tobytes() != getattr(other, name).tobytes()


def test_no_two_recordings_are_equal(recordings):
    assert len({recording.acceleration_g.tobytes() for recording in recordings}) == len(recordings)


def test_a_recording_does_not_depend_on_how_many_others_there_are(recordings):
    alone = list(SyntheticSource(dataclasses.replace(SMALL, subjects=1)).recordings())
    of_first = [recording for recording in recordings if recording.info.subject == "1"]
    assert all(same_bytes(one, other) for one, other in zip(alone, of_first, strict=True))


def test_recordings_come_in_the_order_of_infos(recordings):
    source = SyntheticSource(SMALL)
    assert tuple(recording.info for recording in recordings) == source.infos()
    assert len({info.id for info in source.infos()}) == len(LABELS) * 2
    assert source.defects() == ()
    assert {info.subject for info in source.infos()} == {"1", "2"}


def test_the_defaults_are_sixteen_subjects_three_times():
    infos = SyntheticSource(SyntheticSettings()).infos()
    assert len(infos) == len(LABELS) * 16 * 3
    assert {info.subject for info in infos} == {str(number) for number in range(1, 17)}


def test_shapes_and_kinds(recordings):
    for recording in recordings:
        assert recording.acceleration_g.shape == (151, 3)
        assert recording.frames.shape == (46, 48, 64)
        assert recording.frames.dtype == np.uint8
        assert recording.time_s.dtype == recording.acceleration_g.dtype == recording.frame_time_s.dtype == np.float64
        assert np.isfinite(recording.acceleration_g).all()


def test_both_clocks_cover_the_same_span(recordings):
    for recording in recordings:
        assert (np.diff(recording.time_s) > 0).all()
        assert np.diff(recording.time_s).std() > 1e-3, "the sensor's clock has jitter"
        np.testing.assert_allclose(np.diff(recording.frame_time_s), 1 / 15, atol=1e-12)
        assert recording.time_s[0] == pytest.approx(recording.frame_time_s[0], abs=0.01)
        assert recording.time_s[-1] == pytest.approx(recording.frame_time_s[-1], abs=0.01)


def test_gravity_is_in_the_readings(recordings):
    # Over whole cycles the wrist goes nowhere, so the mean force is gravity, turned about as the wrist turns.
    for recording in recordings:
        assert 0.3 < np.linalg.norm(recording.acceleration_g.mean(axis=0)) < 1.4
        assert np.linalg.norm(recording.acceleration_g, axis=1).mean() > 0.9


def test_the_subject_is_in_the_image(recordings):
    for recording in recordings:
        lit = (recording.frames > 0).mean(axis=(1, 2))
        assert lit.min() > 0.05
        assert lit.max() < 0.4
        sides = recording.frames[:, :, [0, -1]]
        assert (sides > 0).mean() < 0.05, recording.info


def test_the_camera_shows_what_the_wrist_does(recordings):
    # Wrist still (squat, lunge) and wrist alone moving (wave): the video's movement sits in other places.
    def moving_rows(label: str) -> float:
        recording = next(one for one in recordings if one.info.label == label)
        change = np.abs(np.diff(recording.frames.astype(float), axis=0)).sum(axis=(0, 2))
        return float((change * np.arange(48)).sum() / change.sum())

    assert moving_rows("wave") < moving_rows("lunge") - 5


def test_the_fingerprint_follows_the_settings(monkeypatch):
    prints = {SyntheticSource(SMALL).fingerprint(), SyntheticSource(dataclasses.replace(SMALL)).fingerprint()}
    assert len(prints) == 1
    for change in ({"subjects": 3}, {"trials": 2}, {"duration_s": 3.5}, {"seed": 7}):
        prints.add(SyntheticSource(dataclasses.replace(SMALL, **change)).fingerprint())
    monkeypatch.setattr(synthetic, "GENERATOR_VERSION", synthetic.GENERATOR_VERSION + 1)
    prints.add(SyntheticSource(SMALL).fingerprint())
    assert len(prints) == 6
    assert all(len(print_) == 64 for print_ in prints)


def test_settings_come_from_a_mapping():
    settings = from_mapping(SyntheticSettings, {"subjects": 4, "duration_s": 6}, where="data.synthetic")
    assert settings == SyntheticSettings(subjects=4, duration_s=6.0)
    with pytest.raises(ConfigError, match=r"unknown key 'people' in data\.synthetic"):
        from_mapping(SyntheticSettings, {"people": 4}, where="data.synthetic")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subjects": 0}, "at least 1 subject and 1 trial, got 0 subjects"),
        ({"trials": 0}, "got 16 subjects and 0 trials"),
        ({"duration_s": 0.1}, r"lasts 0\.5 s to 600 s, got 0\.1 s"),
        ({"duration_s": float("nan")}, "got nan s"),
        ({"seed": -1}, "at least 0, got -1"),
    ],
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        SyntheticSettings(**change)


@pytest.fixture(scope="module")
def performance():
    return continuous(SMALL, subject="2")


def test_spans_tile_the_recording(performance):
    recording, spans = performance
    assert tuple(span.label for span in spans) == LABELS
    assert spans[0].start_s == 0.0
    assert all(one.end_s == next_.start_s for one, next_ in itertools.pairwise(spans))
    assert all(span.end_s - span.start_s == 10.0 for span in spans)
    for clock in (recording.time_s, recording.frame_time_s):
        assert clock[-1] == pytest.approx(spans[-1].end_s, abs=0.01)
    assert recording.info.label == "continuous"
    assert recording.info.subject == "2"


def test_a_continuous_stream_has_no_cut(performance):
    recording, spans = performance
    assert np.diff(recording.time_s).max() < 2 / 50
    jumps = np.abs(np.diff(recording.acceleration_g, axis=0)).max(axis=1)
    middle_s = (recording.time_s[1:] + recording.time_s[:-1]) / 2
    for span in spans[1:]:
        near = np.abs(middle_s - span.start_s) < 0.5
        assert jumps[near].max() < 0.8 < jumps.max()


def test_each_span_shows_its_own_activity(performance):
    recording, spans = performance
    lift = {}
    for span in spans:
        inside = (recording.time_s > span.start_s + 0.5) & (recording.time_s < span.end_s - 0.5)
        # The watch's x axis points to the elbow: up while the arm hangs, down while the hand is up.
        lift[span.label] = recording.acceleration_g[inside, 0].mean()
    assert lift["wave"] < 0 < lift["squat"]
    assert lift["walk"] > 0.5


def test_a_continuous_recording_is_that_of_its_subject_and_seed(performance):
    again, spans = continuous(SMALL, subject="2")
    assert same_bytes(performance[0], again)
    assert spans == performance[1]
    assert not same_bytes(performance[0], continuous(dataclasses.replace(SMALL, seed=7), subject="2")[0])
    assert not same_bytes(performance[0], continuous(SMALL, subject="1")[0])


@pytest.mark.parametrize("subject", ["two", "0", "99", "02", "\u0662"])
def test_a_subject_who_is_not_there_is_refused(subject):
    with pytest.raises(ConfigError, match=r"no synthetic subject .*Take 1 to \d"):
        continuous(SMALL, subject=subject)
