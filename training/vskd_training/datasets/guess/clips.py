"""Which files of a folder are recordings of an accelerometer, and who did what in them, guessed from names and columns.

This module knows names and cells. It writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from vskd.errors import DataError
from vskd.sources.causes import TextError
from vskd.sources.csv import SampleReader
from vskd.sources.layout import Layout
from vskd.sources.text_file import file_lines
from vskd_training.datasets.folder.table import TABLE
from vskd_training.datasets.guess.layout import LINES, Guess, guess_layout

_SUFFIXES = (".csv", ".txt", ".dat", ".tsv", ".log", ".gz")
_ACCELEROMETER = re.compile(r"acc|imu|inertial|motion", re.IGNORECASE)
_OTHER = re.compile(
    r"gyr|magnet|gravity|orient|location|gps|baro|compass|pedo|light|microphone|meta|annotation|tags|battery"
    r"|^(hr|ibi|bvp|eda|temp|readme|info|labels?)$",
    re.IGNORECASE,
)
_SUBJECT = re.compile(r"user|subject|person|participant|volunteer|wearer", re.IGNORECASE)
_LABEL = re.compile(r"gt|activity|label|class|action|exercise", re.IGNORECASE)
#: Words of file names that are neither a person nor an activity.
_NO_WORD = re.compile(
    r"total|raw|data|sensors?|watch|phone|wear|log|export|csv|uncalibrated|accel\w*|acc|imu|inertial|totalacceleration"
    r"|recordings?|protocol|optional|clips?|[A-Za-z]|\d.*",
    re.IGNORECASE,
)
#: A column of people or activities has no more values in a file.
_MOST_VALUES = 200


@dataclass(frozen=True)
class GuessedClip:
    """A line of ``clips.csv``."""

    clip: str
    subject: str
    label: str
    sensor: str
    rows: str = ""


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes
    ----------
    guess : the layout of most files
    clips : in the order of the files
    others : files that were passed over, and why
    """

    guess: Guess
    clips: tuple[GuessedClip, ...]
    others: tuple[tuple[str, str], ...]


def look_at(root: Path) -> Found:
    """Look at every file of a folder.

    Raises
    ------
    DataError : there is no folder, or no file in it that can be a recording
    """
    if not root.is_dir():
        raise DataError(f"there is no folder {root}", hint="Give the folder of the recordings")
    paths, others = _chosen(root, list(_files(root)))
    guess: Guess | None = None
    clips: list[GuessedClip] = []
    for path in paths:
        name = path.relative_to(root).as_posix()
        try:
            lines = list(islice(file_lines(path, name=name), LINES))
            if guess is None:
                guess = guess_layout(lines)
            list(SampleReader.open(iter(lines), name=name, layout=guess.layout).rows())
        except DataError as error:
            others.append((name, error.what if isinstance(error, TextError) else error.message))
            continue
        clips += _clips_in(path, name, guess)
    if guess is None or not clips:
        # What was read and refused tells more than a name that was passed over.
        reasons = "; ".join(f"{name}: {why}" for name, why in others[::-1][:3]) or "there is no text file"
        raise DataError(f"no file in {root} can be read as a recording: {reasons}", hint="Describe them by hand")
    return Found(guess, _with_names_of_their_own(clips), tuple(others))


