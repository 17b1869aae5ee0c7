"""``[loss]`` and ``[distillation]``: the weights of the loss terms, and what the student's targets are.

The terms are defined in ``distillation.losses`` and ``distillation.logit_losses``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal

from vskd.errors import ConfigError

#: The terms that compare with a teacher.
TEACHER_TERMS = ("kd", "distance", "angle", "semantic", "decoupled", "dist")

#: How several teachers' probabilities become one.
Aggregate = Literal["arithmetic", "geometric"]

_UNUSED = "It was removed: no study used it"


@dataclass(frozen=True)
class LossWeights:
    """The weight of each term, all at least 0; a term of weight 0 is not computed.

    The defaults train a student alone. The public code of VSKD sets kd 0.01 and the three others 1.

    Attributes
    ----------
    ce : cross entropy with the labels
    kd : soft targets
    distance : DASK: distances between the features of a batch
    angle : DASK: angles between the features of a batch
    semantic : DASK: the features themselves
    decoupled : decoupled distillation, see ``distillation.logit_losses``
    dist : correlation of the logits within and between windows, see ``distillation.logit_losses``
    supervised : contrast of the features by the labels, without a teacher
    standardised : bring each row of logits to mean 0 and deviation 1 ahead of ``kd`` and ``decoupled``
    temperature : divides both sides' logits in ``kd``, ``decoupled`` and ``dist``
    label_smoothing : of the cross entropy, in [0, 1)
    """

    ce: float = 1.0
    kd: float = 0.0
    distance: float = 0.0
    angle: float = 0.0
    semantic: float = 0.0
    decoupled: float = 0.0
    dist: float = 0.0
    supervised: float = 0.0
    standardised: bool = False
    temperature: float = 4.0
    label_smoothing: float = 0.0

    DROPPED: ClassVar[Mapping[str, float]] = {"decoupled_other": 8.0}
    RETIRED: ClassVar[Mapping[str, str]] = {
        "hint": _UNUSED,
        "attention": _UNUSED,
        "contrastive": _UNUSED,
        "contrastive_temperature": _UNUSED,
        "decoupled_other": "It was removed: it is 8, as in the paper",
    }

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"loss.{field.name} must be finite and at least 0, got {value}")
        if self.temperature == 0:
            raise ConfigError("loss.temperature must be above 0, got 0")
        if self.label_smoothing >= 1:
            raise ConfigError(f"loss.label_smoothing must lie in [0, 1), got {self.label_smoothing}")
        if self.ce == self.supervised == 0 and not self.needs_teacher:
            names = ", ".join(TEACHER_TERMS)
            raise ConfigError("every weight of the loss is 0", hint=f"Set one of loss.ce, supervised, {names}")

    @property
    def needs_teacher(self) -> bool:
        """Whether any term compares with a teacher."""
        return any(getattr(self, name) > 0 for name in TEACHER_TERMS)

    def without_teacher(self) -> LossWeights:
        """The same, with every term that compares with a teacher turned off."""
        off: dict[str, Any] = dict.fromkeys(TEACHER_TERMS, 0.0)
        return replace(self, **off)


@dataclass(frozen=True)
class DistillationConfig:
    """Which targets the student gets from its teachers, see ``distillation.targets``.

    Attributes
    ----------
    pairing : ``own`` (the teacher's output for the same recording), or a control: ``shuffled`` (for any other
        recording) or ``shuffled-within-class`` (for another recording of the same class)
    aggregate : of several teachers' probabilities: the ``arithmetic`` mean, or the ``geometric`` one, where a class
        that one teacher rules out is out
    """

    pairing: Literal["own", "shuffled", "shuffled-within-class"] = "own"
    aggregate: Aggregate = "arithmetic"

    RETIRED: ClassVar[Mapping[str, str]] = {
        "mean": "It is called aggregate now",
        "cross_fitted": _UNUSED,
        "consistent": _UNUSED,
    }
