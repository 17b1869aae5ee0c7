"""The two files that describe a user's own recordings: ``dataset.toml`` and ``clips.csv``.

::

    dataset.toml   name, unit, gravity, placement; optional rate_hz, labels, [axes], [layout], [skeleton], [about]
    clips.csv      clip,subject,label,sensor,video and any further columns, paths relative to the folder

A clip whose label is empty is a recording without annotation. ``start_s,end_s`` are the part of the sensor's file that
is the clip, in seconds from the file's first sample; ``rows`` are the rows of a file that holds many recordings, as
``User=a;gt=walk``; ``joints`` is a file of a measured skeleton. Lines that start with ``#`` are comments.

A mistake in either is an error that names file, line, value and way out: somebody wrote it by hand and can mend it.
This module reads no recording; whether the files named there are any good is found out later.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from vskd.closed import from_mapping
from vskd.contract import Unit
from vskd.errors import ConfigError, DataError, did_you_mean
from vskd.sources.layout import AxisNames, Layout, with_rate
from vskd.untrusted.documents import read_toml
from vskd.untrusted.text import in_normal_form, label_problem, name_problem
from vskd_training.datasets.data_set import About
from vskd_training.datasets.folder.skeleton import OwnSkeleton

DESCRIPTION = "dataset.toml"
TABLE = "clips.csv"
_NEEDED = ("clip", "subject", "label", "sensor")
_NEVER_EMPTY = ("clip", "subject", "sensor")
_OWN = (*_NEEDED, "video", "joints", "rows", "start_s", "end_s")
#: Columns that would change what a clip is, and are no columns of this table -> what to write instead.
_MEANT = re.compile(r"(start|begin|from|onset|end|stop|to|until|offset)(_?(s|ms|time|sec|seconds|sample|row|frame))?")
_WAY_OUT = (
    f"A folder of recordings holds {DESCRIPTION} and {TABLE}: `vskd data init FOLDER` writes both, and "
    "docs/datasets.md describes them"
)


#: Columns of ``clips.csv`` that name what is compared, counted and printed.
_NAMES = ("clip", "subject", "label")


@dataclass(frozen=True)
class Description:
    """What ``dataset.toml`` says.

    Attributes
    ----------
    name : of the data set, for reports and the contract
    unit : of the readings, after ``layout.scale``
    gravity : whether they hold it; false for Android's linear acceleration or iOS's user acceleration
    placement : where the sensor sat, e.g. ``left wrist``
    axes : see ``AxisNames``
    subject_axes : the same for single subjects, whose sensor was another one, instead of ``axes``
    rate_hz : of files without a time column, and checked against the timestamps of the others, which it spreads where
        rows share them; 0 leaves it to them
    labels : the activities in the order of the classes; empty takes those of the table in alphabetical order
    layout : of the sensors' text
    skeleton : of the files of joints
    about : title, description, licence, url and citation, for model cards and for ``vskd data croissant``
    """

    name: str
    unit: Unit
    gravity: bool
    placement: str
    axes: AxisNames = field(default_factory=AxisNames)
    subject_axes: dict[str, AxisNames] = field(default_factory=dict)
    rate_hz: float = 0.0
    labels: tuple[str, ...] = ()
    layout: Layout = field(default_factory=Layout)
    skeleton: OwnSkeleton = field(default_factory=OwnSkeleton)
    about: About = field(default_factory=About)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise ConfigError(f"{DESCRIPTION}: name is {self.name!r}", hint="Take letters, digits, '.', '_' and '-'")
        if self.rate_hz < 0:
            raise ConfigError(f"{DESCRIPTION}: rate_hz must be above 0 Hz, got {self.rate_hz}")
        if not self.placement.strip():
            raise ConfigError(f"{DESCRIPTION}: placement is empty", hint="Say where the sensor sat: 'left wrist'")
        for text, problem in ((self.placement, name_problem), *((label, label_problem) for label in self.labels)):
            if found := problem(text):
                raise ConfigError(f"{DESCRIPTION}: {text[:100]!r} {found}", hint="Name it otherwise")
        if twice := _more_than_once(self.labels):
            raise ConfigError(f"{DESCRIPTION}: labels names {twice!r} twice", hint="Keep one of them")
        with_rate(self.layout, self.rate_hz)  # refuses two rates

    def axes_of(self, subject: str) -> AxisNames:
        """The axes of a subject's sensor."""
        return self.subject_axes.get(subject, self.axes)

    @property
    def text(self) -> Layout:
        """The layout of the sensors' files, with the stated rate."""
        return with_rate(self.layout, self.rate_hz)


class ClipRow(NamedTuple):
    """One row of ``clips.csv``; what it does not say is empty, ``line`` counts from 1, ``end_s`` may be infinite."""

    line: int
    clip: str
    subject: str
    label: str
    sensor: str
    video: str
    groups: dict[str, str]
    joints: str = ""
    rows: str = ""
    start_s: float = 0.0
    end_s: float = math.inf


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
        mapping = read_toml(_text(path))
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML in UTF-8: {error}", hint="Mend the line") from error
    return from_mapping(Description, mapping, where=DESCRIPTION)


