"""Puts a kit together: wheels, bundle, the script, a hash of every file; as one archive.

::

    KIT/
      install-and-run.sh    makes venv/ beside itself, installs offline, self-test, benchmark
      kit.conf              what the script must know, as shell variables
      requirements.txt      every package with its version
      wheels/               for the board's machine and Python; pip's own among them
      bundle/NAME.bundle    as exported
      SHA256SUMS            of all of the above, for sha256sum -c

No date and no owner inside: the same wheels and the same bundle give the same bytes. What ``constraints.txt`` does not
pin, pip takes from the index as it is that day; requirements.txt records which version that was.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import shlex
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from vskd.bundle import Bundle
from vskd.writing import disk_errors, new_file, refuse_unwritable
from vskd_benchmarks.pi_kit.boards import Board
from vskd_benchmarks.pi_kit.wheels import INSTALLER, KitError, Wheel, fetch_wheels

SUFFIX = ".tar.gz"
SCRIPT = "install-and-run.sh"
SUMS = "SHA256SUMS"

#: Modification time of every file, s since 1970: a date that ZIP files, too, can hold (1980-01-01).
MODIFIED_S = 315_532_800

#: (board, python, clone=..., folder=...) -> wheels; a test brings its own.
Fetch = Callable[..., Sequence[Wheel]]


@dataclass(frozen=True)
class Kit:
    """A finished kit.

    Attributes
    ----------
    path : the archive
    folder : what it unpacks to
    wheels : packages and versions, e.g. ``"numpy 2.4.6"``
    size_bytes, sha256 : of the archive
    """

    path: Path
    folder: str
    wheels: tuple[str, ...]
    size_bytes: int
    sha256: str


def make_kit(
    bundle: str | Path,
    out: Path,
    *,
    board: Board,
    python: str,
    clone: Path,
    overwrite: bool = False,
    fetch: Fetch = fetch_wheels,
    progress: Callable[[str], object] = lambda sentence: None,
) -> Kit:
    """Make a kit, whole or not at all.

    Parameters
    ----------
    bundle : the folder; every file of it is checked
    out : the archive, ``NAME.tar.gz``; it unpacks to ``NAME``
    board, python : what it is for
    clone : of the project
    overwrite : replace a file that is there
    fetch : brings the wheels
    progress : called at each step

    Raises
    ------
    BundleError : no bundle there, or changed
    KitError : the file exists or cannot be written, or a wheel is not to be had
    """
    check_out(out, overwrite=overwrite)
    opened = Bundle.open(bundle)
    opened.check()
    progress(f"fetching wheels for Python {python} on {board.machine}")
    with (
        disk_errors(out, KitError, hint="Nothing was left behind"),
        tempfile.TemporaryDirectory(prefix="vskd-pi-kit-") as work,
    ):
        wheels = fetch(board, python, clone=clone, folder=Path(work))
        progress(f"packing {len(wheels)} wheels and {opened.path.name}")
        _write(out, contents(opened, wheels, board=board, python=python))
    with out.open("rb") as archive:
        sha256 = hashlib.file_digest(archive, "sha256").hexdigest()
    names = tuple(f"{wheel.name} {wheel.version}" for wheel in wheels)
    return Kit(out, folder_of(out), names, out.stat().st_size, sha256)


def folder_of(out: Path) -> str:
    """What an archive unpacks to."""
    return out.name.removesuffix(SUFFIX)


def check_out(out: Path, *, overwrite: bool) -> None:
    """Refuse a name that is none for a kit, and what is there already.

    Raises
    ------
    KitError
    """
    if not out.name.endswith(SUFFIX) or folder_of(out) in ("", ".", ".."):
        raise KitError(f"a kit is a {SUFFIX} file, not {out}", hint=f"Use --out NAME{SUFFIX}")
    if out.is_dir():
        raise KitError(f"{out} is a folder", hint="Give another name")
    if out.exists() and not overwrite:
        raise KitError(f"{out} exists", hint="Give another name, or --overwrite")
    if not out.parent.is_dir():
        raise KitError(f"there is no folder {out.parent}", hint="Make it first")
    refuse_unwritable(out, KitError)


def contents(bundle: Bundle, wheels: Sequence[Wheel], *, board: Board, python: str) -> dict[str, Path | bytes]:
    """Every file of a kit: name within it -> where it lies, or its bytes."""
    name = f"bundle/{bundle.path.resolve().name}"
    if not name.isprintable() or "\\" in name:
        raise KitError(f"a kit cannot hold a bundle named {name[7:]!r}", hint="Rename the folder")
    script = resources.files(__package__).joinpath(SCRIPT).read_bytes()
    settings = {
        "KIT_MACHINE": board.machine,
        "KIT_BITS": str(board.bits),
        "KIT_PYTHON": python,
        "KIT_SYSTEM_NUMPY": "yes" if "numpy" in board.from_system else "no",
        "KIT_BUNDLE": name,
    }
    pins = sorted(f"{wheel.name}=={wheel.version}" for wheel in wheels if wheel.name != INSTALLER)
    content: dict[str, Path | bytes] = {
        SCRIPT: script,
        "kit.conf": "".join(f"{key}={shlex.quote(value)}\n" for key, value in settings.items()).encode(),
        "requirements.txt": "".join(f"{pin}\n" for pin in pins).encode(),
        **{f"wheels/{wheel.path.name}": wheel.path for wheel in wheels},
        **{
            f"{name}/{path.relative_to(bundle.path).as_posix()}": path
            for path in bundle.path.rglob("*")
            if path.is_file()
        },
    }
    content[SUMS] = sums(content).encode()
    return content


def sums(content: Mapping[str, Path | bytes]) -> str:
    """The text of ``SHA256SUMS``, as sha256sum writes and reads it."""
    return "".join(f"{_sha256(content[name])}  {name}\n" for name in sorted(content))


def _sha256(content: Path | bytes) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write(out: Path, content: Mapping[str, Path | bytes]) -> None:
    """Write the archive whole or not at all."""
    with (
        new_file(out) as raw,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted(content):
            _add(archive, f"{folder_of(out)}/{name}", content[name])


def _add(archive: tarfile.TarFile, name: str, content: Path | bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.mtime = MODIFIED_S
    entry.mode = 0o755 if name.endswith(SCRIPT) else 0o644
    entry.size = len(content) if isinstance(content, bytes) else content.stat().st_size
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as stream:
        archive.addfile(entry, stream)
