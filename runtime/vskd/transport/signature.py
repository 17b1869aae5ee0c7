"""The signature of a bundle by its maker's private key, made and checked by the program of the package `model-signing`.

It signs the hash of every file, the manifest's too, as an in-toto statement in a Sigstore bundle (the OpenSSF Model
Signing format), without any service: an elliptic key signs, and whoever has the public key checks. The program runs in
a process of its own, since what it needs and what the exporter needs cannot be installed together.

What this cannot say: whose key it is. The public key has to come from its owner by another way than the bundle.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from vskd.bundle import Bundle
from vskd.bundle_files import SIGNATURE
from vskd.errors import BundleError, MissingExtraError
from vskd.untrusted.documents import read_json
from vskd.writing import disk_errors, write_file

PROGRAM = "model_signing"

#: Hashing the largest bundle takes seconds.
_TIMEOUT_S = 600.0

#: A signature names every file with its hash: some kB.
_LONGEST = 2**20


def check_signer(key: Path) -> None:
    """Refuse to begin a work that ends with a signature where there can be none.

    Parameters
    ----------
    key : the private one

    Raises
    ------
    MissingExtraError : `model-signing` is not installed
    BundleError : there is no such file
    """
    _program()
    _check_key(key, "private")


def sign(bundle: Bundle, key: Path) -> None:
    """Sign a bundle: writes ``model.sig`` into it, or replaces the one that is there.

    Parameters
    ----------
    bundle : opened; every hash is checked first
    key : private elliptic key (P-256, P-384 or P-521) in PEM, without a password

    Raises
    ------
    BundleError : the bundle was changed, or the key cannot sign
    MissingExtraError : `model-signing` is not installed
    """
    bundle.check()
    check_signer(key)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, SIGNATURE)
        ignored = ("--ignore-paths", bundle.path / SIGNATURE)
        if problem := _call("sign", bundle, made, "--private_key", key, *ignored):
            raise BundleError(
                f"{key} cannot sign {bundle.path}: {problem}",
                hint="It takes a key without a password: openssl ecparam -name prime256v1 -genkey -noout -out key.pem",
            )
        with disk_errors(bundle.path, BundleError, hint="The bundle is not signed"):
            write_file(bundle.path / SIGNATURE, made.read_bytes())


def signature_problem(bundle: Bundle, key: Path) -> str:
    """One sentence if a bundle is not the one that the owner of a key signed; empty if it is.

    Parameters
    ----------
    bundle : opened
    key : the public one, in PEM

    Raises
    ------
    MissingExtraError : `model-signing` is not installed
    BundleError : there is no such key
    """
    _program()
    _check_key(key, "public")
    if not bundle.is_signed:
        return f"{bundle.path} is not signed"
    place = bundle.path / SIGNATURE
    if problem := _call("verify", bundle, place, "--public_key", key) or _other_spelling(place):
        return f"not the bundle that the owner of {key.name} signed: {problem}"
    return ""


def _call(verb: str, bundle: Bundle, signature: Path, *words: str | Path) -> str:
    """What the program says against it; empty if all is well."""
    command = [_program(), verb, "key", bundle.path, "--signature", signature, *words]
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"{PROGRAM} did not end within {_TIMEOUT_S:g} s"
    if done.returncode == 0:
        return ""
    lines = done.stderr.strip().splitlines() or [f"{PROGRAM} ended with {done.returncode}"]
    return lines[-1].partition("failed with error: ")[2] or lines[-1]


def _other_spelling(place: Path) -> str:
    """Why the bytes of a signature that holds are not those that were written.

    Base64 may spell the same bytes in several ways, and a decoder takes all of them.
    """
    try:
        content: Any = read_json(place.read_text(encoding="utf-8"), longest=_LONGEST)
        envelope = content["dsseEnvelope"]
        coded = [envelope["payload"], *(one["sig"] for one in envelope["signatures"])]
        same = all(base64.b64encode(base64.b64decode(one)).decode() == one for one in coded)
    except (ValueError, KeyError, TypeError) as error:
        return f"{place.name} is no signature: {error!r}"
    return "" if same else f"{place.name} was changed"


def _program() -> str:
    """The program beside this Python, or of the search path (`pipx install model-signing` puts it there)."""
    beside = Path(sys.executable).parent / PROGRAM
    found = str(beside) if beside.is_file() else shutil.which(PROGRAM)
    if found is None:
        raise MissingExtraError("model-signing", extra="sign", purpose="a signature")
    return found


def _check_key(key: Path, kind: str) -> None:
    if not key.is_file():
        raise BundleError(f"there is no {kind} key {key}", hint="Name a file in PEM")
