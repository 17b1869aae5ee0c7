"""Virtual windows: the physics by hand, the strap found again, and no skeletons but the training subjects'."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from training.published_trees import write_utd_trial
from vskd.errors import ConfigError, DataError
from vskd_training.data import virtual_windows as module
from vskd_training.data.experiment import Experiment
from vskd_training.data.virtual_windows import (
    TORSO_M,
    VirtualWindows,
    nearest_rotation,
    virtual_windows,
    with_subjects,
)
from vskd_training.data.virtual_wrist import limb_parts_g, thigh_axes
from vskd_training.data.windows import UNLABELLED
from vskd_training.datasets.utd_mhad import RIGHT_ARM, RIGHT_THIGH
from vskd_training.distillation.targets import DistillationTargets
from vskd_training.loop.tasks import EpochOrder, StudentTask, student_task
from vskd_training.loop.train import train_student
from vskd_training.models.output import ModelOutput
from vskd_training.runs.run import Run
from vskd_training.settings import Augmentation, Config, LossWeights, VirtualConfig, load_config

G = 9.80665
UP = (0.0, 1.0, 0.0)
HALF = VirtualConfig(per_real=0.5)
FRAMES, SAMPLES = 40, 101


def body_m(seed: int) -> NDArray[np.float64]:
    """Twenty joints (frames, 20, 3) of somebody who stands, waves both arms and lifts both knees in turn."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 2, FRAMES)
    joints = np.zeros((FRAMES, 20, 3))
    joints[:, 1] = (0, TORSO_M, 0)
    for shoulder, side in ((4, -1), (8, 1)):
        raised = 0.6 + 0.5 * np.sin(3 * t + rng.uniform(0, 6))
        joints[:, shoulder] = (0.2 * side, TORSO_M, 0)
        joints[:, shoulder + 1] = joints[:, shoulder] + np.array([0.1 * side, -0.25, 0.05])
        reach = np.stack([0.1 * side + 0 * t, np.sin(raised), -np.cos(raised)], axis=1)
        joints[:, shoulder + 2] = joints[:, shoulder + 1] + 0.22 * reach
    for hip, side in ((12, -1), (16, 1)):
        lifted = 0.4 + 0.4 * np.sin(2.5 * t + rng.uniform(0, 6) + side)
        joints[:, hip] = (0.1 * side, -0.05, 0)
        joints[:, hip + 1] = joints[:, hip] + 0.4 * np.stack([0 * t, -np.cos(lifted), -np.sin(lifted)], axis=1)
    return joints + rng.uniform(-1, 1, 3) + (0, 0, 3)


STRAPS = {subject: Rotation.from_rotvec([0.3 * subject, -0.2, 0.1 * subject]).as_matrix() for subject in range(1, 5)}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four subjects, actions 1 (arm), 4 and 23 (both sides alike; arm and thigh), 27 (thigh), two trials each.

    The real sensor reads what physics says of the skeleton, turned by how each subject wore the strap.
    """
    root = tmp_path_factory.mktemp("utd")
    for action, subject, trial in itertools.product((1, 4, 23, 26), (1, 2, 3, 4), (1, 2)):
        joints = body_m(100 * action + 10 * subject + trial)
        limb = "arm" if action <= 21 else "thigh"
        limb_m = joints[:, RIGHT_ARM if limb == "arm" else RIGHT_THIGH]
        at_s = np.arange(SAMPLES) / 50
        times = np.linspace(0, at_s[-1], FRAMES)
        reading = sum(limb_parts_g(times, limb_m, limb=limb, at_s=at_s, up=UP)) @ STRAPS[subject].T
        name = f"a{action}_s{subject}_t{trial}"
        write_utd_trial(root, name, sensor=np.hstack([reading, reading]), joints_m=np.moveaxis(joints, 0, 2))
    return root


CONFIG = """
threads = 1
[data]
dataset = "utd-mhad"
view = "joints"
validation_subjects = ["3"]
allow_missing_classes = true
[window]
mode = "whole"
samples = 64
[gaf]
size = 16
[student]
width = 0.125
[student_training]
epochs = 2
batch = 4
[loss]
kd = 0.5
"""


@pytest.fixture(scope="module")
def config_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "joints.toml"
    path.write_text(CONFIG)
    return path


Open = Callable[..., Experiment]


@pytest.fixture(scope="module")
def opened(tree: Path, config_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Open:
    cache = tmp_path_factory.mktemp("cache")

    def call(*changes: str, root: Path = tree) -> Experiment:
        return Experiment.open(load_config(config_file, changes=changes), root=root, cache=cache, progress=None)

    return call


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual windows that do not vary."""
    for name in ("STRAP_RAD", "LENGTH", "BIAS_G", "NOISE_G"):
        monkeypatch.setattr(module, name, 0.0)


