"""A wearer's profile: examples of activities for the models of one bundle, in one file of a few kB.

::

    vskd profile 1                          a line
    SHA-256 of all that follows it          a line, hexadecimal
    header                                  a line of JSON, see ``_Header``
    embeddings                              (examples, features), int8, row by row

What is read was written by others: size, counts, labels and every number have bounds, and are checked before use. An
embedding means something to the model alone that made it, so a profile names its bundle by the hash of the manifest.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vskd.bundle import Bundle
from vskd.bundle_files import CONTRACT
from vskd.closed import from_mapping, to_mapping
from vskd.engines import no_embedding
from vskd.errors import ProfileError, VskdError
from vskd.manifest import ModelEntry
from vskd.untrusted.documents import read_json
from vskd.untrusted.text import label_problem, shown
from vskd.wearer.rule import FULL, MOST_FEATURES
from vskd.writing import disk_errors, write_file

if TYPE_CHECKING:  # slow to import
    from numpy.typing import NDArray

#: Examples of a profile: nine of each of 27 activities.
MOST_EXAMPLES = 256

#: Of a file: the most and widest examples take half of it, labels and times the rest.
LARGEST_BYTES = 2**20

#: Begins a file.
MAGIC = b"vskd profile 1\n"

#: A time of recording lies before the year 5138.
_LATEST_S = 10**11

_SHA256 = re.compile("[0-9a-f]{64}")
_KEPT = re.compile("([0-9a-f]{64})?")
_HINT = "Copy it again, or enrol the examples again"


@dataclass(frozen=True)
class Example:
    """One recording of an activity by the wearer.

    Attributes
    ----------
    label : the activity, one of the model's or a new one
    when_s : when it was enrolled, s since 1970, UTC
    embedding : (features,), int8, the largest of them +-127; see ``vskd.wearer.rule``
    recording : SHA-256 of the file in which the recording itself is kept; empty where it is not
    """

    label: str
    when_s: int
    embedding: bytes
    recording: str = ""


@dataclass(frozen=True)
class _Header:
    """A profile but for its embeddings.

    Attributes
    ----------
    bundle_sha256, contract_sha256 : as of ``Profile``
    features : of each embedding
    labels : different ones
    label_of : index into these, of each example
    when_s : of each example
    recordings : of each example
    """

    bundle_sha256: str
    contract_sha256: str
    features: int
    labels: tuple[str, ...]
    label_of: tuple[int, ...]
    when_s: tuple[int, ...]
    recordings: tuple[str, ...]


@dataclass(frozen=True)
class Profile:
    """The examples of one wearer; a changed profile is another one.

    Attributes
    ----------
    bundle_sha256 : of the manifest of the bundle whose models made the embeddings
    contract_sha256 : of the file of that bundle's contract
    examples : in the order of their enrolment
    """

    bundle_sha256: str
    contract_sha256: str
    examples: tuple[Example, ...] = ()

    def __post_init__(self) -> None:
        if len(self.examples) > MOST_EXAMPLES:
            raise ProfileError(
                f"the profile is full: it holds at most {MOST_EXAMPLES} examples",
                hint="Remove some: vskd enroll --list numbers them, --remove NUMBER takes one out",
            )
        if not (_SHA256.fullmatch(self.bundle_sha256) and _SHA256.fullmatch(self.contract_sha256)):
            raise ProfileError("a profile names its bundle and contract by SHA-256", hint=_HINT)
        for example in self.examples:
            _check(example, features=len(self.examples[0].embedding))

    @classmethod
    def of(cls, bundle: Bundle) -> Profile:
        """An empty profile for a bundle."""
        return cls(bundle.sha256(), bundle.files[CONTRACT].sha256)

    @classmethod
    def open(cls, path: str | Path) -> Profile:
        """Read a profile.

        Raises
        ------
        ProfileError : there is none, or it was damaged, or holds what no profile may hold
        """
        place = Path(path)
        try:
            return cls._read(_content(place))
        except OSError as error:
            hint = "vskd enroll BUNDLE --input RECORDING --label ACTIVITY --profile PROFILE makes one"
            raise ProfileError(f"cannot read the profile {place}: {error.strerror}", hint=hint) from error
        except ValueError as error:
            raise ProfileError(f"{place} holds no profile: {error}", hint=_HINT) from error

    @classmethod
    def _read(cls, content: bytes) -> Profile:
        text, _, embeddings = content.partition(b"\n")
        try:
            header = from_mapping(_Header, read_json(text.decode(), longest=LARGEST_BYTES), where="its header")
        except VskdError as error:
            raise ValueError(error.message) from error
        count, width = len(header.label_of), header.features
        if not (len(header.when_s) == len(header.recordings) == count and len(embeddings) == count * width >= 0):
            raise ValueError(f"its header does not fit {len(embeddings)} bytes of embeddings")
        if not all(0 <= index < len(header.labels) for index in header.label_of):
            raise ValueError("an example has a label that is not there")
        columns = zip(header.label_of, header.when_s, header.recordings, strict=True)
        examples = (
            Example(header.labels[label], when_s, embeddings[row * width : (row + 1) * width], recording)
            for row, (label, when_s, recording) in enumerate(columns)
        )
        return cls(header.bundle_sha256, header.contract_sha256, tuple(examples))

    def check_for(self, bundle: Bundle, model: ModelEntry | None = None) -> Profile:
        """The same profile, if it is one of this bundle, and this model of it can compare its examples.

        Raises
        ------
        ProfileError : it was made with another
        EngineError : it has examples, and the model gives no embedding
        """
        if self.bundle_sha256 == bundle.sha256():
            if self.examples and model is not None and not model.embedding_size:
                raise no_embedding(model.file)
            return self
        same = self.contract_sha256 == bundle.files[CONTRACT].sha256
        what = "another model of the same contract" if same else "a bundle of another contract"
        raise ProfileError(
            f"the profile was made with {what}, and its examples mean nothing to {bundle.path.name}",
            hint="Open the bundle of the profile; or, where the recordings were kept, enrol them again: "
            "vskd enroll BUNDLE --profile NEW --again OLD",
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """(n,), of the examples."""
        return tuple(example.label for example in self.examples)

    @property
    def embeddings(self) -> NDArray[np.int8]:
        """(n, features), rounded; n at least 1."""
        joined = b"".join(example.embedding for example in self.examples)
        return np.frombuffer(joined, np.int8).reshape(len(self.examples), -1)

    def with_example(self, example: Example) -> Profile:
        """A profile with one more.

        Raises
        ------
        ProfileError : the label cannot be one, it is there already, or the profile is full
        """
        _check(example, features=len(example.embedding))
        for number, other in enumerate(self.examples, start=1):
            if other.embedding == example.embedding:
                raise ProfileError(
                    f"this recording is in the profile already, as example {number}, {other.label!r}",
                    hint="Record the activity once more",
                )
        return dataclasses.replace(self, examples=(*self.examples, example))

    def without(self, numbers: Collection[int]) -> Profile:
        """A profile without the examples of these numbers, counted from 1.

        Raises
        ------
        ProfileError : there is no such example
        """
        for number in numbers:
            if not 1 <= number <= len(self.examples):
                raise ProfileError(
                    f"there is no example {number}; the profile holds {len(self.examples)}",
                    hint="vskd enroll --list numbers them",
                )
        kept = (one for number, one in enumerate(self.examples, start=1) if number not in numbers)
        return dataclasses.replace(self, examples=tuple(kept))

    def to_bytes(self) -> bytes:
        """What ``open`` reads; equal profiles give equal bytes."""
        labels = tuple(dict.fromkeys(self.labels))
        header = _Header(
            bundle_sha256=self.bundle_sha256,
            contract_sha256=self.contract_sha256,
            features=len(self.examples[0].embedding) if self.examples else 0,
            labels=labels,
            label_of=tuple(labels.index(label) for label in self.labels),
            when_s=tuple(example.when_s for example in self.examples),
            recordings=tuple(example.recording for example in self.examples),
        )
        text = json.dumps(to_mapping(header), ensure_ascii=False, separators=(",", ":")).encode()
        content = b"\n".join([text, b"".join(example.embedding for example in self.examples)])
        return MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n" + content

    def save(self, path: str | Path) -> None:
        """Write the profile, whole or not at all; an earlier one in this place is replaced.

        Raises
        ------
        ProfileError : something else is there, or it cannot be written
        """
        place = Path(path)
        with disk_errors(place, ProfileError, hint="Give another name, or make room"):
            if place.exists() and not _begins_as_profile(place):
                raise ProfileError(f"{place} exists and is no profile; it is not replaced", hint="Give another name")
            write_file(place, self.to_bytes())


def _check(example: Example, *, features: int) -> None:
    """Refuse an example that a profile cannot hold."""
    if problem := label_problem(example.label):
        raise ProfileError(f"the label {shown(example.label[:120])!r} {problem}", hint="Name the activity otherwise")
    values = np.frombuffer(example.embedding, np.int8)
    if not 1 <= len(values) <= MOST_FEATURES or len(values) != features:
        raise ProfileError(
            f"an example has {len(values)} features, the first one {features}; at most {MOST_FEATURES} are allowed",
            hint="Enrol the examples of one model",
        )
    if np.abs(values.astype(np.int16)).max() != FULL:
        raise ProfileError(f"the largest entry of an embedding is {FULL}, and one example's is not", hint=_HINT)
    if not 0 <= example.when_s <= _LATEST_S:
        raise ProfileError(f"an example cannot be of the time {example.when_s} s", hint=_HINT)
    if not _KEPT.fullmatch(example.recording):
        raise ProfileError("a kept recording is named by its SHA-256", hint=_HINT)


def _begins_as_profile(path: Path) -> bool:
    if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for its writer
        return False
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def _content(path: Path) -> bytes:
    """Header and embeddings of a file whose hash is right; ValueError where it is not."""
    if not _begins_as_profile(path):
        raise ValueError("it does not begin as one")
    with path.open("rb") as stream:
        data = stream.read(LARGEST_BYTES + 1)
    if len(data) > LARGEST_BYTES:
        raise ValueError(f"it has more than {LARGEST_BYTES} bytes")
    claimed, _, content = data.removeprefix(MAGIC).partition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != claimed:
        raise ValueError("it is damaged, its hash is another")
    return content
