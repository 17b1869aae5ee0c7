"""Files, folders and logs that are written whole or not at all.

This is the only module of vskd that renames, replaces or synchronises what it writes. A file or folder is made beside
its place under a hidden, random name, written through to the disk, and put in its place by one rename. A folder that
replaces another is exchanged with it by one call of the kernel (``renameat2``). Where kernel or file system lack that
call, the old folder is set aside under a hidden name first; a writer that is killed between the two renames leaves it
there, and the next writer or reader of that place puts it back.

A writer holds a lock (flock) on what it is making, and the lock falls with the process, however it ends. So the next
writer in the same folder can tell what a killed one left behind, and removes it, from what another is still making.
On a file system without such locks nothing is removed. Between machines that share a folder this relies on locks that
the file server knows of (NFS with ``local_lock=flock`` has none).

Errors of the disk are ``OSError``; ``disk_errors`` turns them into the error that a caller promises.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vskd.errors import VskdError

#: Hidden names: in the making (or to be removed), and a folder that was set aside and may have to come back.
_PARTIAL, _OLD = "vskd-partial", "vskd-old"
_LEFTOVER = re.compile(rf"\.(?P<name>.+)\.(?P<kind>{_PARTIAL}|{_OLD})-[0-9a-f]{{16}}", re.DOTALL)

#: Of Linux: paths are relative to the working folder; exchange both names.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2

#: A log is searched backwards for the end of its last line in blocks of so many bytes.
_BLOCK = 4096


@contextmanager
def disk_errors(place: Path, kind: type[VskdError], *, hint: str) -> Iterator[None]:
    """Turn an error of the disk into one sentence of vskd.

    Parameters
    ----------
    place : what is written
    kind : the error to raise
    hint : the way out
    """
    try:
        yield
    except OSError as error:
        raise kind(f"cannot write {place}: {error.strerror or error}", hint=hint) from error


def refuse_unwritable(place: Path, kind: type[VskdError]) -> None:
    """Refuse a file or folder that cannot be made there, before the work whose result it is to hold.

    Parameters
    ----------
    place : to write later; missing folders above it will be made, so the nearest that exists is tried
    kind : the error to raise
    """
    with disk_errors(place, kind, hint="Give another name, or make the folder writable"):
        nearest = next(folder for folder in place.absolute().parents if os.path.lexists(folder))
        probe = _hidden(nearest / place.name, _PARTIAL)
        probe.mkdir()
        probe.rmdir()


def refuse_replacing(folder: Path, *, mark: str, what: str, kind: type[VskdError], overwrite: bool) -> None:
    """Refuse a place where a folder cannot be written: what is there without ``overwrite``, and others' even with it.

    Parameters
    ----------
    folder : to write later
    mark : a file that every folder of this kind holds
    what : how messages call one, e.g. ``"bundle"``
    kind : the error to raise
    overwrite : one of the kind that is there may be replaced
    """
    recover(folder)
    refuse_unwritable(folder, kind)
    if folder.exists() and not folder.is_dir():
        raise kind(f"{folder} is a file, and a {what} is a folder", hint="Give another name")
    if folder.exists() and not overwrite:
        raise kind(f"{folder} exists", hint="Give another name, or --overwrite")
    if folder.exists() and not (folder / mark).is_file():
        raise kind(f"{folder} exists and is no {what}; it is not replaced", hint="Give another name")


def user_cache() -> Path | None:
    """The folder of what vskd may lose, for this user; None for a user without a home. It need not be there."""
    root = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(root) if root else Path.home() / ".cache") / "vskd"
    except RuntimeError:
        return None


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; one that is there is replaced."""
    with new_file(path) as stream:
        stream.write(content)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which gets its name when the block ends well; one that is there is replaced."""
    with _in_the_making(path, Path.touch) as partial:
        with partial.open("wb") as stream:
            yield stream
        _sync(partial)
        partial.replace(path)
        _sync(path.parent)


def write_folder(folder: Path, content: Mapping[str, bytes], *, replace: bool = False) -> None:
    """Write a folder whole or not at all.

    Parameters
    ----------
    folder : its place; missing folders above it are made
    content : name within the folder (with ``/``) -> bytes
    replace : take the place of a folder that is there
    """
    with new_folder(folder) as draft:
        for name, data in content.items():
            target = draft.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        draft.publish(replace=replace)


@dataclass(frozen=True)
class FolderDraft:
    """A folder in the making; made by ``new_folder``.

    Attributes
    ----------
    path : where its files are to be written
    place : the path that it gets in the end
    """

    path: Path
    place: Path

    def publish(self, *, replace: bool = False) -> None:
        """Put the finished folder in its place.

        Parameters
        ----------
        replace : take the place of a folder that is there

        Raises
        ------
        OSError : the disk fails; without ``replace``, something else has the place
        """
        for folder, _, files in os.walk(self.path):
            for name in (*files, "."):
                _sync(Path(folder, name))
        if not replace:
            self.path.rename(self.place)
        elif not _exchange(self.path, self.place):
            _replace_by_two_renames(self.path, self.place)
        _sync(self.place.parent)


@contextmanager
def new_folder(folder: Path) -> Iterator[FolderDraft]:
    """A folder to write into; what is not published when the block ends is removed.

    Parameters
    ----------
    folder : the place it is for; missing folders above it are made
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _in_the_making(folder, Path.mkdir) as partial:
        yield FolderDraft(partial, folder)


