"""The arithmetic of plans against its definition: exact fractions for rescaling, plain loops for the operators."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy

from vskd.plan.float32 import decay, tanh
from vskd.plan.kernels import rescaled, result
from vskd.plan.lower import multiplier_of
from vskd.plan.steps import Addition, Concatenation, Convolution, Mean, Pooling, Rescaling, Tensor

SCALES = st.floats(1e-6, 0.99)


def half_away(value: Fraction) -> int:
    """The nearest integer, half away from zero."""
    return int(math.copysign(math.floor(abs(value) + Fraction(1, 2)), value)) if value else 0


def twice_rounded(value: int, scale: Rescaling) -> int:
    """A rescaling as gemmlowp documents it: the doubled product's high half, then a rounding shift to the right.

    The first rounds half up: 2^30 is added to a product below zero less one, and the division cuts off.
    """
    product = value * 2 ** max(scale.shift, 0) * scale.multiplier
    nudged = product + (2**30 if product >= 0 else 1 - 2**30)
    high = int(Fraction(nudged, 2**31))  # int() cuts off
    return half_away(Fraction(high, 2 ** max(-scale.shift, 0)))


@given(st.integers(-(2**29), 2**29), SCALES)
def test_a_rescaling_rounds_twice_and_stays_near_the_product(value, scale):
    found = multiplier_of(scale)
    assert found.multiplier / 2**31 * 2.0**found.shift == pytest.approx(scale, rel=1e-9)
    once = int(rescaled(np.array([value]), found.multiplier, found.shift)[0])
    assert once == twice_rounded(value, found)
    assert abs(once - value * scale) <= 1.001


@given(st.integers(-(2**20), 2**20), st.floats(1.0, 900.0))
def test_a_rescaling_by_more_than_one_shifts_to_the_left_first(value, scale):
    found = multiplier_of(scale)
    assert int(rescaled(np.array([value]), found.multiplier, found.shift)[0]) == twice_rounded(value, found)


@pytest.mark.parametrize(("value", "multiplier", "shift"), [(0.5, 2**30, 0), (1 - 2**-40, 2**30, 1), (2.0**-40, 0, 0)])
def test_multipliers_at_the_ends(value, multiplier, shift):
    assert multiplier_of(value) == Rescaling(multiplier, shift)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_a_scale_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match="a scale is a positive number"):
        multiplier_of(value)


@given(of_numpy.arrays(np.float32, 20, elements=st.floats(0, 200, width=32)))
def test_decay_and_tanh_are_those_of_float64_within_two_in_ten_million(values):
    assert np.abs(decay(values) - np.exp(-values.astype(np.float64))).max() < 2e-7
    for signed in (values, -values):
        assert np.abs(tanh(signed) - np.tanh(signed.astype(np.float64))).max() < 2e-7


def test_decay_at_its_ends():
    values = np.array([0, 87, np.nextafter(np.float32(87), np.float32(100)), 1e30], np.float32)
    found = decay(values)
    assert found[0] == 1
    assert 0 < found[1] < 1.7e-38
    assert found[2] == found[3] == 0


# --- operators, by plain loops


def by_loops(step, source, zero_point, target):
    """A convolution or a pooling, element by element."""
    shape = (*target.shape,)
    found = np.empty(shape, np.int64)
    for row, column, channel in itertools.product(*map(range, shape)):
        found[row, column, channel] = element(step, source, zero_point, target, row, column, channel)
    return np.clip(found, step.low, step.high).astype(np.int8)


def element(step, source, zero_point, target, row, column, channel):
    kernel = step.kernel if isinstance(step, Pooling) else kernel_of(step)
    inside, total = [], 0
    for y, x in itertools.product(range(kernel[0]), range(kernel[1])):
        at_y, at_x = row * step.stride[0] - step.padding[0] + y, column * step.stride[1] - step.padding[1] + x
        is_inside = 0 <= at_y < source.shape[0] and 0 <= at_x < source.shape[1]
        if isinstance(step, Pooling):
            inside += [int(source[at_y, at_x, channel])] if is_inside else []
        else:
            values = source[at_y, at_x].astype(int) if is_inside else np.full(source.shape[2], zero_point)
            total += int(values[channel] * int(step.weights[y, x, channel])) if step.is_depthwise else sum(
                int(value) * int(weight) for value, weight in zip(values, step.weights[channel, y, x], strict=True)
            )  # fmt: skip
    if not isinstance(step, Pooling):
        scale = Rescaling(int(step.multipliers[channel]), int(step.shifts[channel]))
        return twice_rounded(total + int(step.biases[channel]), scale) + target.zero_point
    return half_away(Fraction(sum(inside), len(inside))) if step.is_average else max(inside)


def kernel_of(step):
    return step.weights.shape[:2] if step.is_depthwise else step.weights.shape[1:3]


@st.composite
def layouts(draw):
    """Shape of the source, kernel, stride, padding, and the rows and columns that come out."""
    kernel, stride = draw(st.tuples(*[st.integers(1, 4)] * 2)), draw(st.tuples(*[st.integers(1, 3)] * 2))
    size = [draw(st.integers(side, 7)) for side in kernel]
    padding = [draw(st.integers(0, side - 1)) for side in kernel]
    made = [
        draw(st.integers(1, (n + p - k) // s + 1)) for n, p, k, s in zip(size, padding, kernel, stride, strict=True)
    ]
    return size, kernel, stride, tuple(padding), made


@given(layouts(), st.integers(0, 2**32 - 1), st.booleans())
def test_a_convolution_is_the_sum_under_its_kernel(layout, seed, depthwise):
    (rows, columns), kernel, stride, padding, made = layout
    generator = np.random.default_rng(seed)
    inputs, outputs = 3, 3 if depthwise else 2
    weights = generator.integers(-127, 128, (*kernel, outputs) if depthwise else (outputs, *kernel, inputs), np.int8)
    source, target = (
        Tensor((rows, columns, inputs), 0.1, int(generator.integers(-128, 128))),
        Tensor((*made, outputs), 0.1, 7),
    )
    factors = [multiplier_of(value) for value in generator.uniform(1e-4, 1e-2, outputs)]
    step = Convolution(
        0, 1, source.shape, weights, generator.integers(-5000, 5000, outputs, np.int32),
        np.array([one.multiplier for one in factors], np.int32), np.array([one.shift for one in factors], np.int32),
        stride, padding, -100, 120,
    )  # fmt: skip
    values = generator.integers(-128, 128, source.shape, np.int8)
    expected = by_loops(step, values, source.zero_point, target)
    np.testing.assert_array_equal(result(step, [source, target], [values]), expected)


@given(layouts(), st.integers(0, 2**32 - 1), st.booleans())
def test_pooling_looks_at_what_lies_inside_alone(layout, seed, average):
    (rows, columns), kernel, stride, padding, made = layout
    values = np.random.default_rng(seed).integers(-128, 128, (rows, columns, 2), np.int8)
    source, target = Tensor((rows, columns, 2), 0.1, 5), Tensor((*made, 2), 0.1, 5)
    step = Pooling(0, 1, average, kernel, stride, padding, -110, 127)
    expected = by_loops(step, values, source.zero_point, target)
    np.testing.assert_array_equal(result(step, [source, target], [values]), expected)


@given(st.integers(0, 2**32 - 1), SCALES, SCALES, SCALES)
def test_an_addition_is_the_sum_of_the_values_within_a_step(seed, one, other, made):
    generator = np.random.default_rng(seed)
    known = [Tensor((2, 3, 4), one, -3), Tensor((2, 3, 4), other, 11), Tensor((2, 3, 4), max(one, other, made), -9)]
    twice, scale = 2 * max(one, other), known[2].scale
    step = Addition(
        (0, 1), 2, (multiplier_of(one / twice), multiplier_of(other / twice)), multiplier_of(twice / (2**20 * scale)),
        -128, 127,
    )  # fmt: skip
    values = [generator.integers(-128, 128, (2, 3, 4), np.int8) for _ in range(2)]
    exact = ((values[0] + 3.0) * one + (values[1] - 11.0) * other) / scale - 9
    found = result(step, known, values)
    assert np.abs(found - np.clip(exact, -128, 127)).max() <= 0.51


@given(of_numpy.arrays(np.int8, (2, 3, 4)))
def test_a_mean_within_one_scale_is_cut_off(values):
    known = [Tensor((2, 3, 4), 0.1, 3), Tensor((1, 1, 4), 0.1, 3)]
    expected = [int(sum(values[:, :, channel].reshape(-1).tolist()) / 6) for channel in range(4)]
    assert result(Mean(0, 1, None), known, [values]).reshape(-1).tolist() == expected


def test_a_concatenation_goes_along_its_axis():
    known = [Tensor((1, 1, 2), 0.1, 3), Tensor((1, 1, 3), 0.1, 3), Tensor((1, 1, 5), 0.1, 3)]
    parts = [np.arange(2, dtype=np.int8).reshape(1, 1, 2), np.arange(3, dtype=np.int8).reshape(1, 1, 3)]
    assert result(Concatenation((0, 1), 2, 2), known, parts).reshape(-1).tolist() == [0, 1, 0, 1, 2]
