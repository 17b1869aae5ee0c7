"""Consistent teaching: what the teacher sees is what the student sees, as far as its view holds it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from vskd.errors import ConfigError
from vskd_training.data.augment import Augmentation, Change, drawn
from vskd_training.data.experiment import Experiment
from vskd_training.data.joints import JointClips
from vskd_training.data.windows import Clips, WindowTable
from vskd_training.distillation.consistent import (
    ConsistentTeachers,
    changed_clips,
    changed_sensors,
    changed_windows,
    consistent_teachers,
)
from vskd_training.distillation.losses import LossWeights
from vskd_training.distillation.targets import shuffled, views_for
from vskd_training.loop.run import Run
from vskd_training.loop.tasks import StudentTask
from vskd_training.loop.train import train_student, train_teacher
from vskd_training.models.student import View
from vskd_training.settings import LabelsConfig, TeachingConfig, load_config

#: Every change of time, as far as it may go, and nothing else.
TIME = Augmentation(crop=0.3, time_warp=0.3, rate=0.1, rotation_rad=0, scale=0, jitter_g=0, mixup=0)
SAMPLES = 64
FILM_HZ = 25.0
BEGINS_S = (0.0, 0.4, 1.2, 2.0)


def table_of(samples: NDArray[np.float32], spans_s: NDArray[np.float64]) -> WindowTable:
    count = len(samples)
    return WindowTable(
        ids=tuple(f"r@{begin:.3f}" for begin, _ in spans_s),
        samples=samples,
        labels=np.zeros(count, dtype=np.int64),
        recordings=np.zeros(count, dtype=np.int64),
        spans_s=spans_s,
        subjects=("1",) * count,
        too_short=0,
    )


def recording_of_time(view: str) -> tuple[Any, WindowTable]:
    """One recording of 6 s in which both sides read the time, s: the watch on each axis, the other in its own way.

    Pictures have the number of their frame as their grey; joints and a gyroscope are at the place of the time.
    """
    times = np.arange(0, 6, 1 / FILM_HZ)
    if view == "pictures":
        frames: NDArray[Any] = np.tile(np.arange(len(times), dtype=np.uint8)[:, None, None], (1, 2, 2))
    else:
        points = 20 if view == "joints" else 2
        frames = np.tile(times.astype(np.float32)[:, None, None], (1, points, 3))
    prepared = SimpleNamespace(video=lambda _: (times, frames), infos=[SimpleNamespace(id="r")])
    spans_s = np.array([[begin, begin + 2.56] for begin in BEGINS_S])
    samples = np.stack([np.tile(np.linspace(*span, SAMPLES), (3, 1)) for span in spans_s]).astype(np.float32)
    return prepared, table_of(samples, spans_s)


def changed_by(how: Augmentation, table: WindowTable, seed: int) -> Change:
    return drawn(table.samples.shape, how, torch.Generator().manual_seed(seed))


def time_seen_by_the_student(table: WindowTable, change: Change, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """(windows, at), s: what the changed windows read at some places in [0, 1] of them."""
    seen = change.of_windows(torch.from_numpy(table.samples))[:, 0].double().numpy()
    return np.stack([np.interp(at, np.linspace(0, 1, SAMPLES), row) for row in seen])


ROWS = list(range(len(BEGINS_S)))


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), steps=st.integers(2, 70))
def test_joints_are_seen_at_the_time_that_the_student_sees(seed: int, steps: int) -> None:
    prepared, table = recording_of_time("joints")
    change = changed_by(TIME, table, seed)
    seen = changed_clips(JointClips(prepared, table, steps=steps), ROWS, change)
    assert seen.shape == (4, steps, 20, 3)
    expected = time_seen_by_the_student(table, change, np.linspace(0, 1, steps))
    np.testing.assert_allclose(seen[:, :, 7, 1].numpy(), expected, atol=1e-4)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), segments=st.integers(2, 12))
def test_frames_are_of_the_time_that_the_student_sees(seed: int, segments: int) -> None:
    prepared, table = recording_of_time("pictures")
    change = changed_by(TIME, table, seed)
    clips = Clips(prepared, table, segments=segments, motion=True)
    seen = changed_clips(clips, ROWS, change)[:, :, 1, 0, 0].double().numpy() / FILM_HZ
    expected = time_seen_by_the_student(table, change, (np.arange(segments) + 0.5) / segments)
    # The nearest frame to the middle of a segment is up to one frame off, and so is the first frame of a window; the
    # warp moves a frame by no more than 1.3 times as far.
    np.testing.assert_allclose(seen, expected, atol=2.4 / FILM_HZ)
    spread = seen[:, -1] - seen[:, 0]
    assert (spread < expected[:, -1] - expected[:, 0] + 2.4 / FILM_HZ).all()


@pytest.mark.parametrize("view", ["joints", "pictures"])
def test_an_unchanged_window_is_seen_as_it_always_was(view: str) -> None:
    prepared, table = recording_of_time(view)
    for size in range(2, 40):
        joints = view == "joints"
        clips: Any = (
            JointClips(prepared, table, steps=size) if joints else Clips(prepared, table, segments=size, motion=False)
        )
        as_ever = clips.batch(ROWS, rng=None)
        np.testing.assert_array_equal(clips.at(ROWS, None), as_ever)
        still = np.tile(np.linspace(0, 1, SAMPLES), (4, 1))
        np.testing.assert_allclose(clips.at(ROWS, still), as_ever, atol=1e-6)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), axis=st.sampled_from(["x", "y", "z"]))
def test_a_gyroscope_goes_through_the_same_times_strap_and_mirror(seed: int, axis: Any) -> None:
    """Turning as large as acceleration stays that, but for the sign in the mirror, and for the accelerometer's own."""
    prepared, table = recording_of_time("sensors")
    how = dataclasses.replace(TIME, rotation_rad=0.6, scale=0.3, mirror=0.5, mirror_axis=axis)
    change = changed_by(how, table, seed)
    clips = JointClips(prepared, table, steps=33)
    seen = changed_sensors(clips, torch.from_numpy(table.samples), ROWS, change)
    assert seen.shape == (4, 33, 2, 3)
    assert change.reflection is not None
    assert change.factor is not None
    sign = change.reflection.prod(dim=1, keepdim=True)
    torch.testing.assert_close(seen[:, :, 0], change.factor * sign * seen[:, :, 1], rtol=1e-3, atol=2e-3)


