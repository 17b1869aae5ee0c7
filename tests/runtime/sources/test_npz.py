"""NPZ recordings: the same samples as the CSV, and what is none is refused by name."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from vskd.errors import DataError
from vskd.sources import npz
from vskd.sources.npz import NpzReader
from vskd.untrusted.arrays import read_npz

XYZ = np.arange(30, dtype=np.float64).reshape(10, 3)


def saved(folder: Path, **arrays: object) -> Path:
    np.savez(folder / "walk.npz", **arrays)
    return folder / "walk.npz"


@pytest.mark.parametrize("axes", [{"xyz": XYZ}, dict(zip(("ax", "ay", "az"), XYZ.T, strict=True))])
def test_samples_come_in_chunks_of_the_wanted_size(tmp_path, axes):
    reader = NpzReader.open(saved(tmp_path, time_s=np.arange(10) / 50, subject=np.array("s1"), **axes))
    chunks = list(reader.chunks(rows=4))
    assert reader.time_unit == "s"
    assert [len(chunk.time) for chunk in chunks] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([chunk.xyz for chunk in chunks]), XYZ)
    np.testing.assert_array_equal(np.concatenate([chunk.time for chunk in chunks]), np.arange(10) / 50)


def test_nanoseconds_keep_every_digit(tmp_path):
    time_ns = 1_700_000_000_123_456_789 + np.arange(10)
    reader = NpzReader.open(saved(tmp_path, time_ns=time_ns, xyz=XYZ))
    (chunk,) = reader.chunks(rows=100)
    assert reader.time_unit == "ns"
    assert chunk.time.tolist() == time_ns.tolist()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"xyz": XYZ}, r"must hold time_s .* it holds xyz\. Add or rename"),
        (
            {"time_s": np.arange(10), "time_ms": np.arange(10), "xyz": XYZ},
            r"holds time_ms and time_s, which may differ\. Keep one",
        ),
        ({"time_s": np.arange(10), "ax": XYZ[:, 0], "xyz": XYZ}, r"holds ax and xyz, which may differ\. Keep one"),
        (
            {"time_s": np.arange(30) * 20, "xyz": np.ones((30, 3))},
            r"it looks like ms\. Write other times, under the name",
        ),
        ({"time_s": np.arange(10), "ax": XYZ[:, 0], "ay": XYZ[:, 1]}, r"it holds ax, ay, time_s"),
        ({"time_s": np.arange(9), "xyz": XYZ}, r"walk\.npz: samples must be time \(n,\) and xyz \(n, 3\)"),
        ({"time_s": np.arange(10), "xyz": XYZ.astype(str)}, r"walk\.npz: samples must be numbers"),
        ({"time_s": np.arange(2), "ax": [1, 2], "ay": [1], "az": [1, 2]}, r"walk\.npz: .* same shape"),
        (
            {"time_s": np.array([None, 1]), "xyz": XYZ[:2]},
            r"no NPZ file of numbers: its member 'time_s\.npy' holds Python objects, not numbers\. Write",
        ),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        NpzReader.open(saved(tmp_path, **arrays))


def test_an_archive_that_would_fill_the_memory_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "read_npz", partial(read_npz, largest_bytes=1000))
    with pytest.raises(DataError, match=r"its arrays have \d+ bytes, and at most 1000 are read"):
        NpzReader.open(saved(tmp_path, time_s=np.arange(200), xyz=np.zeros((200, 3))))


def test_no_samples_are_refused(tmp_path):
    reader = NpzReader.open(saved(tmp_path, time_s=np.empty(0), xyz=np.empty((0, 3))))
    with pytest.raises(DataError, match=r"walk\.npz holds no samples"):
        list(reader.chunks(rows=10))


@pytest.mark.parametrize("content", [b"", b"time_s,ax,ay,az\n", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_npz_is_refused(tmp_path, content):
    (tmp_path / "walk.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"walk\.npz is no NPZ file"):
        NpzReader.open(tmp_path / "walk.npz")


def test_an_npy_and_a_missing_file_are_refused(tmp_path):
    np.save(tmp_path / "walk.npy", XYZ)
    (tmp_path / "walk.npy").rename(tmp_path / "walk.npz")
    with pytest.raises(DataError, match=r"walk\.npz is no NPZ file"):
        NpzReader.open(tmp_path / "walk.npz")
    with pytest.raises(DataError, match=r"cannot read .*no\.npz: No such file"):
        NpzReader.open(tmp_path / "no.npz")


def test_a_compressed_recording_with_a_changed_byte_is_refused_or_read_and_never_a_crash(tmp_path):
    path = tmp_path / "walk.npz"
    noise = np.random.default_rng(0).normal(size=(200, 3)).round(2)
    np.savez_compressed(path, time_s=np.arange(200) / 50, xyz=noise)
    whole, refused = path.read_bytes(), 0
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            NpzReader.open(path)
        except DataError:
            refused += 1
    assert refused > 50
