"""``croissant.json``: a folder of recordings as a machine reads it, in Croissant 1.1 of MLCommons (JSON-LD).

The files with their hashes, and one record set, ``clips``: the rows of ``clips.csv`` as they were understood. Nothing
of the machine is in it, and no date, so that an unchanged folder gives the same bytes. What a sample means (unit, axes,
layout of the text) stands in the description and in ``dataset.toml``, which is one of the files.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vskd.errors import DataError
from vskd_training.datasets.data_set import About
from vskd_training.datasets.folder.table import DESCRIPTION, TABLE, ClipRow, Description, read_description, read_table

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"

#: The prefixes and terms of the format, as its readers expect them.
_CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "name": {"@container": "@language"},
    "description": {"@container": "@language"},
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        term: f"cr:{term}"
        for term in (
            "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject",
            "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5",
            "parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate",
            "separator", "source", "subField", "transform",
        )
    },
}  # fmt: skip

#: Ending of a file -> its kind.
_KINDS = {
    ".csv": "text/csv", ".txt": "text/plain", ".toml": "application/toml", ".gz": "application/gzip",
    ".json": "application/json", ".mp4": "video/mp4", ".avi": "video/x-msvideo", ".mkv": "video/matroska",
    ".mov": "video/quicktime", ".png": "image/png", ".jpg": "image/jpeg",
}  # fmt: skip

#: Columns of a clip that name files.
_FILES = ("sensor", "video", "joints")


def croissant(root: Path) -> bytes:
    """The document of a folder, JSON.

    Parameters
    ----------
    root : holds ``dataset.toml`` and ``clips.csv``

    Raises
    ------
    DataError, ConfigError : a mistake in one of the two, or a file that the table names and that is not there
    """
    description = read_description(root)
    table = read_table(root, description)
    named = dict.fromkeys(getattr(row, column) for row in table for column in _FILES if getattr(row, column))
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": description.name,
        "description": _in_words(description, table),
        "conformsTo": CONFORMS_TO,
        **{key: value for key, value in _stated(description.about).items() if value},
        "distribution": [_file(root, name) for path in (DESCRIPTION, TABLE, *named) for name in _below(root, path)],
        "recordSet": [_clips(table)],
    }
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _stated(about: About) -> dict[str, str]:
    return {
        "license": about.licence and f"https://spdx.org/licenses/{about.licence}",
        "url": about.url,
        "citeAs": about.citation,
        "version": about.version,
        "datePublished": about.published,
    }


def _in_words(description: Description, table: Sequence[ClipRow]) -> str:
    subjects, labels = {row.subject for row in table}, {row.label for row in table if row.label}
    gravity = "with" if description.gravity else "without"
    facts = (
        f"{len(table)} clips of {len(subjects)} subjects and {len(labels)} activities. Acceleration in "
        f"{description.unit}, {gravity} gravity; the sensor sat on the {description.placement}."
    )
    return " ".join(text for text in (description.about.title, description.about.description, facts) if text)


def _below(root: Path, name: str) -> Iterable[str]:
    """The file itself, or the files of a folder of frames."""
    path = root / name
    if path.is_dir():
        return [child.relative_to(root).as_posix() for child in sorted(path.iterdir()) if child.is_file()]
    if not path.is_file():
        raise DataError(f"{TABLE} names {name}, which is not there", hint="Mend the path, or drop the line")
    return [name]


def _file(root: Path, name: str) -> dict[str, Any]:
    with (root / name).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "encodingFormat": _KINDS.get(Path(name).suffix.lower(), "application/octet-stream"),
        "sha256": digest,
    }


def _clips(table: Sequence[ClipRow]) -> dict[str, Any]:
    """The clips as records; a column that is empty in all of them is left out."""
    rows = [_cells(row) for row in table]
    columns = [name for name in rows[0] if any(row[name] for row in rows)]
    return {
        "@type": "cr:RecordSet",
        "@id": "clips",
        "name": "clips",
        "description": f"The rows of {TABLE}: who did what, and in which files",
        "key": {"@id": "clips/clip"},
        "field": [
            {"@type": "cr:Field", "@id": f"clips/{name}", "name": name, "dataType": "sc:Text"} for name in columns
        ],
        "data": [{f"clips/{name}": row[name] for name in columns} for row in rows],
    }


def _cells(row: ClipRow) -> dict[str, str]:
    part = {
        "start_s": f"{row.start_s:g}" if row.start_s else "",
        "end_s": f"{row.end_s:g}" if math.isfinite(row.end_s) else "",
    }
    names = ("clip", "subject", "label", "sensor", "video", "joints", "rows")
    return {name: getattr(row, name) for name in names} | part | row.groups