def _text(path: Path) -> str:
    """What a describing file holds; a pipe or a device would never end."""
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{path} is no file", hint=_WAY_OUT)
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", hint=_WAY_OUT) from error


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
    for subject in description.subject_axes:
        if subject not in {row.subject for row in rows}:
            raise ConfigError(
                f"{DESCRIPTION}: subject_axes names {subject!r}, of whom there is no clip",
                hint=did_you_mean(subject, {row.subject for row in rows}),
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
        text = _text(path)
    except UnicodeDecodeError as error:
        raise DataError(f"{TABLE} is not UTF-8 at byte {error.start}", hint="Save it as UTF-8") from error
    reader = csv.reader(("" if line.startswith("#") else line for line in text.splitlines()), strict=True)
    try:
        header = _header(next((row for row in reader if row), []))
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
                f"{TABLE}, line 1: the column {name!r} is missing in {','.join(header)[:120]!r}",
                hint=f"The header is {','.join(_OWN)} and any further columns, with commas",
            )
    if (twice := _more_than_once(header)) is not None or "" in header:
        raise DataError(f"{TABLE}, line 1: the column {twice or ''!r} has no name of its own", hint="Rename it")
    for name in header:
        if name not in _OWN and _MEANT.fullmatch(name.casefold()):
            raise DataError(
                f"{TABLE}, line 1: the column {name!r} would change what a clip is, and is not known",
                hint="Parts of a file are start_s and end_s, in seconds from its first sample; else rename the column",
            )
    return header


def _row(line: int, header: Sequence[str], cells: Sequence[str]) -> ClipRow:
    where = f"{TABLE}, line {line}"
    if len(cells) != len(header):
        raise DataError(
            f"{where}: {len(cells)} values, the header has {len(header)}: {','.join(cells)!r}",
            hint="Give every column a value, or leave it empty between two commas",
        )
    values = {**dict.fromkeys(_OWN, ""), **dict(zip(header, cells, strict=True))}
    for name in _NEVER_EMPTY:
        if not values[name]:
            raise DataError(f"{where}: the {name} is empty", hint="Fill it in, or drop the line")
    for name in _NAMES:
        values[name] = _name(name, values[name], where)
    for name in ("sensor", "video", "joints"):
        values[name] = _inside(values[name], f"{where}: the {name}")
    clip, subject, label, sensor, video, joints, rows, start, end = (values.pop(name) for name in _OWN)
    start_s, end_s = _part(start, end, where)
    return ClipRow(line, clip, subject, label, sensor, video, values, joints, rows, start_s, end_s)


def _name(column: str, text: str, where: str) -> str:
    """A name in its one spelling: one person in two of Unicode's would be trained on and tested."""
    name = in_normal_form(text)
    problem = label_problem(name) if column == "label" else name_problem(name)
    if name and problem:
        raise DataError(f"{where}: the {column} {name[:100]!r} {problem}", hint="Name it otherwise")
    return name


def _part(start: str, end: str, where: str) -> tuple[float, float]:
    """The part of a file, s; without an entry it goes from the first sample or to the last."""
    try:
        number = Layout().number
        start_s, end_s = number(start) if start else 0.0, number(end) if end else math.inf
    except ValueError as error:
        raise DataError(f"{where}: start_s and end_s: {error}", hint="Give seconds, with a decimal point") from error
    if not 0 <= start_s < end_s:
        hint = "They are seconds from the file's first sample, 0 <= start_s < end_s"
        raise DataError(f"{where}: start_s is {start_s:g} and end_s {end_s:g}", hint=hint)
    return start_s, end_s


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
    for column in ("clip", "video", "joints"):
        seen: dict[str, int] = {}
        for row in rows:
            value = getattr(row, column)
            if value and value in seen:
                raise _repeated(row, f"the {column} {value!r}", seen[value])
            seen[value] = row.line
    by_file: dict[str, list[ClipRow]] = {}
    for row in rows:
        for other in by_file.setdefault(row.sensor, []):
            if not _are_apart(row, other):
                raise _repeated(row, f"the sensor {row.sensor!r}", other.line)
        by_file[row.sensor].append(row)


def _repeated(row: ClipRow, what: str, line: int) -> DataError:
    return DataError(
        f"{TABLE}, line {row.line}: {what} stands in line {line} already",
        hint="Each clip is one recording with files of its own, or a part of one that no other clip holds "
        "(start_s,end_s or rows); drop or mend one of the lines",
    )


def _are_apart(one: ClipRow, other: ClipRow) -> bool:
    """Whether two parts of a file share no sample: other times, or other values in the same columns."""
    ours, theirs = _conditions(one.rows), _conditions(other.rows)
    if ours == theirs:
        return one.end_s <= other.start_s or other.end_s <= one.start_s
    return ours.keys() == theirs.keys()


def _conditions(rows: str) -> dict[str, str]:
    pairs = (condition.partition("=") for condition in rows.split(";") if condition.strip())
    return {column.strip(): value.strip() for column, _, value in pairs}


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
