"""Reasons to doubt, and audits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["invalid", "degraded", "note"]
Status = Literal["valid", "degraded", "invalid"]

#: What is wrong; ``vskd_benchmarks.result.validity`` has each limit and why it is what it is.
ReasonCode = Literal[
    "load", "governor", "throttled", "throttled-earlier", "temperature", "clock", "swap-activity", "swap-in-use",
    "too-few-samples", "no-p99", "not-steady", "preempted", "threads-exceed-cores", "virtual-machine", "memory-grew",
    "audit-outputs", "audit-repeated-input", "audit-accuracy", "profile-machine", "profile-stand-in",
    "profile-not-applied", "energy-uncertain", "yardstick-not-steady", "yardstick-slow",
]  # fmt: skip


@dataclass(frozen=True)
class Reason:
    """Why a result is not simply valid.

    Attributes
    ----------
    code : what is wrong; see vskd_benchmarks/result/validity.py for each limit and why
    severity : a note does not change the status
    value, limit : what was measured, what is allowed
    unit : of value and limit; empty where they have none
    message : one sentence for people
    """

    code: ReasonCode
    severity: Severity
    value: int | float | str | None
    limit: int | float | str | None
    unit: str
    message: str


@dataclass(frozen=True)
class Validity:
    """The verdict and its reasons."""

    status: Status
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, kw_only=True)
class OutputsAudit:
    """Outputs sampled during the performance run against a run of the same options in a fresh process.

    Attributes
    ----------
    passed : null: not applicable, see detail
    detail : one sentence
    compared : sampled outputs
    identical : equal bit for bit
    largest_difference : of a logit
    limit : the contract's tolerance
    """

    passed: bool | None
    detail: str
    compared: int = 0
    identical: int = 0
    largest_difference: float | None = None
    limit: float


@dataclass(frozen=True, kw_only=True)
class RepeatedInputAudit:
    """Blocks of one repeated input against blocks of varied ones, the model's call alone.

    Attributes
    ----------
    passed : null: not applicable, see detail
    detail : one sentence
    varied_p50_ns, repeated_p50_ns : medians
    faster : 1 - repeated / varied of the lower quartiles of each block, median over the blocks
    limit : what is allowed
    """

    passed: bool | None
    detail: str
    varied_p50_ns: int | None
    repeated_p50_ns: int | None
    faster: float | None
    limit: float


@dataclass(frozen=True, kw_only=True)
class AccuracyAudit:
    """The bundle's golden windows through the same code and options.

    Attributes
    ----------
    passed : null: not applicable, see detail
    detail : one sentence
    windows : golden windows
    agreement : share with the trained network's label
    largest_difference : of a logit: from the trained network's for fp32, from the recorded ones otherwise
    limit : on that; null where labels decide
    broken_labels : labels other than recorded although the margin was above 0.2
    """

    passed: bool | None
    detail: str
    windows: int = 0
    agreement: float | None = None
    largest_difference: float | None = None
    limit: float | None = None
    broken_labels: int = 0


@dataclass(frozen=True)
class Audits:
    """Each must pass, or the case is invalid."""

    outputs: OutputsAudit
    repeated_input: RepeatedInputAudit
    accuracy: AccuracyAudit
