"""The prepared cache: what goes in comes out, once, whole or not at all."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.published_trees import write_utd_trial
from vskd.errors import DataError
from vskd_training.datasets.prepared import Prepared, prepare
from vskd_training.datasets.recording import Defect, Gravity, Recording, RecordingInfo
from vskd_training.datasets.skeleton_joints import relative_joints
from vskd_training.datasets.utd_mhad import SKELETON
from vskd_training.datasets.utd_mhad.reader import UtdMhadSource

ARRAYS = ("time_s", "acceleration_g", "frame_time_s", "frames")


def recording(number: int, *, frames: int = 3, height: int = 4) -> Recording:
    rng = np.random.default_rng(number)
    samples = 10 + number
    return Recording(
        RecordingInfo(f"r{number}", str(1 + number % 2), "walk", number),
        np.arange(samples) / 50,
        rng.normal(size=(samples, 3)),
        np.linspace(0, 0.2, frames),
        rng.integers(0, 256, (frames, height, 6)).astype(np.uint8),
    )


class MemorySource:
    """A source out of a list; ``before`` is called with each index before it is yielded."""

    name = "memory"
    view = "depth"
    labels: tuple[str, ...] = ("walk", "sit")
    placement = "left wrist"
    gravity: Gravity = "included"

    def __init__(
        self, recordings: list[Recording], *, key: str = "k", before: Callable[[int], None] = lambda _: None
    ) -> None:
        self.content = recordings
        self.key = key
        self.before = before
        self.found: list[Defect] = []
        self.runs = 0

    def fingerprint(self) -> str:
        return self.key

    def infos(self) -> tuple[RecordingInfo, ...]:
        return tuple(one.info for one in self.content)

    def defects(self) -> tuple[Defect, ...]:
        return tuple(self.found)

    def recordings(self) -> Iterator[Recording]:
        self.runs += 1
        for index, one in enumerate(self.content):
            self.before(index)
            yield one


def raising(error: BaseException) -> Callable[[int], None]:
    def before(index: int) -> None:
        if index == 2:
            raise error

    return before


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    content = [recording(0), recording(1, frames=5), recording(2, frames=1)]
    source = MemorySource(content)
    source.gravity = "removed"
    written = prepare(source, tmp_path / "cache")
    for prepared in (written, Prepared.open(written.folder)):
        assert (prepared.name, prepared.view, prepared.labels) == ("memory", "depth", ("walk", "sit"))
        assert (prepared.placement, prepared.gravity) == ("left wrist", "removed")
        assert prepared.infos == source.infos()
        assert len(prepared) == 3
        for index, expected in enumerate(content):
            time_s, acceleration_g = prepared.sensor(index)
            frame_time_s, frames = prepared.video(index)
            np.testing.assert_array_equal(time_s, expected.time_s)
            np.testing.assert_array_equal(acceleration_g, expected.acceleration_g)
            np.testing.assert_array_equal(frame_time_s, expected.frame_time_s)
            np.testing.assert_array_equal(frames, expected.frames)
            assert (frames.dtype, acceleration_g.dtype) == (np.dtype(np.uint8), np.dtype(np.float64))


def test_arrays_are_mapped_and_read_only(tmp_path: Path) -> None:
    prepared = prepare(MemorySource([recording(0), recording(1)]), tmp_path)
    _, frames = prepared.video(1)
    assert isinstance(frames, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        frames[0, 0, 0] = 1
    both = recording(0).frames.tobytes() + recording(1).frames.tobytes()
    assert (prepared.folder / "frames.bin").read_bytes() == both
    assert {path.name for path in prepared.folder.iterdir()} == {
        *(f"{name}.bin" for name in ARRAYS),
        "index.json",
        "index.sha256",
    }


def test_an_index_outside_the_data_set_is_refused(tmp_path: Path) -> None:
    prepared = prepare(MemorySource([recording(0), recording(1)]), tmp_path)
    for wrong in (-1, 2):
        with pytest.raises(IndexError, match=rf"0\.\.1, got {wrong}"):
            prepared.sensor(wrong)


def test_a_data_set_without_video_has_empty_videos(tmp_path: Path) -> None:
    prepared = prepare(MemorySource([recording(0, frames=0), recording(1, frames=0)]), tmp_path)
    frame_time_s, frames = Prepared.open(prepared.folder).video(1)
    assert frame_time_s.shape == (0,)
    assert frames.shape == (0, 4, 6)


def test_the_second_time_nothing_is_decoded(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    source = MemorySource([recording(i) for i in range(3)])
    first = prepare(source, tmp_path, progress=lambda *done: calls.append(done))
    again = prepare(source, tmp_path, progress=lambda *done: calls.append(done))
    assert source.runs == 1
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert (again.folder, again.key) == (first.folder, first.key)
    assert first.key[:16] in first.folder.name


def test_another_content_is_another_cache(tmp_path: Path) -> None:
    first = prepare(MemorySource([recording(0)], key="one"), tmp_path)
    second = prepare(MemorySource([recording(1)], key="two"), tmp_path)
    assert first.key != second.key
    assert first.folder != second.folder
    np.testing.assert_array_equal(Prepared.open(first.folder).sensor(0)[1], recording(0).acceleration_g)


def test_defects_found_while_reading_are_kept(tmp_path: Path) -> None:
    """A reader may learn only while reading that a recording is broken."""
    source = MemorySource([recording(0), recording(1)])
    source.before = lambda index: source.found.append(Defect("r9", "is broken")) if index == 1 else None
    assert prepare(source, tmp_path).defects == (Defect("r9", "is broken"),)


# --- whole or not at all ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("power cut"), KeyboardInterrupt("Ctrl-C")])
def test_an_exception_midway_leaves_nothing_behind(tmp_path: Path, error: BaseException) -> None:
    cache = tmp_path / "cache"
    content = [recording(i) for i in range(4)]
    with pytest.raises(type(error), match=str(error)):
        prepare(MemorySource(content, before=raising(error)), cache)
    assert list(cache.iterdir()) == []
    assert len(prepare(MemorySource(content), cache)) == 4


def test_recordings_that_do_not_fit_together_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"r1: a row of frames is uint8 \(5, 6\), .* before it uint8 \(4, 6\)"):
        prepare(MemorySource([recording(0), recording(1, height=5)]), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_time_without_its_sample_is_refused(tmp_path: Path) -> None:
    lame = dataclasses.replace(recording(1), time_s=np.arange(5) / 50)
    with pytest.raises(DataError, match="r1: 5 times for 11 samples, 3 times for 3 frames"):
        prepare(MemorySource([recording(0), lame]), tmp_path)


def test_a_source_without_a_recording_is_refused(tmp_path: Path) -> None:
    source = MemorySource([])
    source.found.append(Defect("r9", "is broken"))
    with pytest.raises(
        DataError, match="memory holds no recording that can be read; the first of 1 defects: r9: is br"
    ):
        prepare(source, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_kill_leaves_no_cache_that_could_be_opened(tmp_path: Path) -> None:
    script = (
        f"import os, signal, sys; sys.path[:] = {sys.path!r}; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\n"
        "from test_prepared import MemorySource, recording, prepare\n"
        "kill = lambda index: os.kill(os.getpid(), signal.SIGKILL) if index == 2 else None\n"
        f"prepare(MemorySource([recording(i) for i in range(4)], before=kill), Path({str(tmp_path)!r}))\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".memory-depth-")
    with pytest.raises(DataError, match=r"index\.json cannot be read"):
        Prepared.open(left)
    prepared = prepare(MemorySource([recording(i) for i in range(4)]), tmp_path)
    assert len(prepared) == 4
    assert list(tmp_path.iterdir()) == [prepared.folder]


def test_a_faster_process_wins(tmp_path: Path) -> None:
    content = [recording(i) for i in range(3)]

    def overtake(index: int) -> None:
        if index == 1:
            prepare(MemorySource(content), tmp_path)

    prepared = prepare(MemorySource(content, before=overtake), tmp_path)
    assert len(prepared) == 3
    assert list(tmp_path.iterdir()) == [prepared.folder]


def test_a_cache_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(DataError, match=r"cannot write .*cache.* Make room, or name another cache folder"):
        prepare(MemorySource([recording(0)]), tmp_path / "cache")


# --- damage -------------------------------------------------------------------------------------------------------


def remove(path: Path) -> None:
    path.unlink()


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove, "is missing"),
        (shorten, r"holds \d+ bytes instead of \d+"),
        (lengthen, r"holds \d+ bytes instead of \d+"),
    ],
)
def test_a_damaged_array_is_refused_with_the_way_out(
    tmp_path: Path, name: str, damage: Callable[[Path], None], message: str
) -> None:
    source = MemorySource([recording(0), recording(1)])
    folder = prepare(source, tmp_path).folder
    damage(folder / f"{name}.bin")
    with pytest.raises(DataError, match=rf"is damaged: {name}\.bin {message}.*Delete that folder"):
        prepare(source, tmp_path)


@pytest.mark.parametrize("name", ARRAYS)
def test_a_changed_byte_of_an_array_is_not_trained_on(tmp_path: Path, name: str) -> None:
    source = MemorySource([recording(0), recording(1)])
    path = prepare(source, tmp_path).folder / f"{name}.bin"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"is damaged: {name}\.bin is not as it was written.*Delete that folder"):
        prepare(source, tmp_path)


def test_an_array_is_hashed_once_by_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = MemorySource([recording(0), recording(1)])
    prepare(source, tmp_path)
    monkeypatch.setattr(hashlib, "file_digest", None)
    prepare(source, tmp_path)


def described(**changes: Any) -> dict[str, Any]:
    return {"array": "time_s", "dtype": "<f8", "shape": [21], "sha256": "0" * 64, **changes}


def change_index(**changes: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        path.with_suffix(".sha256").write_text(hashlib.sha256(path.read_bytes()).hexdigest())

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove, r"index\.json cannot be read"),
        (cut_in_half, r"index\.json cannot be read"),
        (change_index(version=99), r"version 99 of the layout, this vskd reads \d+"),
        (change_index(key="0" * 64), "its index belongs to other data"),
        (change_index(colour="red"), "unknown key 'colour'"),
        (change_index(sensor_offsets=[0]), "1 offsets for 2 recordings"),
        (change_index(files=[]), r"time_s\.bin is missing"),
        (change_index(sensor_offsets=[0, 30, 21]), "offsets that step back"),
        (change_index(sensor_offsets=[1, 10, 21]), "offsets that step back"),
        (change_index(sensor_offsets=[0, 10, 20]), r"time_s\.bin has the shape \(21,\), the recordings 20 rows"),
        (change_index(files=[described(dtype="|O")]), r"dtype .*'\|O'"),
        (change_index(files=[described(dtype="<f4")]), "holds 168 bytes instead of 84"),
        (change_index(files=[described(shape=[-3, -7])]), r"time_s\.bin has the shape \(-3, -7\)"),
        (change_index(files=[described(sha256="1" * 64)]), r"time_s\.bin is not as it was written"),
        (lambda path: path.with_suffix(".sha256").unlink(), r"index\.json cannot be read"),
        (lambda path: path.write_text(path.read_text().replace("0", "1", 1)), "."),
        (lambda path: path.write_text(path.read_text() + " "), r"index\.json is not as it was written"),
        (lambda path: path.write_text("[" * 5000), r"index\.json cannot be read .*nested more than"),
    ],
)
def test_a_damaged_index_is_refused(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    source = MemorySource([recording(0), recording(1)])
    path = prepare(source, tmp_path).folder / "index.json"
    damage(path)
    with pytest.raises(DataError, match=rf"{message}.*Delete that folder"):
        prepare(source, tmp_path)


def test_a_folder_that_is_no_cache_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing-here is damaged"):
        Prepared.open(tmp_path / "nothing-here")


# --- with a reader ------------------------------------------------------------------------------------------------


def test_a_changed_byte_in_utd_mhad_is_another_cache(tmp_path: Path) -> None:
    sensor, depth = np.random.default_rng(0).normal(size=(40, 6)), np.full((12, 16, 3), 2000, np.uint16)
    for folder in ("Inertial", "Depth"):
        (tmp_path / "tree" / folder).mkdir(parents=True)
    for trial in ("a1_s1_t1", "a1_s1_t2"):
        write_utd_trial(tmp_path / "tree", trial, sensor=sensor, depth_mm=depth)

    def prepared() -> Prepared:
        return prepare(UtdMhadSource.open(tmp_path / "tree", view="depth", height=6, width=8), tmp_path / "cache")

    before = prepared()
    assert prepared().key == before.key
    assert before.video(1)[1].shape == (3, 6, 8)
    path = tmp_path / "tree/Depth/a1_s1_t2_depth.mat"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    after = prepared()
    assert after.key != before.key
    assert [info.id for info in after.infos] == ["a1_s1_t1"]
    assert any(defect.where == "Depth/a1_s1_t2_depth.mat" for defect in after.defects)


def test_joints_are_kept_as_the_numbers_they_are(tmp_path: Path) -> None:
    """Frames that are no images: float32, whole and fractional, survive the cache bit for bit."""
    joints = np.random.default_rng(2).normal(size=(20, 3, 5))
    write_utd_trial(tmp_path / "tree", "a1_s1_t1", sensor=np.ones((9, 6)), joints_m=joints)
    times_s, kept = prepare(UtdMhadSource.open(tmp_path / "tree", view="joints"), tmp_path / "cache").video(0)
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept, relative_joints(np.moveaxis(joints, 2, 0), SKELETON))
    np.testing.assert_allclose(times_s, np.linspace(0, 8 / 50, 5))


@pytest.mark.data
def test_the_published_tree_is_prepared_once(utd_mhad_root: Path, tmp_path: Path) -> None:
    source = UtdMhadSource.open(utd_mhad_root, view="none")
    prepared = prepare(source, tmp_path)
    assert len(prepared) == 861
    assert len(prepared.defects) == 3
    for index, expected in enumerate(source.recordings()):
        np.testing.assert_array_equal(prepared.sensor(index)[1], expected.acceleration_g)
