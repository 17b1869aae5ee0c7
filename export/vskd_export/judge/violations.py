"""Violations: limits that an exported model exceeds, and what to do about each.

The checks return them; an export is refused at the end, unless a degraded bundle is allowed: then every violation goes
into its report. The limits are in ``limits``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vskd.closed import to_mapping
from vskd.errors import GateError

ViolationCode = Literal[
    "class-training",
    "encoder-output",
    "float-logits",
    "float-embedding",
    "macro-f1",
    "class-f1",
    "flip-rate",
    "flip-margin",
    "nearest-example",
    "weights-size",
    "file-size",
    "reference-logits",
    "reference-label",
    "micro-label",
    "micro-embedding",
    "variant-values",
]


_FINE_TUNE = "train the student with --set quantization.epochs=4, which fine-tunes it for int8"
_FINER = (
    "export a finer recipe: --recipe w8-pc (8-bit weights, float arithmetic), fp16, or w8a16-static-pc.tflite "
    "(8-bit weights, 16-bit activations)"
)
_LABELS = (_FINE_TUNE, _FINER)
_VERSIONS = "install the versions of constraints.txt and export again"
_REPORT = "leave that engine out (pip uninstall) and report the difference with the engine's version"
_LAYERS = "build the network of Conv2d and Linear layers, whose weights are quantized"

#: Two ways out of every violation, or more; each says all in its own words, as it is told among others.
REMEDIES: Mapping[ViolationCode, tuple[str, ...]] = {
    "class-training": (
        "record more of that activity, or shorten window.samples, and train again",
        "leave that activity's clips out (data.unknown_labels) and train again",
    ),
    "encoder-output": (_VERSIONS, "check that sensor.range_g and the encoder's scale_g are in g, as the windows are"),
    "float-logits": (_VERSIONS, _REPORT),
    "float-embedding": (_VERSIONS, _REPORT),
    "macro-f1": _LABELS,
    "class-f1": (*_LABELS, "record more of that class"),
    "flip-rate": _LABELS,
    "flip-margin": (_FINE_TUNE, "export --recipe fp16, whose labels hardly ever change"),
    "nearest-example": _LABELS,
    "weights-size": (_LAYERS, "export without that recipe"),
    "file-size": (_LAYERS, "export without that recipe"),
    "reference-logits": (_VERSIONS, _REPORT),
    "reference-label": (_VERSIONS, _FINE_TUNE),
    "micro-label": (_VERSIONS, _FINE_TUNE),
    "micro-embedding": (_VERSIONS, _REPORT),
    "variant-values": (_VERSIONS, "export without --variants"),
}


@dataclass(frozen=True)
class Violation:
    """A limit that is not kept.

    Attributes
    ----------
    code : which limit
    component : what does not keep it, e.g. ``"model.fp32.onnx"`` or ``"the numpy encoder"``
    engine : in which it was seen, with its version; empty where no engine is involved
    value, limit : in the limit's own unit
    message : the same for people, a sentence without its full stop
    """

    code: ViolationCode
    component: str
    engine: str
    value: float
    limit: float
    message: str


def with_remedies(found: Sequence[Violation]) -> list[dict[str, Any]]:
    """The violations for the report, each with its remedies."""
    return [to_mapping(violation) | {"remedies": list(REMEDIES[violation.code])} for violation in found]


def remedies(degraded: Sequence[Mapping[str, Any]]) -> list[str]:
    """The remedies of what ``with_remedies`` gave, each once."""
    return list(dict.fromkeys(remedy for violation in degraded for remedy in violation["remedies"]))


def refusal(found: Sequence[Violation], *, report: str) -> GateError:
    """The error of an export that has violations: names every one, and then each remedy once.

    Parameters
    ----------
    found : at least one
    report : where the report of the refused export was written
    """
    lines = [f"the gate refuses this export: {len(found)} limit{'s are' if len(found) > 1 else ' is'} exceeded"]
    lines += [f"  - {violation.message}" for violation in found]
    lines += ["Remedies:", *(f"  - {remedy}" for remedy in remedies(with_remedies(found)))]
    lines.append(f"No bundle was written; {report} holds the report of the refused one (no engine opens that folder)")
    return GateError("\n".join(lines), hint="--allow-degraded writes the bundle and marks it")


def refuse_not_finite(values: NDArray[np.float32], what: str, names: Sequence[str]) -> None:
    """Refuse what a model gives if it holds NaN or infinity, which nothing allows.

    Parameters
    ----------
    values : (n, ...)
    what : the model and where it ran
    names : (n,), of the windows

    Raises
    ------
    GateError : names the first such window
    """
    bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
    if bad.size:
        raise GateError(
            f"{what} gives NaN or infinity for window {names[bad[0]]!r}",
            hint="Nothing was written, and --allow-degraded does not help: such a model decides nothing",
        )
