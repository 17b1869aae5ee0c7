"""From logits to events: temperature, smoothing, dwell, unknown.

logits -> softmax(logits / temperature) -> exponential average over windows -> the leading label, once it has led for
``min_dwell_windows`` -> ``unknown`` if its probability is below ``unknown_below`` -> event.

A gap in the stream starts afresh. Every rule comes from the contract (``DecisionSpec``). Knows nothing of engines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vskd.contract import Contract
from vskd.errors import ContractError
from vskd.stream import Window

if TYPE_CHECKING:  # slow to import, see vskd.stream
    from numpy.typing import NDArray

UNKNOWN = "unknown"

#: Reason of an event whose model overflowed.
NOT_FINITE = "the model's answer is not finite"


@dataclass(frozen=True)
class Event:
    """One decision.

    Attributes
    ----------
    label : the activity, or ``"unknown"``
    probability : smoothed; of the label, or of the one that it would have been where it is unknown
    reason : why the label is unknown; empty otherwise
    start_s, end_s : the window's first and last sample, s, on the sensor's clock
    delay_s : how far a decision lags behind a change of activity: the window, the smoothing's mean age and the dwell
    probabilities : (classes,), smoothed, in the order of the contract's labels
    """

    label: str
    probability: float
    reason: str
    start_s: float
    end_s: float
    delay_s: float
    probabilities: NDArray[np.float64]

    def to_mapping(self, labels: tuple[str, ...]) -> dict[str, Any]:
        """The event as plain values, ready for JSON; ``labels`` are the contract's."""
        return {
            "start_s": round(self.start_s, 6),
            "end_s": round(self.end_s, 6),
            "label": self.label,
            "probability": round(self.probability, 6),
            "reason": self.reason,
            "delay_s": round(self.delay_s, 6),
            "probabilities": {
                name: round(float(value), 6) for name, value in zip(labels, self.probabilities, strict=True)
            },
        }


def softmax(logits: NDArray[np.floating[Any]], *, temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities along the last axis, in float64; shape (..., classes)."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    exponent = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    result: NDArray[np.float64] = exponent / exponent.sum(axis=-1, keepdims=True)
    return result


class Decider:
    """Keeps what a decision needs to remember from window to window.

    Parameters
    ----------
    contract : labels and rules
    """

    def __init__(self, contract: Contract) -> None:
        self.labels = contract.labels
        self.spec = contract.decision
        window = contract.window
        hop_s = window.hop_samples / window.rate_hz
        waiting = (1 / self.spec.smoothing - 1) + (self.spec.min_dwell_windows - 1)
        self._delay_s = window.duration_s + waiting * hop_s if window.mode == "sliding" else 0.0
        self.reset()

    def reset(self) -> None:
        """Forget every window so far."""
        self._average: NDArray[np.float64] | None = None
        self._reported = -1
        self._challenger = -1
        self._led_for = 0

    def decide(self, logits: NDArray[np.float32], window: Window) -> Event:
        """One event for one window.

        Parameters
        ----------
        logits : (classes,); where one is not finite the event is ``unknown`` and what came before is kept
        window : that they belong to

        Raises
        ------
        ContractError : as many logits as the contract has labels are needed
        """
        if logits.shape != (len(self.labels),):
            raise ContractError(
                f"the model's answer has shape {logits.shape}, the contract has {len(self.labels)} labels",
                hint="The model and the contract are not of one export",
            )
        if window.after_gap:
            self.reset()
        if not np.isfinite(logits).all():
            return self._event(window, np.full(len(self.labels), 1 / len(self.labels)), 0, NOT_FINITE)
        newest = softmax(logits, temperature=self.spec.temperature)
        weight = self.spec.smoothing
        self._average = newest if self._average is None else weight * newest + (1 - weight) * self._average
        leading = self._dwell(int(self._average.argmax()))
        unknown = self._average[leading] < self.spec.unknown_below
        reason = f"probability below {self.spec.unknown_below}" if unknown else ""
        return self._event(window, self._average, leading, reason)

    def _event(self, window: Window, probabilities: NDArray[np.float64], leading: int, reason: str) -> Event:
        return Event(
            label=UNKNOWN if reason else self.labels[leading],
            probability=float(probabilities[leading]),
            reason=reason,
            start_s=window.start_s,
            end_s=window.end_s,
            delay_s=self._delay_s,
            probabilities=probabilities,
        )

    def _dwell(self, leading: int) -> int:
        """The label to report: a new one only after it has led for long enough."""
        self._led_for = self._led_for + 1 if leading == self._challenger else 1
        self._challenger = leading
        if self._reported < 0 or self._led_for >= self.spec.min_dwell_windows:
            self._reported = leading
        return self._reported