#: Three training subjects.
ALL_TRAIN = ("data.protocol=fixed", "data.test_subjects=[4]", "data.train_on_validation=true")


def train(experiment: Experiment, out: Path, **options: Any) -> Run:
    return train_student(experiment, out, **{"teachers": (), **options})


# --- physics --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_rad_s", [0.0, 1.0, 2.5])
def test_a_swinging_thigh_reads_gravity_and_the_pull_to_the_hip(rate_rad_s: float) -> None:
    """A thigh of 0.4 m that turns about the line through both hips; the sensor is half way down."""
    time_s = np.linspace(0, 2, 61)
    angle = rate_rad_s * (time_s - 1)
    hips = np.broadcast_to([[0.0, 0, 0], [0.2, 0, 0]], (61, 2, 3))
    knee = hips[:, 1] + 0.4 * np.stack([0 * angle, -np.cos(angle), np.sin(angle)], axis=1)
    at_s = np.linspace(0.3, 1.7, 29)
    leg = np.concatenate([hips, knee[:, np.newaxis]], axis=1)
    motion, gravity = limb_parts_g(time_s, leg, limb="thigh", at_s=at_s, up=UP)
    np.testing.assert_allclose(motion[:, 0], -(rate_rad_s**2) * 0.2 / G, atol=0.003)
    np.testing.assert_allclose(motion[:, 1:], 0, atol=0.003)
    np.testing.assert_allclose(gravity[:, 0], -np.cos(rate_rad_s * (at_s - 1)), atol=0.003)
    np.testing.assert_allclose(gravity[:, 2], 0, atol=1e-6)


def test_motion_grows_with_the_body_and_gravity_does_not() -> None:
    time_s, joints = np.linspace(0, 2, FRAMES), body_m(2)[:, RIGHT_THIGH]
    options: Any = {"limb": "thigh", "at_s": np.linspace(0, 2, 50), "up": UP}
    small, large = limb_parts_g(time_s, joints, **options), limb_parts_g(time_s, 1.3 * joints, **options)
    np.testing.assert_allclose(large[0], 1.3 * small[0], atol=1e-9)
    np.testing.assert_allclose(large[1], small[1], atol=1e-9)


def test_a_thigh_without_axes_is_refused() -> None:
    leg = np.tile([[0.0, 0, 0], [0.2, 0, 0], [0.6, 0, 0]], (10, 1, 1))
    with pytest.raises(DataError, match="lies on the line through both hips"):
        thigh_axes(leg)
    with pytest.raises(DataError, match="hips and knee are not three places"):
        thigh_axes(leg * 0)


