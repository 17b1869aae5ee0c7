"""The signal that models are fed: every delivery completes a window, and no window is one that a wrist cannot give."""

from __future__ import annotations

import numpy as np
import pytest

from vskd.bundle import Bundle
from vskd.errors import BundleError, ContractError
from vskd.stream import Stream
from vskd_benchmarks.pipelines.wrist_signal import (
    JITTER,
    Delivery,
    deliver,
    ready_windows,
    synthetic_wrist,
    wrist_signal,
)

from ..conftest import golden_file, wrist_windows


def test_every_delivery_completes_one_window(bundle):
    signal = wrist_signal(bundle)
    assert signal.source == "synthetic"
    stream = Stream(bundle.contract)
    assert len(stream.push(signal.prime.time_s, signal.prime.xyz)) == 1
    assert [len(stream.push(part.time_s, part.xyz)) for part in signal.deliveries] == [1] * len(signal.deliveries)
    assert len(signal.deliveries) > 30
    assert stream.health.out_of_order == stream.health.gaps == stream.health.not_finite == 0


def test_timestamps_are_jittered_about_the_rate(bundle):
    steps = np.concatenate([np.diff(part.time_s) for part in wrist_signal(bundle).deliveries]) * 50
    assert np.mean(steps) == pytest.approx(1.0, abs=0.01)
    assert np.std(steps) > 0.05
    assert np.abs(steps - 1).max() <= 2 * JITTER


def test_equal_bundles_give_equal_signals(bundle):
    first, second = wrist_signal(bundle), wrist_signal(bundle)
    assert all(
        np.array_equal(a.xyz, b.xyz) and np.array_equal(a.time_s, b.time_s)
        for a, b in zip(first.deliveries, second.deliveries, strict=True)
    )


def test_a_synthetic_wrist_stays_near_one_g():
    strength = np.linalg.norm(synthetic_wrist(10.0, 50.0), axis=1)
    assert 0.7 < np.median(strength) < 1.5


def test_real_golden_windows_are_used_and_adversarial_ones_are_not(make_bundle, tmp_path):
    real = wrist_windows(4)
    adversarial = np.stack([np.full((3, 128), fill, np.float32) for fill in (0.0, 1.0, 30.0, 1e9)])
    content = golden_file(np.concatenate([adversarial, real]))
    bundle = Bundle.open(make_bundle(tmp_path / "golden.bundle", mode="whole", files={"golden/vectors.npz": content}))
    signal = wrist_signal(bundle)
    assert signal.source == "golden windows"
    assert signal.describe()["different_windows"] == 4
    assert all(
        np.array_equal(part.xyz.astype(np.float32).T, window)
        for part, window in zip(signal.deliveries, real, strict=True)
    )


def test_golden_windows_without_a_real_one_give_way_to_the_synthetic_wrist(make_bundle, tmp_path):
    content = golden_file(np.zeros((8, 3, 128), np.float32))
    bundle = Bundle.open(make_bundle(tmp_path / "flat.bundle", files={"golden/vectors.npz": content}))
    assert wrist_signal(bundle).source == "synthetic"


def test_changed_golden_windows_are_refused(make_bundle, tmp_path):
    content = golden_file(wrist_windows(4))
    folder = make_bundle(tmp_path / "golden.bundle", files={"golden/vectors.npz": content})
    path = folder / "golden" / "vectors.npz"
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BundleError, match=r"vectors\.npz was changed"):
        wrist_signal(Bundle.open(folder))


def test_too_short_a_signal_is_refused(bundle):
    samples = Delivery(np.arange(150) / 50.0, synthetic_wrist(3.0, 50.0))
    with pytest.raises(ContractError, match="150 samples complete 1 windows, two are needed"):
        deliver(bundle.contract, samples)


def test_ready_windows_are_those_of_the_stream(bundle, whole_bundle):
    signal = wrist_signal(bundle)
    stream = Stream(bundle.contract)
    pushed = [stream.push(part.time_s, part.xyz)[0].samples for part in (signal.prime, *signal.deliveries)]
    ready = ready_windows(bundle.contract, signal)
    assert all(np.array_equal(a, b) for a, b in zip(ready, pushed, strict=True))
    assert [w.shape for w in ready_windows(whole_bundle.contract, wrist_signal(whole_bundle))] == [(3, 128)]
