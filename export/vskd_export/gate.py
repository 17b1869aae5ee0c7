"""The gate: an export whose models do not do what the trained network does is refused, and nothing is written.

Float models must give the trained network's logits on every window, in every engine of this machine, each in a process
of its own under the session options that ship. The encoder must draw the float64 image. Integer models are measured,
and refused where they are clearly broken. How the windows were chosen is ``evidence``'s matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vskd.closed import to_mapping
from vskd.contract import Contract
from vskd.decide import softmax
from vskd.errors import GateError
from vskd.gaf import GafEncoder
from vskd.golden import FLIP_MARGIN, IMAGE_TOLERANCE, margins
from vskd_export import micro
from vskd_export.answers import Answers
from vskd_export.evidence import Evidence, reference_images
from vskd_export.golden import golden_rows
from vskd_export.recipes import models_for
from vskd_training.metrics import confusion_matrix, macro_f1
from vskd_training.models.student import Student

#: An integer model that loses more macro-F1 than this on held-out windows is broken, not merely coarse.
MAX_MACRO_F1_LOSS = 0.05

#: The same for the share of held-out windows whose label is not the trained network's.
MAX_FLIP_RATE = 0.10

#: int8 weights are a quarter of float32 ones; below this the weights were not quantized at all.
MIN_SIZE_RATIO = 2.0

#: Golden windows to run in TensorFlow Lite Micro, whose reference kernels are slow.
MICRO_WINDOWS = 8


@dataclass(frozen=True)
class FloatParity:
    """One engine on one float model.

    Attributes
    ----------
    engine, version, file : which
    largest_difference : of a logit from torch's, over all windows
    window : where that is
    limit : what was allowed
    flips : held-out windows whose label is not the trained network's
    accuracy : on the held-out windows
    """

    engine: str
    version: str
    file: str
    largest_difference: float
    window: str
    limit: float
    flips: int
    accuracy: float


@dataclass(frozen=True)
class IntegerParity:
    """One engine on one integer model, over the held-out windows.

    Attributes
    ----------
    engine, version, file : which
    largest_difference : of a logit from torch's
    flips : windows whose label is not the trained network's
    flip_rate : their share
    largest_flipped_margin : the trained network's margin (probability) where it was surest of a flipped label
    accuracy, macro_f1 : against the truth
    macro_f1_loss : the trained network's macro-F1 less this one
    size_ratio : float file over integer file
    """

    engine: str
    version: str
    file: str
    largest_difference: float
    flips: int
    flip_rate: float
    largest_flipped_margin: float
    accuracy: float
    macro_f1: float
    macro_f1_loss: float
    size_ratio: float


def check_encoder(student: Student, contract: Contract, evidence: Evidence) -> dict[str, Any]:
    """Compare both encoders with float64.

    Returns
    -------
    largest difference of either encoder, and the limit; None under a scaling that has none

    Raises
    ------
    GateError : an image differs by more than ``IMAGE_TOLERANCE`` allows
    """
    exact = reference_images(evidence.windows, contract)
    with torch.inference_mode():
        drawn = {
            "numpy": GafEncoder(contract.gaf, contract.window.samples)(evidence.windows),
            "torch": student.encoder(torch.from_numpy(evidence.windows)).numpy(),
        }
    limit = IMAGE_TOLERANCE[contract.gaf.scaling]
    largest = {}
    for name, images in drawn.items():
        difference = np.abs(images - exact).reshape(len(exact), -1).max(axis=1)
        worst = int(difference.argmax())
        largest[name] = float(difference[worst])
        if limit is not None and not largest[name] <= limit:
            raise GateError(
                f"the {name} encoder's image of window {evidence.names[worst]!r} differs from float64 by "
                f"{largest[name]:.1e}, above {limit:.0e}",
                hint="Nothing was written. The contract's gaf settings and the encoder do not agree",
            )
    return {**largest, "limit": limit}


def check_float(
    logits: NDArray[np.float32], *, engine: str, version: str, file: str, contract: Contract, evidence: Evidence
) -> FloatParity:
    """Compare an engine's logits of a float model with torch's.

    Parameters
    ----------
    logits : (n, classes), for the windows of ``evidence``

    Raises
    ------
    GateError : a logit differs by more than the contract's tolerance, or is not finite
    """
    difference = np.abs(logits - evidence.logits).max(axis=1)
    # A NaN must be the worst, not invisible.
    worst = int(np.nan_to_num(difference, nan=np.inf).argmax())
    found = float(difference[worst])
    if not found <= contract.logit_tolerance:
        raise GateError(
            f"{engine} {version} disagrees with torch on {file}: window {evidence.names[worst]!r}, largest logit "
            f"difference {found:.2e}, allowed {contract.logit_tolerance:.0e}",
            hint="Nothing was written. Report this with the versions of torch and the converter",
        )
    real = evidence.is_real
    chosen = logits[real].argmax(axis=1)
    return FloatParity(
        engine=engine,
        version=version,
        file=file,
        largest_difference=found,
        window=evidence.names[worst],
        limit=contract.logit_tolerance,
        flips=int((chosen != evidence.logits[real].argmax(axis=1)).sum()),
        accuracy=float((chosen == evidence.labels[real]).mean()),
    )


def measure_integer(
    logits: NDArray[np.float32],
    *,
    engine: str,
    version: str,
    file: str,
    size_ratio: float,
    contract: Contract,
    evidence: Evidence,
) -> IntegerParity:
    """Measure what an integer model costs on the held-out windows; ``refuse_broken`` judges it.

    Parameters
    ----------
    logits : (n, classes), for the windows of ``evidence``
    size_ratio : size of the float file over that of this one
    """
    real = evidence.is_real
    truth, chosen, expected = evidence.labels[real], logits[real].argmax(axis=1), evidence.logits[real].argmax(axis=1)
    sureness = margins(softmax(evidence.logits[real], temperature=contract.decision.temperature))
    flipped = chosen != expected
    classes = len(contract.labels)
    score = macro_f1(confusion_matrix(truth, chosen, classes))
    return IntegerParity(
        engine=engine,
        version=version,
        file=file,
        largest_difference=float(np.abs(logits[real] - evidence.logits[real]).max()),
        flips=int(flipped.sum()),
        flip_rate=float(flipped.mean()),
        largest_flipped_margin=float(sureness[flipped].max(initial=0.0)),
        accuracy=float((chosen == truth).mean()),
        macro_f1=score,
        macro_f1_loss=macro_f1(confusion_matrix(truth, expected, classes)) - score,
        size_ratio=size_ratio,
    )


def refuse_broken(measured: IntegerParity) -> None:
    """Refuse an integer model that is broken rather than coarse.

    Raises
    ------
    GateError : macro-F1 loss, flip rate or size ratio beyond its limit
    """
    limits = (
        (measured.macro_f1_loss > MAX_MACRO_F1_LOSS, "loses macro-F1", measured.macro_f1_loss, MAX_MACRO_F1_LOSS),
        (measured.flip_rate > MAX_FLIP_RATE, "flips a share of labels", measured.flip_rate, MAX_FLIP_RATE),
        (measured.size_ratio < MIN_SIZE_RATIO, "is smaller by a factor", measured.size_ratio, MIN_SIZE_RATIO),
    )
    for broken, what, value, limit in limits:
        if broken:
            raise GateError(
                f"{measured.file} in {measured.engine} {measured.version} {what} of {value:.3f}, the limit is {limit}",
                hint="Nothing was written. Look at the calibration windows and at the range of the weights",
            )


def score_torch(evidence: Evidence) -> Mapping[str, Any]:
    """Accuracy and macro-F1 of the trained network over the held-out windows."""
    real = evidence.is_real
    truth, chosen = evidence.labels[real], evidence.logits[real].argmax(axis=1)
    matrix = confusion_matrix(truth, chosen, evidence.logits.shape[1])
    return {"windows": len(truth), "accuracy": float((chosen == truth).mean()), "macro_f1": macro_f1(matrix)}


def check_engines(
    answers: Answers, files: Mapping[str, bytes], contract: Contract, evidence: Evidence
) -> dict[str, list[dict[str, Any]]]:
    """Judge every model in every engine.

    Parameters
    ----------
    answers : of the engines, for the windows of ``evidence``
    files : model file -> content
    contract : holds the tolerance
    evidence : windows and the trained network's answers

    Returns
    -------
    ``parity`` of the float models and ``integer`` measurements, a row per engine

    Raises
    ------
    GateError : a model does not do what the trained network does
    """
    parity, integer = [], []
    for engine, version in answers.versions.items():
        full, small = (model.file for model in models_for(engine))
        who = {"engine": engine, "version": version}
        checked = check_float(answers.logits[engine, full], **who, file=full, contract=contract, evidence=evidence)
        measured = measure_integer(
            answers.logits[engine, small],
            **who,
            file=small,
            size_ratio=len(files[full]) / len(files[small]),
            contract=contract,
            evidence=evidence,
        )
        refuse_broken(measured)
        parity.append(to_mapping(checked))
        integer.append(to_mapping(measured))
    return {"parity": parity, "integer": integer}


def check_micro(model: bytes, expected: NDArray[np.float32], contract: Contract, evidence: Evidence) -> dict[str, Any]:
    """Run the integer model in TensorFlow Lite Micro on a few golden windows.

    Parameters
    ----------
    model : content of the integer ``.tflite``
    expected : (n, classes), LiteRT's logits for the windows of ``evidence``

    Returns
    -------
    arena and differences, or why it was left out

    Raises
    ------
    GateError : another label than LiteRT's, where LiteRT was sure
    VskdError : the interpreter refuses the model
    """
    if not micro.is_installed():
        return {"skipped": "tflite-micro is not installed"}
    rows = golden_rows(evidence)
    rows = rows[np.linspace(0, len(rows) - 1, MICRO_WINDOWS).round().astype(np.intp)]
    run = micro.run_micro(model, evidence.windows[rows])
    sureness = margins(softmax(expected[rows], temperature=contract.decision.temperature))
    flipped = run.logits.argmax(axis=1) != expected[rows].argmax(axis=1)
    broken = np.flatnonzero(flipped & (sureness > FLIP_MARGIN))
    if broken.size:
        raise GateError(
            f"TensorFlow Lite Micro {run.version} gives window {evidence.names[rows[broken[0]]]!r} another label than "
            f"LiteRT, whose margin there is {sureness[broken[0]]:.2f}",
            hint="Nothing was written. Report this with the version of tflite-micro",
        )
    return {
        "version": run.version,
        "arena_bytes": run.arena_bytes,
        "windows": len(rows),
        "largest_difference": float(np.abs(run.logits - expected[rows]).max()),
        "flips": int(flipped.sum()),
    }
