"""What is refused of a user's own network, before it is trained: one pass in evaluation mode on a few windows.

The refusal names the layer. To find it, hooks record every tensor that enters or leaves a layer: the first one that is
wrong was made by the layer that it leaves, or by the layer that hands it on.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from vskd.contract import Contract
from vskd.errors import ConfigError
from vskd_training.models.output import FEATURE_SIZE
from vskd_training.models.own import OwnStudent

#: Largest difference between two answers to the same window, as a share of the largest value (at least 1). Kernels for
#: several windows add in another order than kernels for one.
TOLERANCE = 1e-4
_BATCH = 4


@dataclass(frozen=True)
class _Seen:
    """A tensor on its way through a network.

    Attributes
    ----------
    layer : name of the layer that made it
    tensor : itself
    value : a copy of it, which no later layer can change in place
    """

    layer: str
    tensor: Tensor
    value: Tensor


def check_own(student: OwnStudent, contract: Contract) -> None:
    """Refuse a network that cannot be trained, saved or exported; it is left in evaluation mode.

    Raises
    ------
    ConfigError : with the name of the layer and the way out
    """
    _check_storage(student)
    windows = _windows(contract)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        student.eval()
        encoded = student.encoder(windows)
        seen = _run(student, encoded)
        _check_output(student, seen, contract)
        _check_finite(student, seen)
        _check_repeatable(student, seen, encoded)
        _check_batch(student, seen, encoded)
        _check_traceable(student, encoded[:1])


def _windows(contract: Contract) -> Tensor:
    """(4, axes, samples), g: all zero (a sensor in free fall, or broken), at rest, moving, and at the clip."""
    channels, samples = contract.window_shape
    noise = torch.randn(_BATCH, channels, samples, generator=torch.Generator().manual_seed(1))
    windows = noise * torch.tensor([0.0, 0.01, 1.0, 30.0]).reshape(_BATCH, 1, 1)
    windows[1:, -1] += 1.0
    return windows


def _run(student: OwnStudent, encoded: Tensor) -> tuple[list[_Seen], Any]:
    """Every tensor that went through the network, in order, and what came out."""
    network = student.network
    names = {layer: name for name, layer in network.named_modules()}
    callers, seen = [""], list[_Seen]()

    def enter(layer: nn.Module, inputs: Any) -> None:
        seen.extend(_Seen(callers[-1], tensor, tensor.clone()) for tensor in _tensors(inputs))
        callers.append(names[layer])

    def leave(layer: nn.Module, inputs: Any, output: Any) -> None:
        seen.extend(_Seen(callers.pop(), tensor, tensor.clone()) for tensor in _tensors(output))

    with ExitStack() as hooks:
        for layer in names:
            hooks.callback(layer.register_forward_pre_hook(enter).remove)
            hooks.callback(layer.register_forward_hook(leave).remove)
        try:
            output = network(encoded)
        except Exception as error:
            raise _failed(student, error, f"windows of shape {tuple(encoded.shape)}") from error
    return seen, output


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _tensors(item)


def _check_output(student: OwnStudent, run: tuple[list[_Seen], Any], contract: Contract) -> None:
    seen, output = run
    wanted = (("logits", len(contract.labels)), ("feature", FEATURE_SIZE))
    if not (isinstance(output, tuple) and len(output) == 2 and all(isinstance(item, Tensor) for item in output)):
        raise _refused(
            student,
            "",
            f"returns {_kind(output)}, not a pair of tensors",
            f"Return (logits, feature): (batch, {wanted[0][1]}) and (batch, {FEATURE_SIZE})",
        )
    for (name, width), tensor in zip(wanted, output, strict=True):
        if tuple(tensor.shape) != (_BATCH, width) or tensor.dtype != torch.float32:
            layer = next(item.layer for item in seen if item.tensor is tensor)
            what = "one per activity of the contract" if name == "logits" else "FEATURE_SIZE of vskd_training"
            raise _refused(
                student,
                layer,
                f"gives {_kind(tensor)} as {name} for {_BATCH} windows; needed is torch.float32 ({_BATCH}, {width})",
                f"Give it {width} outputs, {what}",
            )


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{value.dtype} {tuple(value.shape)}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {', '.join(type(item).__name__ for item in value) or 'nothing'}"
    return f"a {type(value).__name__}"


def _check_finite(student: OwnStudent, run: tuple[list[_Seen], Any]) -> None:
    seen, output = run
    if all(bool(tensor.isfinite().all()) for tensor in output):
        return
    first = next(item for item in seen if not item.value.isfinite().all())
    raise _refused(
        student,
        first.layer,
        "gives NaN or infinity for one of four windows: all zero, at rest, moving, at the clip",
        "Keep divisors away from 0, e.g. by an epsilon, and arguments of logarithms",
    )


def _check_repeatable(student: OwnStudent, run: tuple[list[_Seen], Any], encoded: Tensor) -> None:
    again, output = _run(student, encoded)
    if _differs(run[1], output):
        layer = _first_difference(run[0], again)
        raise _refused(
            student,
            layer,
            "answers the same windows differently the second time, in evaluation mode",
            "Draw random numbers only where self.training is set, and keep no state from call to call",
        )


def _check_batch(student: OwnStudent, run: tuple[list[_Seen], Any], encoded: Tensor) -> None:
    for row in range(_BATCH):
        alone, output = _run(student, encoded[row : row + 1])
        if any(len(tensor) != 1 for tensor in output):
            raise _refused(student, "", "gives more rows than windows", "Return one row for each window")
        if _differs([tensor[row : row + 1] for tensor in run[1]], output):
            together = [_row(item, row) for item in run[0]]
            raise _refused(
                student,
                _first_difference(together, alone),
                f"answers a window in a batch of {_BATCH} differently than the same window alone, and a device has one "
                "at a time",
                "Take no mean over the batch in evaluation mode; norms need track_running_stats=True",
            )


def _row(item: _Seen, row: int) -> _Seen:
    """One window's part of what a batch gave, where the first dimension is the batch."""
    in_batch = item.value.ndim > 1 and len(item.value) == _BATCH
    return _Seen(item.layer, item.tensor, item.value[row : row + 1]) if in_batch else item


