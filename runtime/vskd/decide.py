"""From logits to events: temperature, smoothing, hysteresis, dwell, unknown; and events without logits.

logits -> softmax(logits / temperature) -> exponential average over windows -> the leading label, once it has led by
``min_lead`` for ``min_dwell_windows`` -> ``unknown`` if its probability is below ``unknown_below`` -> event. Where the
wearer has given examples they take part before the softmax (``vskd.wearer.rule``), and what has examples is ``unknown``
too if the cosine to the nearest one, averaged alike, is below ``unknown_below_cosine``.

A pause in the stream gives ``no signal`` where it is long enough, a window without movement ``still``, and a window
whose signal cannot be known ``no signal`` or ``unknown``, with the reason. A gap resets the decision, and so do these:
windows before tell nothing about those after. Every rule comes from
the contract (``DecisionSpec``). This module does not depend on engines.

A decision is computed with Python floats: right after a model's call every numpy function is slow to start, and for
ten classes or so that costs more than the arithmetic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from vskd.contract import Contract
from vskd.errors import ContractError
from vskd.stream import Pause, Window
from vskd.stream.window import NO_SIGNAL, UNKNOWN, Defect
from vskd.wearer.features import joined
from vskd.wearer.rule import ExampleRule

if TYPE_CHECKING:  # slow to import
    from numpy.typing import NDArray

STILL = "still"

__all__ = ["NOT_FINITE", "NO_SIGNAL", "STILL", "UNKNOWN", "Decider", "Event", "softmax"]

#: Reason of an event whose model overflowed.
NOT_FINITE = "the model's answer is not finite"


@dataclass(frozen=True)
class Event:
    """One decision.

    Attributes
    ----------
    label : the activity, or ``"unknown"``, ``"no signal"``, ``"still"``
    probability : smoothed; of the label, or of the one that it would have been where it is unknown
    reason : why the label is no activity; empty where it is one
    start_s, end_s : the window's first and last sample, s, on the sensor's clock; of ``no signal`` the last sample
        before the pause and the first one after, or the time until which none came
    delay_s : how far a decision lags behind a change of activity: the window, the low-pass filter, the smoothing's mean
        age and the dwell
    probabilities : (classes,), smoothed, in the order of the contract's labels; all equal where nothing is known
    defects : what is wrong with the window's signal, whether it keeps the window from an activity or not
    """

    label: str
    probability: float
    reason: str
    start_s: float
    end_s: float
    delay_s: float
    probabilities: NDArray[np.float64] = field(repr=False)
    defects: tuple[Defect, ...] = ()

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
            "defects": [defect.text for defect in self.defects],
        }


def softmax(logits: NDArray[np.floating[Any]], *, temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities along the last axis, in float64; shape (..., classes)."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    exponent = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    result: NDArray[np.float64] = exponent / exponent.sum(axis=-1, keepdims=True)
    return result


class Decider:
    """Makes decisions, and keeps the state that they need from window to window.

    Parameters
    ----------
    contract : labels and rules
    rule : of the wearer's examples; None without any

    Attributes
    ----------
    labels : of the probabilities: the contract's, then those that only the examples know
    has_examples : whether ``decide`` needs the embedding
    """

    def __init__(self, contract: Contract, rule: ExampleRule | None = None) -> None:
        self.labels = rule.labels if rule else contract.labels
        self._classes = len(contract.labels)
        self._rule, self.has_examples = rule, rule is not None
        self.spec = contract.decision
        window = contract.window
        hop_s = window.hop_samples / window.rate_hz
        mean_age = 1 / self.spec.smoothing - 1  # of the average, in windows
        waiting = mean_age + (self.spec.min_dwell_windows - 1)
        self._window_s = window.duration_s if window.mode == "sliding" else 0.0
        self._delay_s = self._window_s + waiting * hop_s if window.mode == "sliding" else 0.0
        self._even = np.full(len(self.labels), 1 / len(self.labels))
        self._even.setflags(write=False)
        self.reset()

    def reset(self) -> None:
        """Forget every window so far."""
        self._average: list[float] | None = None
        self._cosine = 0.0  # to the nearest example, smoothed as the probabilities are
        self._reported = -1
        self._challenger = -1
        self._led_for = 0

    def decide(
        self, logits: NDArray[np.float32], window: Window, embedding: NDArray[np.float32] | None = None
    ) -> Event:
        """One event for one window.

        Parameters
        ----------
        logits : (classes,); where one is not finite the event is ``unknown`` and the state is kept
        window : that they belong to
        embedding : (features,), which the rule of examples needs; not finite counts as logits that are not

        Raises
        ------
        ContractError : as many logits as the contract has labels are needed, and with a rule the embedding
        """
        if logits.shape != (self._classes,):
            raise ContractError(
                f"the model's answer has shape {logits.shape}, the contract has {self._classes} labels",
                hint="The model and the contract are not of one export",
            )
        if window.after_gap:
            self.reset()
        values = logits.tolist()
        if not math.isfinite(sum(values)):
            return self._not_finite(window)
        if self._rule is not None:
            return self._decide_with(self._rule, values, window, embedding)
        average = self._smoothed(*_exponents(values, self.spec.temperature))
        reported = self._choose(average)
        return self._event(window, average, reported, self._improbable(average[reported]))

    def _decide_with(
        self, rule: ExampleRule, logits: list[float], window: Window, embedding: NDArray[np.float32] | None
    ) -> Event:
        if embedding is None:
            raise ContractError("a decision with a wearer's examples needs the model's embedding of the window")
        mixed = rule.mixed(logits, joined(embedding, window.samples, rule.spec.spectrum))
        if mixed is None:
            return self._not_finite(window)
        values, cosine = mixed
        new = 1.0 if self._average is None else self.spec.smoothing
        self._cosine = new * cosine + (1 - new) * self._cosine
        average = self._smoothed(*_exponents(values, 1.0))
        reported = self._choose(average)
        reason, limit = self._improbable(average[reported]), self.spec.unknown_below_cosine
        if not reason and reported in rule.places and self._cosine < limit:
            reason = f"cosine to the nearest example below {limit}"
        return self._event(window, average, reported, reason)

    def _improbable(self, probability: float) -> str:
        return f"probability below {self.spec.unknown_below}" if probability < self.spec.unknown_below else ""

    def _not_finite(self, window: Window) -> Event:
        delay_s = self._delay_s + window.filter_s
        return self._nothing(UNKNOWN, NOT_FINITE, window.start_s, window.end_s, delay_s, window.defects)

    def still(self, window: Window, movement_g: float) -> Event:
        """The event of a window that the motion gate kept from the network.

        Parameters
        ----------
        window : as in ``decide``
        movement_g : standard deviation of its |a|, g
        """
        self.reset()
        reason = f"|a| varies by {movement_g:.4f} g, below {self.spec.still_below_g}"
        delay_s = self._window_s + window.filter_s
        return self._nothing(STILL, reason, window.start_s, window.end_s, delay_s, window.defects)

    def without_activity(self, window: Window, obstacle: Defect) -> Event:
        """The event of a window whose signal cannot be known, and that the network is not asked of.

        Parameters
        ----------
        window : as in ``decide``
        obstacle : of its defects, the one that says why
        """
        self.reset()
        delay_s = self._window_s + window.filter_s
        return self._nothing(obstacle.label, obstacle.text, window.start_s, window.end_s, delay_s, window.defects)

    def no_signal(self, pause: Pause) -> Event | None:
        """The event of a pause; None where it is not long enough to be one."""
        away_s = pause.end_s - pause.start_s
        if not 0 < self.spec.no_signal_after_s < away_s:
            return None
        self.reset()
        return self._nothing(NO_SIGNAL, f"no samples for {away_s:.3f} s", pause.start_s, pause.end_s, away_s)

    def _nothing(
        self,
        label: str,
        reason: str,
        start_s: float,
        end_s: float,
        delay_s: float,
        defects: tuple[Defect, ...] = (),
    ) -> Event:
        return Event(label, 1 / len(self.labels), reason, start_s, end_s, delay_s, self._even, defects)

    def _event(self, window: Window, probabilities: list[float], leading: int, reason: str) -> Event:
        label, delay_s = UNKNOWN if reason else self.labels[leading], self._delay_s + window.filter_s
        smoothed = np.array(probabilities)
        return Event(
            label, probabilities[leading], reason, window.start_s, window.end_s, delay_s, smoothed, window.defects
        )

    def _smoothed(self, exponents: list[float], total: float) -> list[float]:
        """The exponential average of the probabilities (classes,), the newest of which are ``exponents / total``."""
        if self._average is None:
            self._average = [value / total for value in exponents]
        else:
            new, old, both = self.spec.smoothing, 1 - self.spec.smoothing, zip(exponents, self._average, strict=True)
            self._average = [new * (value / total) + old * before for value, before in both]
        return self._average

    def _choose(self, average: list[float]) -> int:
        """The label to report: a new one only after it has led by enough, for long enough."""
        leading = average.index(max(average))
        if self._reported < 0:
            self._reported = leading
        lead = average[leading] - average[self._reported]
        enough = lead > 0 and lead >= self.spec.min_lead  # a tie changes nothing
        again = leading == self._challenger
        self._led_for = (self._led_for + 1 if again else 1) if enough else 0
        self._challenger = leading
        if self._led_for >= self.spec.min_dwell_windows:
            self._reported = leading
        return self._reported


def _exponents(logits: list[float], temperature: float) -> tuple[list[float], float]:
    """The exponents of one window's softmax, and their sum: each over it is a probability."""
    exp, largest = math.exp, max(logits) / temperature  # rounding keeps the order, so this is the largest quotient
    exponents = [exp(value / temperature - largest) for value in logits]
    return exponents, sum(exponents)
