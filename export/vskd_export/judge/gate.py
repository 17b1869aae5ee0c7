"""The gate: an export whose models do not do what the trained network does is refused, and nothing is written.

Float models must give the trained network's logits on every window, in every engine of this machine, each in a process
of its own under the session options that ship, and on LiteRT's reference kernels. The encoder must draw the float64
image. Quantized models must keep the limits of ``quantized``. What is broken is returned as breaches; ``breaches``
decides what becomes of them. How the windows were chosen is ``evidence``'s matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vskd.bundle import ModelEntry
from vskd.checks.golden import FLIP_MARGIN, margins
from vskd.closed import to_mapping
from vskd.contract import Contract
from vskd.decide import softmax
from vskd.errors import GateError
from vskd.gaf import GafEncoder, paa_matrix
from vskd_export.judge import micro
from vskd_export.judge.answers import Answers
from vskd_export.judge.evidence import Evidence, images_of, reference_averages
from vskd_export.judge.quantized import check_size, judge, measure_quantized
from vskd_export.judge.reference import run_reference
from vskd_export.judge.violations import Breach
from vskd_export.package.golden import golden_rows
from vskd_export.quantize.recipes import FLOAT_RECIPE, RECIPES, entry, models_for
from vskd_training.evaluation.metrics import macro_f1
from vskd_training.models.student import Student

#: A pixel of the image from float64, given the same averages, under every scaling.
IMAGE_LIMIT = 2e-6

#: An average of a segment from float64, relative to the largest reading in the window.
AVERAGE_LIMIT = 1e-6

#: Golden windows to run on reference kernels, LiteRT's and TensorFlow Lite Micro's, which are slow.
REFERENCE_WINDOWS = 8


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


def check_encoder(
    student: Student, contract: Contract, evidence: Evidence
) -> tuple[dict[str, Any], tuple[Breach, ...]]:
    """Compare both encoders with float64, in two steps.

    The averages first; then the image that float64 draws from the encoder's own averages. Near the ends of ``range``
    and ``minmax`` the sine is so steep that the last bit of an average moves a pixel by more than any useful limit;
    that bit is the input's, and the formula is what has to be right.

    Returns
    -------
    largest differences of either encoder, and the limit; what is broken
    """
    exact = reference_averages(evidence.windows, contract)
    largest_reading = np.abs(evidence.windows).max(axis=(1, 2)).astype(np.float64)
    table: dict[str, Any] = {"limit": IMAGE_LIMIT, "average_limit": AVERAGE_LIMIT}
    breaches: list[Breach] = []
    for name, (averages, images) in _drawn(student, contract, evidence.windows).items():
        error = np.abs(averages - exact).max(axis=(1, 2)) / np.maximum(largest_reading, np.finfo(np.float32).tiny)
        pixels = np.abs(images - images_of(averages, contract)).max(axis=(1, 2, 3))
        table[name], table[f"{name}_average"] = float(pixels.max()), float(error.max())
        for what, found, limit in (("averages", error, AVERAGE_LIMIT), ("image", pixels, IMAGE_LIMIT)):
            worst = int(np.nan_to_num(found, nan=np.inf).argmax())
            if not found[worst] <= limit:
                message = (
                    f"the {name} encoder's {what} of window {evidence.names[worst]!r} differs from float64 by "
                    f"{found[worst]:.1e}, the limit is {limit:.0e}"
                )
                breaches.append(Breach("encoder-image", f"the {name} encoder", "", float(found[worst]), limit, message))
    return table, tuple(breaches)


def _drawn(
    student: Student, contract: Contract, windows: NDArray[np.float32]
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Encoder -> its averages (n, channels, size) and its images."""
    samples = contract.window.samples
    with torch.inference_mode():
        source = torch.from_numpy(windows)
        in_torch = (source @ student.encoder.paa).numpy(), student.encoder(source).numpy()
    in_numpy = windows @ paa_matrix(samples, contract.gaf.size), GafEncoder(contract.gaf, samples)(windows)
    return {"numpy": in_numpy, "torch": in_torch}


