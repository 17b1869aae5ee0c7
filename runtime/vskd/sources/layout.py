"""How a text file of samples is laid out: one description for ``vskd run``, ``dataset.toml`` and the training reader.

::

    separator = ";"  # , ; tab blanks
    decimal = ","  # the sign between whole and fraction
    skip_lines = 10  # lines above the header, or above the first row
    comment = "#"  # lines that start so are passed over
    header = false  # no names: columns are counted from 1
    time = "Time (s)"  # name or number of the column; "none" counts rows by rate_hz
    time_unit = "s"  # s ms us ns iso, or a format of strptime: "%d/%m/%Y %H:%M:%S.%f"
    rate_hz = 50  # where there is no time, or where rows share one
    x = ["-gravityX", "-userX"]  # columns that are added up, each with a sign; or one column: "x", 2, -2
    scale = 0.015625  # what every reading is multiplied with

A file that says nothing of itself has the layout of the defaults: ``time_s,ax,ay,az`` under a header. Columns
``ax_g,ay_g,az_g`` or ``ax_ms2,ay_ms2,az_ms2`` state their unit, too.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from vskd.closed import from_mapping, to_mapping
from vskd.contract import Unit
from vskd.errors import ConfigError, DataError, did_you_mean
from vskd.stream import AxisMap, TimeUnit
from vskd.untrusted.documents import read_toml

Column = int | str
Separator = Literal[",", ";", "tab", "blanks"]

TIME_COLUMNS: Mapping[str, TimeUnit] = {"time_s": "s", "time_ms": "ms", "time_us": "us", "time_ns": "ns"}
AXES = ("ax", "ay", "az")

_WAY_OUT = "--unit and --layout say otherwise"
#: Ends of the axes' names that state a unit.
_STATED: Mapping[str, Unit | None] = {"_g": "g", "_ms2": "m/s^2", "": None}

#: Where a layout is written, in messages.
PLACE = "[layout] of dataset.toml (--layout of vskd run)"
#: As ``Layout.time``: the file's own times, if it has any, are not used.
NO_TIME = "none"
_DELIMITERS = {"tab": "\t", "blanks": " "}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Layout:
    """How a text file of samples is laid out; the module says what the keys mean."""

    separator: Separator = ","
    decimal: Literal[".", ","] = "."
    skip_lines: int = 0
    comment: str = ""
    header: bool = True
    time: Column = ""
    time_unit: str = ""
    rate_hz: float = 0.0
    x: Column | tuple[Column, ...] = AXES[0]
    y: Column | tuple[Column, ...] = AXES[1]
    z: Column | tuple[Column, ...] = AXES[2]
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.skip_lines < 0 or self.rate_hz < 0 or not self.scale:
            raise ConfigError(
                f"skip_lines and rate_hz must not be negative, nor scale 0, got {self.skip_lines}, {self.rate_hz:g} "
                f"and {self.scale:g}"
            )
        if self.separator == self.decimal:
            raise ConfigError("separator and decimal are both a comma", hint='Files with a decimal comma have ";"')
        if self.time_unit and self.time_unit not in (*get_args(TimeUnit), "iso") and "%" not in self.time_unit:
            hint = "Give s, ms, us, ns, iso, or a format of strptime such as '%d/%m/%Y %H:%M:%S.%f'"
            raise ConfigError(f"time_unit cannot be {self.time_unit!r}", hint=hint)
        if self.time == NO_TIME and not self.rate_hz:
            raise ConfigError(f"time = {NO_TIME!r} leaves the times to rate_hz, which is 0", hint="State rate_hz, Hz")

    @property
    def axes(self) -> tuple[tuple[Column, ...], ...]:
        """The columns of x, y and z, with their signs."""
        return tuple(one if isinstance(one, tuple) else (one,) for one in (self.x, self.y, self.z))

    def cells(self, line: str) -> list[str]:
        """The cells of one line.

        Raises
        ------
        ValueError : a quote that is not closed
        """
        is_quoted = '"' in line
        if is_quoted and line.count('"') % 2:
            raise ValueError("a quote is not closed")
        if self.separator == "blanks" and not is_quoted:
            return line.split()
        # Some loggers end each line of commas with a semicolon.
        text = line.rstrip("\r\n; " if self.separator == "," else "\r\n")
        delimiter = _DELIMITERS.get(self.separator, self.separator)
        if not is_quoted:
            return text.split(delimiter)
        return next(csv.reader([text], delimiter=delimiter, skipinitialspace=True))

    def number(self, text: str) -> float:
        """A cell as a number; an empty one is NaN, which the stream drops and counts.

        Raises
        ------
        ValueError : it is none; Python's own ``1_0`` and other digits than 0 to 9 are none
        """
        cell = text.strip()
        if not cell:
            return math.nan
        if self.decimal == ",":
            plain = cell.isascii() and "_" not in cell and "." not in cell
            cell = cell.replace(",", ".")
        else:
            plain = cell.isascii() and "_" not in cell
        try:
            if plain:
                return float(cell)
        except ValueError:
            pass
        cause = ' (a decimal comma? decimal = ",")' if re.fullmatch(r"-?\d+,\d+", text.strip()) else ""
        raise ValueError(f"{text.strip()[:40]!r} is no number{cause}")


@dataclass(frozen=True)
class AxisNames:
    """For each axis of the device's screen (x right, y up, z out of it) the sensor's axis, with its sign."""

    x: str = "x"
    y: str = "y"
    z: str = "z"

    def __post_init__(self) -> None:
        AxisMap.parse(self.map)  # refuses what is no map

    @property
    def map(self) -> str:
        """As ``AxisMap.parse`` takes it."""
        return ",".join((self.x, self.y, self.z))


@dataclass(frozen=True)
class Described:
    """What files of samples are, as a ``dataset.toml`` says it; its other keys do not concern a stream.

    Attributes
    ----------
    layout : of the text
    unit : of the readings, after ``layout.scale``; None where it is not said
    axes : see ``AxisNames``
    rate_hz : the same as ``layout.rate_hz``
    """

    layout: Layout = field(default_factory=Layout)
    unit: Unit | None = None
    axes: AxisNames | None = None
    rate_hz: float = 0.0

    @property
    def text(self) -> Layout:
        """The layout with the stated rate."""
        return with_rate(self.layout, self.rate_hz)

    @property
    def words(self) -> str:
        """Unit and axes, as ``m/s^2, axes -y,x,z``."""
        axes = f", axes {self.axes.map}" if self.axes not in (None, AxisNames()) else ""
        return f"{self.unit or 'g'}{axes}"

    def as_toml(self) -> str:
        """The part of a ``dataset.toml`` that says it, without keys that have their default."""
        changed = {key: value for key, value in to_mapping(self).items() if value != _NOTHING_SAID[key]}
        tables = {key: changed.pop(key) for key in ("axes", "layout") if key in changed}
        lines = [f"{key} = {json.dumps(value)}" for key, value in changed.items()]
        for name, table in tables.items():
            default = to_mapping(AxisNames() if name == "axes" else Layout())
            keys = [f"{key} = {json.dumps(value)}" for key, value in table.items() if value != default[key]]
            lines += ["", f"[{name}]", *keys] if keys else []
        return "\n".join(lines).strip() + "\n"


_NOTHING_SAID = to_mapping(Described())


def of_first_line(line: str, trained_on: Described | None) -> tuple[Described, str]:
    """What a file is by its first line, where nobody says it, and a sentence about that for the user.

    Columns that state their unit are believed. Otherwise a file is as those that the model was trained on, unless it
    has other columns: vskd's own.

    Parameters
    ----------
    line : of the file
    trained_on : the files of the model's recordings; None where they are not known

    Returns
    -------
    what it is, and the sentence, which is empty where a file is read as ever
    """
    own = _own_columns(line)
    if trained_on is None:
        return own or Described(), ""
    if own is None or (own.unit is None and _has_columns(line, trained_on.text)):
        return trained_on, f"read as what the model was trained on: {trained_on.words}; {_WAY_OUT}"
    if own.unit is None:
        return own, f"read in g: its columns are not those that the model was trained on; {_WAY_OUT}"
    if own.unit == (trained_on.unit or "g"):
        return own, ""
    return own, f"read in {own.unit}, as its columns say; the model was trained on files in {trained_on.words}"


def _own_columns(line: str) -> Described | None:
    """What a header says that has vskd's own columns."""
    for end, unit in _STATED.items():
        layout = Layout(**{name[1:]: f"{name}{end}" for name in AXES})  # type: ignore[arg-type]  # x, y and z
        if _has_columns(line, layout):
            return Described(layout, unit)
    return None


