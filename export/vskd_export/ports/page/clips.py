"""Clips that a phone's page recorded, into a folder that ``vskd train`` reads (docs/datasets.md).

What arrives was made by a browser that may not be ours: every field is checked, the file's name is made here, and the
samples are numbers and nothing else. Nothing outside of the folder is touched.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vskd.errors import DataError
from vskd.untrusted.text import label_problem, name_problem
from vskd.writing import disk_errors, write_file
from vskd_training.datasets.folder.table import DESCRIPTION, TABLE, Description, read_description, read_table

#: Samples of a clip: ten minutes at 400 Hz. Clips of a folder.
MOST_SAMPLES, MOST_CLIPS = 240_000, 20_000

_UNIT = "m/s^2"
_FEWEST_SAMPLES = 20
_HEADER = "time_s,ax,ay,az"
_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,9})?")
_COLUMNS = ("clip", "subject", "label", "sensor")
_FOLDER = "sensors"


@dataclass(frozen=True)
class Clip:
    """What the page sends.

    Attributes
    ----------
    label, subject, placement : of the recording
    gravity : whether the readings hold it
    when_s : of its beginning, s since 1970
    samples : CSV under the header ``time_s,ax,ay,az``, m/s^2 in the screen's axes
    """

    label: str
    subject: str
    placement: str
    gravity: bool
    when_s: int
    samples: str

    def __post_init__(self) -> None:
        for what, problem in (
            ("label", label_problem(self.label)),
            ("subject", name_problem(self.subject)),
            ("placement", name_problem(self.placement)),
        ):
            if problem:
                raise DataError(f"the {what} {problem}", hint="Name it otherwise")
        if not 0 <= self.when_s < 10**11:
            raise DataError(f"a clip cannot be of the time {self.when_s} s", hint="Set the clock of the phone")

    @property
    def lines(self) -> list[str]:
        """Its samples, a line each.

        Raises
        ------
        DataError : anything but numbers, too few or too many of them, or times that do not rise
        """
        header, *lines = self.samples.removesuffix("\n").split("\n")
        if header != _HEADER or not _FEWEST_SAMPLES <= len(lines) <= MOST_SAMPLES:
            raise DataError(
                f"a clip has {_FEWEST_SAMPLES} to {MOST_SAMPLES} samples under {_HEADER}, and this one {len(lines)}",
                hint="Record it again",
            )
        before = -math.inf
        for number, line in enumerate(lines, start=2):
            cells = line.split(",")
            if len(cells) != 4 or not all(map(_NUMBER.fullmatch, cells)) or not float(cells[0]) > before:
                raise DataError(
                    f"line {number} of the samples is no later time with three readings: {line[:60]!r}",
                    hint="Record it again",
                )
            before = float(cells[0])
        return lines


class ClipFolder:
    """A folder that takes clips, from several threads.

    Parameters
    ----------
    root : the folder; made with the first clip
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()

    def check(self) -> None:
        """Refuse a folder whose recordings are of another kind than the page's, or that is broken.

        Raises
        ------
        DataError, ConfigError
        """
        if (self.root / DESCRIPTION).exists():
            _refuse_other(read_description(self.root), None)
        if (self.root / TABLE).exists():
            read_table(self.root, read_description(self.root))

    def take(self, clip: Clip) -> str:
        """Keep a clip; gives its name.

        Raises
        ------
        DataError, ConfigError : no clip, or none that fits those that are there
        """
        lines = clip.lines
        with self._lock, disk_errors(self.root, DataError, hint="Make room; the clip was not kept"):
            sensors = self.root / _FOLDER
            sensors.mkdir(parents=True, exist_ok=True)
            if sensors.resolve() != self.root.resolve() / _FOLDER:
                raise DataError(f"{sensors} leads out of the folder", hint="Replace the link by a folder")
            self._describe(clip)
            table = self._table()
            if len(table) > MOST_CLIPS:
                raise DataError(f"{self.root} holds {MOST_CLIPS} clips", hint="Give another folder")
            name = _name(clip, len(table))
            if (sensors / f"{name}.csv").exists():
                raise DataError(f"there is a {name}.csv already", hint="Send it again in a second")
            write_file(sensors / f"{name}.csv", "\n".join([_HEADER, *lines, ""]).encode())
            values = {"clip": name, "subject": clip.subject, "label": clip.label, "sensor": f"{_FOLDER}/{name}.csv"}
            write_file(self.root / TABLE, _text([*table, [values.get(column, "") for column in table[0]]]))
        return name

    def _describe(self, clip: Clip) -> None:
        if (self.root / DESCRIPTION).exists():
            _refuse_other(read_description(self.root), clip)
            return
        lines = (
            'name = "phone"',
            f'unit = "{_UNIT}"',
            f"gravity = {str(clip.gravity).lower()}",
            f"placement = {json.dumps(clip.placement, ensure_ascii=False)}",
            "",
        )
        write_file(self.root / DESCRIPTION, "\n".join(lines).encode())

    def _table(self) -> list[list[str]]:
        """The rows of the table, its header first."""
        if not (self.root / TABLE).exists():
            return [list(_COLUMNS)]
        read_table(self.root, read_description(self.root))  # refuses what is broken
        lines = (self.root / TABLE).read_text(encoding="utf-8-sig").splitlines()
        return [row for row in csv.reader(line for line in lines if not line.startswith("#")) if any(row)]


def _refuse_other(known: Description, clip: Clip | None) -> None:
    """Refuse a data set whose files are read otherwise than the page's are written."""
    plain = Description(known.name, known.unit, known.gravity, known.placement)
    if known.unit != _UNIT or (known.axes, known.text) != (plain.axes, plain.text) or known.subject_axes:
        raise DataError(
            f"{DESCRIPTION} there has the unit {known.unit!r}, or axes or a layout of its own, and the page records "
            f"{_UNIT} under {_HEADER}",
            hint="Give another folder",
        )
    if clip is not None and (known.gravity, known.placement) != (clip.gravity, clip.placement):
        raise DataError(
            f"{DESCRIPTION} says placement = {known.placement!r}, gravity = {known.gravity}, and the clip has "
            f"{clip.placement!r}, {clip.gravity}",
            hint="Record with that placement, or start the server with another folder",
        )


def _name(clip: Clip, number: int) -> str:
    """A name of letters, digits and lines, which no other clip has: the number is the table's."""
    when = datetime.fromtimestamp(clip.when_s, UTC).strftime("%Y%m%d%H%M%S")
    return f"{_plain(clip.subject)}_{_plain(clip.label)}_{when}_{number}"


def _plain(text: str) -> str:
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-zA-Z0-9]+", "-", ascii_text).strip("-")[:40] or "x"


def _text(rows: Sequence[Sequence[str]]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode()
