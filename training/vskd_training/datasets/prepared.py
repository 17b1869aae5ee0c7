"""A data set decoded once: plain .npy arrays that are memory-mapped, and one JSON index.

The folder's name carries the key: SHA-256 over the bytes of the source files, the reader's settings, and the versions
of reader and cache. A changed byte or setting is another key, thus another folder, and nothing stale is ever read. A
cache is written whole or not at all (``vskd.writing``).

This module knows sources and files. It does not know data sets, windows or splits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.closed import from_mapping, to_mapping
from vskd.errors import ConfigError, DataError, did_you_mean
from vskd.writing import FolderDraft, new_folder
from vskd_training.datasets.recording import Defect, Gravity, Recording, RecordingInfo, Source

#: Goes into the key. Raise it with every change to the files below.
CACHE_VERSION = 2

_INDEX = "index.json"
_DTYPES: dict[str, np.dtype[Any]] = {
    "time_s": np.dtype("<f8"),
    "acceleration_g": np.dtype("<f8"),
    "frame_time_s": np.dtype("<f8"),
    "frames": np.dtype("u1"),
}
#: Frames that are no images (joints) are kept as they come, in float32.
_FRAME_DTYPES = (np.dtype("u1"), np.dtype("<f4"))


@dataclass(frozen=True)
class _File:
    """One array, and the size that its file must have."""

    array: str
    shape: tuple[int, ...]
    size_bytes: int


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
        arrays = {name: _map(folder, name, index) for name in _DTYPES}
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
    with ExitStack() as stack:
        with _disk(folder.parent):
            draft = stack.enter_context(new_folder(folder))
        _write(source, draft.path, key, progress)
        with _disk(folder.parent):
            _publish(draft)


def _publish(draft: FolderDraft) -> None:
    try:
        draft.publish()
    except OSError:
        # Another process was faster. Its cache has the same key, hence the same content.
        if not draft.place.exists():
            raise


def _write(source: Source, folder: Path, key: str, progress: Callable[[int, int], None] | None) -> None:
    total = len(source.infos())
    infos: list[RecordingInfo] = []
    sensor_offsets, frame_offsets = [0], [0]
    with ExitStack() as stack:
        columns = {name: stack.enter_context(_Column(folder, name)) for name in _DTYPES}
        for done, recording in enumerate(source.recordings(), start=1):
            _check_lengths(recording)
            for name, column in columns.items():
                column.append(getattr(recording, name), recording.info.id)
            infos.append(recording.info)
            sensor_offsets.append(sensor_offsets[-1] + len(recording.time_s))
            frame_offsets.append(frame_offsets[-1] + len(recording.frames))
            if progress:
                progress(done, total)
    if not infos:
        raise _nothing_readable(source)
    files = tuple(column.described() for column in columns.values())
    about = (source.name, source.view, source.labels, source.placement, source.gravity)
    rows = (tuple(infos), source.defects(), tuple(sensor_offsets), tuple(frame_offsets))
    index = _Index(CACHE_VERSION, key, *about, *rows, files)
    with _disk(folder):
        (folder / _INDEX).write_text(json.dumps(to_mapping(index), indent=1) + "\n", encoding="utf-8")


class _Column:
    """Appends rows to one .npy file. The header needs the number of rows, so it is written again at the end.

    numpy reserves room in the header for the first axis to grow (since 1.23), so both headers are equally long.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.npy"
        self._name = name
        self._dtype = _DTYPES[name]
        self._row_shape: tuple[int, ...] | None = None
        self._rows = 0

    def __enter__(self) -> _Column:
        with _disk(self._path.parent):
            self._file = self._path.open("wb")
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        with self._file, _disk(self._path.parent):
            if kind is None and self._row_shape is not None:
                self._file.seek(0)
                self._write_header()

    def append(self, block: NDArray[Any], recording: str) -> None:
        if self._row_shape is None:
            self._row_shape = block.shape[1:]
            if self._name == "frames" and block.dtype in _FRAME_DTYPES:
                self._dtype = block.dtype
            self._write_header()
        if block.shape[1:] != self._row_shape:
            raise DataError(
                f"{recording}: a row of {self._name} has the shape {block.shape[1:]}, "
                f"in the recordings before it {self._row_shape}"
            )
        with _disk(self._path.parent):
            self._file.write(np.ascontiguousarray(block, dtype=self._dtype).tobytes())
        self._rows += len(block)

    def described(self) -> _File:
        shape = (self._rows, *(self._row_shape or ()))
        return _File(self._name, shape, self._path.stat().st_size)

    def _write_header(self) -> None:
        shape = (self._rows, *(self._row_shape or ()))
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)


def _check_lengths(recording: Recording) -> None:
    sensor = (len(recording.time_s), len(recording.acceleration_g))
    video = (len(recording.frame_time_s), len(recording.frames))
    if sensor[0] != sensor[1] or video[0] != video[1]:
        raise DataError(
            f"{recording.info.id}: {sensor[0]} times for {sensor[1]} samples, {video[0]} times for {video[1]} frames"
        )


def _read_index(folder: Path) -> _Index:
    try:
        content = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        index = from_mapping(_Index, content, where=_INDEX)
    except (OSError, ValueError, ConfigError) as error:
        raise _damaged(folder, f"{_INDEX} cannot be read ({error})") from error
    if index.version != CACHE_VERSION:
        raise _damaged(folder, f"it has version {index.version} of the layout, this vskd reads {CACHE_VERSION}")
    for offsets in (index.sensor_offsets, index.frame_offsets):
        if len(offsets) != len(index.infos) + 1:
            raise _damaged(folder, f"{_INDEX} has {len(offsets)} offsets for {len(index.infos)} recordings")
    return index


def _map(folder: Path, name: str, index: _Index) -> NDArray[Any]:
    described = next((file for file in index.files if file.array == name), None)
    path = folder / f"{name}.npy"
    if described is None or not path.is_file():
        raise _damaged(folder, f"{path.name} is missing")
    if path.stat().st_size != described.size_bytes:
        raise _damaged(folder, f"{path.name} holds {path.stat().st_size} bytes instead of {described.size_bytes}")
    try:
        # An array without elements cannot be mapped.
        array: NDArray[Any] = np.load(path, mmap_mode="r" if all(described.shape) else None)
    except (OSError, ValueError) as error:
        raise _damaged(folder, f"{path.name} cannot be read ({error})") from error
    allowed = _FRAME_DTYPES if name == "frames" else (_DTYPES[name],)
    if array.shape != described.shape or array.dtype not in allowed:
        raise _damaged(folder, f"{path.name} holds {array.dtype} {array.shape} instead of {described.shape}")
    return array


def _damaged(folder: Path, what: str) -> DataError:
    return DataError(f"the prepared cache {folder} is damaged: {what}", hint="Delete that folder; it is made again")


def _nothing_readable(source: Source) -> DataError:
    defects = source.defects()
    first = f"; the first of {len(defects)} defects: {defects[0].where}: {defects[0].what}" if defects else ""
    return DataError(f"{source.name} holds no recording that can be read{first}")


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"the prepared cache cannot be written in {folder} ({error.strerror})",
            hint="Make room, or name another cache folder",
        ) from error
