"""The result folder: what ``vskd bench --out DIR`` leaves, how it is written and how it is read.

::

    DIR/
      manifest.json     kind, schema version, SHA-256 and size of every file below
      result.json       what was measured, as ``schemas/result.v3.schema.json`` says, which is made from the records
      raw/ID.npz        the raw nanoseconds of the case ID, nothing clipped, and what its audits compared
      report/           what is derived from the rest; not in the manifest, can be made again

``result.json`` holds facts (``configuration``, ``environment``, ``bundles``, ``profile``, most of ``energy``, and of
every case its engine, warm-up, processor time, memory, cold start) and what follows from facts and raw files
(``scopes``, ``stages``, ``overhead``, ``audits``, ``validity``, ``ratios``, ``goals``, each case's ``energy`` and
``battery``); ``vskd bench check`` computes the latter again.

Arrays of ``raw/ID.npz``
    every key of the case's ``scopes`` and ``stages`` that is not null : (rounds, calls), int64, ns
    ``started`` : (rounds, calls), int64, ns since the start of the run when each call began, one clock for all
    ``yardstick`` : (rounds, readings), int64, ns, the yardstick before and after the calls of each round; absent
        before schema version 3
    ``interval`` : (rounds, 2), int64, ns since the start of the run, start and end of each round
    ``audit_varied``, ``audit_repeated`` : (blocks, calls), int64, ns, the engine's call on varied and on one input
    ``sampled_index``, ``sampled_logits`` : (samples,) and (samples, classes), outputs of the performance run, and
        which row of ``accuracy_logits`` (windows, classes) each must equal
    ``golden_logits``, ``golden_network``, ``golden_recorded`` : (golden windows, classes), of this run, of the trained
        network, and as recorded at export; absent where the weights are random

``raw/power.npz``, where power was measured: ``time_ns`` (readings,), ns since the start of the run; ``power_w``
(readings,).

A folder without its manifest is no result. Writing is whole or not at all: a run that ends early leaves nothing. The
hash of the manifest is the result's identity. ``result.json`` is read and written through the closed records of
``vskd_benchmarks.result.records``; a later version of the toolkit may add keys to them, and reads older results; a
change of meaning gets a new schema version. This module knows nothing of what the numbers mean.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import FileEntry
from vskd.closed import from_mapping, to_mapping
from vskd.errors import ConfigError, DataError
from vskd.untrusted.arrays import read_npz
from vskd.untrusted.documents import read_json
from vskd.writing import disk_errors, recover, refuse_unwritable, write_folder
from vskd_benchmarks.result.records.case import CaseFacts
from vskd_benchmarks.result.records.result import Result

KIND = "vskd-bench-result"
SCHEMA_VERSION = 3

#: Older versions that are read: what changed since is renamed while reading.
READABLE_VERSIONS = (2, SCHEMA_VERSION)
SCHEMA = Path(__file__).parent / "schemas" / f"result.v{SCHEMA_VERSION}.schema.json"

MANIFEST = "manifest.json"
RESULT = "result.json"
RAW = "raw"
REPORT = "report"

#: The array of a case's yardstick.
YARDSTICK = "yardstick"

#: Arrays of one case by name.
Raw = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` holds: every other file by its name within the folder."""

    kind: str
    schema_version: int
    files: dict[str, FileEntry]


def check_out(out: Path, *, overwrite: bool) -> None:
    """Refuse a place where the result cannot be written, before minutes are spent on measuring it.

    Raises
    ------
    ConfigError
    """
    if out.suffix == ".json":
        raise ConfigError(f"--out names a folder, got {out}", hint=f"Say --out {out.with_suffix('')}")
    recover(out)
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} exists", hint="Give another name, or --overwrite")
    if out.exists() and _kind(out / MANIFEST) != KIND:  # a bundle has a manifest too
        raise ConfigError(f"{out} exists and is no result folder; it is not replaced", hint="Give another name")
    refuse_unwritable(out, ConfigError)


