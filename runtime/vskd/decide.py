"""From logits to events: temperature, smoothing, dwell, unknown.

logits -> softmax(logits / temperature) -> exponential average over windows -> the leading label, once it has led for
``min_dwell_windows`` -> ``unknown`` if its probability is below ``unknown_below`` -> event.

A gap in the stream starts afresh. Every rule comes from the contract (``DecisionSpec``). Knows nothing of engines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.contract import Contract
from vskd.stream import Window

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Event:
    """One decision.

    Attributes
    ----------
    label : the activity, or ``"unknown"``
    probability : of the leading label, smoothed
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
        """One event for one window; logits (classes,)."""
        if window.after_gap:
            self.reset()
        newest = softmax(logits, temperature=self.spec.temperature)
        weight = self.spec.smoothing
        self._average = newest if self._average is None else weight * newest + (1 - weight) * self._average
        leading = self._dwell(int(self._average.argmax()))
        probability = float(self._average[leading])
        unknown = probability < self.spec.unknown_below
        return Event(
            label=UNKNOWN if unknown else self.labels[leading],
            probability=probability,
            reason=f"probability below {self.spec.unknown_below}" if unknown else "",
            start_s=window.start_s,
            end_s=window.end_s,
            delay_s=self._delay_s,
            probabilities=self._average,
        )

    def _dwell(self, leading: int) -> int:
        """The label to report: a new one only after it has led for long enough."""
        self._led_for = self._led_for + 1 if leading == self._challenger else 1
        self._challenger = leading
        if self._reported < 0 or self._led_for >= self.spec.min_dwell_windows:
            self._reported = leading
        return self._reported
