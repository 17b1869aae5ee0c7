"""Augmentation keeps what physics keeps."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vskd.contract import Contract, SensorSpec, WindowSpec
from vskd.errors import ConfigError
from vskd.stream import Stream
from vskd_training.data.augment import Change, augment, draw_change, mixing
from vskd_training.settings import Augmentation, load_config

OFF = {"rotation_rad": 0.0, "scale": 0.0, "jitter_g": 0.0, "crop": 0.0, "time_warp": 0.0, "mixup": 0.0}


def only(**settings: Any) -> Augmentation:
    return Augmentation(**{**OFF, **settings})


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def windows() -> torch.Tensor:
    return torch.randn(20, 3, 64, generator=seeded(1))


def test_all_off_changes_nothing(windows: torch.Tensor) -> None:
    torch.testing.assert_close(augment(windows, only(), seeded()), windows, rtol=0, atol=0)


def test_a_rotation_keeps_lengths_and_turns_by_no_more_than_the_limit(windows: torch.Tensor) -> None:
    turned = augment(windows, only(rotation_rad=0.35), seeded())
    torch.testing.assert_close(turned.norm(dim=1), windows.norm(dim=1))
    cosine = torch.nn.functional.cosine_similarity(turned, windows, dim=1)
    assert float(cosine.min()) >= math.cos(0.35) - 1e-5
    assert float(cosine.min()) < math.cos(0.2)  # and it does turn


def test_scale_is_one_factor_per_window(windows: torch.Tensor) -> None:
    ratio = augment(windows, only(scale=0.1), seeded()) / windows
    torch.testing.assert_close(ratio, ratio[:, :1, :1].expand_as(ratio), rtol=1e-4, atol=1e-4)
    assert float(ratio[:, 0, 0].std()) == pytest.approx(0.1, rel=0.5)


def test_jitter_has_the_stated_spread(windows: torch.Tensor) -> None:
    noise = augment(windows, only(jitter_g=0.03), seeded()) - windows
    assert float(noise.std()) == pytest.approx(0.03, rel=0.1)


def test_crop_and_warp_read_a_ramp_in_order_within_its_ends() -> None:
    ramp = torch.linspace(0, 1, 64).expand(50, 3, 64)
    read = augment(ramp, only(crop=0.3, time_warp=0.3), seeded())
    steps = read.diff(dim=-1)
    assert float(steps.min()) >= -1e-6
    assert float(read.min()) >= -1e-6
    assert float(read.max()) <= 1 + 1e-6
    covered = read[:, 0, -1] - read[:, 0, 0]
    assert float(covered.min()) >= 0.7 * 0.7 - 0.05
    assert float(covered.max()) < 1.0


def test_a_crop_alone_keeps_the_tempo_even() -> None:
    ramp = torch.linspace(0, 1, 64).expand(50, 3, 64)
    steps = augment(ramp, only(crop=0.3), seeded()).diff(dim=-1)
    torch.testing.assert_close(steps, steps.mean(dim=-1, keepdim=True).expand_as(steps), rtol=1e-3, atol=1e-5)


def test_one_seed_gives_one_batch(windows: torch.Tensor) -> None:
    first, second = (augment(windows, Augmentation(), seeded(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, augment(windows, Augmentation(), seeded(6)))


def test_mixing_keeps_the_larger_share() -> None:
    shares = []
    for seed in range(200):
        partner, share = mixing(8, 0.2, seeded(seed))
        assert sorted(partner.tolist()) == list(range(8))
        shares.append(float(share))
    assert min(shares) >= 0.5
    assert max(shares) <= 1.0
    assert 0.8 < sum(shares) / len(shares) < 0.95  # E[max(b, 1 - b)] for Beta(.2, .2) is 0.89


@pytest.mark.parametrize(
    "settings",
    [
        {"scale": -0.1},
        {"crop": 0.95},
        {"time_warp": 0.6},
        {"clock_skew": 0.3},
        {"clock_skew": -0.1},
        {"sample_dropout": 0.6},
        {"sample_dropout_run": 0},
        {"handedness_flip": 1.1},
    ],
)
def test_settings_without_meaning_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"augment\."):
        only(**settings)


# --- the random stream ----------------------------------------------------------------------------------------------


def test_the_settings_that_were_there_first_draw_what_they_always_drew(windows: torch.Tensor) -> None:
    """The numbers of a batch, in their order; and not one more, so that runs of earlier versions are had again."""
    how, generator, same = Augmentation(), seeded(4), seeded(4)
    change = draw_change(windows.shape, how, generator)
    kept = 1 - how.crop * torch.rand(20, 1, generator=same)
    start = (1 - kept) * torch.rand(20, 1, generator=same)
    phase, depth = torch.rand(20, 1, generator=same), torch.rand(20, 1, generator=same)
    axis, angle = torch.randn(20, 3, generator=same), torch.rand(20, 1, 1, generator=same)
    factor, noise = torch.randn(20, 1, 1, generator=same), torch.randn(windows.shape, generator=same)
    assert torch.equal(generator.get_state(), same.get_state())
    assert change.positions is not None
    assert change.rotation is not None
    warp = how.time_warp * (2 * depth - 1)
    torch.testing.assert_close(change.positions[:, :1], 63 * start, rtol=1e-4, atol=1e-4)
    middle = 0.5 + warp / (2 * math.pi) * (torch.sin(math.pi + 2 * math.pi * phase) - torch.sin(2 * math.pi * phase))
    between = change.positions[:, 31:33].mean(dim=1, keepdim=True)
    torch.testing.assert_close(between, 63 * (start + kept * middle), rtol=1e-3, atol=1e-3)
    turn = torch.nn.functional.normalize(axis, dim=1) * ((2 * angle[:, :, 0] - 1) * how.rotation_rad)
    expected = torch.from_numpy(Rotation.from_rotvec(turn.double().numpy()).as_matrix()).float()
    torch.testing.assert_close(change.rotation, expected, rtol=1e-5, atol=1e-6)
    assert change.factor is not None
    assert torch.equal(change.factor, 1 + how.scale * factor)
    assert change.noise_g is not None
    assert torch.equal(change.noise_g, how.jitter_g * noise)
    assert (change.reflection, change.lost) == (None, None)


def test_what_is_off_draws_nothing(windows: torch.Tensor) -> None:
    generator = seeded(4)
    assert draw_change(windows.shape, only(), generator) == Change()
    assert torch.equal(generator.get_state(), seeded(4).get_state())
    # The settings that came later draw after the others, or, for the rate, do not exist.
    later = draw_change(windows.shape, only(scale=0.1, handedness_flip=0.5, sample_dropout=0.2), seeded(4))
    assert later.factor is not None
    assert torch.equal(later.factor, 1 + 0.1 * torch.randn(20, 1, 1, generator=seeded(4)))


# --- the rate -------------------------------------------------------------------------------------------------------


def test_a_wrong_clock_is_one_tempo_throughout_and_goes_both_ways() -> None:
    ramp = torch.linspace(0, 1, 101).expand(400, 3, 101)
    read = augment(ramp, only(clock_skew=0.1), seeded())
    inner = read[:, 0, 15:86].diff(dim=-1) * 100  # beyond the ends the last reading is held
    tempo = inner.mean(dim=-1)
    torch.testing.assert_close(inner, tempo.unsqueeze(1).expand_as(inner), rtol=1e-3, atol=1e-3)
    assert float(tempo.min()) >= 0.9 - 1e-4
    assert float(tempo.max()) <= 1.1 + 1e-4
    assert float(tempo.min()) < 0.92
    assert float(tempo.max()) > 1.08
    assert float(tempo.mean()) == pytest.approx(1.0, abs=0.01)
    assert float(read.min()) >= 0
    assert float(read.max()) <= 1


def test_a_wrong_clock_keeps_readings_as_they_are() -> None:
    """A sine keeps its height; a subject who moved faster would have reached more."""
    wave = torch.sin(torch.linspace(0, 6 * torch.pi, 400)).expand(30, 3, 400)
    read = augment(wave, only(clock_skew=0.2), seeded())
    torch.testing.assert_close(read.amax(dim=-1), torch.ones(30, 3), rtol=0, atol=1e-3)


def test_a_clock_of_whole_recordings_is_refused(tiny_config_file: Any) -> None:
    assert load_config(tiny_config_file, changes=("augment.clock_skew=0.05",)).augment.clock_skew == 0.05
    with pytest.raises(ConfigError, match=r"augment.clock_skew is 0.05, and window.mode = 'whole' stretches"):
        load_config(tiny_config_file, changes=("augment.clock_skew=0.05", "window.mode=whole"))


# --- lost samples ---------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    samples=st.integers(8, 90),
    longest=st.integers(1, 9),
    share=st.floats(0.01, 0.5),
)
def test_losses_come_in_short_runs_within_the_window(seed: int, samples: int, longest: int, share: float) -> None:
    lost = draw_change((7, 3, samples), only(sample_dropout=share, sample_dropout_run=longest), seeded(seed)).lost
    assert lost is not None
    assert not lost[:, [0, -1]].any()
    for row in lost.tolist():
        runs = [len(list(run)) for is_lost, run in itertools.groupby(row) if is_lost]
        assert all(length <= longest for length in runs)


def test_the_share_of_lost_samples_is_the_stated_one() -> None:
    for longest in (1, 5):
        lost = draw_change((4000, 3, 128), only(sample_dropout=0.4, sample_dropout_run=longest), seeded()).lost
        assert lost is not None
        shares = lost.float().mean(dim=1)
        # Each window's own, even up to the limit; the first and the last sample are never lost.
        assert float(shares.mean()) == pytest.approx(0.2, abs=0.01)
        assert float(shares.max()) < 0.6
        runs = torch.tensor([list(map(int, row)) for row in lost[:200].tolist()])
        begins = int(((runs[:, 1:] == 1) & (runs[:, :-1] == 0)).sum())
        assert int(runs.sum()) / begins == pytest.approx((longest + 1) / 2, rel=0.1)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), slope=st.floats(-3, 3), start=st.floats(-2, 2))
def test_a_straight_line_does_not_notice_that_samples_were_lost(seed: int, slope: float, start: float) -> None:
    line = (start + slope * torch.linspace(0, 1, 50)).expand(6, 3, 50)
    changed = augment(line, only(sample_dropout=0.5, sample_dropout_run=6), seeded(seed))
    torch.testing.assert_close(changed, line, rtol=1e-5, atol=1e-5)


def test_lost_samples_are_bridged_as_the_stream_bridges_them() -> None:
    sensor = SensorSpec(gravity="removed")  # so that no window waits until its unit is believed
    window = WindowSpec(samples=64, rate_hz=50.0, hop_samples=64)
    contract = Contract(labels=("a", "b"), sensor=sensor, window=window)
    windows = torch.randn(40, 3, 64, generator=seeded(2)) * 0.3 + torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1)
    change = draw_change(windows.shape, only(sample_dropout=0.5, sample_dropout_run=8), seeded(3))
    assert change.lost is not None
    assert int(change.lost.sum()) > 200
    changed = change.of_windows(windows)
    for row, lost in enumerate(change.lost):
        kept = ~lost.numpy()
        stream = Stream(contract)
        pushed = stream.push((np.arange(64) / 50.0)[kept], windows[row].numpy().T[kept].astype(np.float64))
        assert stream.health.gaps == 0
        np.testing.assert_allclose(changed[row].numpy(), pushed[0].samples, rtol=0, atol=2e-6)
        np.testing.assert_array_equal(changed[row].numpy()[:, kept], windows[row].numpy()[:, kept])


def test_runs_that_the_stream_would_not_bridge_are_refused(tiny_config_file: Any) -> None:
    changes = ("augment.sample_dropout=0.1", "augment.sample_dropout_run=6")
    with pytest.raises(ConfigError, match=r"leaves 0.28 s between two samples, and the stream bridges .* 0.25 s"):
        load_config(tiny_config_file, changes=changes)
    assert load_config(tiny_config_file, changes=(*changes, "window.mode=whole")).augment.sample_dropout_run == 6


# --- the mirror -----------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), axis=st.sampled_from(["x", "y", "z"]))
def test_a_mirror_keeps_magnitudes_and_is_its_own_inverse(seed: int, axis: str) -> None:
    signal = torch.randn(9, 3, 20, generator=seeded(seed))
    change = draw_change(signal.shape, only(handedness_flip=0.5, handedness_flip_axis=axis), seeded(seed))
    once = change.of_windows(signal)
    assert torch.equal(once.norm(dim=1), signal.norm(dim=1))
    assert torch.equal(change.of_windows(once), signal)
    flipped = "xyz".index(axis)
    others = [row for row in range(3) if row != flipped]
    assert torch.equal(once[:, others], signal[:, others])
    assert torch.equal(once[:, flipped].abs(), signal[:, flipped].abs())


def test_a_mirror_comes_as_often_as_its_probability() -> None:
    signal = torch.ones(2000, 3, 8)
    for probability in (0.25, 1.0):
        flipped = augment(signal, only(handedness_flip=probability), seeded())[:, 0, 0] < 0
        assert float(flipped.float().mean()) == pytest.approx(probability, abs=0.04)


@pytest.mark.parametrize(
    ("axis", "left", "right"),
    [
        # Columns: where the watch's x, y, z point, of a left forearm that points along +X with its back up (+Z); its
        # little finger is then at +Y. The mirror is X, Z: the other little finger is at -Y.
        (
            "x",
            [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
            [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],
        ),  # 12 o'clock to the little finger
        ("y", [[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),  # the crown to the hand
    ],
)
def test_the_mirror_is_what_the_watch_on_the_other_wrist_reads(
    axis: str, left: list[list[int]], right: list[list[int]]
) -> None:
    """From two watches in the room: one subject's motion, and the same with the other hand."""
    rng = np.random.default_rng(0)
    in_mirror = np.diag([1.0, -1.0, 1.0])
    turns = Rotation.random(12, rng=rng).as_matrix()  # of the left forearm, over time
    force = rng.normal(size=(12, 3))
    mirrored_turns = in_mirror @ turns @ in_mirror
    first = np.einsum("tji,tj->ti", turns @ np.array(left, float), force)
    other = np.einsum("tji,tj->ti", mirrored_turns @ np.array(right, float), force @ in_mirror)
    change = draw_change((1, 3, 12), only(handedness_flip=1.0, handedness_flip_axis=axis), seeded())
    seen = change.of_windows(torch.from_numpy(first.T[np.newaxis]).float())[0].T.numpy()
    np.testing.assert_allclose(seen, other, atol=1e-6)
