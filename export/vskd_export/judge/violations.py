"""Breaches: limits that an exported model does not keep, and what becomes of them.

By default the first ones stop the export. A user who allows a degraded bundle gets it with every breach written into
its report. Which limits there are is ``gate``'s and ``quantized``'s matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vskd.errors import GateError

BreachCode = Literal[
    "encoder-image",
    "float-logits",
    "macro-f1",
    "class-f1",
    "flip-rate",
    "flip-margin",
    "weights-size",
    "file-size",
    "reference-logits",
    "reference-label",
    "micro-label",
    "form-values",
]


@dataclass(frozen=True)
class Breach:
    """A limit that is not kept.

    Attributes
    ----------
    code : which limit
    subject : what broke it, e.g. ``"model.fp32.onnx"`` or ``"the numpy encoder"``
    engine : in which it was seen, with its version; empty where no engine is involved
    value, limit : in the limit's own unit
    message : the same for people, a sentence without its full stop
    """

    code: BreachCode
    subject: str
    engine: str
    value: float
    limit: float
    message: str


class Ledger:
    """Takes breaches as they are found.

    Parameters
    ----------
    allow_degraded : keep them for the report instead of refusing them
    """

    def __init__(self, *, allow_degraded: bool) -> None:
        self._allow_degraded = allow_degraded
        self._found: list[Breach] = []

    @property
    def breaches(self) -> tuple[Breach, ...]:
        """Every one that was allowed, in the order in which they were found."""
        return tuple(self._found)

    def record(self, breaches: Sequence[Breach]) -> None:
        """Refuse breaches, or keep them where a degraded bundle is allowed.

        Raises
        ------
        GateError : names the first; counts the others by code
        """
        if breaches and not self._allow_degraded:
            others = sorted({breach.code for breach in breaches[1:]})
            also = f" ({len(breaches) - 1} more: {', '.join(others)})" if others else ""
            raise GateError(
                breaches[0].message + also,
                hint="Nothing was written. Mend it, or --allow-degraded writes the bundle and marks its report",
            )
        self._found.extend(breaches)