def _has_columns(line: str, layout: Layout) -> bool:
    """Whether a first line is a header of a layout."""
    if not layout.header or layout.skip_lines:
        return False
    try:
        columns_of(layout, [cell.strip() for cell in layout.cells(line.removeprefix("\ufeff"))])
    except (ConfigError, ValueError):
        return False
    return True


def with_rate(layout: Layout, rate_hz: float) -> Layout:
    """A layout with the rate that stands beside it; 0 where there is none.

    Raises
    ------
    ConfigError : the layout states another rate
    """
    if rate_hz and layout.rate_hz not in (0, rate_hz):
        raise ConfigError(f"rate_hz is {rate_hz:g}, and in [layout] {layout.rate_hz:g}", hint="Keep one of them")
    return replace(layout, rate_hz=rate_hz) if rate_hz else layout


def described(tables: Sequence[Path], settings: Mapping[str, Any]) -> Described:
    """What the command line says of its files: the ``dataset.toml`` named there, then single keys of a layout.

    Parameters
    ----------
    tables : files in TOML; of several the keys of the last one count
    settings : keys of ``Layout``, which overrule the files'

    Raises
    ------
    DataError, ConfigError : a file that cannot be read, or a key or value that does not exist
    """
    known: dict[str, Any] = {}
    for path in tables:
        try:
            content = read_toml(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise DataError(f"{path} cannot be read as TOML: {reason}", hint="Give a dataset.toml") from error
        known.update({key: content[key] for key in ("layout", "unit", "axes", "rate_hz") if key in content})
    if settings:
        known["layout"] = {**known.get("layout", {}), **settings}
        known = {key: value for key, value in known.items() if key != "rate_hz" or "rate_hz" not in settings}
    return from_mapping(Described, known, where="the layout")


@dataclass(frozen=True)
class Columns:
    """Where in a row of a layout the time and the axes stand; made by ``columns_of``.

    Attributes
    ----------
    layout : of the file
    width : cells in each row
    time : column of the time; None counts rows by the rate
    time_unit : of the times that ``row`` gives
    clock : a time as text to a number
    axes : (column, sign) of each term of x, y and z
    further : columns wanted beside the axes
    only : (column, cell) that a row must have to be read
    plain : the columns of x, y and z where each is one column as it stands, and nothing further is wanted
    """

    layout: Layout
    width: int
    time: int | None
    time_unit: TimeUnit
    clock: Callable[[str], float | int]
    axes: tuple[tuple[tuple[int, float], ...], ...]
    further: tuple[int, ...]
    only: tuple[tuple[int, str], ...] = ()
    plain: tuple[int, ...] = ()

    def takes(self, cells: Sequence[str]) -> bool:
        """Whether a row is one of those that are read.

        Raises
        ------
        ValueError : it has another width
        """
        if len(cells) != self.width:
            raise ValueError(f"{len(cells)} values, the header has {self.width}")
        return all(cells[column].strip() == value for column, value in self.only)

    def row(self, cells: Sequence[str], index: int) -> tuple[float | int, ...]:
        """Time, x, y, z and the further columns of the row that is the index-th of its file.

        Raises
        ------
        ValueError : a cell is no number
        """
        time = index / self.layout.rate_hz if self.time is None else self.clock(cells[self.time].strip())
        if self.plain:
            x, y, z = (cells[column] for column in self.plain)
            together = f"{x}{y}{z}"
            if together.isascii() and "_" not in together:
                with suppress(ValueError):  # which is said below
                    return (time, float(x), float(y), float(z))
        number, scale = self.layout.number, self.layout.scale
        values = [scale * sum(sign * number(cells[column]) for column, sign in terms) for terms in self.axes]
        return (time, *values, *(number(cells[column]) for column in self.further))


def columns_of(layout: Layout, names: Sequence[str], further: Sequence[str] = (), only: str = "") -> Columns:
    """Find a layout's columns.

    Parameters
    ----------
    layout : of the file
    names : of its columns; where it has no header, as many as it has cells
    further : columns wanted beside the axes
    only : ``column=value`` of the rows that are read, several with semicolons

    Raises
    ------
    ConfigError : a column that is not there, or is there twice; no time and no rate; two clocks
    """
    time, unit = _time_column(layout, names)
    clock, time_unit = _clock(layout, unit)
    axes = tuple(tuple(_term(column, layout, names) for column in terms) for terms in layout.axes)
    others = tuple(_term(column, layout, names)[0] for column in further)
    wanted = tuple(_condition(one, layout, names) for one in only.split(";") if one.strip())
    is_plain = layout.decimal == "." and layout.scale == 1 and not others
    is_plain = is_plain and all(len(terms) == 1 and terms[0][1] == 1 for terms in axes)
    plain = tuple(terms[0][0] for terms in axes) if is_plain else ()
    return Columns(layout, len(names), time, time_unit, clock, axes, others, wanted, plain)


def _condition(text: str, layout: Layout, names: Sequence[str]) -> tuple[int, str]:
    column, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"rows says {text!r}", hint="Write column=value, and several with semicolons: User=a;gt=walk")
    return _term(column.strip(), layout, names)[0], value.strip()


