"""Ranges of activations: by the definition, as torch takes them in the fine-tuning, and of a real model's tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vskd_export.quantize.ranges import Ranges, without_outliers
from vskd_training.quantization.fake import TAIL, range_without_outliers


@pytest.mark.parametrize("size", [1, 12, 499, 500, 1001, 8192])
def test_a_windows_outermost_values_are_left_out_as_in_torch(size: int) -> None:
    values = np.random.default_rng(size).normal(0, 3, size).astype(np.float32)
    ordered, left_out = np.sort(values), int(TAIL * size)
    expected = (ordered[left_out], ordered[size - 1 - left_out])
    assert without_outliers(values.reshape(1, -1)) == expected
    assert range_without_outliers(torch.from_numpy(values[np.newaxis])) == expected


def test_the_range_is_the_widest_of_all_windows_and_an_outlier_of_one_counts_for_nothing() -> None:
    ranges = Ranges()
    for window in range(5):
        values = np.linspace(-window, 2 * window, 1000, dtype=np.float32)
        values[7] = 1e6
        ranges.add({"a": values, "logits": np.array([window, -1.0], np.float32)})
    low, high = ranges.found["a"]
    assert low == pytest.approx(-4, abs=0.05)
    assert high == pytest.approx(8, abs=0.05)
    assert ranges.found["logits"] == (-1.0, 4.0)


def test_the_padding_of_a_maximum_is_no_value() -> None:
    ranges = Ranges()
    lowest = np.finfo(np.float32).min
    ranges.add(
        {"padded": np.array([-np.inf, lowest, 0.5, 2.0], np.float32), "nothing": np.full(3, -np.inf, np.float32)}
    )
    assert ranges.found == {"padded": (0.5, 2.0)}
