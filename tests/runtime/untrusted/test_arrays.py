"""Archives of arrays: what numpy writes is read as it was, and what numpy does not write is refused."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from vskd.untrusted.arrays import MOST_ARRAYS, read_npz

ARRAYS = arrays_of.arrays(
    dtype=st.sampled_from([np.dtype(name) for name in ("<f8", ">f4", "<i8", "|u1", "|b1", "<U5", ">U2")]),
    shape=arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


def archive_of(**arrays: np.ndarray) -> io.BytesIO:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    stream.seek(0)
    return stream


@given(array=ARRAYS, by_column=st.booleans())
def test_what_numpy_writes_is_what_is_read(array, by_column):
    array = np.asfortranarray(array) if by_column else array
    found = read_npz(archive_of(a=array, b=np.arange(3)))
    np.testing.assert_array_equal(found["a"], array)
    assert (found["a"].dtype, found["a"].shape) == (array.dtype, array.shape)
    assert list(found) == ["a", "b"]


def test_two_members_of_one_name_are_refused():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.npy", b"one")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.npy", b"two")
    with pytest.raises(ValueError, match="two of its members have one name"):
        read_npz(stream)


def test_more_arrays_than_may_be_are_refused():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(MOST_ARRAYS + 1):
            archive.writestr(f"{number}.npy", b"")
    with pytest.raises(ValueError, match=f"it holds {MOST_ARRAYS + 1} members, and at most {MOST_ARRAYS} are read"):
        read_npz(stream)


@pytest.mark.parametrize("shape", [(2,), (4,)])
def test_a_header_that_tells_of_other_bytes_than_there_are_is_refused(shape):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, archive.open("a.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": shape})
        member.write(bytes(12))
    with pytest.raises(ValueError, match=r"its member 'a\.npy' has 12 bytes, which are not float32 of shape"):
        read_npz(stream)


def test_arrays_are_added_up_before_any_is_read():
    content = archive_of(a=np.zeros(100, "u1"), b=np.zeros(100, "u1"))
    assert len(read_npz(content, largest_bytes=1000)) == 2
    with pytest.raises(ValueError, match=r"its arrays have \d+ bytes, and at most 300 are read"):
        read_npz(content, largest_bytes=300)


@pytest.mark.parametrize("name", ["a.txt", "folder/"])
def test_a_member_that_is_no_array_is_refused(name):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, b"")
    with pytest.raises(ValueError, match=f"its member '{name}' is no array"):
        read_npz(stream)


def test_a_bomb_that_states_less_takes_what_it_states():
    """200 MB, of which the directory tells of 1 kB."""
    content = archive_of(a=np.zeros(2 * 10**8, "u1")).getvalue()
    stated = struct.pack("<I", 2 * 10**8 + 128)
    assert content.count(stated) >= 1
    tracemalloc.start()
    with pytest.raises(ValueError, match="it is no archive of arrays"):
        read_npz(io.BytesIO(content.replace(stated, struct.pack("<I", 1000))))
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()