def _time_column(layout: Layout, names: Sequence[str]) -> tuple[int | None, str]:
    if layout.time == NO_TIME:
        return None, "s"
    if layout.time != "":
        unit = layout.time_unit or TIME_COLUMNS.get(str(layout.time), "")
        if not unit:
            hint = f"Write time_unit (s, ms, us, ns, iso, or a format of strptime) into {PLACE}"
            raise ConfigError(f"the unit of the time column {layout.time!r} is not known", hint=hint)
        return _term(layout.time, layout, names)[0], unit
    known = [name for name in names if name in TIME_COLUMNS] if layout.header else []
    if len(known) > 1:
        twice = f"{len(known)} time columns: {', '.join(known)}"
        raise ConfigError(f"there are {twice}", hint=f'Write time = "{known[-1]}" into {PLACE}')
    if not known and not layout.rate_hz:
        hint = f"Name the time column time_s, or write time and time_unit, or rate_hz, into {PLACE}"
        raise ConfigError("there is no time column", hint=hint)
    return (names.index(known[0]), TIME_COLUMNS[known[0]]) if known else (None, "s")


def _term(column: Column, layout: Layout, names: Sequence[str]) -> tuple[int, float]:
    """Where a column stands, from 0, and 1 or -1."""
    if isinstance(column, str) and layout.header and column not in names and column[:1] in "+-":
        place, _ = _term(column[1:], layout, names)
        return place, -1.0 if column.startswith("-") else 1.0
    if isinstance(column, str) and (not layout.header or column not in names) and re.fullmatch(r"[+-]?\d+", column):
        column = int(column)
    if isinstance(column, int):
        if not 1 <= abs(column) <= len(names):
            raise ConfigError(f"there is no column {abs(column)}", hint=f"Columns are counted from 1 to {len(names)}")
        return abs(column) - 1, -1.0 if column < 0 else 1.0
    if not layout.header:
        raise ConfigError(f"the column {column!r} is named, and header = false", hint="Give its number, from 1")
    if column not in names:
        raise ConfigError(f"lacks {column!r}", hint=did_you_mean(column, set(names)))
    if names.count(column) > 1:
        hint = f"Rename one of them, or write which by its number into {PLACE}"
        raise ConfigError(f"the column {column!r} is there {names.count(column)} times", hint=hint)
    return names.index(column), 1.0


