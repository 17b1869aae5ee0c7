"""``vskd bench check``: is a result folder as it was written, and is everything derived in it right.

Looked at: the files against the manifest; ``result.json`` against its records; statistics, audits, ratios and goals
against the raw nanoseconds; validity against the recorded facts. The facts themselves (what the machine was, how long
a cold start took) cannot be checked afterwards; the manifest's hash holds them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vskd.closed import to_mapping
from vskd.errors import ConfigError, DataError
from vskd_benchmarks.device.energy import POWER
from vskd_benchmarks.goals import VERSION
from vskd_benchmarks.result.derive import derive
from vskd_benchmarks.result.folder import (
    MANIFEST,
    RAW,
    REPORT,
    RESULT,
    Manifest,
    read_manifest,
    read_raw,
    read_result,
)
from vskd_benchmarks.result.judgement import judge
from vskd_benchmarks.result.records.result import Result


def differences(folder: Path) -> list[str]:
    """Everything in a result folder that is not as it must be, a line each; empty for a good one.

    Raises
    ------
    DataError : no result folder, or one of another version
    """
    manifest = read_manifest(folder)
    found = [*_files(folder, manifest)]
    if not (folder / RESULT).is_file():
        return found
    try:
        result = read_result(folder)
    except DataError as error:
        return [*found, error.message]
    return [*found, *_derived(folder, result)]


def goals_since(folder: Path, result: Result) -> list[str]:
    """The verdicts of today's goals on a result that was judged by older ones, a line each; empty for one of today.

    Parameters
    ----------
    folder, result : of a result that is as it was written
    """
    version = result.goals_version
    if version == VERSION:
        return []
    raws = {case.id: read_raw(folder, case.id) for case in result.cases}
    words = {True: "met", False: "missed", None: "not measured"}
    lines = [f"its goals are those of version {version}; by today's, version {VERSION}:"]
    for judged in judge(result, raws, VERSION):
        worst = "" if judged.worst is None else f", worst {judged.worst:g}"
        lines.append(f"  {judged.goal}: {words[judged.met]}{worst}")
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


def _derived(folder: Path, result: Result) -> Iterator[str]:
    raws = {}
    for case in result.cases:
        try:
            raws[case.id] = read_raw(folder, case.id)
        except DataError as error:
            yield str(error)
    if f"{RAW}/{POWER}.npz" in read_manifest(folder).files:
        raws[POWER] = read_raw(folder, POWER)
    if len(raws) < len(result.cases):
        return
    try:
        again = derive(result, raws)
    except ConfigError as error:
        yield str(error)
        return
    except (KeyError, ValueError, IndexError, TypeError) as error:
        yield f"the raw files do not fit {RESULT}: {type(error).__name__}: {error}"
        return
    yield from _unequal("", to_mapping(result), to_mapping(again))


def _unequal(where: str, written: Any, computed: Any) -> Iterator[str]:
    if isinstance(written, dict) and isinstance(computed, dict):
        for key in sorted({*written, *computed}):
            yield from _unequal(f"{where}.{key}".lstrip("."), written.get(key), computed.get(key))
    elif isinstance(written, list) and isinstance(computed, list) and len(written) == len(computed):
        for index, (one, other) in enumerate(zip(written, computed, strict=True)):
            name = one.get("id", index) if isinstance(one, dict) else index
            yield from _unequal(f"{where}[{name}]", one, other)
    elif written != computed:
        yield f"{RESULT}: {where} is {_short(written)}; computed from the raw files it is {_short(computed)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 160 else f"{text[:157]}..."