def _first_difference(one: Sequence[_Seen], other: Sequence[_Seen]) -> str:
    """The layer that made the first tensor that differs; the network itself where none can be compared."""
    for mine, theirs in zip(one, other, strict=False):
        if mine.layer != theirs.layer:
            return mine.layer
        if mine.value.shape == theirs.value.shape and _differs([mine.value], [theirs.value]):
            return mine.layer
    return ""


def _differs(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    for mine, theirs in zip(one, other, strict=True):
        limit = TOLERANCE * max(1.0, float(theirs.abs().max()))
        if mine.shape != theirs.shape or not float((mine - theirs).abs().max()) <= limit:
            return True
    return False


def _check_storage(student: OwnStudent) -> None:
    """Its weights must be ones that a run can keep, and its classes ones that a converter's process can import."""
    if not any(value.requires_grad for value in student.parameters()):
        raise _refused(student, "", "has no parameter to train", "Register its layers as attributes")
    try:
        save({name: value.contiguous() for name, value in student.state_dict().items()})
    except (RuntimeError, ValueError, AttributeError) as error:
        raise _refused(
            student, "", f"has weights that a file cannot hold: {_line(error)}", "Give each layer weights of its own"
        ) from error
    try:
        pickle.dumps(student.network)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise _refused(
            student,
            "",
            f"cannot be handed to a converter's process: {_line(error)}",
            "Define its classes and functions at the top of a module, without lambdas",
        ) from error


class _Traced(nn.Module):
    """What the converters trace: one encoded window to its logits and its feature."""

    def __init__(self, student: OwnStudent) -> None:
        super().__init__()
        self.student = student

    def forward(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        output = self.student.from_encoded(encoded)
        return output.logits, output.feature


def _check_traceable(student: OwnStudent, encoded: Tensor) -> None:
    """Both converters start from ``torch.export``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.export.export(_Traced(student), (encoded,))
    except Exception as error:
        raise _failed(student, error, "torch.export, from which TFLite and ONNX are made") from error


def _failed(student: OwnStudent, error: BaseException, at: str) -> ConfigError:
    """Of an exception out of the network: the innermost of its layers in the traceback is to blame."""
    names = {layer: name for name, layer in student.network.named_modules()}
    layer, trace = "", error.__traceback__
    while trace is not None:
        layer = names.get(_self(trace.tb_frame.f_locals), layer)
        trace = trace.tb_next
    return _refused(student, layer, f"fails at {at}: {_line(error)}", "Repair the layer, or use another one")


def _self(variables: dict[str, Any]) -> Any:
    found = variables.get("self")
    return found if isinstance(found, nn.Module) else None


def _line(error: BaseException) -> str:
    """The first sentence of an exception that may be pages long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}".rstrip(".: ")


def _refused(student: OwnStudent, layer: str, what: str, way_out: str) -> ConfigError:
    kind = type(student.network.get_submodule(layer)).__name__
    who = f"the layer {layer} ({kind})" if layer else f"the network itself ({kind}.forward)"
    return ConfigError(f"student.module = {student.module!r}: {who} {what}", hint=way_out)
