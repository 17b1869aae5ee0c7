"""The numpy encoder against pyts, against float64 formulas with arccos, and against what a field must be."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from golden import make_gaf_golden
from vskd.contract import GafSpec
from vskd.encoders.gaf import LARGEST_G, GafEncoder, paa_matrix
from vskd.errors import ConfigError, SignalError

GOLDEN = Path(make_gaf_golden.PATH)
TOLERANCE = 2e-6
#: (samples, size) where every segment has 1, 2 or 4 samples, so that a mean of readings is exact in float32.
EVEN = [(64, 64), (128, 64), (128, 32)]
UNEVEN = [(100, 64), (177, 48), (50, 33), (96, 32)]
EVERY_FIELD = ("gasf", "gadf")
EVERY_SCALING = ("minmax", "range", "tanh")


def readings(seed: int, samples: int, *, spread_g: float = 1.0) -> np.ndarray:
    """(3, samples): a noisy wrist, in whole multiples of 1/1024 g as a sensor gives them."""
    noise = np.random.default_rng(seed).standard_normal((3, samples)) * spread_g
    offsets_g = np.array([[0.0], [1.0], [-0.5]])
    return np.round((noise + offsets_g) * 1024) / 1024


def encode(windows: np.ndarray, field: str, scaling: str, size: int, scale_g: float = 2.0) -> np.ndarray:
    spec = GafSpec(fields=(field,), scaling=scaling, scale_g=scale_g, size=size)
    return GafEncoder(spec, windows.shape[-1])(windows)


def by_arccos(values: np.ndarray, field: str, scaling: str, scale_g: float = 2.0) -> np.ndarray:
    """The definition in float64; values (channels, size) are reduced already."""
    values = values.astype(np.float64)
    if scaling == "minmax":
        low, high = values.min(axis=-1, keepdims=True), values.max(axis=-1, keepdims=True)
        rescaled = (2 * values - high - low) / (high - low)
    else:
        rescaled = values / scale_g if scaling == "range" else np.tanh(values / scale_g)
    phi = np.arccos(np.clip(rescaled, -1, 1))
    rows, columns = phi[..., :, np.newaxis], phi[..., np.newaxis, :]
    return np.cos(rows + columns) if field == "gasf" else np.sin(rows - columns)


def means(windows: np.ndarray, size: int) -> np.ndarray:
    """Segment means in float64, one slice at a time."""
    samples = windows.shape[-1]
    bounds = [index * samples // size for index in range(size + 1)]
    return np.stack([windows[..., bounds[i] : bounds[i + 1]].mean(axis=-1) for i in range(size)], axis=-1)


@pytest.fixture(scope="module")
def pyts_field() -> Callable[[np.ndarray, int, str], np.ndarray]:
    """pyts, without its compiler: half a minute to import with it, and the loops it compiles are short here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_DISABLE_JIT", "1")
        from pyts.image import GramianAngularField

    def field(window: np.ndarray, size: int, method: str) -> np.ndarray:
        return np.asarray(GramianAngularField(image_size=size, method=method).fit_transform(window))

    return field


windows_of_16 = hnp.arrays(np.int64, (3, 16), elements=st.integers(-8192, 8192)).map(lambda counts: counts / 1024)


