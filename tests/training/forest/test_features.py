"""Hand-made features, each against its definition computed another way."""

from __future__ import annotations

import itertools
import statistics

import numpy as np
import pytest
from scipy import stats

from vskd_training.forest.features import feature_names, window_features

AXES = ("x", "y", "z")


def by_name(windows: np.ndarray) -> dict[str, np.ndarray]:
    names, features = feature_names(AXES, windows.shape[-1]), window_features(windows)
    assert features.shape == (len(windows), len(names))
    assert features.dtype == np.float32
    assert len(set(names)) == len(names)
    return dict(zip(names, features.T, strict=True))


@pytest.mark.parametrize(("samples", "amplitudes"), [(128, 24), (48, 24), (20, 10), (9, 4)])
def test_names_and_number(samples: int, amplitudes: int) -> None:
    found = by_name(np.random.default_rng(0).normal(0, 1, (3, 3, samples)))
    assert len(found) == 4 * 8 + 3 + 3 * amplitudes
    assert [name for name in found if name.startswith("x amplitude")][-1] == f"x amplitude_{amplitudes}"


def test_statistics_of_axes_and_magnitude() -> None:
    windows = np.random.default_rng(1).normal(0, 2, (4, 3, 64))
    found = by_name(windows)
    for row, window in enumerate(windows):
        signals = dict(zip(AXES, window.tolist(), strict=True))
        signals["magnitude"] = [float(np.sqrt(x * x + y * y + z * z)) for x, y, z in window.T]
        for name, signal in signals.items():
            low, middle, high = statistics.quantiles(signal, n=4, method="inclusive")
            expected = {
                "mean": statistics.fmean(signal),
                "std": statistics.pstdev(signal),
                "min": min(signal),
                "max": max(signal),
                "q25": low,
                "q50": middle,
                "q75": high,
                "mean_difference": statistics.fmean(abs(b - a) for a, b in itertools.pairwise(signal)),
            }
            for statistic, value in expected.items():
                assert found[f"{name} {statistic}"][row] == pytest.approx(value, abs=1e-6), (name, statistic)


def test_correlations_are_pearsons_and_0_of_a_flat_axis() -> None:
    windows = np.random.default_rng(2).normal(0, 1, (2, 3, 64))
    windows[0, 1] += 2 * windows[0, 0]
    windows[1, 2] = 0.1
    found = by_name(windows)
    for one, other in (("x", "y"), ("x", "z"), ("y", "z")):
        expected = stats.pearsonr(windows[0, AXES.index(one)], windows[0, AXES.index(other)]).statistic
        assert found[f"{one}-{other} correlation"][0] == pytest.approx(expected, abs=1e-6)
    assert found["x-z correlation"][1] == found["y-z correlation"][1] == 0
    assert found["x-y correlation"][1] != 0


@pytest.mark.parametrize("periods", [1, 5, 24])
def test_an_amplitude_is_that_of_a_sine(periods: int) -> None:
    time = np.arange(100) / 100
    windows = np.zeros((1, 3, 100))
    windows[0, 1] = 1 + 0.75 * np.sin(2 * np.pi * periods * time + 0.3)
    found = by_name(windows)
    for name, value in found.items():
        if "amplitude" in name:
            assert value[0] == pytest.approx(0.75 if name == f"y amplitude_{periods}" else 0, abs=1e-6), name