def test_the_acceleration_that_a_teacher_of_sensors_sees_is_the_students() -> None:
    prepared, table = recording_of_time("sensors")
    how = dataclasses.replace(TIME, jitter_g=0.1, dropped=0.3)
    change = changed_by(how, table, 1)
    windows = torch.from_numpy(table.samples)
    seen = changed_sensors(JointClips(prepared, table, steps=SAMPLES), windows, ROWS, change)
    torch.testing.assert_close(seen[:, :, 0].transpose(1, 2), change.of_windows(windows))


def test_a_student_that_teaches_sees_the_same_window() -> None:
    _, table = recording_of_time("sensors")
    windows = torch.from_numpy(table.samples)
    change = changed_by(Augmentation(), table, 1)
    assert torch.equal(changed_windows(windows, ROWS, change), change.of_windows(windows))
    assert torch.equal(changed_windows(windows, [2, 0], Change()), windows[[2, 0]])


def echo(count: int) -> ConsistentTeachers:
    """A teacher whose logits name the window that it is shown, and whose feature is the strength it is shown."""

    def see(rows: list[int], change: Change) -> Tensor:
        assert change.factor is not None
        return torch.cat([torch.tensor(rows).float().unsqueeze(1), change.factor[:, 0]], dim=1)

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = torch.nn.Parameter(torch.ones(()))

        def forward(self, shown: Tensor) -> View:
            return View(self.one * shown[:, :1], self.one * shown[:, 1:])

    return ConsistentTeachers(tuple(map(str, range(count))), [(Network(), see)], np.arange(count), None, "arithmetic")


def test_the_student_and_its_teacher_get_one_change(tiny: Experiment) -> None:
    table = tiny.windows("train")
    teacher = dataclasses.replace(echo(len(table)), ids=table.ids)
    how = Augmentation(rotation_rad=0, jitter_g=0, crop=0, time_warp=0, mixup=0, scale=0.2)
    task = StudentTask(table, 12, how=how, weights=LossWeights(kd=1.0), teacher=teacher, seed=0)
    for batch in task.batches(0, 16):
        assert batch.teacher is not None
        assert batch.teacher_ids == batch.ids
        assert not batch.teacher.logits.requires_grad
        assert not batch.teacher.feature.requires_grad
        rows = [table.ids.index(name) for name in batch.ids]
        assert batch.teacher.logits[:, 0].tolist() == rows
        shown = batch.teacher.feature.unsqueeze(2) * torch.from_numpy(table.samples[rows])
        torch.testing.assert_close(batch.windows, shown)
        assert float(batch.teacher.feature.std()) > 0.05


def test_in_the_control_another_recording_is_changed_alike() -> None:
    other = dataclasses.replace(echo(4), source=np.array([2, 3, 1, 0]))
    change = Change(factor=torch.tensor([0.5, 2.0]).view(2, 1, 1))
    said = other.view([3, 0], change)
    assert said.logits[:, 0].tolist() == [0, 2]
    assert said.feature[:, 0].tolist() == [0.5, 2.0]


# --- runs -----------------------------------------------------------------------------------------------------------


def silent(done: int, total: int, parts: dict[str, float]) -> None:
    del done, total, parts