@settings(max_examples=50)
@given(st.integers(0, 10_000))
def test_the_nearest_rotation_is_found_again(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = Rotation.random(random_state=seed).as_matrix()
    virtual = rng.normal(size=(3, 20))
    found = nearest_rotation(truth @ virtual @ virtual.T)
    np.testing.assert_allclose(found, truth, atol=1e-9)
    # A mirror image is nearer to its virtual readings by a reflection, which no strap can do.
    mirrored = nearest_rotation(np.diag([1.0, 1.0, -1.0]) @ truth @ virtual @ virtual.T)
    assert np.linalg.det(mirrored) == pytest.approx(1)


# --- windows --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("still")
def test_without_variation_a_virtual_window_is_the_real_one(opened: Open) -> None:
    experiment = opened(*ALL_TRAIN)
    table = experiment.windows("train")
    made = virtual_windows(experiment.prepared, table, HALF)
    assert made.rows.tolist() == list(range(len(table)))
    assert made.left_out == ()
    drawn = made.draw(torch.arange(len(made)), torch.Generator())
    # The real window is interpolated between the sensor's samples, the virtual one between the camera's frames.
    np.testing.assert_allclose(drawn.numpy(), table.samples, atol=0.01)
    straps = {table.subjects[row]: strap.numpy() for row, strap in zip(made.rows.tolist(), made.strap, strict=True)}
    for subject, strap in straps.items():
        np.testing.assert_allclose(strap, STRAPS[int(subject)], atol=0.01)


@pytest.mark.usefixtures("still")
def test_a_sliding_window_is_read_in_its_own_time(opened: Open) -> None:
    experiment = opened(*ALL_TRAIN, "window.mode=sliding", "window.hop_samples=16")
    table = experiment.windows("train")
    assert len(table) > len(experiment.split.train)
    made = virtual_windows(experiment.prepared, table, HALF)
    assert sorted(made.rows.tolist()) == list(range(len(table)))
    drawn = made.draw(torch.arange(len(made)), torch.Generator())
    np.testing.assert_allclose(drawn.numpy(), table.samples[made.rows.numpy()], atol=0.01)


@pytest.mark.usefixtures("still")
def test_the_strap_turns_round_the_limb_and_nothing_else(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = opened(*ALL_TRAIN)
    table = experiment.windows("train")
    made = virtual_windows(experiment.prepared, table, HALF)
    rows = torch.arange(len(made))
    plain = made.draw(rows, torch.Generator())
    monkeypatch.setattr(module, "STRAP_RAD", 1.0)
    turned = made.draw(rows, torch.Generator().manual_seed(1))
    to_limb = made.strap.transpose(1, 2)
    before, after = to_limb @ plain, to_limb @ turned
    torch.testing.assert_close(after[:, 0], before[:, 0], atol=1e-4, rtol=0)
    angle = torch.atan2(after[:, 2], after[:, 1]) - torch.atan2(before[:, 2], before[:, 1])
    angle = torch.atan2(angle.sin(), angle.cos())
    assert float(angle.std(dim=1).max()) < 1e-3
    assert 0.5 < float(angle.abs().max()) <= 1.001


@pytest.mark.usefixtures("still")
def test_length_offset_and_noise_have_the_sizes_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    count, samples = 4000, 16
    still = torch.zeros(count, 3, samples)
    each = VirtualWindows(
        torch.arange(count), still + 1.0, still, torch.eye(3).repeat(count, 1, 1), frozenset(), (), HALF
    )

    def drawn(name: str, size: float) -> torch.Tensor:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, size)
            return each.draw(torch.arange(count), torch.Generator().manual_seed(0))

    long = drawn("LENGTH", 0.2)
    assert float(long.std(dim=(1, 2)).max()) < 1e-5
    assert float(long[:, 0, 0].std()) == pytest.approx(0.2 * TORSO_M, rel=0.05)
    offset = drawn("BIAS_G", 0.1)
    assert float(offset.std(dim=2).max()) < 1e-5
    assert float(offset[:, :, 0].std()) == pytest.approx(0.1, rel=0.05)
    assert float((drawn("NOISE_G", 0.05) - TORSO_M).std()) == pytest.approx(0.05, rel=0.05)


def test_a_subject_without_a_sensor_gets_the_strap_of_the_others(opened: Open) -> None:
    experiment = opened(*ALL_TRAIN)
    table = experiment.windows("train")
    made = virtual_windows(experiment.prepared, table, dataclasses.replace(HALF, without_sensor=("2",)))
    mine = [place for place, row in enumerate(made.rows.tolist()) if table.subjects[row] == "2"]
    assert made.without_sensor == {int(made.rows[place]) for place in mine}
    between = Rotation.from_matrix(made.strap[mine[0]].numpy())
    for one, other in ((STRAPS[1], STRAPS[3]),):
        apart = (Rotation.from_matrix(one).inv() * Rotation.from_matrix(other)).magnitude()
        for strap in (one, other):
            assert (Rotation.from_matrix(strap).inv() * between).magnitude() < 0.8 * apart


def test_subjects_with_a_sensor_are_drawn_like_subjects_with_a_label(opened: Open) -> None:
    for seed in range(4):
        changes = (*ALL_TRAIN, f"labels.seed={seed}")
        labelled = opened(*changes, "labels.count=1").split.train_subjects
        experiment = opened(*changes, "virtual.per_real=1", "virtual.sensor_count=1")
        how = with_subjects(experiment.config, experiment.windows("train"))
        assert {*how.without_sensor, *labelled} == {"1", "2", "3"}
        assert len(how.without_sensor) == 2
    experiment = opened(*changes, "virtual.per_real=1", "virtual.sensor_count=4")
    with pytest.raises(ConfigError, match="sensor_count is 4, and there are 3 training subjects"):
        with_subjects(experiment.config, experiment.windows("train"))
    with pytest.raises(ConfigError, match="without_sensor and sensor_count exclude each other"):
        VirtualConfig(per_real=1, sensor_count=1, without_sensor=("1",))


def test_a_skeleton_without_a_limb_is_left_out_and_counted(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = opened(*ALL_TRAIN)
    table = experiment.windows("train")
    broken = int(table.recordings[0])
    real = experiment.prepared.video
    monkeypatch.setattr(
        experiment.prepared, "video", lambda index: (real(index)[0], real(index)[1] * (0 if index == broken else 1))
    )
    made = virtual_windows(experiment.prepared, table, HALF)
    assert made.left_out == (experiment.prepared.infos[broken].id,)
    assert 0 not in made.rows.tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"without_sensor": ("4",)}, r"names '4', who is no training subject.*1, 2, 3"),
        ({"without_sensor": ("1", "2", "3")}, "names all training subjects"),
    ],
)
def test_subjects_who_cannot_lack_a_sensor_are_refused(opened: Open, changes: Any, message: str) -> None:
    experiment = opened(*ALL_TRAIN)
    with pytest.raises(ConfigError, match=message):
        virtual_windows(experiment.prepared, experiment.windows("train"), dataclasses.replace(HALF, **changes))


