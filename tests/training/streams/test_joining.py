"""Joined streams: recordings stay as they are, pauses hold gravity, noise and no jump; nobody trained is in."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from training.own_recordings import LABELS, write_folder
from vskd.errors import ConfigError, DataError
from vskd_training.data.experiment import Experiment
from vskd_training.data.labels import sides
from vskd_training.datasets.recording import Gravity
from vskd_training.settings import load_config
from vskd_training.streams.joining import JoinedStream, Piece, StreamSettings, join, subject_streams

RATE_HZ = 50.0


def piece(label: str, readings: NDArray[np.float64], *, start_s: float = 7.0) -> Piece:
    return Piece(f"{label}_1", label, start_s + np.arange(len(readings)) / RATE_HZ, readings)


def resting(label: str, direction: tuple[float, float, float], *, noise_g: float = 0.0, samples: int = 200) -> Piece:
    noise = np.random.default_rng(len(label)).normal(size=(samples, 3)) * noise_g
    return piece(label, np.array(direction) + noise)


def joined(*pieces: Piece, gravity: Gravity = "included", seed: int = 0, **settings: float) -> JoinedStream:
    rng = np.random.default_rng(seed)
    return join("7", pieces, gravity=gravity, settings=StreamSettings(**settings), rng=rng)


def pauses(stream: JoinedStream) -> list[NDArray[np.bool_]]:
    """Rows of each pause."""
    edges = [-1.0, *(edge for span in stream.spans for edge in span[:2]), np.inf]
    return [(stream.time_s > a) & (stream.time_s < b) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def test_recordings_are_unchanged_and_pauses_are_as_long_as_asked() -> None:
    rng = np.random.default_rng(1)
    pieces = [piece(name, rng.normal(size=(150, 3))) for name in ("walk", "jog", "sit", "wave")]
    stream = joined(*pieces, shortest_pause_s=5.0, longest_pause_s=6.0)
    assert sorted(span.label for span in stream.spans) == ["jog", "sit", "walk", "wave"]
    assert np.all(np.diff(stream.time_s) > 0)
    assert np.diff(stream.time_s) == pytest.approx(1 / RATE_HZ)
    assert stream.time_s[0] == 0.0
    for span in stream.spans:
        (own,) = [one for one in pieces if one.label == span.label]
        inside = (stream.time_s >= span.start_s) & (stream.time_s <= span.end_s)
        np.testing.assert_array_equal(stream.acceleration_g[inside], own.acceleration_g)
        np.testing.assert_allclose(stream.time_s[inside] - span.start_s, own.time_s - own.time_s[0], atol=1e-9)
    lengths = [rows.sum() / RATE_HZ for rows in pauses(stream)]
    assert len(lengths) == 5
    assert min(lengths) >= 5.0 - 2 / RATE_HZ
    # Noise has no direction: half a turn takes 4 s more at most, but is within the 5 s.
    assert max(lengths) <= 6.0 + 2 / RATE_HZ
    assert len(set(lengths)) > 1


def test_a_pause_turns_gravity_slowly_from_one_recording_to_the_next() -> None:
    stream = joined(resting("a", (1.02, 0, 0)), resting("b", (0, 0, 1.02)), shortest_pause_s=6, longest_pause_s=6)
    before, between, after = (stream.acceleration_g[rows] for rows in pauses(stream))
    first, second = (np.array([1.02, 0, 0]), np.array([0, 0, 1.02]))
    if stream.spans[0].label == "b":
        first, second = second, first
    np.testing.assert_allclose(before, np.broadcast_to(first, before.shape), atol=1e-12)
    np.testing.assert_allclose(after, np.broadcast_to(second, after.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(between, axis=1), 1.02)
    np.testing.assert_allclose(between[:15], np.broadcast_to(first, (15, 3)), atol=1e-12)
    np.testing.assert_allclose(between[-15:], np.broadcast_to(second, (15, 3)), atol=1e-12)
    np.testing.assert_allclose(between[:, 1], 0.0, atol=1e-12)  # the shortest way
    turned_deg = np.degrees(np.arccos(np.clip(between @ first / 1.02**2, -1, 1)))
    assert np.all(np.diff(turned_deg) >= -1e-6)
    rate_deg_s = np.diff(turned_deg) * RATE_HZ
    assert rate_deg_s.max() == pytest.approx(45 * 15 / 8, rel=0.02)  # 15/8 of the mean, as a soft start and stop has
    moving_s = (rate_deg_s > 1e-3).sum() / RATE_HZ
    assert moving_s == pytest.approx(90 / 45, abs=0.2)


@pytest.mark.parametrize("other", [(0, 0, -1), (0, 1e-9, -1), (0, 0, 1)])
def test_half_a_turn_has_a_way_too_and_makes_the_pause_longer(other: tuple[float, float, float]) -> None:
    stream = joined(resting("a", (0, 0, 1)), resting("b", other), shortest_pause_s=1, longest_pause_s=1)
    np.testing.assert_allclose(np.linalg.norm(stream.acceleration_g, axis=1), 1.0)
    length_s = pauses(stream)[1].sum() / RATE_HZ
    assert length_s == pytest.approx(5.0 if other[2] < 0 else 1.0, abs=0.05)


def test_a_recording_that_ends_in_movement_goes_over_into_rest_without_a_jump() -> None:
    """The last reading is 3 g, far from rest; half a cosine over 0.3 s never steps by more than pi/2 / 15 of it."""
    readings = np.zeros((200, 3))
    readings[:, 2] = 1.0
    readings[-3:, 2] = [1.7, 2.4, 3.0]
    readings[0] = [2.0, 0, 1.0]
    stream = joined(piece("a", readings), resting("b", (0, 0, 1)))
    steps = np.linalg.norm(np.diff(stream.acceleration_g, axis=0), axis=1)
    inside = np.zeros(len(steps), dtype=bool)
    for span in stream.spans:
        inside |= (stream.time_s[:-1] >= span.start_s) & (stream.time_s[1:] <= span.end_s)
    largest_edge_g = np.hypot(2.0, 0.2)
    assert 0.1 < steps[~inside].max() <= largest_edge_g * np.pi / 2 / 15


def test_noise_has_the_level_of_each_axis_at_rest() -> None:
    rng = np.random.default_rng(3)
    quiet = np.array([0, 0, 1.0]) + rng.normal(size=(3000, 3)) * [0.01, 0.02, 0.04]
    moving = np.array([0, 0, 1.0]) + rng.normal(size=(3000, 3)) * 0.7
    stream = joined(piece("a", quiet), piece("b", moving), shortest_pause_s=60, longest_pause_s=60)
    rest = np.concatenate([stream.acceleration_g[rows][20:-20] for rows in pauses(stream)])
    level = np.sqrt((np.diff(rest, n=2, axis=0) ** 2).mean(axis=0) / 6)
    # The quietest tenth of all stretches is quieter than the sensor, most so on its noisiest axis.
    assert np.all(level / [0.01, 0.02, 0.04] > 0.6)
    assert np.all(level / [0.01, 0.02, 0.04] < 1.05)


def test_without_gravity_a_pause_is_noise_alone() -> None:
    """A reading that lasts is then a movement, and no rest."""
    pushed = (resting(name, (0.3, 0, 0), noise_g=0.01) for name in ("a", "bb"))
    stream = joined(*pushed, gravity="removed")
    rest = np.concatenate([stream.acceleration_g[rows][20:-20] for rows in pauses(stream)])
    assert np.abs(rest).max() < 0.06
    assert rest.std() == pytest.approx(0.009, rel=0.3)


def test_a_fall_at_the_end_takes_its_direction_from_the_whole_recording() -> None:
    readings = np.tile([0.0, 1.0, 0.0], (200, 1))
    readings[-25:] = 0.0
    stream = joined(piece("a", readings))
    np.testing.assert_allclose(stream.acceleration_g[-20:], np.tile([0, 1.0, 0], (20, 1)), atol=1e-9)


def test_the_same_seed_gives_the_same_stream() -> None:
    pieces = [resting(name, (0, 0, 1), noise_g=0.02) for name in ("a", "bb", "ccc", "dddd", "eeeee")]
    one, again, other = joined(*pieces, seed=4), joined(*pieces, seed=4), joined(*pieces, seed=5)
    np.testing.assert_array_equal(one.acceleration_g, again.acceleration_g)
    assert one.spans == again.spans
    assert [span.label for span in one.spans] != [span.label for span in other.spans]


def test_what_cannot_be_joined_is_refused() -> None:
    with pytest.raises(DataError, match=r"a_1 has 3 samples; a stream is joined from 4 on"):
        joined(resting("a", (0, 0, 1), samples=3))
    for pause in ((0.5, 3.0), (4.0, 3.0), (3.0, np.inf), (np.nan, 3.0)):
        with pytest.raises(ConfigError, match=r"pauses last from 1 s on, the shorter limit first, got"):
            StreamSettings(0, *pause)
    with pytest.raises(ConfigError, match="must not be negative, got -1"):
        StreamSettings(-1)


# --- of a run's test subjects -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def experiment(tiny_config_file: Path, tiny_cache: Path) -> Experiment:
    config = load_config(tiny_config_file, changes=('data.unknown_labels=["jog", "wave"]',))
    return Experiment.open(config, root=None, cache=tiny_cache, progress=None)


def test_every_test_recording_is_in_it_once_and_no_other(experiment: Experiment) -> None:
    streams = subject_streams(experiment, StreamSettings())
    assert tuple(stream.subject for stream in streams) == experiment.split.test_subjects == ("2", "4")
    infos, prepared = experiment.prepared.infos, experiment.prepared
    rows = {*experiment.split.test, *experiment.sides.unknown}
    for stream in streams:
        own = [row for row in rows if infos[row].subject == stream.subject]
        assert len(stream.spans) == len(own) == 12
        assert {"jog", "wave"} < {span.label for span in stream.spans}
        for row in own:
            (span,) = [span for span in stream.spans if span.label == infos[row].label]
            inside = (stream.time_s >= span.start_s) & (stream.time_s <= span.end_s)
            np.testing.assert_array_equal(stream.acceleration_g[inside], prepared.sensor(row)[1])


def test_a_subjects_stream_does_not_depend_on_who_else_is_asked_for(experiment: Experiment) -> None:
    both = subject_streams(experiment, StreamSettings())
    (alone,) = subject_streams(experiment, StreamSettings(), subjects=("4",))
    np.testing.assert_array_equal(alone.acceleration_g, both[1].acceleration_g)
    assert [span.label for span in both[0].spans] != [span.label for span in both[1].spans]


def test_validation_subjects_have_no_unknown_activities(experiment: Experiment) -> None:
    (stream,) = subject_streams(experiment, StreamSettings(), side="validation")
    assert stream.subject == "3"
    assert {span.label for span in stream.spans} == set(experiment.contract.labels)
    split = experiment.split  # a leaky one: the same subjects test and validate
    leaky = dataclasses.replace(split, validation=split.test, validation_subjects=split.test_subjects)
    both = dataclasses.replace(experiment, sides=dataclasses.replace(experiment.sides, split=leaky))
    for stream in subject_streams(both, StreamSettings(), side="validation"):
        assert {span.label for span in stream.spans} == set(experiment.contract.labels)


def test_recordings_are_cut_to_their_first_seconds(experiment: Experiment) -> None:
    (whole,) = subject_streams(experiment, StreamSettings(), subjects=("4",))
    (cut,) = subject_streams(experiment, StreamSettings(), subjects=("4",), longest_s=1.5)
    assert [span.label for span in cut.spans] == [span.label for span in whole.spans]
    for ours, theirs in zip(cut.spans, whole.spans, strict=True):
        assert ours.end_s - ours.start_s == pytest.approx(1.5, abs=0.05)
        inside = [
            (one.time_s >= span.start_s) & (one.time_s <= span.start_s + 1.4)
            for one, span in ((cut, ours), (whole, theirs))
        ]
        np.testing.assert_array_equal(cut.acceleration_g[inside[0]], whole.acceleration_g[inside[1]])


def test_other_subjects_are_refused(experiment: Experiment) -> None:
    with pytest.raises(ConfigError, match=r"'1' is not a test subject\. These are: 2, 4"):
        subject_streams(experiment, StreamSettings(), subjects=("1",))
    data = dataclasses.replace(experiment.config.data, train_on_validation=True)
    found = sides(experiment.prepared.infos, data, experiment.config.labels)
    whole = dataclasses.replace(experiment, sides=found)
    with pytest.raises(ConfigError, match="this run has no validation subjects"):
        subject_streams(whole, StreamSettings(), side="validation")


def test_ones_own_recordings_are_joined_in_g(tmp_path: Path) -> None:
    """Files in m/s^2; the left-out subject has three clips, and the pauses rest at 1 g."""
    root = write_folder(tmp_path / "kitchen", subjects=3, duration_s=2.5)
    config = load_config("folder", changes=("data.fold='p2'", "data.view='none'"))
    experiment = Experiment.open(config, root=root, cache=tmp_path / "cache", progress=None)
    (stream,) = subject_streams(experiment, StreamSettings())
    assert stream.subject == "p2"
    assert sorted(span.label for span in stream.spans) == sorted(LABELS)
    rest_g = np.concatenate([np.linalg.norm(stream.acceleration_g[rows], axis=1) for rows in pauses(stream)])
    assert np.median(rest_g) == pytest.approx(1.0, abs=0.2)


@pytest.mark.data
def test_of_real_recordings_no_pause_jumps_as_recordings_do(utd_mhad_root: Path, tmp_path: Path) -> None:
    experiment = Experiment.open(
        load_config("utd-mhad-sliding", changes=("data.view='none'",)),
        root=utd_mhad_root,
        cache=tmp_path,
        progress=None,
    )
    streams = subject_streams(experiment, StreamSettings())
    assert [stream.subject for stream in streams] == ["2", "4", "6", "8"]
    assert sum(len(stream.spans) for stream in streams) == len(experiment.split.test) == 430
    for stream in streams:
        steps_g = np.linalg.norm(np.diff(stream.acceleration_g, axis=0), axis=1)
        inside = np.zeros(len(steps_g), dtype=bool)
        for span in stream.spans:
            inside |= (stream.time_s[:-1] >= span.start_s) & (stream.time_s[1:] <= span.end_s)
        assert steps_g[~inside].max() < np.quantile(steps_g[inside], 0.9)