def _kind(manifest: Path) -> str | None:
    """The kind that a manifest names; None where there is none."""
    try:
        mapping = read_json(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return mapping.get("kind") if isinstance(mapping, dict) else None


def write_result(out: Path, result: Result, raw: Mapping[str, Raw], *, overwrite: bool = False) -> Path:
    """Write a result folder, whole or not at all.

    Parameters
    ----------
    out : the folder to make
    result : goes into ``result.json``
    raw : case id -> its arrays
    overwrite : replace a result folder that is there

    Raises
    ------
    ConfigError : the folder exists, or cannot be written
    """
    check_out(out, overwrite=overwrite)
    content = {f"{RAW}/{case}.npz": _npz(arrays) for case, arrays in raw.items()}
    content[RESULT] = (json.dumps(to_mapping(result), indent=1, allow_nan=False) + "\n").encode()
    files = {name: FileEntry(hashlib.sha256(data).hexdigest(), len(data)) for name, data in sorted(content.items())}
    content[MANIFEST] = (json.dumps(to_mapping(Manifest(KIND, SCHEMA_VERSION, files)), indent=1) + "\n").encode()
    with disk_errors(out, ConfigError, hint="Give another --out"):
        write_folder(out, content, replace=overwrite)
    return out


def _npz(arrays: Raw) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a result folder.

    Raises
    ------
    DataError : no result folder, or one of another version
    """
    path = folder / MANIFEST
    recover(folder)
    if not path.is_file():
        raise DataError(
            f"{folder} is no result folder: it has no {MANIFEST}", hint="`vskd bench BUNDLE --out DIR` makes one"
        )
    mapping = _json(path)
    kind, version = (mapping.get("kind"), mapping.get("schema_version")) if isinstance(mapping, dict) else (None, None)
    if kind != KIND:
        raise DataError(f"{folder} is no result folder: its manifest is of kind {kind!r}", hint="Give another folder")
    if version not in READABLE_VERSIONS:
        hint = "Install the vskd that wrote it, or measure again"
        versions = " and ".join(map(str, READABLE_VERSIONS))
        raise DataError(f"{path} has schema version {version}, this vskd reads {versions}", hint=hint)
    try:
        return from_mapping(Manifest, mapping, where=str(path))
    except ConfigError as error:
        raise DataError(error.message, hint=error.hint) from error


def read_result(folder: Path) -> Result:
    """``result.json`` of a result folder; ``--check`` finds out whether it was changed.

    Raises
    ------
    DataError : not a result folder, not readable, or not what a result is
    """
    read_manifest(folder)
    try:
        return result_from(_json(folder / RESULT), where=str(folder / RESULT))
    except ConfigError as error:
        raise DataError(error.message, hint=error.hint) from error


def result_from(mapping: Any, *, where: str) -> Result:
    """A result from the content of its ``result.json``; one of version 2 as version 3 would have written it.

    Raises
    ------
    ConfigError : not what a result is
    """
    if isinstance(mapping, dict) and mapping.get("schema_version") == 2 and isinstance(mapping.get("bundles"), list):
        renamed = {"image_shape": "encoded_shape"}
        bundles = [
            {renamed.get(key, key): value for key, value in bundle.items()} if isinstance(bundle, dict) else bundle
            for bundle in mapping["bundles"]
        ]
        mapping = {**mapping, "schema_version": SCHEMA_VERSION, "bundles": bundles}
    return from_mapping(Result, mapping, where=where)


@dataclass(frozen=True)
class ResultFolder:
    """A result folder, opened: its document is the one that the manifest holds.

    Attributes
    ----------
    path : of the folder
    manifest, result : its manifest and its ``result.json``
    """

    path: Path
    manifest: Manifest
    result: Result

    @classmethod
    def open(cls, path: Path) -> ResultFolder:
        """Open a result folder.

        Raises
        ------
        DataError : no result folder, or changed since it was written
        """
        manifest = read_manifest(path)
        _check_file(path, manifest, RESULT)
        return cls(path, manifest, read_result(path))

    @property
    def has_raw(self) -> bool:
        """Whether the raw nanoseconds lie beside the document; a committed summary may leave them out."""
        return (self.path / RAW).is_dir()

    def raws(self) -> dict[str, Raw]:
        """The raw arrays of every case by its id; as ``raw``."""
        return {case.id: self.raw(case) for case in self.result.cases}

    def raw(self, case: CaseFacts) -> Raw:
        """The raw arrays of a case.

        Raises
        ------
        DataError : missing or changed
        """
        _check_file(self.path, self.manifest, case.raw)
        return read_raw(self.path, case.id)


def _check_file(folder: Path, manifest: Manifest, name: str) -> None:
    """Hold a file against the manifest."""
    path, entry = folder / name, manifest.files.get(name)
    if entry is None or not path.is_file():
        hint = "The raw nanoseconds are needed: keep the whole folder"
        raise DataError(f"{folder} has no {name}", hint=hint)
    if hashlib.sha256(path.read_bytes()).hexdigest() != entry.sha256:
        raise DataError(f"{path} was changed: its SHA-256 is not the manifest's", hint="Copy the folder again")


def read_raw(folder: Path, case: str) -> dict[str, NDArray[Any]]:
    """Arrays of one case.

    Raises
    ------
    DataError : missing, or not an archive of arrays
    """
    path = folder / RAW / f"{case}.npz"
    try:
        with path.open("rb") as file:
            return read_npz(file)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}", hint="Copy the folder again") from error


def in_yardsticks(raw: Raw) -> NDArray[np.float64] | None:
    """Sensor -> label of every call (rounds, calls), in units of its own round's yardstick; None without one."""
    if YARDSTICK not in raw or "sensor_to_label" not in raw:
        return None
    units: NDArray[np.float64] = raw["sensor_to_label"] / np.median(raw[YARDSTICK], axis=1)[:, np.newaxis]
    return units


def _json(path: Path) -> Any:
    try:
        return read_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}", hint="Copy the folder again") from error