def check_float(
    logits: NDArray[np.float32], *, engine: str, version: str, file: str, contract: Contract, evidence: Evidence
) -> tuple[FloatParity, tuple[Breach, ...]]:
    """Compare an engine's logits of a float model with torch's.

    Parameters
    ----------
    logits : (n, classes), for the windows of ``evidence``; finite

    Returns
    -------
    what was found, and a breach where a logit differs by more than the contract's tolerance
    """
    difference = np.abs(logits - evidence.logits).max(axis=1)
    worst = int(difference.argmax())
    found, limit = float(difference[worst]), contract.logit_tolerance
    real = evidence.is_real
    chosen = logits[real].argmax(axis=1)
    parity = FloatParity(
        engine=engine,
        version=version,
        file=file,
        largest_difference=found,
        window=evidence.names[worst],
        limit=limit,
        flips=int((chosen != evidence.logits[real].argmax(axis=1)).sum()),
        accuracy=float((chosen == evidence.labels[real]).mean()),
    )
    if found <= limit:
        return parity, ()
    message = (
        f"{engine} {version} disagrees with torch on {file}: window {evidence.names[worst]!r}, largest logit "
        f"difference {found:.2e}, the limit is {limit:.0e}"
    )
    return parity, (Breach("float-logits", file, f"{engine} {version}", found, limit, message),)


def score_torch(evidence: Evidence) -> Mapping[str, Any]:
    """Accuracy and macro-F1 of the trained network over the held-out windows."""
    real = evidence.is_real
    truth, chosen = evidence.labels[real], evidence.logits[real].argmax(axis=1)
    return {"windows": len(truth), "accuracy": float((chosen == truth).mean()), "macro_f1": macro_f1(truth, chosen)}


def check_engines(
    answers: Answers, contract: Contract, evidence: Evidence
) -> tuple[dict[str, list[dict[str, Any]]], tuple[Breach, ...]]:
    """Judge every model in every engine.

    Parameters
    ----------
    answers : of the engines, for the windows of ``evidence``
    contract : holds the tolerance
    evidence : windows and the trained network's answers

    Returns
    -------
    ``parity`` of the float models and ``quantized`` measurements, a row per engine; what is broken

    Raises
    ------
    GateError : a logit is not finite, which nothing allows
    """
    parity, quantized = [], []
    breaches: list[Breach] = []
    for engine, version in answers.versions.items():
        for model in models_for(engine, answers.models):
            logits = answers.logits[engine, model.file]
            who = {"engine": engine, "version": version, "file": model.file}
            _refuse_not_finite(logits, f"{model.file} in {engine} {version}", evidence.names)
            if model.recipe == FLOAT_RECIPE:
                checked, broken = check_float(logits, **who, contract=contract, evidence=evidence)
                parity.append(to_mapping(checked))
            else:
                measured = measure_quantized(logits, **who, contract=contract, evidence=evidence)
                broken = judge(measured)
                quantized.append(to_mapping(measured))
            breaches.extend(broken)
    return {"parity": parity, "quantized": quantized}, tuple(breaches)


def _refuse_not_finite(logits: NDArray[np.float32], what: str, names: Sequence[str]) -> None:
    bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if bad.size:
        raise GateError(
            f"{what} gives NaN or infinity for window {names[bad[0]]!r}",
            hint="Nothing was written, and --allow-degraded does not help: such a model decides nothing",
        )


def check_sizes(
    files: Mapping[str, bytes], models: Sequence[ModelEntry]
) -> tuple[dict[str, dict[str, float]], tuple[Breach, ...]]:
    """Compare the size of every quantized model with the float one of its format.

    Parameters
    ----------
    files : model file -> content
    models : which of them are what

    Returns
    -------
    file -> ratios; what is broken
    """
    table: dict[str, dict[str, float]] = {}
    breaches: list[Breach] = []
    for model in models:
        if model.recipe != FLOAT_RECIPE:
            reference = entry(model.format, FLOAT_RECIPE).file
            table[model.file], broken = check_size(
                model.file, contents=files, reference=reference, weight_bits=RECIPES[model.recipe].weight_bits
            )
            breaches.extend(broken)
    return table, tuple(breaches)


def check_reference(
    models: Sequence[ModelEntry],
    files: Mapping[str, bytes],
    recorded: Mapping[str, NDArray[np.float32]],
    contract: Contract,
    evidence: Evidence,
) -> tuple[list[dict[str, Any]], tuple[Breach, ...]]:
    """Run every ``.tflite`` on LiteRT's reference kernels, over a few golden windows.

    Parameters
    ----------
    models : of the bundle
    files : model file -> content
    recorded : model file -> (n, classes), the logits that the bundle will remember, for the windows of ``evidence``

    Returns
    -------
    a row per model; a breach where a float model's logits are not torch's, or where a quantized one gives another label
    than its fast kernels, though those were sure

    Raises
    ------
    MissingExtraError : LiteRT is not installed
    VskdError : it refuses a model
    """
    rows = _few(evidence)
    names = [model.file for model in models if model.format == "tflite"]
    answers = run_reference({name: files[name] for name in names}, evidence.windows[rows])
    for name, logits in answers.items():
        _refuse_not_finite(logits, f"{name} on LiteRT's reference kernels", [evidence.names[row] for row in rows])
    table: list[dict[str, Any]] = []
    breaches: list[Breach] = []
    for model in models:
        if model.file in answers:
            row, broken = _compare_reference(model, answers[model.file], recorded[model.file], contract, evidence)
            table.append(row)
            breaches.extend(broken)
    return table, tuple(breaches)


