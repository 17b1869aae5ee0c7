"""``vskd bench --check``: is a result folder what was measured, and does it say what follows from it.

Looked at: the files against the manifest; ``result.json`` against its schema; statistics, audits, ratios and goals
against the raw nanoseconds; validity against the recorded facts. The facts themselves (what the machine was, how long
a cold start took) cannot be checked afterwards; the manifest's hash holds them.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vskd.errors import DataError, MissingExtraError
from vskd_benchmarks.device.energy import POWER
from vskd_benchmarks.goals import VERSION
from vskd_benchmarks.result.document import derive
from vskd_benchmarks.result.folder import (
    MANIFEST,
    RAW,
    REPORT,
    RESULT,
    SCHEMA,
    Manifest,
    read_manifest,
    read_raw,
    read_result,
)
from vskd_benchmarks.result.judgement import judge_result


def differences(folder: Path) -> list[str]:
    """Everything in a result folder that is not as it must be, a line each; empty for a good one.

    Raises
    ------
    DataError : no result folder, or one of another version
    MissingExtraError : jsonschema is not installed
    """
    if importlib.util.find_spec("jsonschema") is None:
        raise MissingExtraError("jsonschema", extra="bench", purpose="vskd bench --check")
    manifest = read_manifest(folder)
    found = [*_files(folder, manifest)]
    if not (folder / RESULT).is_file():
        return found
    try:
        result = read_result(folder)
    except DataError as error:
        return [*found, str(error)]
    schema = list(_schema(result))
    # What does not follow the schema cannot be computed with.
    return [*found, *schema] if schema else [*found, *_derived(folder, result)]


def goals_since(folder: Path, result: Mapping[str, Any]) -> list[str]:
    """What today's goals say of a result that was judged by older ones, a line each; empty for one of today.

    Parameters
    ----------
    folder, result : of a result that is as it was written
    """
    version = result.get("goals_version", 1)
    if version == VERSION:
        return []
    raws = {case["id"]: read_raw(folder, case["id"]) for case in result["cases"]}
    words = {True: "met", False: "missed", None: "not measured"}
    lines = [f"its goals are those of version {version}; by today's, version {VERSION}:"]
    for row in judge_result(result, raws, VERSION):
        worst = "" if row["worst"] is None else f", worst {row['worst']:g}"
        lines.append(f"  {row['goal']}: {words[row['met']]}{worst}")
    return lines


def _files(folder: Path, manifest: Manifest) -> Iterator[str]:
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing"
        elif path.stat().st_size != entry.size_bytes:
            yield f"{name} has {path.stat().st_size} bytes, the manifest says {entry.size_bytes}"
        elif hashlib.sha256(path.read_bytes()).hexdigest() != entry.sha256:
            yield f"{name} was changed: its SHA-256 is not the manifest's"
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for name in sorted(present - set(manifest.files) - {MANIFEST}):
        if not name.startswith(f"{REPORT}/"):
            yield f"{name} is not part of the result"


def _schema(result: Mapping[str, Any]) -> Iterator[str]:
    jsonschema: Any = importlib.import_module("jsonschema")
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    for error in validator.iter_errors(result):
        yield f"{RESULT}: {error.json_path}: {error.message[:200]}"


def _derived(folder: Path, result: Mapping[str, Any]) -> Iterator[str]:
    raws = {}
    for case in result["cases"]:
        try:
            raws[case["id"]] = read_raw(folder, case["id"])
        except DataError as error:
            yield str(error)
    if f"{RAW}/{POWER}.npz" in read_manifest(folder).files:
        raws[POWER] = read_raw(folder, POWER)
    if len(raws) < len(result["cases"]):
        return
    try:
        again = derive(result, raws)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        yield f"the raw files do not fit {RESULT}: {type(error).__name__}: {error}"
        return
    yield from _unequal("", result, json.loads(json.dumps(again)))


def _unequal(where: str, said: Any, computed: Any) -> Iterator[str]:
    if isinstance(said, dict) and isinstance(computed, dict):
        for key in sorted({*said, *computed}):
            yield from _unequal(f"{where}.{key}".lstrip("."), said.get(key), computed.get(key))
    elif isinstance(said, list) and isinstance(computed, list) and len(said) == len(computed):
        for index, (one, other) in enumerate(zip(said, computed, strict=True)):
            name = one.get("id", index) if isinstance(one, dict) else index
            yield from _unequal(f"{where}[{name}]", one, other)
    elif said != computed:
        yield f"{RESULT} says {where} is {_short(said)}; from the raw files it is {_short(computed)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 160 else f"{text[:157]}..."