OPTIONS: dict[str, Any] = {"overwrite": False, "resume": False, "progress": silent}


def with_(experiment: Experiment, **changes: Any) -> Experiment:
    return dataclasses.replace(experiment, config=dataclasses.replace(experiment.config, **changes))


@pytest.fixture(scope="module")
def teachers(tiny: Experiment, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder = tmp_path_factory.mktemp("teachers")
    return [train_teacher(with_(tiny, seed=seed), folder / str(seed), **OPTIONS) for seed in (0, 1)]


@pytest.fixture(scope="module")
def alone(tiny: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train_student(tiny, tmp_path_factory.mktemp("alone") / "run", teachers=(), **OPTIONS)


@pytest.mark.parametrize("pairing", ["own", "shuffled", "shuffled-within-class"])
@pytest.mark.parametrize("who", ["one", "two", "student"])
def test_of_unchanged_windows_the_teachers_say_what_they_said_once(
    tiny: Experiment, teachers: list[Run], alone: Run, pairing: Any, who: str
) -> None:
    heard = {"one": teachers[:1], "two": teachers, "student": [alone]}[who]
    once = with_(tiny, teaching=TeachingConfig(pairing=pairing))
    each = with_(tiny, teaching=TeachingConfig(pairing=pairing, consistent=True))
    table = tiny.windows("train")
    said = consistent_teachers(heard, each, table).view([5, 0, 9], Change())
    expected = views_for(heard, once, table)
    torch.testing.assert_close(said.logits, expected.logits[[5, 0, 9]], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(said.feature, expected.features[[5, 0, 9]], rtol=1e-4, atol=1e-5)


def test_cross_fitted_teachers_speak_consistently_of_strangers_only(
    tiny_config_file: Path, tiny_cache: Path, tmp_path: Path
) -> None:
    changes = ("data.train_on_validation=true", "loss.distance=0", "teaching.cross_fitted=true")
    config = load_config(tiny_config_file, changes=(*changes, "teaching.consistent=true"))
    everybody = Experiment.open(config, root=None, cache=tiny_cache, progress=None)
    halves = []
    for person in ("1", "3"):
        without = dataclasses.replace(config, labels=LabelsConfig(left_out=person))
        experiment = Experiment.open(without, root=None, cache=tiny_cache, progress=None)
        halves.append(train_teacher(experiment, tmp_path / person, **OPTIONS))
    table = everybody.paired_windows()
    rows = [0, len(table) - 1, 3]
    said = consistent_teachers(halves, everybody, table).view(rows, Change())
    expected = views_for(halves, everybody, table)
    torch.testing.assert_close(said.logits, expected.logits[rows], rtol=1e-4, atol=1e-5)
    with pytest.raises(ConfigError, match="every teacher was trained on person 3"):
        consistent_teachers(halves[:1], everybody, table)


def test_a_consistent_run_differs_and_resumes_to_the_bit(tiny: Experiment, teachers: list[Run], tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill_in_second_epoch(done: int, total: int, parts: dict[str, float]) -> None:
        del parts
        if done > total // 2:
            raise Killed

    consistent = with_(tiny, teaching=TeachingConfig(consistent=True))
    whole = train_student(consistent, tmp_path / "whole", teachers=teachers[:1], **OPTIONS)
    once = train_student(tiny, tmp_path / "once", teachers=teachers[:1], **OPTIONS)
    assert whole.card["weights_sha256"] != once.card["weights_sha256"]
    assert whole.card["config"]["teaching"]["consistent"] is True
    options = {**OPTIONS, "progress": kill_in_second_epoch}
    with pytest.raises(Killed):
        train_student(consistent, tmp_path / "killed", teachers=teachers[:1], **options)
    options = {**OPTIONS, "resume": True}
    resumed = train_student(consistent, tmp_path / "killed", teachers=teachers[:1], **options)
    assert resumed.card["weights_sha256"] == whole.card["weights_sha256"]


def test_consistent_teaching_needs_a_teacher(tiny: Experiment, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[teaching\] sets .*'consistent': True.*but there is no teacher"):
        train_student(with_(tiny, teaching=TeachingConfig(consistent=True)), tmp_path / "run", teachers=(), **OPTIONS)


def test_the_control_exchanges_the_same_recordings_either_way(tiny: Experiment, teachers: list[Run]) -> None:
    table = tiny.windows("train")
    control = with_(tiny, teaching=TeachingConfig(pairing="shuffled", consistent=True))
    given_views = views_for(teachers[:1], tiny, table)
    numbered = dataclasses.replace(given_views, features=torch.arange(len(table)).float().unsqueeze(1))
    expected = shuffled(numbered, table, within_class=False, seed=tiny.config.seed).features[:, 0]
    assert consistent_teachers(teachers[:1], control, table).source.tolist() == expected.tolist()
