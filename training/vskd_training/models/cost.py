"""What a student costs: multiply-accumulates of one window, and parameters.

Counted by hooks on the network's convolutions and dense layers while one window passes. The encoder, norms, activations
and sums are left out; norms are folded into convolutions on export. ``report.json`` of a bundle counts the exported
graph, the encoder's matrix products included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from vskd_training.models.student import Student

_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)


def cost_of(student: Student, window_shape: tuple[int, ...]) -> Mapping[str, int]:
    """``macs`` and ``parameters``.

    Parameters
    ----------
    student : in evaluation mode; not changed
    window_shape : (channels, samples) of the contract
    """
    macs = 0

    def count(layer: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal macs
        # A filter or row of the matrix makes one value of the output: the weight's shape but for the first dimension.
        macs += output[0].numel() * math.prod(cast(Tensor, layer.weight).shape[1:])

    hooks = [layer.register_forward_hook(count) for layer in student.modules() if isinstance(layer, _LAYERS)]
    try:
        with torch.inference_mode():
            student(torch.zeros(1, *window_shape, device=next(student.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return {"macs": macs, "parameters": sum(value.numel() for value in student.parameters())}
