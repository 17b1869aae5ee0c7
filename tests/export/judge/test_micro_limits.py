"""A microcontroller's memory at 64 pixels and three channels, int8, as TensorFlow Lite Micro measures it.

The students are untrained: an arena depends on shapes alone. The full width takes a minute to convert.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vskd.contract import Contract
from vskd_export.convert.graph import frozen_copy
from vskd_export.convert.tflite import to_tflite
from vskd_export.judge import micro
from vskd_export.quantize.calibrate import WindowSet
from vskd_export.quantize.recipes import INTEGER_RECIPE
from vskd_export.quantize.tflite import quantize_tflite
from vskd_training.models.student import gaf_resnet

KB = 1000
pytestmark = pytest.mark.skipif(not micro.is_installed(), reason="tflite-micro has no wheel for this system")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "arena_limit", "size_limit"),
    [(0.25, 100 * KB, 850 * KB), (1.0, 260 * KB, 12_000 * KB)],
)
def test_from_the_raw_window(width: float, arena_limit: int, size_limit: int) -> None:
    torch.manual_seed(0)
    contract = Contract(labels=tuple(f"activity {index}" for index in range(27)))
    windows = np.random.default_rng(0).normal(0, 1, (4, *contract.window_shape)).astype(np.float32)
    some = WindowSet(windows, np.arange(4), ("a", "b", "c", "d"), ("anna",) * 4)
    full = to_tflite(frozen_copy(gaf_resnet(contract, width=width)), contract)
    model = quantize_tflite(full, contract, some, INTEGER_RECIPE)

    run = micro.run_micro(model, windows)
    assert 20 * KB < run.arena_bytes <= arena_limit
    assert len(model) <= size_limit
