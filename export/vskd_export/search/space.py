"""The space of a search: its keys, what a sampler may choose, and how large it is.

A key that has a meaning for some families of students only is drawn for these alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args, get_type_hints

from vskd.errors import ConfigError, did_you_mean
from vskd_export.search.spec import Range, SearchSpec
from vskd_training.settings import Config, StudentConfig
from vskd_training.settings.networks import RAW_KEYS

if TYPE_CHECKING:
    from optuna.trial import Trial

FAMILY = "student.family"
FAMILIES: tuple[str, ...] = get_args(get_type_hints(StudentConfig)["family"])
_IMAGE_FAMILY = "gaf-resnet"
_IMAGE_KEYS = ("width", "depth")

#: Decimal digits of a drawn number; a preset is to be read by people.
_DIGITS = 3

#: What was drawn: ``section.key`` -> value.
Choice = dict[str, Any]


@dataclass(frozen=True)
class Dimension:
    """A key with its range.

    Attributes
    ----------
    key : ``section.key``
    range : as in the file
    kind : how it is drawn
    """

    key: str
    range: Range
    kind: Literal["values", "int", "float"]

    def draw(self, trial: Trial) -> Any:
        """Let a trial choose a value."""
        low, high, step = self.range.low, self.range.high, self.range.step
        if self.kind == "values" or low is None or high is None:
            chosen = trial.suggest_categorical(self.key, [json.dumps(value) for value in self.range.values])
            return json.loads(chosen)
        if self.kind == "int":
            return trial.suggest_int(self.key, int(low), int(high), step=int(step or 1), log=self.range.log)
        return float(f"{trial.suggest_float(self.key, low, high, step=step, log=self.range.log):.{_DIGITS}g}")

    @property
    def size(self) -> int | None:
        """How many values there are; None where it is every number of an interval."""
        low, high, step = self.range.low, self.range.high, self.range.step
        if self.kind == "values" or low is None or high is None:
            return len(self.range.values)
        if self.kind == "float" and step is None:
            return None
        return math.floor((high - low) / (step or 1) + 1e-9) + 1

    @property
    def ends(self) -> tuple[Any, ...]:
        """Values that tell whether the config takes the range: all of a list, or its ends."""
        if self.kind == "values":
            return self.range.values
        number = int if self.kind == "int" else float
        return tuple(number(end) for end in (self.range.low, self.range.high) if end is not None)


@dataclass(frozen=True)
class Space:
    """All dimensions, the family first.

    Attributes
    ----------
    dimensions : one for each key
    family : of the config, where the family is not searched
    """

    dimensions: tuple[Dimension, ...]
    family: str

    @property
    def families(self) -> tuple[str, ...]:
        """The families of students in the space."""
        for one in self.dimensions:
            if one.key == FAMILY:
                return tuple(map(str, one.range.values))
        return (self.family,)

    def of_family(self, family: str) -> tuple[Dimension, ...]:
        """The dimensions that have a meaning for a family, without the family itself."""
        return tuple(one for one in self.dimensions if one.key != FAMILY and has_meaning(one.key, family))

    def draw(self, trial: Trial) -> Choice:
        """Let a trial choose a candidate."""
        chosen = {one.key: one.draw(trial) for one in self.dimensions if one.key == FAMILY}
        family = chosen.get(FAMILY, self.family)
        return chosen | {one.key: one.draw(trial) for one in self.of_family(family)}

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Family -> combinations of the keys that can be counted, and how many keys cannot."""
        found = {}
        for family in self.families:
            counts = [one.size for one in self.of_family(family)]
            found[family] = (math.prod(count for count in counts if count), sum(count is None for count in counts))
        return found


def has_meaning(key: str, family: str) -> bool:
    """Whether a key changes a student of this family."""
    section, _, name = key.partition(".")
    if section == "raw" or (section == "student" and name in RAW_KEYS):
        return family != _IMAGE_FAMILY
    if section == "gaf" or (section == "student" and name in _IMAGE_KEYS):
        return family == _IMAGE_FAMILY
    return True


def changes_of(choice: Mapping[str, Any]) -> tuple[str, ...]:
    """A choice as changes to a config, ``section.key=value``."""
    # An image student refuses the keys of raw ones, which the config may set for its own family.
    plain = {item.name: item.default for item in fields(StudentConfig) if item.name in RAW_KEYS}
    undone = {f"student.{name}": value for name, value in plain.items()} if choice.get(FAMILY) == _IMAGE_FAMILY else {}
    return tuple(f"{key}={json.dumps(value)}" for key, value in {**undone, **choice}.items())


def space_of(spec: SearchSpec, config: Config) -> Space:
    """The space of a search file over a config.

    Raises
    ------
    ConfigError : a key that the config does not have, or that has no meaning for any family of the space; a range of
        numbers for a key that holds none
    """
    found = [
        _dimension(f"{section}.{name}", one, config)
        for section, keys in spec.space.items()
        for name, one in keys.items()
    ]
    space = Space(tuple(sorted(found, key=lambda one: one.key != FAMILY)), config.student.family)
    for one in space.dimensions:
        if not any(has_meaning(one.key, family) for family in space.families):
            raise ConfigError(
                f"{one.key} has no meaning for {', '.join(space.families)}, the only family of students in the space",
                hint=f"Add another to {FAMILY}, or leave the key out",
            )
    return space


def _dimension(key: str, given: Range, config: Config) -> Dimension:
    section, _, name = key.partition(".")
    part = getattr(config, section)
    names = [item.name for item in fields(part)]
    if name not in names:
        raise ConfigError(f"unknown key {name!r} in [space.{section}]", hint=did_you_mean(name, names))
    if given.values:
        return Dimension(key, given, "values")
    value = getattr(part, name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{key} holds {value!r}, and a range from low to high is for numbers", hint="Give a list")
    ends = [end for end in (given.low, given.high, given.step) if end is not None]
    if isinstance(value, int) and not all(float(end).is_integer() for end in ends):
        raise ConfigError(f"{key} holds whole numbers, got low, high and step of {ends}")
    return Dimension(key, given, "int" if isinstance(value, int) else "float")