def _compare_reference(
    model: ModelEntry,
    logits: NDArray[np.float32],
    recorded: NDArray[np.float32],
    contract: Contract,
    evidence: Evidence,
) -> tuple[dict[str, Any], tuple[Breach, ...]]:
    rows = _few(evidence)
    fast = recorded[rows]
    difference = np.abs(logits - evidence.logits[rows]).max(axis=1)
    row = {
        "file": model.file,
        "windows": len(rows),
        "from_torch": float(difference.max()),
        "from_engine": float(np.abs(logits - fast).max()),
        "flips": int((logits.argmax(axis=1) != fast.argmax(axis=1)).sum()),
    }
    is_float = model.recipe == FLOAT_RECIPE
    found = difference if is_float else _sure_flips(logits, fast, contract)
    limit = contract.logit_tolerance if is_float else FLIP_MARGIN
    worst = int(found.argmax())
    if found[worst] <= limit:
        return row, ()
    return row, (_unlike_reference(model, evidence.names[rows[worst]], float(found[worst]), limit),)


def _unlike_reference(model: ModelEntry, window: str, found: float, limit: float) -> Breach:
    engine = "LiteRT's reference kernels"
    if model.recipe == FLOAT_RECIPE:
        message = f"disagree with torch on {model.file}: window {window!r}, largest logit difference {found:.2e}"
        return Breach("reference-logits", model.file, engine, found, limit, f"{engine} {message}, above {limit:.0e}")
    message = f"give window {window!r} another label on {model.file} than the fast ones, whose margin there is"
    return Breach("reference-label", model.file, engine, found, limit, f"{engine} {message} {found:.2f}")


def _few(evidence: Evidence) -> NDArray[np.intp]:
    """Positions of a few golden windows, recorded and adversarial."""
    rows = golden_rows(evidence)
    return rows[np.linspace(0, len(rows) - 1, REFERENCE_WINDOWS).round().astype(np.intp)]


def _sure_flips(logits: NDArray[np.float32], expected: NDArray[np.float32], contract: Contract) -> NDArray[np.float32]:
    """(n,): margin of ``expected`` where ``logits`` name another label, 0 elsewhere."""
    sureness = margins(softmax(expected, temperature=contract.decision.temperature))
    return np.where(logits.argmax(axis=1) != expected.argmax(axis=1), sureness, np.float32(0))


def check_micro(
    file: str, model: bytes, expected: NDArray[np.float32], contract: Contract, evidence: Evidence
) -> tuple[dict[str, Any], tuple[Breach, ...]]:
    """Run the integer model in TensorFlow Lite Micro on a few golden windows.

    Parameters
    ----------
    file : name of the model
    model : content of the integer ``.tflite``
    expected : (n, classes), LiteRT's logits for the windows of ``evidence``

    Returns
    -------
    arena and differences, or why it was left out; a breach for another label than LiteRT's where LiteRT was sure

    Raises
    ------
    VskdError : the interpreter refuses the model
    """
    if not micro.is_installed():
        return {"skipped": "tflite-micro is not installed"}, ()
    rows = _few(evidence)
    run = micro.run_micro(model, evidence.windows[rows])
    flipped = _sure_flips(run.logits, expected[rows], contract)
    table = {
        "version": run.version,
        "arena_bytes": run.arena_bytes,
        "windows": len(rows),
        "largest_difference": float(np.abs(run.logits - expected[rows]).max()),
        "flips": int((run.logits.argmax(axis=1) != expected[rows].argmax(axis=1)).sum()),
    }
    worst = int(flipped.argmax())
    margin = float(flipped[worst])
    if margin <= FLIP_MARGIN:
        return table, ()
    message = (
        f"TensorFlow Lite Micro {run.version} gives window {evidence.names[rows[worst]]!r} another label than LiteRT, "
        f"whose margin there is {margin:.2f}, above {FLIP_MARGIN}"
    )
    return table, (Breach("micro-label", file, f"tflite-micro {run.version}", margin, FLIP_MARGIN, message),)
