"""The two describing files of a folder of recordings, with what was guessed as comments."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

from vskd.closed import to_mapping
from vskd.errors import DataError
from vskd.sources.layout import Layout
from vskd.writing import write_file
from vskd_training.datasets.folder.table import DESCRIPTION, TABLE
from vskd_training.datasets.guess.clips import Found, GuessedClip, look_at

#: With fewer, nothing can be trained on some and tested on others.
_FEWEST_SUBJECTS = 2


def init(root: Path) -> Found:
    """Look at a folder, and write ``dataset.toml`` and ``clips.csv`` into it.

    Raises
    ------
    DataError : one of them is there already, nothing can be read, or the folder cannot be written to
    """
    for name in (DESCRIPTION, TABLE):
        if (root / name).exists():
            raise DataError(f"{root / name} is there already, and is not replaced", hint="Move it away first")
    found = look_at(root)
    write_file(root / TABLE, table_text(found).encode())
    write_file(root / DESCRIPTION, description_text(root, found).encode())
    return found


def description_text(root: Path, found: Found) -> str:
    """``dataset.toml``, with a reason behind each guess."""
    guess = found.guess
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", root.resolve().name).strip("-._") or "recordings"
    lines = [
        "# Guessed by `vskd data init`: look every line over, then try `vskd data check`.",
        f"name = {_toml(name)}  # the folder's",
        f"unit = {_toml(guess.unit)}  # {guess.reasons['unit']}",
        f"gravity = {_toml(guess.gravity)}  # {guess.reasons['gravity']}",
        'placement = "wrist"  # NOT KNOWN: where the sensor sat, e.g. "left wrist"',
        "# [axes]  # if the sensor's axes are not the screen's: x right, y up, z out of it. Apple's sign is opposite:",
        '# x = "-x"',
        '# y = "-y"',
        '# z = "-z"',
    ]
    default = to_mapping(Layout())
    changed = {key: value for key, value in to_mapping(guess.layout).items() if value != default[key]}
    if changed:
        lines += ["", "[layout]"]
    for key, value in changed.items():
        reason = guess.reasons.get("x" if key in ("x", "y", "z") else "time" if key == "time_unit" else key, "")
        lines.append(f"{key} = {_toml(value)}" + (f"  # {_one_line(reason)}" if reason else ""))
    if guess.names:
        lines.append(f"# the columns are: {_one_line(', '.join(guess.names))[:400]}")
    return "\n".join(lines) + "\n"


def table_text(found: Found) -> str:
    """``clips.csv``, with what was passed over as comments."""
    subjects, labels = {clip.subject for clip in found.clips}, {clip.label for clip in found.clips}
    notes = ["# Guessed by `vskd data init` from names: look subjects and labels over; drop this line when it is right"]
    if "" in labels:
        notes.append("# An empty label is not known: fill it in, or the clip only takes part in distillation")
    if len(subjects) < _FEWEST_SUBJECTS:
        notes.append("# One subject alone: name who wore the sensor in each")
    notes += [f"# passed over: {_one_line(name)}: {_one_line(why)[:200]}" for name, why in found.others]
    columns = ("clip", "subject", "label", "sensor", *(("rows",) if any(clip.rows for clip in found.clips) else ()))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(_cells(clip, columns) for clip in found.clips)
    return "\n".join(notes) + "\n" + text.getvalue()


def _cells(clip: GuessedClip, columns: tuple[str, ...]) -> list[str]:
    return [getattr(clip, column) for column in columns]


def _toml(value: Any) -> str:
    # A string of JSON is one of TOML; so are its numbers, booleans and lists.
    return json.dumps(value, ensure_ascii=True)


def _one_line(text: str) -> str:
    return " ".join(text.split())
