"""A student as its int8 model will compute it: the same weights, every tensor rounded as the converters round it.

The rules are LiteRT's and ONNX Runtime's static int8: norms folded into the convolution before them; weights of
convolutions and dense layers per output channel, symmetric, -127 to 127; activations per tensor, asymmetric, 256 steps
between the lowest and the highest value of the calibration windows but their outliers; a ReLU belongs to the layer
before it; the encoder stays in float. Rounding passes gradients through, beyond the range there are none.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from vskd_training.models.encoder import GafLayer, RawLayer
from vskd_training.models.output import ModelOutput
from vskd_training.models.student import Student

_LOWEST, _HIGHEST = -128, 127
_LARGEST_WEIGHT = 127

#: Share of an activation's values in a window that lies beyond its range, at either end. The exporter's is the same.
TAIL = 0.002

#: Layers with weights.
_WEIGHTED = (nn.Conv2d, nn.Linear)

#: What computes no new values: its output has the scale of its input.
_PASSING = frozenset({"max_pool2d", "unsqueeze", "flatten", "reshape", "view", "squeeze", "permute", "pad"})
_PASSING_MODULES = (nn.MaxPool2d, nn.Identity, nn.Flatten, nn.Dropout)


def fold_norms(student: Student) -> None:
    """Move every batch norm into the convolution before it, in place; it is left as the layer's bias.

    The network computes the same, and keeps its layers' names, so that its weights still fit its config.
    """
    traced = trace(student)
    modules = dict(traced.named_modules())
    for node in traced.graph.nodes:
        norm, before = modules.get(str(node.target)), _module(modules, node.args[0] if node.args else None)
        if isinstance(norm, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            _fold(before, norm)


@torch.no_grad()
def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    factor = norm.weight / torch.sqrt(variance + norm.eps)
    convolution.weight.mul_(factor.reshape(-1, 1, 1, 1))
    norm.bias.sub_(mean * factor)
    norm.weight.fill_(1.0)
    mean.zero_()
    variance.fill_(1.0 - norm.eps)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(module, GafLayer | RawLayer) or super().is_leaf_module(module, module_qualified_name)


def trace(student: Student) -> fx.GraphModule:
    """The student as a graph of its layers, which are shared with it."""
    return fx.GraphModule(student, _Tracer().trace(student))


def quantize_weights(weights: Tensor) -> Tensor:
    """Round weights (outputs, ...) to 255 steps of each output channel."""
    largest = weights.detach().abs().flatten(1).amax(dim=1)
    scale = (largest / _LARGEST_WEIGHT).clamp_min(torch.finfo(torch.float32).tiny)
    zero = torch.zeros_like(scale, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weights, scale, zero, 0, -_LARGEST_WEIGHT, _LARGEST_WEIGHT)


def quantize_activations(values: Tensor, low: float, high: float) -> Tensor:
    """Round values to 256 steps between ``low`` and ``high``, zero among them."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max((high - low) / (_HIGHEST - _LOWEST), torch.finfo(torch.float32).tiny)
    zero = max(_LOWEST, min(_HIGHEST, round(_LOWEST - low / scale)))
    return torch.fake_quantize_per_tensor_affine(values, scale, zero, _LOWEST, _HIGHEST)


def range_without_outliers(values: Tensor) -> tuple[float, float]:
    """Lowest and highest of values (windows, ...), each window's outliers left out, as the exporter does it.

    Of each window ``TAIL`` of the values are left out at either end; of fewer than 1 / TAIL values, none.
    """
    rows = values.flatten(1)
    left_out = int(TAIL * rows.shape[1])
    if not left_out:
        return float(rows.min()), float(rows.max())
    low = rows.kthvalue(left_out + 1, dim=1).values.min()
    return float(low), float(rows.kthvalue(rows.shape[1] - left_out, dim=1).values.max())


class FakeQuantized(fx.Interpreter):
    """Executes a student with its weights and activations rounded; see the module.

    Parameters
    ----------
    student : in evaluation mode, norms folded; its parameters are shared, so training this trains the student

    Attributes
    ----------
    ranges : name of a rounded tensor -> its lowest and highest value; set by ``calibrate``
    """

    def __init__(self, student: Student) -> None:
        super().__init__(trace(student))
        self.modules_by_name = dict(self.module.named_modules())
        self.rounded = frozenset(node.name for node in self.graph.nodes if self._is_rounded(node))
        self.ranges: dict[str, tuple[float, float]] = {}
        self._observing = False

    def __call__(self, windows: Tensor) -> ModelOutput:
        return ModelOutput(*self.run(windows))

    @torch.no_grad()
    def calibrate(self, windows: Tensor, *, batch: int = 256) -> None:
        """Take the ranges of the float activations over windows (n, channels, samples)."""
        self.ranges, self._observing = {}, True
        for part in torch.split(windows, batch):
            self.run(part)
        self._observing = False

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n.name not in self.rounded or not isinstance(value, Tensor):  # a size is no activation
            return value
        if self._observing:
            low, high = self.ranges.get(n.name, (0.0, 0.0))
            lowest, highest = range_without_outliers(value)
            self.ranges[n.name] = (min(low, lowest), max(high, highest))
            return value
        return quantize_activations(value, *self.ranges[n.name])

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        layer = self.modules_by_name[target]
        if self._observing or not isinstance(layer, _WEIGHTED):
            return super().call_module(target, args, kwargs)
        weights = quantize_weights(layer.weight)
        if isinstance(layer, nn.Linear):
            return F.linear(args[0], weights, layer.bias)
        return F.conv2d(args[0], weights, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)

    def _is_rounded(self, node: fx.Node) -> bool:
        """Whether a quantized model stores this value with a scale of its own."""
        if node.op in ("placeholder", "output", "get_attr") or node.target is ModelOutput or self._passes(node):
            return False
        followers = list(node.users)
        return not (len(followers) == 1 and self._rounds_for(followers[0]))

    def _rounds_for(self, follower: fx.Node) -> bool:
        """Whether a value is stored as its follower only: a ReLU, a norm, or a concatenation of parts of one scale."""
        return self._is_relu(follower) or self._is_norm(follower) or _name(follower) == "cat"

    def _passes(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            return isinstance(self.modules_by_name[str(node.target)], _PASSING_MODULES)
        return _name(node) in _PASSING

    def _is_relu(self, node: fx.Node) -> bool:
        return isinstance(self.modules_by_name.get(str(node.target)), nn.ReLU) or _name(node) == "relu"

    def _is_norm(self, node: fx.Node) -> bool:
        return isinstance(self.modules_by_name.get(str(node.target)), nn.BatchNorm2d)


def _name(node: fx.Node) -> str:
    return str(getattr(node.target, "__name__", node.target))


def _module(modules: dict[str, nn.Module], node: Any) -> nn.Module | None:
    return modules.get(str(node.target)) if isinstance(node, fx.Node) else None
