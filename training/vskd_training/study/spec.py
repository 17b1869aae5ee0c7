"""The study file: which arms are trained, who teaches them, and which are compared.

::

    name = "scarce"  # STUDY.toml
    config = "utd-mhad-joints"  # a preset, a TOML file beside this one, or a run
    seeds = [0, 1, 2]
    set = ["data.train_on_validation=true"]  # changes to the config, of every cell

    [[teacher]]
    name = "skeleton"
    seeds = [0, 1, 2]  # one network per seed; their mean teaches every seed of an arm

    [[teacher]]
    name = "both"
    members = ["skeleton", "alone"]  # an ensemble of other teachers' and arms' networks (all seeds); trains none

    [[arm]]
    name = "alone"

    [[arm]]
    name = "distilled"
    teacher = "skeleton"  # a teacher, or an earlier arm: its run of the same fold and seed

    [[arm]]
    name = "forest"
    kind = "forest"  # no network: is one needed?

    [[compare]]  # without any, every arm is compared with the first
    arm = "distilled"
    against = "alone"

A study that chooses a setting, a loss or an image must not use the test subjects of the reported run. Restrict it to
some subjects in ``set``, with the protocol leave-one-subject-out: each of them is tested once by networks trained on
the others, and nobody else's recordings are on any side.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from vskd.errors import ConfigError, did_you_mean

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True)
class TeacherSpec:
    """One network for each of ``seeds``, or an ensemble of the networks of others.

    Attributes
    ----------
    name : unique among teachers and arms
    seeds : of its networks
    set : changes to the study's config
    members : teachers and arms whose networks teach together, in place of own networks
    """

    name: str
    seeds: tuple[int, ...] = (0,)
    set: tuple[str, ...] = ()
    members: tuple[str, ...] = ()

    RETIRED: ClassVar[Mapping[str, str]] = {
        "cross_fitted": "It was removed: no study used it",
        "of": "It is called members now",
    }

    def __post_init__(self) -> None:
        if self.members and (self.seeds, self.set) != ((0,), ()):
            raise ConfigError(
                f"the teacher {self.name!r} is an ensemble of others, so it has no seeds or set of its own",
                hint="Give these to its members",
            )


@dataclass(frozen=True)
class ArmSpec:
    """A student, or the baseline that is no network.

    Attributes
    ----------
    name : unique among teachers and arms
    teacher : a teacher's or another arm's name; empty: none
    set : changes to the study's config
    kind : ``forest``: a random forest on hand-made features, see ``vskd_training.forest.trees``
    """

    name: str
    teacher: str = ""
    set: tuple[str, ...] = ()
    kind: Literal["student", "forest"] = "student"

    def __post_init__(self) -> None:
        if self.kind == "forest" and self.teacher:
            raise ConfigError(
                f"the arm {self.name!r} is a forest, which cannot be taught, and names the teacher {self.teacher!r}",
                hint="Remove its teacher",
            )


@dataclass(frozen=True)
class PairSpec:
    """Which arm is compared with which."""

    arm: str
    against: str


@dataclass(frozen=True)
class StudySpec:
    """A study file, see the module.

    Attributes
    ----------
    name, config, seeds, set : as above; ``config`` as ``--config``, a path relative to the study file
    arm, teacher, compare : as above
    decisions : what every score counts: one decision per ``recording``, or one per ``window``
    """

    name: str
    config: str
    seeds: tuple[int, ...]
    arm: tuple[ArmSpec, ...]
    teacher: tuple[TeacherSpec, ...] = ()
    compare: tuple[PairSpec, ...] = ()
    set: tuple[str, ...] = ()
    decisions: Literal["recording", "window"] = "recording"

    RETIRED: ClassVar[Mapping[str, str]] = {
        "activities": "It was removed: comparisons are over all activities, and the table has the wrist's beside them",
        "folds": "It was removed: a study runs every fold of data.protocol",
    }

    def __post_init__(self) -> None:
        if not self.seeds or not self.arm:
            raise ConfigError("a study needs at least one seed and one [[arm]]")
        for seeds in (self.seeds, *(teacher.seeds for teacher in self.teacher)):
            if len(set(seeds)) < len(seeds) or not seeds or min(seeds) < 0:
                raise ConfigError(
                    f"the seeds of a study must differ and not be negative, got {list(seeds)}",
                    hint="Give each seed once",
                )
        names = [*(arm.name for arm in self.arm), *(teacher.name for teacher in self.teacher)]
        for name in names:
            if not _NAME.fullmatch(name):
                raise ConfigError(f"a name in a study holds small letters, digits and hyphens, got {name!r}")
            if names.count(name) > 1:
                raise ConfigError(f"two arms or teachers of the study are called {name!r}", hint="Rename one of them")
        self._check_members()
        self._check_teachers()
        self._check_pairs()

    def _check_members(self) -> None:
        students = (arm.name for arm in self.arm if arm.kind == "student")
        networks = [*(teacher.name for teacher in self.trained_teachers), *students]
        for teacher in self.teacher:
            for member in teacher.members:
                if member not in networks:
                    raise ConfigError(
                        f"{member!r}, a member of the teacher {teacher.name!r}, is no student and no teacher with "
                        "networks",
                        hint=did_you_mean(member, networks),
                    )

    def _check_teachers(self) -> None:
        """An arm can only be taught by networks that come before it, so no circle can arise."""
        before = {teacher.name for teacher in self.trained_teachers}
        for arm in self.arm:
            ensembles = {teacher.name for teacher in self.teacher if teacher.members and {*teacher.members} <= before}
            ready = sorted(before | ensembles)
            if arm.teacher and arm.teacher not in ready:
                raise ConfigError(
                    f"the arm {arm.name!r} is taught by {arm.teacher!r}, which is no teacher and no student before it, "
                    "or has a member that is not before it",
                    hint=did_you_mean(arm.teacher, ready),
                )
            if arm.kind == "student":
                before.add(arm.name)

    def _check_pairs(self) -> None:
        arms = [arm.name for arm in self.arm]
        for pair in self.compare:
            for name in (pair.arm, pair.against):
                if name not in arms:
                    raise ConfigError(f"[[compare]] names {name!r}, which is no arm", hint=did_you_mean(name, arms))

    @property
    def trained_teachers(self) -> tuple[TeacherSpec, ...]:
        """Those with networks of their own."""
        return tuple(teacher for teacher in self.teacher if not teacher.members)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The comparisons: as listed, or every arm with the first."""
        if self.compare:
            return tuple((pair.arm, pair.against) for pair in self.compare)
        return tuple((arm.name, self.arm[0].name) for arm in self.arm[1:])