def _files(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        is_hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.is_file() and not is_hidden and path.suffix.lower() in _SUFFIXES and path.name != TABLE:
            yield path


def _chosen(root: Path, paths: Sequence[Path]) -> tuple[list[Path], list[tuple[str, str]]]:
    """Files by name: of another sensor or none; where a folder has the total acceleration, that alone."""
    totals = {path.parent for path in paths if re.search("total.*acc", path.name, re.IGNORECASE)}
    kept: list[Path] = []
    others: list[tuple[str, str]] = []
    for path in paths:
        stem, name = _stem(path), path.relative_to(root).as_posix()
        if _OTHER.search(stem) and not _ACCELEROMETER.search(stem):
            others.append((name, "another sensor, or no recording, by its name"))
        elif path.parent in totals and "total" not in stem.lower():
            others.append((name, "the folder holds the total acceleration, too"))
        else:
            kept.append(path)
    return kept, others


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rpartition(".")[0] or path.name


def _clips_in(path: Path, name: str, guess: Guess) -> list[GuessedClip]:
    """One clip, or one for each person and activity that a file's own columns name."""
    subject, label = _words(name)
    subject_at, label_at = _columns(guess)
    if subject_at is None and label_at is None:
        return [GuessedClip(_stem(path), subject, label, name)]
    seen: dict[tuple[str, ...], None] = {}
    places = [place for place in (subject_at, label_at) if place is not None]
    for cells in _rows(path, guess.layout, name):
        if len(cells) > max(places):
            seen[tuple(cells[place].strip() for place in places)] = None
        if len(seen) > _MOST_VALUES:
            return [GuessedClip(_stem(path), subject, label, name)]
    if len(seen) == 1 and subject and label:
        return [GuessedClip(_stem(path), subject, label, name)]
    clips = []
    for values in seen:
        known = dict(zip(places, values, strict=True))
        rows = ";".join(f"{guess.names[place] if guess.names else place + 1}={value}" for place, value in known.items())
        who = known.get(subject_at, "") if subject_at is not None else subject
        what = known.get(label_at, "") if label_at is not None else label
        clips.append(GuessedClip("_".join((_stem(path), *values)), who or subject, what, name, rows))
    return clips


def _rows(path: Path, layout: Layout, name: str) -> Iterator[list[str]]:
    for number, line in enumerate(file_lines(path, name=name)):
        is_comment = bool(layout.comment) and line.lstrip().startswith(layout.comment)
        if number < layout.skip_lines + layout.header or is_comment or not line.strip():
            continue
        try:
            yield layout.cells(line)
        except ValueError:
            continue


def _columns(guess: Guess) -> tuple[int | None, int | None]:
    """Columns of a person and of an activity."""
    if guess.names:
        places = range(len(guess.names))
        subject = next((place for place in places if _SUBJECT.fullmatch(guess.names[place].strip("_ "))), None)
        label = next((place for place in places if _LABEL.fullmatch(guess.names[place].strip("_ "))), None)
        return subject, label
    used = {abs(int(one)) - 1 for terms in guess.layout.axes for one in terms}
    used |= {int(guess.layout.time) - 1} if isinstance(guess.layout.time, int) else set()
    first = min(used, default=0)
    free = [place for place in range(min(len(guess.rows[0]), max(used) + 1)) if place not in used]
    words = [place for place in free if all(re.fullmatch(r"[A-Za-z][\w ]*", row[place].strip()) for row in guess.rows)]
    label = words[0] if words else next((place for place in free if place > first and _is_code(guess, place)), None)
    before = [place for place in free if label is not None and place < label and _is_code(guess, place)]
    return (before[0] if before and words else None), label


def _is_code(guess: Guess, place: int) -> bool:
    """Whether a column holds few small whole numbers."""
    cells = [row[place].strip() for row in guess.rows]
    return all(cell.isascii() and cell.isdecimal() for cell in cells) and len(set(cells)) <= max(2, len(cells) / 20)


def _words(name: str) -> tuple[str, str]:
    """Who and what, from the words of a path; a guess."""
    path = Path(name.removesuffix(".gz"))
    words = [
        word
        for part in (*path.parts[:-1], path.name.rpartition(".")[0])
        for word in re.split(r"[_\-\s.]+", part)
        if word and not _NO_WORD.fullmatch(word) and not _ACCELEROMETER.search(word)
    ]
    words = list(dict.fromkeys(words))
    numbered = [word for word in words if re.fullmatch(r"[A-Za-z]{1,12}\d+", word)]
    subject = (numbered or words or ["someone"])[0]
    rest = [word for word in words if word not in (subject, *numbered)]
    return subject, rest[-1] if rest else ""


def _with_names_of_their_own(clips: Sequence[GuessedClip]) -> tuple[GuessedClip, ...]:
    """Clips of the same file name get their folders' names, too."""
    names = [clip.clip for clip in clips]
    made = []
    for clip in clips:
        path = Path(clip.sensor)
        own = clip.clip if names.count(clip.clip) == 1 else "_".join((*path.parts[:-1], clip.clip))
        made.append(GuessedClip(own, clip.subject, clip.label, clip.sensor, clip.rows))
    return tuple(made)
