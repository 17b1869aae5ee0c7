"""The torch encoder against the numpy one, which ``tests/runtime/test_gaf.py`` holds to the definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vskd.contract import GafSpec
from vskd.encoders.gaf import GafEncoder
from vskd.errors import SignalError
from vskd_training.models.encoder import GafLayer

EVERY_SCALING = ("minmax", "range", "tanh")
EVERY_CHOICE = [(("gasf",)), (("gadf",)), ("gasf", "gadf"), ("gadf", "gasf")]

torch.set_num_threads(1)

windows_of_32 = hnp.arrays(np.int64, (2, 3, 32), elements=st.integers(-8192, 8192)).map(
    lambda counts: (counts / 1024).astype(np.float32)
)


def difference(spec: GafSpec, windows: np.ndarray) -> float:
    """Largest difference between the two executions."""
    samples = windows.shape[-1]
    with torch.no_grad():
        executed = GafLayer(spec, samples)(torch.from_numpy(windows)).numpy()
    reference = GafEncoder(spec, samples)(windows)
    assert executed.shape == reference.shape
    assert executed.dtype == np.float32
    return float(np.abs(executed - reference).max())


@pytest.mark.parametrize("fields", EVERY_CHOICE)
@pytest.mark.parametrize("scaling", EVERY_SCALING)
@pytest.mark.parametrize(("samples", "size"), [(64, 64), (128, 64), (128, 32)])
def test_torch_is_numpy(fields: tuple[str, ...], scaling: str, samples: int, size: int) -> None:
    noise = np.random.default_rng(samples).standard_normal((20, 3, samples))
    windows = np.float32(noise * np.linspace(0.05, 3, 20)[:, np.newaxis, np.newaxis] + 0.5)
    spec = GafSpec(fields=fields, scaling=scaling, size=size)  # type: ignore[arg-type]
    assert difference(spec, windows) <= 2e-6


@pytest.mark.parametrize("scaling", ["range", "tanh"])
@pytest.mark.parametrize(("samples", "size"), [(100, 64), (177, 48), (50, 33)])
def test_torch_is_numpy_for_uneven_segments(scaling: str, samples: int, size: int) -> None:
    windows = np.float32(np.random.default_rng(samples).standard_normal((20, 3, samples)))
    assert difference(GafSpec(fields=("gasf", "gadf"), scaling=scaling, size=size), windows) <= 2e-6  # type: ignore[arg-type]


@pytest.mark.parametrize(("samples", "size"), [(100, 64), (177, 48), (50, 33)])
def test_minmax_of_uneven_segments_differs_by_the_rounding_of_a_mean(samples: int, size: int) -> None:
    # The two libraries add three or more readings up in another order; near an extremum the sine is the root of that.
    windows = np.float32(np.random.default_rng(samples).standard_normal((20, 3, samples)))
    assert difference(GafSpec(fields=("gasf", "gadf"), scaling="minmax", size=size), windows) <= 2e-5


@settings(max_examples=60)
@given(windows=windows_of_32, scaling=st.sampled_from(EVERY_SCALING), scale_g=st.sampled_from([1.0, 2.0, 7.5]))
def test_torch_is_numpy_on_any_readings(windows: np.ndarray, scaling: str, scale_g: float) -> None:
    spec = GafSpec(fields=("gasf", "gadf"), scaling=scaling, scale_g=scale_g, size=16)  # type: ignore[arg-type]
    assert difference(spec, windows) <= 2e-6


@pytest.mark.parametrize("scaling", EVERY_SCALING)
@pytest.mark.parametrize("level", [0.0, 1.0, -30.0, 1e30, -1e30, 1e-40])
def test_flat_saturated_huge_and_denormal_windows_are_finite_and_alike(scaling: str, level: float) -> None:
    windows = np.full((2, 3, 32), level, dtype=np.float32)
    windows[1, :, ::3] = -level
    spec = GafSpec(fields=("gasf", "gadf"), scaling=scaling, size=16)  # type: ignore[arg-type]
    assert difference(spec, windows) <= 2e-6


@pytest.mark.parametrize("scaling", ["range", "tanh"])
def test_gradients_to_the_window_are_finite_within_the_range(scaling: str) -> None:
    """Nothing here trains through the encoder. Under ``minmax``, and beyond ``range``, the sine is a root at 0."""
    noise = np.random.default_rng(5).standard_normal((2, 3, 32))
    windows = torch.tensor(noise, dtype=torch.float32, requires_grad=True)
    spec = GafSpec(fields=("gasf", "gadf"), scaling=scaling, scale_g=8.0, size=16)  # type: ignore[arg-type]
    GafLayer(spec, 32)(windows)[:, :, 1:].square().sum().backward()
    assert windows.grad is not None
    assert windows.grad.isfinite().all()
    assert windows.grad.abs().max() > 0


def test_the_encoder_has_nothing_to_learn_or_to_save() -> None:
    encoder = GafLayer(GafSpec(size=16), 32)
    assert list(encoder.parameters()) == []
    assert encoder.state_dict() == {}


def test_more_pixels_than_samples_are_refused() -> None:
    with pytest.raises(SignalError, match="image of 64 pixels cannot be drawn from a window of 32 samples"):
        GafLayer(GafSpec(size=64), 32)
