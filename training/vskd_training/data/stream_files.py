"""Files around ``vskd run``: samples as it reads them, its decisions, and the truth beside them."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.errors import DataError
from vskd.untrusted.documents import read_json
from vskd_training.datasets.recording import Span


def write_samples(
    path: Path, time_s: NDArray[np.float64], acceleration_g: NDArray[np.float64], *, columns: str = "ax_g ay_g az_g"
) -> None:
    """Write samples (n,) and (n, 3) as the CSV that ``vskd run`` reads: its columns state the unit.

    Raises
    ------
    DataError : the file cannot be written
    """
    rows = ((f"{t:.6f}", *(f"{value:.6f}" for value in xyz)) for t, xyz in zip(time_s, acceleration_g, strict=True))
    _write_csv(path, ("time_s", *columns.split()), rows)


def write_truth(path: Path, spans: Sequence[Span]) -> None:
    """Write who did what when; errors as ``write_samples``."""
    _write_csv(path, ("start_s", "end_s", "label"), ((f"{a:.3f}", f"{b:.3f}", label) for a, b, label in spans))


def read_truth(path: Path) -> list[Span]:
    """Read what ``write_truth`` wrote.

    Raises
    ------
    DataError : no such file, or a row that is no span
    """
    spans = []
    for line, row in enumerate(csv.DictReader(_lines(path)), start=2):
        try:
            span = Span(float(row["start_s"]), float(row["end_s"]), row["label"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}, line {line}: not start_s,end_s,label: {row}", hint="Mend the row") from error
        if not (math.isfinite(span.start_s) and math.isfinite(span.end_s) and span.label):
            raise DataError(f"{path}, line {line}: not start_s,end_s,label: {row}", hint="Mend the row")
        if span.end_s <= span.start_s:
            raise DataError(
                f"{path}, line {line}: ends at {span.end_s:g} s and begins at {span.start_s:g} s", hint="Mend the row"
            )
        spans.append(span)
    if not spans:
        raise DataError(f"{path} holds no spans", hint="It needs a header start_s,end_s,label and rows")
    return spans


def read_events(path: Path) -> list[Span]:
    """Read the JSON lines of ``vskd run``: of each window what was decided.

    Raises
    ------
    DataError : no such file, or a line that is no event
    """
    events = []
    for number, line in enumerate(_lines(path), start=1):
        try:
            event: dict[str, Any] = read_json(line)
            events.append(Span(float(event["start_s"]), float(event["end_s"]), str(event["label"])))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path}, line {number}: not a decision of `vskd run`",
                hint="It reads JSON lines: run with --output NAME.jsonl",
            ) from error
    if not events:
        raise DataError(f"{path} holds no decisions", hint="Was the recording shorter than a window?")
    return events


def _write_csv(path: Path, header: Sequence[str], rows: Any) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}", hint="Give another path") from error


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", hint="Name a file that is there") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8, at byte {error.start}", hint="Name a text file") from error
