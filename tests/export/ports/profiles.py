"""A wearer's profile, and files that are none, as every port has to tell them apart."""

from __future__ import annotations

import dataclasses
from hashlib import sha256

import numpy as np

from vskd.bundle import Bundle
from vskd.wearer.profile import MAGIC, Example, Profile


def profile_of(bundle: Bundle, label: str, width: int) -> Profile:
    """Three examples of so many values: of a label of the model, and of two others."""
    features = np.random.default_rng(3).integers(-126, 127, (3, width)).astype(np.int8)
    features[:, 0] = 127
    rows = zip((label, 'say "hi", \\', "größer"), features, ("ab" * 32, "", ""), strict=True)
    examples = tuple(Example(name, 1_764_000_000, row.tobytes(), recording) for name, row, recording in rows)
    return dataclasses.replace(Profile.of(bundle), examples=examples)


def broken(profile: Profile) -> dict[str, bytes]:
    """What is told -> a file of which it is told."""
    content = profile.to_bytes()
    rest, label = content[content.index(b"{") :], profile.labels[0].encode()
    return {
        "it does not begin as one": b"photo",
        "it is damaged, its hash is another": content[:-1] + bytes([content[-1] ^ 1]),
        "it was made with another model": dataclasses.replace(profile, bundle_sha256="0" * 64).to_bytes(),
        "its header cannot be read": _sealed(b"[1,\n"),
        "its header does not fit its features": _sealed(rest + b"\1"),
        "a label begins or ends with a blank": _sealed(rest.replace(label, b" x")),
        "the largest entry of an example is not 127": _sealed(rest.replace(b"\x7f", b"\1").replace(b"\x81", b"\1")),
        "an example has a label that is not there": _sealed(rest.replace(b"[0,1,2]", b"[0,1,9]")),
    }


def _sealed(content: bytes) -> bytes:
    return MAGIC + sha256(content).hexdigest().encode() + b"\n" + content