def move_folder(folder: Path, place: Path) -> None:
    """Give a finished folder another place by one rename; missing folders above it are made."""
    place.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(place)
    _sync(place.parent)
    _sync(folder.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder; one that is killed half-way leaves nothing under the folder's name."""
    hidden = _hidden(folder, _PARTIAL)
    folder.rename(hidden)
    _remove(hidden)


def recover(folder: Path) -> None:
    """Put a folder back that a killed writer had set aside, if nothing has its place. Raises nothing."""
    if not os.path.lexists(folder):
        with suppress(OSError):
            _sweep(folder.parent, {_OLD}, name=folder.name)


def append_line(path: Path, line: str) -> None:
    """Append a line to a log, whole or not at all; the half line of a killed writer is removed first.

    Parameters
    ----------
    path : the log; made if it is not there
    line : without its line break
    """
    with path.open("ab+", buffering=0) as stream:
        with suppress(OSError):  # not every file system has locks
            fcntl.flock(stream, fcntl.LOCK_EX)
        end = _cut_half_line(stream)
        data = f"{line}\n".encode()
        try:
            while data:
                data = data[stream.write(data) :]
            os.fsync(stream.fileno())
        except OSError:
            stream.truncate(end)
            raise


def cut_half_line(path: Path) -> None:
    """Remove what a killed writer left of its last line, before others go on at the end of the file."""
    with path.open("rb+", buffering=0) as stream:
        _cut_half_line(stream)


def keep_lines(path: Path, wanted: Callable[[str], bool]) -> None:
    """Drop the lines of a log that are not wanted, and a half one at its end; does nothing where there is no log."""
    if not path.exists():
        return
    content = path.read_bytes()
    lines = content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
    kept = b"".join(line for line in lines if wanted(line.decode(errors="replace")))
    if kept != content:
        write_file(path, kept)


def _cut_half_line(stream: BinaryIO) -> int:
    """Cut a file behind its last line break; its new size in bytes."""
    size = end = stream.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _BLOCK)
        stream.seek(start)
        found = stream.read(end - start).rfind(b"\n")
        end = start + found + 1 if found >= 0 else start
        if found >= 0:
            break
    if end < size:
        stream.truncate(end)
    return end


@contextmanager
def _in_the_making(place: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """A hidden path beside a place, locked while this process works on it, and gone afterwards."""
    with suppress(OSError):
        _sweep(place.parent, {_PARTIAL, _OLD})
    path, lock = _make_and_lock(place, make)
    try:
        yield path
    finally:
        _remove(path)
        if lock is not None:
            os.close(lock)


def _make_and_lock(place: Path, make: Callable[[Path], None]) -> tuple[Path, int | None]:
    while True:
        path = _hidden(place, _PARTIAL)
        make(path)
        try:
            return path, _lock(path)
        except (BlockingIOError, FileNotFoundError):
            continue  # another process swept it before it was locked
        except OSError:
            return path, None  # no locks here, so nobody takes it for a dead writer's


def _hidden(place: Path, kind: str) -> Path:
    # Random: a process id comes again, in a container even the same one each time.
    return place.parent / f".{place.name}.{kind}-{os.urandom(8).hex()}"


def _lock(path: Path) -> int:
    """Open a file or folder and lock it; the descriptor that holds the lock.

    Raises
    ------
    BlockingIOError : a living process holds it
    FileNotFoundError : the path names something else by now, or nothing
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), path.lstat()):
            raise FileNotFoundError(path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(parent: Path, kinds: set[str], *, name: str = "") -> None:
    """Put back or remove what killed writers left in a folder, of one name or of all."""
    for path in parent.iterdir():
        found = _LEFTOVER.fullmatch(path.name)
        if not found or found["kind"] not in kinds or name not in ("", found["name"]):
            continue
        with suppress(OSError):  # held by a living writer, or on a disk that cannot be written to
            lock = _lock(path)
            try:
                _put_back_or_remove(path, parent / found["name"], found["kind"])
            finally:
                os.close(lock)


def _put_back_or_remove(path: Path, place: Path, kind: str) -> None:
    if kind == _OLD and not os.path.lexists(place):
        path.rename(place)
        return
    if kind == _OLD:
        # Under the other name first: a removal that is killed half-way must not be put back later.
        path = path.rename(_hidden(place, _PARTIAL))
    _remove(path)


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder; what cannot be removed stays for the next writer."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        import shutil  # slow to import

        shutil.rmtree(path, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names by one call; False where the C library, the kernel or the file system cannot do it."""
    import ctypes  # slow to import

    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return False
    names = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
    return bool(renameat2(*names, ctypes.c_uint(_RENAME_EXCHANGE)) == 0)


def _replace_by_two_renames(partial: Path, place: Path) -> None:
    """Set the old folder aside, give the new one its place; between the two, ``recover`` knows what to do."""
    if not os.path.lexists(place):
        partial.rename(place)
        return
    try:
        lock: int | None = _lock(place)
    except BlockingIOError as error:
        raise BlockingIOError(error.errno, "another process is replacing it") from error
    except OSError:
        lock = None  # no locks here: nobody puts it back by itself
    old = _hidden(place, _OLD)
    try:
        place.rename(old)
        try:
            partial.rename(place)
        except BaseException:
            if not os.path.lexists(place):
                old.rename(place)
            raise
        _put_back_or_remove(old, place, _OLD)
    finally:
        if lock is not None:
            os.close(lock)


def _sync(path: Path) -> None:
    """Write a file through to the disk; or a folder, as far as the file system can do that."""
    descriptor = None
    try:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():
            raise
    finally:
        if descriptor is not None:
            os.close(descriptor)