@pytest.mark.parametrize(("field", "method"), [("gasf", "summation"), ("gadf", "difference")])
@pytest.mark.parametrize(("samples", "size"), EVEN + UNEVEN)
def test_minmax_is_pyts(
    pyts_field: Callable[[np.ndarray, int, str], np.ndarray], field: str, method: str, samples: int, size: int
) -> None:
    window = readings(samples, samples)
    expected = pyts_field(window, size, method)
    # A mean of three readings is rounded in float32, and the sine near an extremum takes the root of that error.
    tolerance = TOLERANCE if (samples, size) in EVEN else 2e-5
    np.testing.assert_allclose(encode(window, field, "minmax", size), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("field", EVERY_FIELD)
@pytest.mark.parametrize("scaling", EVERY_SCALING)
@pytest.mark.parametrize(("samples", "size"), EVEN)
def test_even_segments_are_within_2e_6_of_float64(field: str, scaling: str, samples: int, size: int) -> None:
    for seed in range(20):
        window = readings(seed, samples, spread_g=0.1 + 0.1 * seed)
        expected = by_arccos(means(window, size), field, scaling)
        np.testing.assert_allclose(encode(window, field, scaling, size), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("field", EVERY_FIELD)
@pytest.mark.parametrize("scaling", ["range", "tanh"])
@pytest.mark.parametrize(("samples", "size"), UNEVEN)
def test_uneven_segments_are_within_2e_6_of_float64(field: str, scaling: str, samples: int, size: int) -> None:
    for seed in range(10):
        window = readings(seed, samples)
        expected = by_arccos(means(window, size), field, scaling)
        np.testing.assert_allclose(encode(window, field, scaling, size), expected, rtol=0, atol=TOLERANCE)


@settings(max_examples=60)
@given(
    window=windows_of_16.filter(lambda w: bool((np.ptp(w, axis=-1) > 0).all())),
    field=st.sampled_from(EVERY_FIELD),
    scaling=st.sampled_from(EVERY_SCALING),
    scale_g=st.sampled_from([1.0, 2.0, 8.0]),
)
def test_any_readings_are_within_2e_6_of_float64(window: np.ndarray, field: str, scaling: str, scale_g: float) -> None:
    image = encode(window, field, scaling, 16, scale_g)
    np.testing.assert_allclose(image, by_arccos(window, field, scaling, scale_g), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("field", EVERY_FIELD)
@pytest.mark.parametrize("scaling", EVERY_SCALING)
def test_golden_file(field: str, scaling: str) -> None:
    with np.load(GOLDEN) as golden:
        windows, expected = golden["windows"], golden[f"{field}_{scaling}"]
    image = encode(windows, field, scaling, make_gaf_golden.SIZE, make_gaf_golden.SCALE_G)
    # One axis of the file moves by 0.1 g around 1 g: minmax enlarges the rounding of its means.
    tolerance = 2e-5 if scaling == "minmax" else TOLERANCE
    np.testing.assert_allclose(image, expected, rtol=0, atol=tolerance)


def test_golden_file_is_what_its_script_makes() -> None:
    made = make_gaf_golden.golden()
    with np.load(GOLDEN) as golden:
        assert set(golden.files) == set(made)
        for name, array in made.items():
            np.testing.assert_allclose(golden[name], array, rtol=0, atol=1e-12, err_msg=name)


@settings(max_examples=60)
@given(window=windows_of_16, scaling=st.sampled_from(EVERY_SCALING))
def test_symmetry_range_and_identity(window: np.ndarray, scaling: str) -> None:
    summation, difference = encode(window, "gasf", scaling, 16), encode(window, "gadf", scaling, 16)
    # Not to the last bit: a fused multiply-add rounds one of the two products and not the other.
    np.testing.assert_allclose(summation, summation.swapaxes(-1, -2), rtol=0, atol=2e-7)
    np.testing.assert_allclose(difference, -difference.swapaxes(-1, -2), rtol=0, atol=2e-7)
    assert np.abs(summation).max() <= 1 + 1e-6
    assert np.abs(difference).max() <= 1 + 1e-6


@settings(max_examples=40)
@given(level_g=st.floats(-20, 20, width=32), scaling=st.sampled_from(EVERY_SCALING))
def test_gadf_of_a_constant_is_zero(level_g: float, scaling: str) -> None:
    image = encode(np.full((3, 16), level_g, dtype=np.float32), "gadf", scaling, 8)
    np.testing.assert_allclose(image, 0, rtol=0, atol=2e-7)


@settings(max_examples=40)
@given(window=windows_of_16, beyond=st.floats(1.0, 1e6))
def test_range_saturates(window: np.ndarray, beyond: float) -> None:
    clipped = np.clip(window, -1.0, 1.0)
    pushed_out = np.where(np.abs(window) >= 1, window * beyond, window)
    for field in EVERY_FIELD:
        np.testing.assert_array_equal(
            encode(pushed_out, field, "range", 16, scale_g=1.0), encode(clipped, field, "range", 16, scale_g=1.0)
        )


@settings(max_examples=40)
@given(
    window=windows_of_16.filter(lambda w: bool((np.ptp(w, axis=-1) > 0.05).all())),
    exponent=st.integers(-4, 6),
    offset_g=st.integers(-8, 8),
)
def test_minmax_sees_neither_scale_nor_offset(window: np.ndarray, exponent: int, offset_g: int) -> None:
    moved = window * 2.0**exponent + offset_g
    for field in EVERY_FIELD:
        np.testing.assert_allclose(
            encode(moved, field, "minmax", 16), encode(window, field, "minmax", 16), rtol=0, atol=TOLERANCE
        )


def test_range_and_tanh_see_scale_and_gravity() -> None:
    window = readings(0, 64, spread_g=0.2)
    for scaling in ("range", "tanh"):
        image = encode(window, "gasf", scaling, 32)
        assert np.abs(encode(window * 2, "gasf", scaling, 32) - image).max() > 0.1
        assert np.abs(encode(window + 0.5, "gasf", scaling, 32) - image).max() > 0.1


@pytest.mark.parametrize("field", EVERY_FIELD)
@pytest.mark.parametrize("level_g", [0.0, 1.0, -7.3])
def test_minmax_draws_zeros_for_a_flat_axis_and_leaves_the_others(field: str, level_g: float) -> None:
    window = readings(3, 64)
    image = encode(window, field, "minmax", 32)
    window[1] = level_g
    flat = encode(window, field, "minmax", 32)
    np.testing.assert_array_equal(flat[1], 0)
    np.testing.assert_array_equal(flat[[0, 2]], image[[0, 2]])


def test_gadf_is_exactly_what_its_sign_says() -> None:
    # From -1 to +1 the angle falls from pi to 0, so row 0 is ahead of the last column by pi / 2 in the middle.
    window = np.linspace(-1, 1, 9)[np.newaxis]
    image = encode(window, "gadf", "minmax", 9)
    assert image[0, 0, 4] == pytest.approx(math.sin(math.pi - math.pi / 2))
    assert image[0, 4, 0] == pytest.approx(-1)


@pytest.mark.parametrize("scaling", EVERY_SCALING)
@pytest.mark.parametrize("extreme", [1e30, -1e30, 1e-40, 1.4e-45, 0.0])
def test_huge_and_denormal_readings_stay_finite(scaling: str, extreme: float) -> None:
    for windows in (np.full((3, 32), extreme), np.where(np.arange(96).reshape(3, 32) % 5, extreme, -extreme)):
        for field in EVERY_FIELD:
            image = encode(windows, field, scaling, 12)
            assert np.abs(image).max() <= 1 + 1e-6


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e31, -1e39])
def test_unusable_values_are_counted_and_refused(bad: float) -> None:
    window = readings(0, 32)
    window[1, [4, 9]] = bad
    with pytest.raises(SignalError, match=r"holds 2 values that are NaN, infinite or beyond 1e\+30 g\. Drop"):
        encode(window, "gasf", "tanh", 16)
    assert LARGEST_G == 1e30


@pytest.mark.parametrize("shape", [(12,), (3, 31), (32, 3), (1, 2, 3, 32)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    encoder = GafEncoder(GafSpec(size=16), 32)
    with pytest.raises(SignalError, match=rf"must be \(channels, 32\).*got shape \({shape[0]},"):
        encoder(np.zeros(shape))


@pytest.mark.parametrize(("samples", "size"), [(8, 9), (8, 0)])
def test_more_pixels_than_samples_are_refused(samples: int, size: int) -> None:
    with pytest.raises(SignalError, match=f"image of {size} pixels cannot be drawn from a window of {samples} samples"):
        paa_matrix(samples, size)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"fields": ()}, "must name gasf, gadf or both"),
        ({"fields": ("gasf", "gasf")}, "once each"),
        ({"scale_g": 0.0}, r"scale_g must lie between 0\.001 and 1000 g, got 0\.0"),
        ({"scale_g": math.nan}, r"scale_g must lie between 0\.001 and 1000 g, got nan"),
        ({"size": 7}, "size must lie between 8 and 1024 pixels, got 7"),
    ],
)
def test_impossible_specs_are_refused(settings_: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GafSpec(**settings_)  # type: ignore[arg-type]


@settings(max_examples=60)
@given(samples=st.integers(1, 400), part=st.floats(0.001, 1))
def test_every_sample_is_averaged_once(samples: int, part: float) -> None:
    size = max(1, round(samples * part))
    matrix = paa_matrix(samples, size)
    np.testing.assert_allclose(matrix.sum(axis=0), 1, rtol=1e-5)
    np.testing.assert_array_equal((matrix > 0).sum(axis=1), 1)


def test_channels_are_field_by_field_and_axis_by_axis() -> None:
    windows = np.stack([readings(seed, 64) for seed in range(4)])
    both = GafEncoder(GafSpec(fields=("gadf", "gasf"), size=32), 64)(windows)
    assert both.shape == (4, 6, 32, 32)
    assert both.dtype == np.float32
    np.testing.assert_array_equal(both[:, :3], encode(windows, "gadf", "tanh", 32))
    np.testing.assert_array_equal(both[:, 3:], encode(windows, "gasf", "tanh", 32))


def test_one_window_and_a_batch_of_it_agree() -> None:
    window = readings(1, 128).astype(np.float32)
    encoder = GafEncoder(GafSpec(fields=EVERY_FIELD, size=64), 128)
    np.testing.assert_allclose(encoder(window), encoder(window[np.newaxis])[0], rtol=0, atol=1e-7)
    assert encoder(np.zeros((0, 3, 128))).shape == (0, 6, 64, 64)


def test_the_window_is_left_alone() -> None:
    window = readings(1, 32).astype(np.float32)
    before = window.copy()
    for scaling in EVERY_SCALING:
        encode(window, "gasf", scaling, 16, scale_g=0.1)
    np.testing.assert_array_equal(window, before)


# --- memory


@pytest.mark.parametrize("scaling", EVERY_SCALING)
def test_after_the_first_call_nothing_but_the_images_is_allocated(scaling: str) -> None:
    # A batch, where the smallest array on the way is six times what numpy's own iterators take (32 KB).
    encoder = GafEncoder(GafSpec(fields=EVERY_FIELD, scaling=scaling), 128)
    windows = np.random.default_rng(0).normal(size=(256, 3, 128))  # float64: converted on the way
    encoder(windows)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        images = encoder(windows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before - images.nbytes < 40_000 < 256 * 3 * 64 * 4


def test_single_windows_share_one_workspace() -> None:
    encoder = GafEncoder(GafSpec(size=16), 32)
    space = encoder._space
    assert space.shape == (1, 3)
    for seed in range(3):
        encoder(readings(seed, 32))
        assert encoder._space is space
    encoder(np.zeros((2, 3, 32)))
    assert encoder._space.shape == (2, 3)


def test_an_image_stays_what_it_was_when_the_next_window_comes() -> None:
    encoder = GafEncoder(GafSpec(size=16), 32)
    first = encoder(readings(0, 32))
    kept = first.copy()
    encoder(readings(1, 32))
    np.testing.assert_array_equal(first, kept)
