"""Golden vectors: windows with the answers of every stage, and their replay in the engines of this machine.

A bundle carries them so that a device can be checked: the images must come out of this encoder, the logits out of
these engines. This module holds the expected answers; the exporter computes them and decides which differences it
accepts.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import Bundle, ModelEntry
from vskd.bundle_files import GOLDEN_VECTORS
from vskd.contract import Contract, Scaling
from vskd.decide import softmax
from vskd.encoders import encoder_for
from vskd.engines.process import Answer, infer_in_subprocess
from vskd.errors import BundleError, EngineError

Float32 = NDArray[np.float32]

#: Largest difference between an image of this machine's encoder and the golden one, by scaling. ``tanh`` is well
#: conditioned everywhere. Near the ends of the other two scales the sine is steep and magnifies the rounding of the
#: averages: up to 2 sqrt(2^-24) under ``range``, and without bound under ``minmax``, whose scale may be as narrow as
#: an axis is quiet.
_IMAGE_TOLERANCE: Mapping[Scaling, float | None] = {"tanh": 2e-6, "range": 5e-4, "minmax": None}

#: The same of a raw network's channels: a hyperbolic tangent, and a mean of at most 1.
_RAW_TOLERANCE = 2e-6

#: An integer model may give another label than it gave at export only where its margin was at most this: the same int8
#: model rounds differently from processor to processor (onnxruntime issue 28609).
FLIP_MARGIN = 0.2


_ARRAYS = ("names", "windows", "images", "logits", "probabilities", "labels", "margins")
_MODEL_PREFIX = "model_logits/"


@dataclass(frozen=True)
class Golden:
    """Windows, with the output of every stage at export.

    Attributes
    ----------
    names : (windows,), what each window is, e.g. ``"real a1_s2_t1"``, ``"adversarial flat"``
    windows : (windows, channels, samples), g
    images : (windows, *contract.encoded_shape), the encoder's output, computed in float64 by a formula of its own
    logits : (windows, classes), of the trained network
    probabilities : (windows, classes), after the contract's temperature
    labels : (windows,), index of the winning class
    margins : (windows,), highest probability less the second highest
    model_logits : model file -> (windows, classes), as its engine gave them at export
    """

    names: tuple[str, ...]
    windows: Float32
    images: Float32
    logits: Float32
    probabilities: Float32
    labels: NDArray[np.int64]
    margins: Float32
    model_logits: Mapping[str, Float32]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Replay:
    """The result of one engine on one model of a bundle.

    Attributes
    ----------
    engine, version : which, and of which version
    entry : the model
    windows : count of golden windows that were replayed
    largest_difference : between its logits and the golden ones: the trained network's for a float model, the ones
        recorded at export for an integer model
    worst_window : name of the window where that is
    flips : windows whose label is not the trained network's
    problem : one sentence when it failed; empty when it passed
    """

    engine: str
    version: str
    entry: ModelEntry
    windows: int
    largest_difference: float
    worst_window: str
    flips: int
    problem: str

    @property
    def passed(self) -> bool:
        """Whether the engine gives the answers of the export, within the tolerance."""
        return not self.problem


@dataclass(frozen=True)
class ImageReplay:
    """The result of this machine's numpy encoder: the largest difference, its window, and the verdict."""

    windows: int
    largest_difference: float
    worst_window: str
    problem: str

    @property
    def passed(self) -> bool:
        """Whether the images are the golden ones."""
        return not self.problem


def gives_the_networks_logits(entry: ModelEntry) -> bool:
    """Whether a model computes the trained network's logits, rather than something that resembles them."""
    return entry.recipe == "fp32"


def encoder_tolerance(contract: Contract) -> float | None:
    """Largest difference between an encoder's output and float64's; None where no limit can be given."""
    return _RAW_TOLERANCE if contract.gaf is None else _IMAGE_TOLERANCE[contract.gaf.scaling]


def margins(probabilities: NDArray[np.floating[Any]]) -> Float32:
    """Highest probability less the second highest: (windows, classes) -> (windows,)."""
    ordered = np.sort(probabilities, axis=-1)
    lead: Float32 = (ordered[:, -1] - ordered[:, -2]).astype(np.float32)
    return lead


