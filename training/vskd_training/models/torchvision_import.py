"""torchvision beside a CPU build of torch.

torchvision's wheel is compiled against CUDA. Beside a CPU build of torch its operators do not load, and the import
stops with "operator torchvision::nms does not exist", because torchvision registers fake kernels for two operators that
are missing. Nothing here uses them. Declaring their schemas first lets the import go on; where the operators do load,
this module leaves them alone.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import torch

from vskd.errors import MissingExtraError

_SCHEMAS = {
    "torchvision::nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "torchvision::qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def torchvision_resnet() -> ModuleType:
    """``torchvision.models.resnet``, importable beside a CPU build of torch too.

    Raises
    ------
    MissingExtraError : torchvision is not installed
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise MissingExtraError("torchvision", extra="training", purpose="the student's ResNet18")
    if not _operators_load(Path(spec.origin).parent):
        for name, schema in _SCHEMAS.items():
            if not torch._C._dispatch_has_kernel(name):
                torch.library.define(name, schema)
    return importlib.import_module("torchvision.models.resnet")


def _operators_load(package: Path) -> bool:
    """Whether torchvision's compiled operators load beside this torch."""
    libraries = sorted(package.glob("_C*.so")) + sorted(package.glob("_C*.pyd"))
    if not libraries:
        return False
    try:
        torch.ops.load_library(str(libraries[0]))  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return True
