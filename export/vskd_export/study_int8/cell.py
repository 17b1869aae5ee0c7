"""One student of a study as an int8 ``.tflite``: made, run on its own test recordings, and kept beside the study.

``OUT/int8/ARM/FOLD/seed-N`` holds the model and what it scored; a cell that is there is not made again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from vskd.closed import from_mapping, to_mapping
from vskd.writing import write_folder
from vskd_export.convert.onnx import to_onnx
from vskd_export.convert.tflite import to_tflite
from vskd_export.judge.engines import infer_files
from vskd_export.judge.evidence import torch_logits
from vskd_export.quantize.calibrate import WindowSet, draw_calibration
from vskd_export.quantize.onnx import quantize_onnx
from vskd_export.quantize.recipes import INTEGER_RECIPE
from vskd_export.quantize.tflite import quantize_tflite
from vskd_export.search.costs import TFLITE
from vskd_training.data.experiment import Experiment
from vskd_training.evaluation.report import report_scores
from vskd_training.runs.trained import trained_student
from vskd_training.study.cells import open_cell
from vskd_training.study.plan import Cell

_SCORES = "scores.json"


@dataclass(frozen=True)
class CellScores:
    """A cell's network and its int8 model on the same test recordings.

    Attributes
    ----------
    float_accuracy, int8_accuracy : of the study's decisions, in torch and in LiteRT
    float_macro_f1, int8_macro_f1 : the same
    changed : share of the windows that get another label
    """

    float_accuracy: float
    int8_accuracy: float
    float_macro_f1: float
    int8_macro_f1: float
    changed: float


@dataclass(frozen=True)
class Place:
    """Where the study is, and its data.

    Attributes
    ----------
    out : the study's folder
    root : of the data set, None for the synthetic one
    cache : of prepared recordings
    decisions : what the study's scores count
    """

    out: Path
    root: Path | None
    cache: Path
    decisions: Literal["recording", "window"]

    def folder(self, cell: Cell) -> Path:
        """Where a cell's int8 model is."""
        return self.out / "int8" / cell.name


def score_cell(cell: Cell, place: Place) -> CellScores:
    """Make a finished cell's int8 model and run it, or read what was found. Runs in a process of its own.

    Raises
    ------
    DataError : the cell is not finished, or has no test recordings
    MissingExtraError : a converter or an engine is not installed
    VskdError : a converter failed
    """
    card = place.folder(cell) / _SCORES
    if card.is_file():
        return from_mapping(CellScores, json.loads(card.read_text(encoding="utf-8")), where=str(card))
    run = open_cell(place.out, cell)
    experiment = Experiment.open(run.config, root=place.root, cache=place.cache, progress=None)
    student, test = trained_student(run), experiment.windows("test")
    calibration = _calibration(experiment)
    model = quantize_tflite(to_tflite(student, run.contract), run.contract, calibration, INTEGER_RECIPE)
    in_torch, (in_litert,) = (
        torch_logits(student, test.samples),
        infer_files("litert", {TFLITE: model}, test.samples).logits,
    )
    float_, int8 = (report_scores(experiment, test, logits)[place.decisions]["all"] for logits in (in_torch, in_litert))
    scores = CellScores(
        float_accuracy=float_["accuracy"],
        int8_accuracy=int8["accuracy"],
        float_macro_f1=float_["macro_f1"],
        int8_macro_f1=int8["macro_f1"],
        changed=float(np.mean(in_torch.argmax(axis=1) != in_litert.argmax(axis=1))),
    )
    content = (json.dumps(to_mapping(scores), indent=1) + "\n").encode()
    write_folder(place.folder(cell), {TFLITE: model, _SCORES: content}, replace=True)
    return scores


def onnx_model(cell: Cell, place: Place) -> bytes:
    """A finished cell's int8 ONNX model."""
    run = open_cell(place.out, cell)
    experiment = Experiment.open(run.config, root=place.root, cache=place.cache, progress=None)
    model = to_onnx(trained_student(run), run.contract)
    return quantize_onnx(model, run.contract, _calibration(experiment), INTEGER_RECIPE)


def _calibration(experiment: Experiment) -> WindowSet:
    """Of the training subjects; under a protocol that is leaky they are the test subjects, too."""
    train, test = (WindowSet.of(experiment.windows(side)) for side in ("train", "test"))
    return draw_calibration(train, held_out=test, leaky=experiment.split.leaky)