def golden_to_bytes(golden: Golden) -> bytes:
    """The content of ``golden/vectors.npz``; equal vectors give equal bytes (numpy stamps every member 1980)."""
    arrays = {name: getattr(golden, name) for name in _ARRAYS if name != "names"}
    arrays["names"] = np.array(golden.names, dtype=np.str_)
    arrays |= {_MODEL_PREFIX + file: logits for file, logits in sorted(golden.model_logits.items())}
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def read_golden(bundle: Bundle) -> Golden:
    """The golden vectors of a bundle.

    Parameters
    ----------
    bundle : opened; the file's hash is checked first

    Raises
    ------
    BundleError : the file is missing, changed, or holds something else
    """
    path = bundle.checked_path(GOLDEN_VECTORS)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        model_logits = {
            name.removeprefix(_MODEL_PREFIX): array for name, array in arrays.items() if name.startswith(_MODEL_PREFIX)
        }
        stages = {name: arrays[name] for name in _ARRAYS}
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(f"{path} holds no golden vectors: {error}", hint="Export the run again") from error
    stages["names"] = tuple(str(name) for name in stages["names"])
    return Golden(**stages, model_logits=model_logits)


def replay(bundle: Bundle, pairs: Sequence[tuple[str, ModelEntry]] | None = None) -> tuple[Replay, ...]:
    """Run the golden windows through engines and models, one process per engine.

    Parameters
    ----------
    bundle : opened
    pairs : (engine name, model) to run; None takes every model in every installed engine

    Returns
    -------
    one result per pair, in the order of the engines; an engine that cannot run a model is a result with a problem

    Raises
    ------
    BundleError : a model or the golden vectors were changed
    """
    golden = read_golden(bundle)
    chosen = bundle.runnable() if pairs is None else tuple(pairs)
    results: list[Replay] = []
    for engine in dict.fromkeys(name for name, _ in chosen):
        entries = [entry for name, entry in chosen if name == engine]
        try:
            answer = infer_in_subprocess(engine, [bundle.model_path(entry) for entry in entries], golden.windows)
        except EngineError as error:
            results += [_failed(engine, entry, len(golden), str(error)) for entry in entries]
            continue
        results += [
            _compare(answer, entry, logits, golden, bundle.contract)
            for entry, logits in zip(entries, answer.logits, strict=True)
        ]
    return tuple(results)


def replay_images(bundle: Bundle) -> ImageReplay:
    """Encode the golden windows on this machine and compare with the golden images.

    Raises
    ------
    BundleError : the golden vectors were changed
    """
    golden = read_golden(bundle)
    images = encoder_for(bundle.contract)(golden.windows)
    difference = np.abs(images - golden.images).reshape(len(golden), -1).max(axis=1)
    worst = int(difference.argmax())
    largest = float(difference[worst])
    limit = encoder_tolerance(bundle.contract)
    problem = ""
    if limit is not None and not largest <= limit:
        problem = f"the encoder's output for window {golden.names[worst]!r} differs by {largest:.1e}, above {limit:.0e}"
    return ImageReplay(len(golden), largest, golden.names[worst], problem)


def _failed(engine: str, entry: ModelEntry, windows: int, problem: str) -> Replay:
    return Replay(engine, "", entry, windows, float("nan"), "", 0, problem)


def _compare(answer: Answer, entry: ModelEntry, logits: Float32, golden: Golden, contract: Contract) -> Replay:
    is_float = gives_the_networks_logits(entry)
    expected = golden.logits if is_float else golden.model_logits.get(entry.file, golden.logits)
    difference = np.abs(logits - expected).max(axis=1)
    worst = int(difference.argmax())
    if not np.isfinite(logits).all():
        problem = "some logits are not finite"
    elif is_float:
        problem = _float_problem(golden.names[worst], float(difference[worst]), contract.logit_tolerance)
    else:
        problem = _integer_problem(golden.names, logits, softmax(expected, temperature=contract.decision.temperature))
    return Replay(
        engine=answer.engine,
        version=answer.version,
        entry=entry,
        windows=len(golden),
        largest_difference=float(difference[worst]),
        worst_window=golden.names[worst],
        flips=int((logits.argmax(axis=1) != golden.labels).sum()),
        problem=problem,
    )


def _float_problem(window: str, difference: float, limit: float) -> str:
    return "" if difference <= limit else f"logits of window {window!r} differ by {difference:.1e}, above {limit:.0e}"


def _integer_problem(names: Sequence[str], logits: Float32, expected: NDArray[np.float64]) -> str:
    sureness = margins(expected)
    broken = np.flatnonzero((logits.argmax(axis=1) != expected.argmax(axis=1)) & (sureness > FLIP_MARGIN))
    if broken.size == 0:
        return ""
    first = int(broken[0])
    return (
        f"the label of window {names[first]!r} is not the one recorded at export, though the margin there was "
        f"{sureness[first]:.2f} (a flip is allowed up to {FLIP_MARGIN})"
    )