def test_a_limb_that_no_real_sensor_sat_on_is_refused(opened: Open) -> None:
    experiment = opened(*ALL_TRAIN)
    prepared = experiment.prepared
    arms = [row for row in experiment.split.train if "swipe" in prepared.infos[row].label]
    thighs = [row for row in experiment.split.train if prepared.infos[row].label == "lunge"]
    mixed = [*(row for row in arms if prepared.infos[row].subject == "1")]
    mixed += [row for row in thighs if prepared.infos[row].subject == "2"]
    split = dataclasses.replace(experiment.split, train=tuple(mixed))
    table = dataclasses.replace(experiment, sides=dataclasses.replace(experiment.sides, split=split)).windows("train")
    with pytest.raises(DataError, match="sat on the thigh, so the strap is unknown"):
        virtual_windows(prepared, table, dataclasses.replace(HALF, without_sensor=("2",)))


def test_a_data_set_without_joints_is_refused(tiny: Experiment, tmp_path: Path) -> None:
    config = dataclasses.replace(tiny.config, virtual=HALF)
    with pytest.raises(ConfigError, match=r"needs the joints of a skeleton, and the view of synthetic.* 'rendered'"):
        train(dataclasses.replace(tiny, config=config), tmp_path / "run")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("per_real", -0.1, "virtual.per_real must not be negative, got -0.1"),
        ("per_real", 9, "virtual.per_real must be 8 at most, got 9"),
        ("sensor_count", -1, "virtual.sensor_count must not be negative, got -1"),
        ("strap_rad", 1, r"'strap_rad' in virtual. It was removed: no study changed it"),
        ("without_sensor", '["1"]', "without a sensor need virtual windows.*per_real above 0"),
        ("per_real", "nan", "virtual.per_real must be a finite number, got nan"),
        ("sensor_count", 1, "without a sensor need virtual windows.*per_real above 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(config_file: Path, key: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(config_file, changes=(f"virtual.{key}={value}",))


def test_sensors_drawn_among_subjects_drawn_for_their_labels_are_refused(config_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"sensor_count and \[labels\] exclude each other.*virtual.without_sensor"):
        load_config(config_file, changes=("virtual.per_real=1", "virtual.sensor_count=1", "labels.count=2"))


def test_a_student_does_not_teach_of_virtual_windows(opened: Open, tmp_path: Path) -> None:
    alone = train(opened(*ALL_TRAIN), tmp_path / "alone")
    taught = opened(*ALL_TRAIN, "virtual.per_real=1", "loss.kd=0.5")
    with pytest.raises(ConfigError, match=r"a student cannot teach with virtual windows.*virtual.per_real = 0"):
        train(taught, tmp_path / "taught", teachers=[alone])
    assert not (tmp_path / "taught").exists()


# --- batches --------------------------------------------------------------------------------------------------------


def task(experiment: Experiment, how: VirtualConfig | None, *, teacher: bool = False) -> StudentTask:
    table = experiment.paired_windows()
    virtual = virtual_windows(experiment.prepared, table, how) if how else None
    places = torch.arange(len(table)).float().unsqueeze(1)
    targets = DistillationTargets(table.ids, ModelOutput(places.repeat(1, 27), places)) if teacher else None
    config = dataclasses.replace(experiment.config, augment=Augmentation(mixup=0), loss=LossWeights(), seed=5)
    return student_task(table, config, 27, targets=targets, virtual=virtual)


def test_real_windows_stay_what_they_are_without_virtual_ones(opened: Open) -> None:
    experiment = opened(*ALL_TRAIN)
    for epoch in (0, 1):
        alone = list(task(experiment, None).batches(epoch, 8))
        mixed = list(task(experiment, HALF).batches(epoch, 8))
        assert len(alone) == len(mixed) == task(experiment, HALF).steps(8)
        for one, other in zip(alone, mixed, strict=True):
            real = len(one.rows)
            assert torch.equal(other.rows[:real], one.rows)
            assert len(other.rows) == real + round(0.5 * real)
            assert torch.equal(other.windows[:real], one.windows)


def test_virtual_windows_draw_from_a_stream_of_their_own(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    make = EpochOrder.generator

    def noted(self: EpochOrder, epoch: int, device: torch.device, *, stream: int = 0) -> torch.Generator:
        made = make(self, epoch, device, stream=stream)
        seeds.append(made.initial_seed())
        return made

    monkeypatch.setattr(EpochOrder, "generator", noted)
    next(task(opened(*ALL_TRAIN), HALF).batches(0, 8))
    assert len(set(seeds)) == len(seeds) == 2


def test_a_virtual_window_has_the_label_and_the_teacher_of_its_clip(opened: Open) -> None:
    experiment = opened(*ALL_TRAIN, "labels.subjects=[1,2]")
    table = experiment.paired_windows()
    unlabelled = 0
    for batch in task(experiment, HALF, teacher=True).batches(0, 8):
        assert batch.targets is not None
        for row, label, feature in zip(batch.rows.tolist(), batch.labels, batch.targets.feature, strict=True):
            assert int(feature) == row
            known = int(table.labels[row])
            assert label.tolist() == [float(known == index) for index in range(27)]
            unlabelled += known == UNLABELLED
    assert unlabelled


def test_nobody_sees_the_real_windows_of_subjects_without_a_sensor(opened: Open) -> None:
    experiment = opened(*ALL_TRAIN)
    how = dataclasses.replace(HALF, without_sensor=("2",), per_real=2.0)
    made, ids = task(experiment, how), experiment.paired_windows().ids
    seen: dict[str, set[str]] = {"real": set(), "virtual": set()}
    for epoch in range(3):
        for batch in made.batches(epoch, 8):
            names = [ids[row].split("_")[1] for row in batch.rows.tolist()]
            real = len(names) // 3
            seen["real"] |= {*names[:real]}
            seen["virtual"] |= {*names[real:]}
    assert seen == {"real": {"s1", "s3"}, "virtual": {"s1", "s2", "s3"}}
    assert made.steps(8) == 2


# --- runs -----------------------------------------------------------------------------------------------------------


def test_a_run_repeats_resumes_and_says_what_it_had(opened: Open, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def killed(done: int, total: int, parts: dict[str, float]) -> None:
        del parts
        if done > total // 2:
            raise Killed

    experiment = opened("virtual.per_real=0.5")
    one = train(experiment, tmp_path / "one")
    with pytest.raises(Killed):
        train(experiment, tmp_path / "two", progress=killed)
    two = train(experiment, tmp_path / "two", resume=True)
    for name in ("run.json", "model.safetensors"):
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes()
    assert one.card["virtual"] == {"windows": len(experiment.windows("train")), "without_sensor": [], "left_out": []}
    alone = train(opened(), tmp_path / "alone")
    assert "virtual" not in alone.card
    assert alone.card["weights_sha256"] != one.card["weights_sha256"]


def test_skeletons_of_validation_and_test_subjects_are_never_read(opened: Open, tree: Path, tmp_path: Path) -> None:
    """Other bodies in the clips of everybody but subject 1 change no bit of the student."""
    for folder in ("Inertial", "Skeleton"):
        (tmp_path / "other" / folder).mkdir(parents=True)
        for path in (tree / folder).iterdir():
            content = path.read_bytes()
            subject = path.name.split("_")[1]
            if folder == "Skeleton" and subject != "s1":
                content = (tree / folder / path.name.replace(subject, "s1")).read_bytes()
            (tmp_path / "other" / folder / path.name).write_bytes(content)
    changes = ("virtual.per_real=1",)
    ours = train(opened(*changes), tmp_path / "ours")
    theirs = train(opened(*changes, root=tmp_path / "other"), tmp_path / "theirs")
    assert ours.card["data"]["split"]["train"] == ["1"]
    assert ours.card["data"]["key"] != theirs.card["data"]["key"]
    assert ours.card["weights_sha256"] == theirs.card["weights_sha256"]


def test_the_section_survives_the_run_card(config_file: Path) -> None:
    from vskd.closed import from_mapping, to_mapping

    config = load_config(config_file, changes=("virtual.per_real=0.5", "virtual.without_sensor=[3]"))
    assert config.virtual.without_sensor == ("3",)
    assert from_mapping(Config, json.loads(json.dumps(to_mapping(config))), where="card") == config


@pytest.mark.data
def test_virtual_windows_follow_the_real_watch(utd_mhad_root: Path, config_file: Path, tmp_path: Path) -> None:
    """Person by subject the strap sits alike, and gravity and slow motion are those that the watch read."""
    config = load_config(config_file, changes=("data.validation_subjects=[7]",))
    experiment = Experiment.open(config, root=utd_mhad_root, cache=tmp_path, progress=None)
    table = experiment.windows("train")
    made = virtual_windows(experiment.prepared, table, HALF)
    assert made.left_out == ()
    drawn = made.draw(torch.arange(len(made)), torch.Generator()).numpy()
    distance = np.sqrt(((drawn - table.samples) ** 2).sum(axis=1).mean())
    size = np.sqrt((table.samples**2).sum(axis=1).mean())
    assert distance < 0.8 * size
    arm = np.array([strap[0, 0].item() < 0 for strap in made.strap])
    for limb in (arm, ~arm):
        first, *others = np.unique(made.strap[limb].numpy().round(6), axis=0)
        for other in others:
            assert (Rotation.from_matrix(first).inv() * Rotation.from_matrix(other)).magnitude() < 0.8
