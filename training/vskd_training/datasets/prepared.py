"""A data set decoded once: arrays as bare bytes that are memory-mapped, and one JSON index that says what they hold.

The folder's name carries the key: SHA-256 over the bytes of the source files, the reader's settings, and the versions
of reader and cache. A changed byte or setting is another key, thus another folder, and nothing stale is ever read. A
cache is written whole or not at all (``vskd.writing``). Its files are hashed as they are written, and checked once by
each process that opens them: a disk that lost some of them must not be trained on.

This module knows sources and files. It does not know data sets, windows or splits.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from vskd.closed import from_mapping, to_mapping
from vskd.errors import ConfigError, DataError, did_you_mean
from vskd.untrusted.documents import read_json
from vskd.writing import FolderDraft, disk_errors, new_folder
from vskd_training.datasets.recording import Defect, Gravity, Recording, RecordingInfo, Source

#: Goes into the key. Raise it with every change to the files below.
CACHE_VERSION = 4

_INDEX, _INDEX_SUM = "index.json", "index.sha256"
_ARRAYS = ("time_s", "acceleration_g", "frame_time_s", "frames")


@dataclass(frozen=True)
class _File:
    """One array: rows of all recordings, one after the other. Frames that are no images (joints) are float32."""

    array: str
    dtype: Literal["<f8", "<f4", "|u1"]
    shape: tuple[int, ...]
    sha256: str


@dataclass(frozen=True)
class _Index:
    """What ``index.json`` holds. Recording i owns rows ``sensor_offsets[i]`` up to ``sensor_offsets[i + 1]``."""

    version: int
    key: str
    name: str
    view: str
    labels: tuple[str, ...]
    placement: str
    gravity: Gravity
    infos: tuple[RecordingInfo, ...]
    defects: tuple[Defect, ...]
    sensor_offsets: tuple[int, ...]
    frame_offsets: tuple[int, ...]
    files: tuple[_File, ...]


class Prepared:
    """A prepared data set, open for reading; made by ``prepare``.

    Attributes
    ----------
    folder : where it lies
    name, view, labels, placement, gravity : as of its ``Source``
    infos : every recording, in the order of ``sensor`` and ``video``
    defects : what was left out, and why
    key : SHA-256 (hex) of content and settings
    """

    def __init__(self, folder: Path, index: _Index, arrays: dict[str, NDArray[Any]]) -> None:
        self.folder = folder
        self.name = index.name
        self.view = index.view
        self.labels = index.labels
        self.placement = index.placement
        self.gravity = index.gravity
        self.infos = index.infos
        self.defects = index.defects
        self.key = index.key
        self._index = index
        self._arrays = arrays

    @classmethod
    def open(cls, folder: Path) -> Prepared:
        """Open a prepared folder.

        Raises
        ------
        DataError : the folder, its index or an array is missing or damaged
        """
        index = _read_index(folder)
        arrays = {name: _map(folder, name, index) for name in _ARRAYS}
        return cls(folder, index, arrays)

    def __len__(self) -> int:
        return len(self.infos)

    def index(self, name: str) -> int:
        """Where a recording stands in ``infos``.

        Raises
        ------
        DataError : there is none of that id
        """
        known = {info.id: index for index, info in enumerate(self.infos)}
        if name not in known:
            near = [other for other in known if other.partition("_")[0] == name.partition("_")[0]]
            raise DataError(f"there is no recording {name!r}", hint=did_you_mean(name, near or list(known)[:20]))
        return known[name]

    def sensor(self, recording: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The wrist's side of one recording.

        Parameters
        ----------
        recording : its index in ``infos``

        Returns
        -------
        time_s (samples,), s, and acceleration_g (samples, 3), g; read-only, memory-mapped
        """
        rows = self._rows(self._index.sensor_offsets, recording)
        return self._arrays["time_s"][rows], self._arrays["acceleration_g"][rows]

    def video(self, recording: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """The camera's side of one recording.

        Parameters
        ----------
        recording : its index in ``infos``

        Returns
        -------
        frame_time_s (frames,), s on the sensor's clock, and frames (frames, height, width), uint8, or in the view
        ``joints`` (frames, joints, 3), float32; read-only, memory-mapped, empty without video
        """
        rows = self._rows(self._index.frame_offsets, recording)
        return self._arrays["frame_time_s"][rows], self._arrays["frames"][rows]

    def _rows(self, offsets: tuple[int, ...], recording: int) -> slice:
        if not 0 <= recording < len(self.infos):
            raise IndexError(f"recording must lie in 0..{len(self.infos) - 1}, got {recording}")
        return slice(offsets[recording], offsets[recording + 1])


def prepare(source: Source, cache_dir: Path, *, progress: Callable[[int, int], None] | None = None) -> Prepared:
    """Open the cache of a source, decoding the source first if there is none.

    Parameters
    ----------
    source : the data set
    cache_dir : folder of all caches; made if needed
    progress : called as ``progress(recordings done, recordings in all)`` while decoding; never when the cache is there

    Raises
    ------
    DataError : the cache is damaged or cannot be written, or the source holds nothing that can be read
    """
    key = hashlib.sha256(f"{CACHE_VERSION} {source.fingerprint()}".encode()).hexdigest()
    folder = cache_dir / f"{source.name}-{source.view}-{key[:16]}"
    if not folder.exists():
        _build(source, folder, key, progress)
    prepared = Prepared.open(folder)
    if prepared.key != key:
        raise _damaged(folder, "its index belongs to other data")
    return prepared


def _build(source: Source, folder: Path, key: str, progress: Callable[[int, int], None] | None) -> None:
    on_disk = partial(disk_errors, folder, DataError, hint="Make room, or name another cache folder")
    with ExitStack() as stack:
        with on_disk():
            draft = stack.enter_context(new_folder(folder))
            files = {name: stack.enter_context(_place(draft.path, name).open("wb")) for name in _ARRAYS}
        columns = {name: _Column(file) for name, file in files.items()}
        infos = []
        for done, recording in enumerate(source.recordings(), start=1):
            _check_lengths(recording)
            with on_disk():
                for name, column in columns.items():
                    column.append(getattr(recording, name), f"{recording.info.id}: a row of {name}")
            infos.append(recording.info)
            if progress:
                progress(done, len(source.infos()))
        if not infos:
            raise _nothing_readable(source)
        index = _index_of(source, key, tuple(infos), columns)
        with on_disk():
            for file in files.values():
                file.close()
            text = json.dumps(to_mapping(index), indent=1) + "\n"
            (draft.path / _INDEX).write_text(text, encoding="utf-8")
            (draft.path / _INDEX_SUM).write_text(hashlib.sha256(text.encode()).hexdigest() + "\n", encoding="ascii")
            _publish(draft)


def _publish(draft: FolderDraft) -> None:
    try:
        draft.publish()
    except OSError:
        # Another process was faster. Its cache has the same key, hence the same content.
        if not draft.place.exists():
            raise


def _place(folder: Path, name: str) -> Path:
    return folder / f"{name}.bin"


class _Column:
    """Appends rows to one file; ``offsets`` are where each recording's begin, and where the last one's end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.dtype, self.row_shape = np.dtype(np.uint8), tuple[int, ...]()
        self.offsets = [0]
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of everything that was appended (hex)."""
        return self._hash.hexdigest()

    def append(self, block: NDArray[Any], what: str) -> None:
        if len(self.offsets) == 1:
            self.dtype, self.row_shape = block.dtype, block.shape[1:]
        if (block.dtype, block.shape[1:]) != (self.dtype, self.row_shape):
            raise DataError(
                f"{what} is {block.dtype} {block.shape[1:]}, in the recordings before it {self.dtype} {self.row_shape}"
            )
        content = np.ascontiguousarray(block).tobytes()
        self._hash.update(content)
        self._file.write(content)
        self.offsets.append(self.offsets[-1] + len(block))


def _index_of(source: Source, key: str, infos: tuple[RecordingInfo, ...], columns: dict[str, _Column]) -> _Index:
    files = {
        name: {
            "array": name,
            "dtype": column.dtype.str,
            "shape": [column.offsets[-1], *column.row_shape],
            "sha256": column.sha256,
        }
        for name, column in columns.items()
    }
    return _Index(
        version=CACHE_VERSION,
        key=key,
        name=source.name,
        view=source.view,
        labels=source.labels,
        placement=source.placement,
        gravity=source.gravity,
        infos=infos,
        defects=source.defects(),
        sensor_offsets=tuple(columns["time_s"].offsets),
        frame_offsets=tuple(columns["frames"].offsets),
        files=tuple(from_mapping(_File, file, where=name) for name, file in files.items()),
    )


def _check_lengths(recording: Recording) -> None:
    sensor = (len(recording.time_s), len(recording.acceleration_g))
    video = (len(recording.frame_time_s), len(recording.frames))
    if sensor[0] != sensor[1] or video[0] != video[1]:
        raise DataError(
            f"{recording.info.id}: {sensor[0]} times for {sensor[1]} samples, {video[0]} times for {video[1]} frames"
        )


def _read_index(folder: Path) -> _Index:
    try:
        text, summed = ((folder / name).read_text(encoding="utf-8") for name in (_INDEX, _INDEX_SUM))
        index = from_mapping(_Index, read_json(text), where=_INDEX)
    except (OSError, ValueError, ConfigError) as error:
        raise _damaged(folder, f"{_INDEX} cannot be read ({error})") from error
    if index.version != CACHE_VERSION:
        raise _damaged(folder, f"it has version {index.version} of the layout, this vskd reads {CACHE_VERSION}")
    for offsets in (index.sensor_offsets, index.frame_offsets):
        if len(offsets) != len(index.infos) + 1:
            raise _damaged(folder, f"{_INDEX} has {len(offsets)} offsets for {len(index.infos)} recordings")
        if offsets[0] != 0 or any(later < earlier for earlier, later in pairwise(offsets)):
            raise _damaged(folder, f"{_INDEX} has offsets that step back")
    if hashlib.sha256(text.encode()).hexdigest() != summed.strip():
        raise _damaged(folder, f"{_INDEX} is not as it was written")
    return index


def _map(folder: Path, name: str, index: _Index) -> NDArray[Any]:
    described = next((file for file in index.files if file.array == name), None)
    path = _place(folder, name)
    if described is None or not path.is_file():
        raise _damaged(folder, f"{path.name} is missing")
    size, found = math.prod(described.shape) * np.dtype(described.dtype).itemsize, path.stat().st_size
    if found != size:
        raise _damaged(folder, f"{path.name} holds {found} bytes instead of {size}")
    offsets = index.sensor_offsets if name in ("time_s", "acceleration_g") else index.frame_offsets
    if min(described.shape, default=-1) < 0 or described.shape[0] != offsets[-1]:
        raise _damaged(folder, f"{path.name} has the shape {described.shape}, the recordings {offsets[-1]} rows")
    state = path.stat()
    if _sha256_of(path, state.st_ino, state.st_mtime_ns, state.st_size) != described.sha256:
        raise _damaged(folder, f"{path.name} is not as it was written")
    if not size:  # an array without elements cannot be mapped
        return np.empty(described.shape, dtype=described.dtype)
    return np.memmap(path, dtype=described.dtype, mode="r", shape=described.shape)


@cache
def _sha256_of(path: Path, *state: int) -> str:
    """Of a file, read once by a process as long as its inode, time and size stay."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(folder: Path, what: str) -> DataError:
    return DataError(f"the prepared cache {folder} is damaged: {what}", hint="Delete that folder; it is made again")


def _nothing_readable(source: Source) -> DataError:
    defects = source.defects()
    first = f"; the first of {len(defects)} defects: {defects[0].where}: {defects[0].what}" if defects else ""
    hint = (defects[0].if_most or defects[0].way_out) if defects else ""
    return DataError(f"{source.name} holds no recording that can be read{first}", hint=hint[:1].upper() + hint[1:])
