"""The whole document: facts, and what follows from facts and raw numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vskd_benchmarks.measure.plan import SkippedCase
from vskd_benchmarks.result.records.case import Case, CaseFacts, Scope
from vskd_benchmarks.result.records.conditions import (
    AppliedProfile,
    Configuration,
    Environment,
    MeasuredBundle,
    Yardstick,
)
from vskd_benchmarks.result.records.energy import Energy
from vskd_benchmarks.result.records.validity import Status, Validity


@dataclass(frozen=True)
class Ratio:
    """How many times faster ``case`` is than ``against``, round by round.

    Attributes
    ----------
    case, against : ids of cases
    scope : what was timed
    ratio : median over the rounds of against's median over case's
    lowest, highest : round
    rounds : how many
    in_yardsticks : the ratio of both in units of their own rounds' yardsticks; null in results of schema version 2
    """

    case: str
    against: str
    scope: Scope
    ratio: float
    lowest: float
    highest: float
    rounds: int
    in_yardsticks: float | None = None


@dataclass(frozen=True, kw_only=True)
class ImportTime:
    """import vskd over numpy, in fresh processes.

    Attributes
    ----------
    readings_ns : each
    median_ns : of the readings
    """

    readings_ns: tuple[int, ...]
    median_ns: int


@dataclass(frozen=True)
class JudgedGoal:
    """A goal beside its worst case here.

    Attributes
    ----------
    goal : in words
    limit : e.g. ``<= 30``
    worst : null: not measured
    met : whether the worst case keeps the limit
    status : validity of the run that it was judged by; null in results of goals version 2 and before
    """

    goal: str
    limit: str
    worst: float | None
    met: bool | None
    status: Status | None = None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was recorded.

    Attributes
    ----------
    goals_version : of the goals that the result is judged by; 1 where it is absent
    configuration : the options of the run
    environment : the machine before, during and after it
    bundles, cases : that were measured
    not_measured : cases that were skipped
    import_vskd : import vskd over numpy
    profile : the device whose limits the machine was held to; null without --profile
    energy : null where it was not measured
    yardstick : null in results of schema version 2
    """

    kind: Literal["vskd-bench-result"]
    schema_version: Literal[3]
    goals_version: int = 1
    configuration: Configuration
    environment: Environment
    bundles: tuple[MeasuredBundle, ...]
    cases: tuple[CaseFacts, ...]
    not_measured: tuple[SkippedCase, ...]
    import_vskd: ImportTime
    profile: AppliedProfile | None = None
    energy: Energy | None = None
    yardstick: Yardstick | None = None


@dataclass(frozen=True, kw_only=True)
class Result(Facts):
    """result.json of a result folder. Times are ns unless the name says otherwise.

    Attributes
    ----------
    cases : what was measured
    ratios : every bundle model against every other pipeline of its group
    goals : vskd's goals of the version that is named
    validity : the run's own reasons (the machine's); the status is the worst of them and of every case
    """

    cases: tuple[Case, ...]
    ratios: tuple[Ratio, ...]
    goals: tuple[JudgedGoal, ...]
    validity: Validity

    def bundle(self, bundle_id: str) -> MeasuredBundle:
        """A bundle by its id."""
        return next(bundle for bundle in self.bundles if bundle.id == bundle_id)