def _clock(layout: Layout, unit: str) -> tuple[Callable[[str], float | int], TimeUnit]:
    if unit == "iso":
        return _iso_us, "us"
    if unit in get_args(TimeUnit):
        return partial(_numeric_time, layout), unit  # type: ignore[return-value]  # one of them
    return partial(_formatted_us, unit), "us"


def _numeric_time(layout: Layout, text: str) -> float | int:
    if not (text.isascii() and text.removeprefix("-").isdecimal()):
        return layout.number(text)
    if abs(whole := int(text)) >= 2**63:
        raise ValueError(f"the time {text[:40]} does not fit into 64 bits")
    return whole


def _iso_us(text: str) -> int:
    """An ISO 8601 date and time; a blank ahead of the zone and a colon ahead of the fraction are taken, too."""
    tidy = re.sub(r"\s+(?=[+-]\d\d:?\d\d$|Z$)", "", text)
    if tidy[19:20] == ":":
        tidy = f"{tidy[:19]}.{tidy[20:]}"
    return _microseconds(datetime.fromisoformat(tidy))


def _formatted_us(form: str, text: str) -> int:
    return _microseconds(datetime.strptime(text, form))


def _microseconds(moment: datetime) -> int:
    # A clock without a zone is taken as UTC.
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (zoned - _EPOCH) // _MICROSECOND
