"""What to export, and on which terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vskd.bundle import ModelEntry
from vskd.contract import Contract
from vskd.sources.layout import Described
from vskd_export.quantize.calibrate import WindowSet
from vskd_export.quantize.recipes import MODELS
from vskd_training.datasets.data_set import About
from vskd_training.models.student import Student


@dataclass(frozen=True)
class ExportRequest:
    """What to export, and on which terms.

    Attributes
    ----------
    student : trained; not changed
    contract : what a window is
    calibration : windows of training subjects; the integer models are calibrated on some of them
    held_out : windows of other subjects, on which the exported models are judged
    provenance : where the student comes from (run, configuration, data); goes into the report, so no date, no path
    out : folder to write, e.g. ``wrist.bundle``
    overwrite : replace a bundle that is there
    seen_in_training : the run was trained on everybody, so nobody is held out: ``held_out`` are windows of the same
        subjects that are not calibrated on. They judge parity, and no accuracy is reported
    training : class -> labelled windows that taught it; empty: those of ``calibration``
    leaky : the run's protocol has the same subjects in training and test, and is marked so
    allow_degraded : write the bundle even if a limit is exceeded, with every violation in its report
    models : what to make, see ``parse_recipes``
    files : what the sensor's files of the recordings are, for those who run the bundle on such files
    variants : write the variants too, see ``vskd_export.quantize.variants``
    small : keep the int8 ``.tflite`` alone of the models, and neither its C source nor the page
    licence : of the model, an SPDX identifier; empty: not stated
    about : where the recordings come from, and on which terms
    notice : the text of the recordings' licence, which goes along with the windows of them that the bundle holds
    """

    student: Student
    contract: Contract
    calibration: WindowSet
    held_out: WindowSet
    provenance: Mapping[str, Any]
    out: Path
    overwrite: bool = False
    seen_in_training: bool = False
    training: Mapping[str, int] = field(default_factory=dict)
    leaky: bool = False
    allow_degraded: bool = False
    models: tuple[ModelEntry, ...] = MODELS
    variants: bool = False
    files: Described | None = None
    small: bool = False
    licence: str = ""
    about: About = field(default_factory=About)
    notice: str = ""
