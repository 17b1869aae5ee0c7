"""What a candidate costs: measured on its int8 ``.tflite``, converted before it is trained.

Weights change neither the operators nor the bytes of a graph, so an untrained network tells. It is calibrated with
noise: no recording is read. Converting takes ten seconds or more, so what can only be too large is refused by bounds
first: torch counts the multiply-accumulates of the same layers, and every weight takes one byte of the file.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from vskd.closed import from_mapping, to_mapping
from vskd.contract import Contract
from vskd.errors import VskdError
from vskd.writing import write_folder
from vskd_export.convert.graph import frozen_copy
from vskd_export.convert.onnx import to_onnx
from vskd_export.convert.tflite import to_tflite
from vskd_export.judge.micro import is_installed, run_micro
from vskd_export.package.describe import describe_model
from vskd_export.quantize.calibrate import WindowSet
from vskd_export.quantize.onnx import quantize_onnx
from vskd_export.quantize.recipes import INTEGER_RECIPE, entry
from vskd_export.quantize.tflite import quantize_tflite
from vskd_export.search.budget import Costs
from vskd_training.models.build import build_student
from vskd_training.models.student import Student
from vskd_training.settings import Config

COSTS = "costs"
_CARD = "costs.json"
TFLITE, ONNX = (entry(kind, INTEGER_RECIPE).file for kind in ("tflite", "onnx"))

_CALIBRATION_WINDOWS = 4


def least_costs(student: Student, contract: Contract) -> Costs:
    """Bounds that no export of the student falls below; milliseconds."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        frozen_copy(student)(torch.zeros(1, *contract.window_shape))
    weights = sum(value.numel() for value in student.parameters() if value.ndim > 1)
    return Costs(macs=counter.get_total_flops() // 2, flash_bytes=weights)


def untrained(config: Config, contract: Contract) -> Student:
    """A config's student with its initial weights, always the same."""
    torch.manual_seed(0)
    return build_student(config.student, contract).eval()


def folder_of(out: Path, config: Config, contract: Contract) -> Path:
    """Where the measured costs of an architecture are kept, with its files."""
    known = json.dumps([to_mapping(config.student), contract.to_json()], sort_keys=True)
    return out / COSTS / hashlib.sha256(known.encode()).hexdigest()[:16]


def measure_costs(student: Student, contract: Contract, folder: Path) -> Costs:
    """Convert, quantize and measure a student, or read what was measured.

    Parameters
    ----------
    student : with any weights
    contract : of it
    folder : see ``folder_of``

    Raises
    ------
    MissingExtraError : a converter is not installed
    VskdError : a converter failed
    """
    known = _known(folder)
    if known is not None and (known.arena_bytes is not None or known.refused or not is_installed()):
        return known
    windows = _noise(contract)
    model = quantize_tflite(to_tflite(student, contract), contract, windows, INTEGER_RECIPE)
    costs = costs_of(model, contract)
    card = (json.dumps(to_mapping(costs), indent=1) + "\n").encode()
    write_folder(folder, {TFLITE: model, _CARD: card}, replace=True)
    return costs


def costs_of(model: bytes, contract: Contract) -> Costs:
    """What an int8 ``.tflite`` costs; the arena only where TensorFlow Lite Micro is installed."""
    arena_bytes, refused = _arena(model, _noise(contract))
    return Costs(describe_model(model, "tflite")["macs"], len(model), arena_bytes, refused)


def onnx_file(student: Student, contract: Contract, folder: Path) -> Path:
    """The student's int8 ONNX file, beside its ``.tflite``; made where it is missing."""
    path = folder / ONNX
    if not path.is_file():
        model = quantize_onnx(to_onnx(student, contract), contract, _noise(contract), INTEGER_RECIPE)
        write_folder(folder, {**{one.name: one.read_bytes() for one in folder.iterdir()}, ONNX: model}, replace=True)
    return path


def _known(folder: Path) -> Costs | None:
    path = folder / _CARD
    if not path.is_file():
        return None
    return from_mapping(Costs, json.loads(path.read_text(encoding="utf-8")), where=_CARD)


def _arena(model: bytes, windows: WindowSet) -> tuple[int | None, str]:
    """Bytes of the arena, or why there are none."""
    if not is_installed():
        return None, ""
    try:
        return run_micro(model, windows.windows[:1]).arena_bytes, ""
    except VskdError as error:
        return None, " ".join(error.message.split())[-200:]


def _noise(contract: Contract) -> WindowSet:
    count = _CALIBRATION_WINDOWS
    windows = np.random.default_rng(0).normal(size=(count, *contract.window_shape)).astype(np.float32)
    names = tuple(map(str, range(count)))
    return WindowSet(windows, np.zeros(count, dtype=np.int64), names, names)
