"""A bundle as one file: a zip that is not compressed, with the names sorted and every date 1980.

So one bundle gives one sequence of bytes on every machine; zlib is not the same everywhere, and models hardly shrink.
Any program unpacks it. ``unpack`` takes out what the manifest lists and nothing else, after checking every hash.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from vskd.bundle import LARGEST_MANIFEST_BYTES, Bundle
from vskd.bundle_files import MANIFEST, SIGNATURE
from vskd.errors import BundleError
from vskd.manifest import FileEntry, read_manifest
from vskd.writing import disk_errors, new_file, write_folder

#: Of every member: the first date that a zip can hold, and a file that all may read.
_DATE, _MODE = (1980, 1, 1, 0, 0, 0), 0o100644

_DO_NOT_USE = "Do not use this file; fetch it again from its maker"

#: Files of the largest bundle are some dozens.
MOST_FILES = 1000


def pack(bundle: Bundle, out: Path) -> None:
    """Write a bundle as one file; one that is there is replaced.

    Parameters
    ----------
    bundle : opened; every hash is checked first. Its folder's name is the folder inside the file
    out : e.g. ``wrist.bundle.zip``

    Raises
    ------
    BundleError : the bundle was changed, or the file cannot be written
    """
    bundle.check()
    signed = (SIGNATURE,) if bundle.is_signed else ()
    top = bundle.path.resolve().name
    with disk_errors(out, BundleError, hint="Nothing was left behind"):
        out.parent.mkdir(parents=True, exist_ok=True)
        with new_file(out) as stream, zipfile.ZipFile(stream, "w") as packed:
            for name in sorted((MANIFEST, *signed, *bundle.files)):
                member = zipfile.ZipInfo(f"{top}/{name}", _DATE)
                member.external_attr, member.create_system = _MODE << 16, 3  # of Unix, on every system
                packed.writestr(member, (bundle.path / name).read_bytes())


def unpack(packed: Path, out: Path | None) -> Path:
    """Write the bundle that a file holds, whole or not at all.

    Parameters
    ----------
    packed : what ``pack`` wrote
    out : the folder to make; None takes the name inside, beside the file

    Returns
    -------
    the folder

    Raises
    ------
    BundleError : the file holds no bundle, one that was changed, or more than one; or the folder exists
    """
    try:
        with zipfile.ZipFile(packed) as archive:
            top, files = _files(archive, packed)
            folder = packed.parent / top if out is None else out
            if folder.exists():
                raise BundleError(f"{folder} exists", hint="Give another --out, or remove it")
            with disk_errors(folder, BundleError, hint="Nothing was left behind"):
                write_folder(folder, files)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise BundleError(f"{packed} is no packed bundle: {error}", hint="`vskd bundle pack` writes one") from error
    return folder


def _files(archive: zipfile.ZipFile, packed: Path) -> tuple[str, dict[str, bytes]]:
    """The folder's name, and the files below it: as many, and as large, as the manifest says."""
    names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    if len(names) > MOST_FILES or len(set(names)) < len(names) or len(tops) != 1:
        raise BundleError(
            f"{packed} holds {len(names)} files in {len(tops)} folders; a packed bundle is one folder",
            hint="`vskd bundle pack` writes one",
        )
    (top,) = tops
    if not top.strip(".") or "\\" in top:
        raise BundleError(f"{packed} names its folder {top[:100]!r}", hint=_DO_NOT_USE)
    if f"{top}/{MANIFEST}" not in names:
        raise BundleError(f"{packed} holds no {MANIFEST}", hint="`vskd bundle pack` writes one")
    content = _read(archive, f"{top}/{MANIFEST}", LARGEST_MANIFEST_BYTES)
    listed = read_manifest(content.decode("utf-8", errors="replace"), where=f"{packed}: {MANIFEST}").files
    files = {MANIFEST: content}
    for member in names:
        name = member.removeprefix(f"{top}/")
        entry = listed.get(name)
        if entry is None and name not in (MANIFEST, SIGNATURE):
            raise BundleError(f"{packed} holds {name[:100]!r}, which its manifest does not list", hint=_DO_NOT_USE)
        largest = LARGEST_MANIFEST_BYTES if entry is None else entry.size_bytes
        files[name] = _read(archive, member, largest)
        if entry is not None and FileEntry.of(files[name]) != entry:
            raise BundleError(f"{packed}: {name} was changed", hint=_DO_NOT_USE)
    if missing := sorted(set(listed) - set(files)):
        raise BundleError(f"{packed} holds no {missing[0]}, which its manifest lists", hint=_DO_NOT_USE)
    return top, files


def _read(archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    """At most one byte more than there should be: the size that a zip states is its maker's word."""
    with archive.open(name) as stream:
        return stream.read(largest + 1)
