"""Where events go: JSON lines, a CSV that a spreadsheet opens, or lines to read. Each is there as soon as decided."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from vskd.decide import NO_SIGNAL, STILL, UNKNOWN, Event
from vskd.errors import DataError
from vskd.untrusted.text import shown, spreadsheet_cell
from vskd.writing import cut_half_line, disk_errors, refuse_unwritable

#: Suffix of an output file -> what is written into it.
SUFFIXES = (".jsonl", ".csv")

_HINT = "Check the folder and its permissions"

_COLUMNS = ("start_s", "end_s", "label", "probability", "reason", "delay_s", "defects")


class JsonLinesSink:
    """One JSON object per event and line.

    Parameters
    ----------
    stream : open for writing
    labels : the contract's
    """

    def __init__(self, stream: TextIO, labels: tuple[str, ...]) -> None:
        self._stream = stream
        self._labels = labels

    def __call__(self, event: Event) -> None:
        self._stream.write(json.dumps(event.to_mapping(self._labels)) + "\n")
        self._stream.flush()


class TextSink:
    """A line to read per event: the end of its window, the label, its probability, and why it is no activity.

    Parameters
    ----------
    stream : open for writing
    labels : the contract's
    """

    def __init__(self, stream: TextIO, labels: tuple[str, ...]) -> None:
        self._stream = stream
        self._width = max(map(len, (*labels, NO_SIGNAL, STILL, UNKNOWN)))

    def __call__(self, event: Event) -> None:
        line = f"{event.end_s:8.1f} s  {event.label:{self._width}}  {event.probability:.2f}  {event.reason}"
        self._stream.write(shown(line.rstrip()) + "\n")
        self._stream.flush()


class CsvSink:
    """One row per event: its values, then a column ``p(LABEL)`` for each label.

    Parameters
    ----------
    stream : open for writing
    labels : the contract's
    header : whether the columns are still to be named
    """

    def __init__(self, stream: TextIO, labels: tuple[str, ...], *, header: bool = True) -> None:
        self._stream = stream
        self._labels = labels
        self._writer = csv.writer(stream, lineterminator="\n")
        if header:
            self._writer.writerow(csv_columns(labels))
            stream.flush()

    def __call__(self, event: Event) -> None:
        values = event.to_mapping(self._labels)
        values["defects"] = "; ".join(values["defects"])
        probabilities = values.pop("probabilities")
        texts = {name: spreadsheet_cell(values[name]) for name in ("label", "reason")}
        self._writer.writerow([*({**values, **texts}[name] for name in _COLUMNS), *probabilities.values()])
        self._stream.flush()


def csv_columns(labels: Sequence[str]) -> list[str]:
    """The header of an event CSV."""
    return [*_COLUMNS, *(f"p({label})" for label in labels)]


def check_output(path: Path, *, append: bool) -> None:
    """Refuse a file that events cannot be written to, before a sample is read; nothing is made.

    Parameters
    ----------
    path : ending in one of ``SUFFIXES``
    append : to a file that exists; without it such a file is refused

    Raises
    ------
    DataError : another suffix, the file is there, or it cannot be written
    """
    if path.suffix not in SUFFIXES:
        raise DataError(f"events are not written to {path.name!r}", hint=f"End the name in {' or '.join(SUFFIXES)}")
    if not path.exists():
        refuse_unwritable(path, DataError)
    elif not append:
        raise DataError(f"{path} exists", hint="Give another name, or --append")
    elif path.is_dir() or not os.access(path, os.W_OK):
        raise DataError(f"cannot write {path}: {'a folder' if path.is_dir() else 'no permission'}", hint=_HINT)


def open_output(path: Path, *, append: bool) -> TextIO:
    """Open a file for events; missing folders above it are made. Parameters and errors as of ``check_output``."""
    with disk_errors(path, DataError, hint=_HINT):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return path.open("a" if append else "x", encoding="utf-8", newline="")
    except FileExistsError as error:
        raise DataError(f"{path} exists", hint="Give another name, or --append") from error
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}", hint=_HINT) from error


def file_sink(path: Path, stream: TextIO, labels: tuple[str, ...]) -> JsonLinesSink | CsvSink:
    """The sink of the file's format, at the end of the file; an incomplete last line is removed.

    Parameters
    ----------
    path : names the format, and what is there already
    stream : of ``open_output`` on this path

    Raises
    ------
    DataError : a CSV of other columns
    """
    if path.suffix == ".csv" and path.stat().st_size:
        _refuse_other_columns(path, labels)
    if path.is_file():  # not a named pipe
        with disk_errors(path, DataError, hint=_HINT):
            cut_half_line(path)
    if path.suffix == ".jsonl":
        return JsonLinesSink(stream, labels)
    return CsvSink(stream, labels, header=path.stat().st_size == 0)


def _refuse_other_columns(path: Path, labels: tuple[str, ...]) -> None:
    header = io.StringIO()
    csv.writer(header).writerow(csv_columns(labels))
    with path.open(encoding="utf-8", errors="replace", newline="") as text:
        found = text.readline(len(header.getvalue()) + 1)
    is_half = not found.endswith("\n") and header.getvalue().startswith(found)  # as a killed writer leaves it
    if next(csv.reader([found]), []) != csv_columns(labels) and not is_half:
        raise DataError(f"{path} has other columns than this bundle's events", hint="Give another name")
