"""The manifest of a bundle: its records, and reading them from ``manifest.json``.

``vskd.schema`` makes the JSON Schema in ``schemas/`` from them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vskd.bundle_files import MANIFEST
from vskd.closed import check_numbers, from_mapping, number
from vskd.engines import MOST_FEATURES
from vskd.errors import BundleError, ConfigError
from vskd.model_contract import ModelFormat
from vskd.untrusted.documents import read_json

SCHEMA_VERSION = 1

#: The word that users say -> the recipe that it means.
RECIPE_ALIASES: Mapping[str, str] = {"int8": "w8a8-static-pc"}

#: Recipes, and names of operators, which are printed: ``w8a8-static-pc``, ``ai.onnx.ml::Scaler``.
_WORD = re.compile(r"[\w.:+-]{1,100}", re.ASCII)

#: Bytes of one file: what a model of the largest student has is a fiftieth of it.
LARGEST_FILE_BYTES = 2**29

_SHA256 = re.compile(r"[0-9a-f]{64}")

#: What a file in a bundle may be called: no name can leave the folder, and every file system can hold it.
_FILE_NAME = re.compile(r"\w[\w.-]{0,99}(/\w[\w.-]{0,99}){0,7}", re.ASCII)


@dataclass(frozen=True)
class ModelEntry:
    """One model file: raw window (1, channels, samples) in g -> logits (1, classes), embedding (1, embedding_size).

    Attributes
    ----------
    file : name within the bundle
    format : decides which engines can run it
    recipe : numeric form: ``fp32``, ``w8a8-static-pc`` (int8 weights per channel, int8 activations, static)
    embedding_size : features of the second output, by which examples are compared; 0 for a model that gives logits
        alone, as those of older bundles
    """

    file: str
    format: ModelFormat
    recipe: str
    embedding_size: int = number(0, 0, MOST_FEATURES)

    def __post_init__(self) -> None:
        if not _WORD.fullmatch(self.recipe):
            raise ConfigError(f"a recipe is made of letters, digits, '_', '.' and '-', got {self.recipe[:80]!r}")
        check_numbers(self, "model")


@dataclass(frozen=True)
class FileEntry:
    """A file's SHA-256 in hexadecimal and size in bytes."""

    sha256: str
    size_bytes: int

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise ConfigError(f"a SHA-256 is 64 hexadecimal digits in lower case, got {self.sha256[:80]!r}")
        if not 0 <= self.size_bytes <= LARGEST_FILE_BYTES:
            raise ConfigError(f"a size lies between 0 and {LARGEST_FILE_BYTES} bytes, got {self.size_bytes}")

    @classmethod
    def of(cls, content: bytes) -> FileEntry:
        """The entry of a file with this content."""
        return cls(hashlib.sha256(content).hexdigest(), len(content))


@dataclass(frozen=True)
class GraphEntry:
    """What a model file needs of an engine.

    Attributes
    ----------
    version : of the format: ``"opset 18"``, ``"TFLite schema 3"``
    operators : name -> count in the graph
    """

    version: str
    operators: dict[str, int]

    def __post_init__(self) -> None:
        for name, count in self.operators.items():
            if not _WORD.fullmatch(name):
                raise ConfigError(f"an operator is made of letters, digits, '_', '.' and ':', got {name[:80]!r}")
            if count < 1:
                raise ConfigError(f"a graph holds an operator at least once, got {count} of {name[:80]!r}")


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` holds.

    Attributes
    ----------
    schema_version : of the bundle
    models : the model files
    files : every file but the manifest, by its name within the bundle
    graphs : what the model files need of an engine; empty where the exporter did not write it
    degraded : a sentence for every limit of the export's gate that was broken and allowed to be
    """

    schema_version: int
    models: tuple[ModelEntry, ...]
    files: dict[str, FileEntry]
    graphs: dict[str, GraphEntry] = field(default_factory=dict)
    degraded: tuple[str, ...] = ()


def read_manifest(text: str, *, where: str) -> Manifest:
    """Read the text of a ``manifest.json``.

    Parameters
    ----------
    text : JSON
    where : how a message names the file

    Raises
    ------
    BundleError : not a manifest, of another schema version, or with an unknown key or a value of the wrong kind
    """
    try:
        mapping: dict[str, Any] = read_json(text)
        version, names = mapping["schema_version"], list(mapping["files"].keys())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{where} was changed or cut short: {error!r}", hint="Copy or export it again") from error
    # The version first: what a later one added is not a mistake of this one's.
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"{where} has schema version {version}, this vskd reads {SCHEMA_VERSION}",
            hint="Install the vskd that wrote it, or export the run again",
        )
    for name in names:
        check_name(name)
    try:
        return from_mapping(Manifest, mapping, where=MANIFEST)
    except ConfigError as error:
        hint = error.hint or "Copy or export the bundle again"
        raise BundleError(f"{where} was changed: {error.message}", hint=hint) from error


def check_name(name: str) -> str:
    """Refuse a name that would leave the bundle's folder, or that not every file system can hold."""
    if not _FILE_NAME.fullmatch(name):
        raise BundleError(
            f"a bundle cannot hold a file named {name[:100]!r}",
            hint="A name is made of letters, digits, '_', '.', '-' and '/', and lies inside; do not use this bundle",
        )
    return name
