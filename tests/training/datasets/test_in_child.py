"""Files read in a child process: what takes the child down costs one recording."""

from __future__ import annotations

import os
import resource
import signal
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.own_recordings import read_table, write_folder, write_table
from vskd.errors import DataError
from vskd_training.datasets.check import check
from vskd_training.datasets.files import in_child
from vskd_training.datasets.files.in_child import Reading, read_in_child
from vskd_training.datasets.files.video import read_clip
from vskd_training.datasets.folder.reader import FolderSource
from vskd_training.datasets.recording import BrokenFileError

HERE = Path(__file__)


def numbers(path: Path, count: int) -> Reading:
    os.write(1, b"a library prints\n")
    return Reading((np.arange(count, dtype=">i4"), np.zeros((0, 3), np.float32), np.array([True])), {"name": path.name})


def crashes(path: Path) -> Reading:
    os.kill(os.getpid(), signal.SIGSEGV)
    return Reading(())


def hangs(path: Path) -> Reading:
    time.sleep(60)
    return Reading(())


def leaves(path: Path) -> Reading:
    os._exit(3)


def its_limits(path: Path) -> Reading:
    return Reading((), [resource.getrlimit(which) for which in (resource.RLIMIT_AS, resource.RLIMIT_CORE)])


def takes_all_memory(path: Path) -> Reading:
    np.empty(in_child._memory(), np.uint8)
    return Reading(())


def fails(path: Path, what: str) -> Reading:
    errors: dict[str, Exception] = {
        "unforeseen": KeyError("x"),
        "broken": BrokenFileError("a.mat, line 3", "is odd", kind="odd"),
        "refused": DataError("no", hint="Do so"),
        "memory": MemoryError(),
    }
    raise errors[what]


def sends_objects(path: Path) -> Reading:
    return Reading((np.array([{}], dtype=object),))


def test_arrays_and_values_come_as_they_are_and_what_a_library_prints_stays_away() -> None:
    for count in (5, 0):
        found = read_in_child(numbers, HERE, count, where="x")
        assert found.plain == {"name": HERE.name}
        np.testing.assert_array_equal(found.arrays[0], np.arange(count))
        assert found.arrays[1].shape == (0, 3)
        assert found.arrays[2].dtype == np.bool_
        found.arrays[0][:] = 0  # they can be written to


@pytest.mark.parametrize(
    ("function", "what", "kind"),
    [
        (crashes, r"x\.mat: made its reader crash \(SIGSEGV\); copy it again or drop the clip", "crashes its reader"),
        (leaves, r"x\.mat: made its reader crash \(exit code 3\)", "crashes its reader"),
        (hangs, r"x\.mat: was not read within 1 s", "takes too long to read"),
        (sends_objects, r"x\.mat: made its reader crash", "crashes its reader"),
    ],
)
def test_a_child_that_dies_costs_its_file_and_the_next_one_is_read(
    monkeypatch: pytest.MonkeyPatch, function: Any, what: str, kind: str
) -> None:
    monkeypatch.setattr(in_child, "_LEAST_S", 1)
    with pytest.raises(BrokenFileError, match=what) as caught:
        read_in_child(function, HERE, where="x.mat")
    assert caught.value.defect.kind == kind
    monkeypatch.setattr(in_child, "_LEAST_S", 60)
    assert len(read_in_child(numbers, HERE, 3, where="x").arrays[0]) == 3


@pytest.mark.parametrize(
    ("what", "error", "message", "kind"),
    [
        ("unforeseen", BrokenFileError, r"^x: cannot be read \(KeyError: 'x'\)$", "unreadable"),
        ("broken", BrokenFileError, r"^a\.mat, line 3: is odd$", "odd"),
        ("memory", BrokenFileError, r"^x: needs more than \d+ GiB of memory to be read$", "needs too much memory"),
        ("refused", DataError, r"^no\. Do so$", ""),
    ],
)
def test_an_error_comes_back_as_one(what: str, error: type[DataError], message: str, kind: str) -> None:
    with pytest.raises(error, match=message) as caught:
        read_in_child(fails, HERE, what, where="x")
    if isinstance(caught.value, BrokenFileError):
        assert caught.value.defect.kind == kind


def test_the_child_has_a_limit_of_memory_and_leaves_no_core_file() -> None:
    with pytest.raises(BrokenFileError, match=r"needs more than \d+ GiB") as caught:
        read_in_child(takes_all_memory, HERE, where="x")
    assert caught.value.defect.kind == "needs too much memory"
    limits = read_in_child(its_limits, HERE, where="x").plain
    assert limits == [[in_child._memory()] * 2, [0, 0]]


def test_a_video_that_states_more_than_all_memory_costs_its_clip(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("frames.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": (2**42, 2, 2)})
    with pytest.raises(BrokenFileError, match=r"^x: cannot be read as \.npz \(Unable to allocate 16\.0 TiB") as caught:
        read_clip(path, where="x", height=2, width=2)
    assert caught.value.defect.kind == "unreadable"


@pytest.mark.parametrize(
    "header",
    [b'[{}, [["<f8", [1000000000000000]]]]\n', b'[{}, [["|O", [1]]]]\n', b'[{}, [["<f8", [-1]]]]\n', b"no JSON\n"],
)
def test_an_answer_that_cannot_be_meant_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "answer"
    path.write_bytes(header + bytes(64))
    with path.open("rb") as stream, pytest.raises(ValueError, match=r"array of|Expecting value"):
        in_child._receive(stream)


def test_odd_files_of_a_folder_are_counted_and_none_ends_the_check(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "own", subjects=2)
    rows = read_table(root)
    rows[0][4] = "videos/" + "x" * 300 + ".avi"
    rows[1][3] = "sensors/" + "y" * 300 + ".csv"
    os.mkfifo(root / "videos" / "pipe.avi")
    rows[2][4] = "videos/pipe.avi"
    os.mkfifo(root / "sensors" / "pipe.csv")
    rows[3][3] = "sensors/pipe.csv"
    write_table(root, rows)
    report = check(FolderSource.open(root, view="video", height=12, width=16))
    assert report.recordings == len(rows) - 4
    assert report.left_out == 4
    text = " ".join(defect.what for defect in report.defects)
    assert "File name too long" in text
    assert "is neither a file nor a folder" in text
    FolderSource.open(root, view="video", height=12, width=16).fingerprint()
