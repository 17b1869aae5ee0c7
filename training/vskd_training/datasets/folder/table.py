"""The two files that describe a user's own recordings: ``dataset.toml`` and ``clips.csv``.

::

    dataset.toml   name, unit, gravity, placement; optional [axes], rate_hz, labels
    clips.csv      clip,subject,label,sensor,video and any further columns, paths relative to the folder

A clip whose label is empty is a recording without annotation.

A mistake in either is an error that names file, line, value and way out: somebody wrote it by hand and can mend it.
This module reads no recording; whether the files named there are any good is found out later.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from vskd.closed import from_mapping
from vskd.contract import Unit
from vskd.errors import ConfigError, DataError, did_you_mean
from vskd.stream import AxisMap

DESCRIPTION = "dataset.toml"
TABLE = "clips.csv"
_NEEDED = ("clip", "subject", "label", "sensor")
_NEVER_EMPTY = ("clip", "subject", "sensor")
_OWN = (*_NEEDED, "video")
_WAY_OUT = f"A folder of recordings holds {DESCRIPTION} and {TABLE}; README, 'Your own recordings', shows both"


@dataclass(frozen=True)
class Axes:
    """For each axis of the device's screen (x right, y up, z out of it) the sensor's axis, with its sign."""

    x: str = "x"
    y: str = "y"
    z: str = "z"


@dataclass(frozen=True)
class Description:
    """What ``dataset.toml`` says.

    Attributes
    ----------
    name : of the data set, for reports and the contract
    unit : of ax, ay, az
    gravity : whether they hold it; false for Android's linear acceleration or iOS's user acceleration
    placement : where the sensor sat, e.g. ``left wrist``
    axes : see ``Axes``
    rate_hz : of files without a time column, and checked against the timestamps of the others; 0 leaves it to them
    labels : the activities in the order of the classes; empty takes those of the table in alphabetical order
    """

    name: str
    unit: Unit
    gravity: bool
    placement: str
    axes: Axes = field(default_factory=Axes)
    rate_hz: float = 0.0
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise ConfigError(f"{DESCRIPTION}: name is {self.name!r}", hint="Take letters, digits, '.', '_' and '-'")
        if self.rate_hz < 0:
            raise ConfigError(f"{DESCRIPTION}: rate_hz must be above 0 Hz, got {self.rate_hz}")
        if not self.placement.strip():
            raise ConfigError(f"{DESCRIPTION}: placement is empty", hint="Say where the sensor sat: 'left wrist'")
        if twice := _more_than_once(self.labels):
            raise ConfigError(f"{DESCRIPTION}: labels names {twice!r} twice", hint="Keep one of them")
        AxisMap.parse(self.axis_map)  # refuses what is no map

    @property
    def axis_map(self) -> str:
        """As ``AxisMap.parse`` takes it."""
        return ",".join((self.axes.x, self.axes.y, self.axes.z))


class ClipRow(NamedTuple):
    """One row of ``clips.csv``; ``label`` and ``video`` are empty where there is none, ``line`` counts from 1."""

    line: int
    clip: str
    subject: str
    label: str
    sensor: str
    video: str
    groups: dict[str, str]


def read_description(root: Path) -> Description:
    """Read ``dataset.toml``.

    Raises
    ------
    DataError : the folder or the file is missing or cannot be read
    ConfigError : not TOML, or a key or value that does not exist
    """
    if not root.is_dir():
        raise DataError(f"there is no folder {root}", hint=_WAY_OUT)
    path = root / DESCRIPTION
    try:
        mapping = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", hint=_WAY_OUT) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML in UTF-8: {error}", hint="Mend the line") from error
    return from_mapping(Description, mapping, where=DESCRIPTION)


def read_table(root: Path, description: Description) -> tuple[ClipRow, ...]:
    """Read ``clips.csv``.

    Raises
    ------
    DataError : the file is missing or empty, lacks a column or every label, or holds a row that cannot be meant
    """
    rows = tuple(_rows(root / TABLE))
    if not rows:
        raise DataError(f"{TABLE} holds a header and no clips", hint="Add a line for each recording")
    if not any(row.label for row in rows):
        raise DataError(
            f"{TABLE}: the label is empty in every line ({len(rows)})",
            hint="Fill it in for some subjects at least; clips without a label only take part in distillation",
        )
    _refuse_repeats(rows)
    for column in ("subject", "label"):
        _refuse_spellings(rows, column)
    for row in rows:
        if row.label and description.labels and row.label not in description.labels:
            hint = f"{did_you_mean(row.label, description.labels)}. They stand in {DESCRIPTION}, labels"
            raise DataError(f"{TABLE}, line {row.line}: unknown label {row.label!r}", hint=hint)
    return rows


def _rows(path: Path) -> Iterator[ClipRow]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", hint=_WAY_OUT) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{TABLE} is not UTF-8 at byte {error.start}", hint="Save it as UTF-8") from error
    reader = csv.reader(text.splitlines(), strict=True)
    try:
        header = _header(next(reader, []))
        for row in reader:
            if any(cell.strip() for cell in row):
                yield _row(reader.line_num, header, [cell.strip() for cell in row])
    except csv.Error as error:
        raise DataError(f"{TABLE}, line {reader.line_num}: {error}", hint="Mend the line") from error


def _header(cells: Sequence[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    for name in _NEEDED:
        if name not in header:
            raise DataError(
                f"{TABLE}, line 1: the column {name!r} is missing in {','.join(header)!r}",
                hint=f"The header is {','.join(_OWN)} and any further columns, with commas",
            )
    if (twice := _more_than_once(header)) is not None or "" in header:
        raise DataError(f"{TABLE}, line 1: the column {twice or ''!r} has no name of its own", hint="Rename it")
    return header


def _row(line: int, header: Sequence[str], cells: Sequence[str]) -> ClipRow:
    where = f"{TABLE}, line {line}"
    if len(cells) != len(header):
        raise DataError(
            f"{where}: {len(cells)} values, the header has {len(header)}: {','.join(cells)!r}",
            hint="Give every column a value, or leave it empty between two commas",
        )
    values = {"video": "", **dict(zip(header, cells, strict=True))}
    for name in _NEVER_EMPTY:
        if not values[name]:
            raise DataError(f"{where}: the {name} is empty", hint="Fill it in, or drop the line")
    for name in ("sensor", "video"):
        values[name] = _inside(values[name], f"{where}: the {name}")
    clip, subject, label, sensor, video = (values.pop(name) for name in _OWN)
    return ClipRow(line, clip, subject, label, sensor, video, groups=values)


def _inside(text: str, what: str) -> str:
    """A path below the folder, with slashes."""
    path = PurePosixPath(text.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", text):
        raise DataError(
            f"{what} {text!r} lies outside the folder",
            hint=f"Copy it into the folder, and give its path relative to {TABLE}",
        )
    return path.as_posix() if text else ""


def _refuse_repeats(rows: Sequence[ClipRow]) -> None:
    """A clip or a file that occurs twice could come to lie on both sides of a split."""
    for column in ("clip", "sensor", "video"):
        seen: dict[str, int] = {}
        for row in rows:
            value = getattr(row, column)
            if value and value in seen:
                raise DataError(
                    f"{TABLE}, line {row.line}: the {column} {value!r} stands in line {seen[value]} already",
                    hint="Each clip is one recording with files of its own; drop or mend one of the lines",
                )
            seen[value] = row.line


def _refuse_spellings(rows: Sequence[ClipRow], column: str) -> None:
    """Ann and ann would be two subjects, one of whom is tested on a network trained on the other."""
    first: dict[str, tuple[str, int]] = {}
    for row in rows:
        value = getattr(row, column)
        known, line = first.setdefault(" ".join(value.casefold().split()), (value, row.line))
        if known != value:
            raise DataError(
                f"{TABLE}, line {row.line}: the {column} {value!r} is {known!r} in line {line}",
                hint="Write it the same way everywhere, or tell two of them apart by more than capitals and spaces",
            )


def _more_than_once(names: Iterable[str]) -> str | None:
    counts: Mapping[str, int] = Counter(names)
    return next((name for name, count in counts.items() if count > 1), None)
