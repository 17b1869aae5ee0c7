"""The search file: which keys of a config may change how far, and whose recordings choose.

::

    name = "watch"  # SEARCH.toml
    config = "utd-mhad-whole"  # a preset, a TOML file beside this one, or a run
    set = ["student_training.steps=600"]  # changes to the config, of every candidate and of the preset

    [space.student]  # the config's own sections and keys
    family = ["raw-separable", "raw-resnet"]
    channels = { low = 16, high = 96, step = 8 }
    kernel = [5, 7, 9, 11]

    [space.raw]
    transforms = [["centred"], ["g"], ["tanh", "centred"]]

    [space.student_training]
    learning_rate = { low = 5e-4, high = 6e-3, log = true }

Only the config's training subjects choose: each of them is left out once, and candidates are compared on those who were
left out. The test subjects of the config's own split are on no side of any training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vskd.closed import from_mapping
from vskd.errors import ConfigError, DataError, did_you_mean
from vskd.untrusted.documents import read_toml

#: Sections of a config that a search may change: the student and its training, and nothing that decides who is tested.
SECTIONS = ("student", "raw", "gaf", "augment", "student_training", "loss")

Value = bool | int | float | str | tuple[str, ...]


@dataclass(frozen=True)
class Range:
    """The values that a key may take: a list, or all numbers from ``low`` to ``high``.

    Attributes
    ----------
    values : a list of them
    low, high : the least and the greatest number
    step : from one number to the next; without it every number of the key's type
    log : small numbers are as likely as great ones
    """

    values: tuple[Value, ...] = ()
    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        if self.values:
            self._check_values()
            return
        if self.low is None or self.high is None or not self.low < self.high:
            raise ConfigError(
                f"a range needs low below high, got {self.low} and {self.high}", hint="Or give a list of values"
            )
        if self.step is not None and (self.step <= 0 or self.log):
            raise ConfigError(f"a range has a step above 0 and no log beside it, got step = {self.step:g}")
        if self.log and self.low <= 0:
            raise ConfigError(f"a range with log = true needs low above 0, got {self.low:g}")

    def _check_values(self) -> None:
        if (self.low, self.high, self.step, self.log) != (None, None, None, False):
            raise ConfigError("a range has values, or low and high, not both")
        if len(set(self.values)) < len(self.values):
            raise ConfigError(f"a value stands twice among {list(self.values)}", hint="Give each value once")


@dataclass(frozen=True)
class SearchSpec:
    """A search file, see the module.

    Attributes
    ----------
    name, config, set : as above; ``config`` as ``--config``, a path relative to the search file
    space : section -> key -> its range
    subjects : the training subjects that choose; empty takes all of them
    folds : 0 leaves out one subject at a time; k deals them into k folds
    seeds : of the trainings on each fold
    seed : of the sampler
    decisions : what accuracy counts: one decision per ``recording``, or one per ``window``
    """

    name: str
    config: str
    space: dict[str, dict[str, Range]]
    set: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    folds: int = 0
    seeds: tuple[int, ...] = (0,)
    seed: int = 0
    decisions: Literal["recording", "window"] = "recording"

    def __post_init__(self) -> None:
        if not any(self.space.values()):
            raise ConfigError("a search needs at least one key in [space]", hint="See the help of `vskd search`")
        for section in self.space:
            if section not in SECTIONS:
                raise ConfigError(
                    f"[space.{section}] is no section that a search may change", hint=did_you_mean(section, SECTIONS)
                )
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(*self.seeds, self.seed) < 0:
            raise ConfigError(f"the seeds of a search must differ and not be negative, got {list(self.seeds)}")
        if self.folds < 0 or self.folds == 1:
            raise ConfigError(f"folds must be 0 (leave one subject out) or at least 2, got {self.folds}")


def read_spec(path: Path) -> SearchSpec:
    """Read a search file.

    Raises
    ------
    DataError : it cannot be read
    ConfigError : it is not TOML, or has a key or value that cannot be
    """
    try:
        mapping = read_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read the search {path}: {error.strerror}", hint="See training/searches") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    return from_mapping(SearchSpec, {**mapping, **_with_ranges(mapping)}, where=path.name)


def _with_ranges(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The space with each list of values as the range that it stands for; what is none of both is refused later."""
    space = mapping.get("space")
    if not isinstance(space, dict):
        return {}

    def as_range(given: Any) -> Any:
        return {"values": given} if isinstance(given, list) and given else given

    ranges = {
        section: {key: as_range(value) for key, value in keys.items()} if isinstance(keys, dict) else keys
        for section, keys in space.items()
    }
    return {"space": ranges}
