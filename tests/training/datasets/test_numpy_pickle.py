"""Pickles of arrays: those of numpy are read as numpy reads them, and no made-up one reaches numpy's constructors."""

from __future__ import annotations

import io
import pickle
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from vskd.errors import DataError
from vskd_training.datasets.files.numpy_pickle import read_mapping


def file_of(folder: Path, stream: bytes) -> Path:
    """An .npy file of one object whose pickle is these bytes."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    path = folder / "x.npy"
    path.write_bytes(file.getvalue() + stream)
    return path


def read(folder: Path, stream: bytes) -> dict[str, Any]:
    return read_mapping(file_of(folder, stream), way_out="Copy it again")


NUMBERS = arrays_of.arrays(
    dtype=st.sampled_from(
        [np.dtype(name) for name in ("<f8", ">f8", "<f4", "<i8", ">i2", "|u1", "|b1", "<U5", "|S3", "<f2")]
    ),
    shape=arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(array=NUMBERS, protocol=st.sampled_from([0, 1, 2, 3, 4]), by_column=st.booleans())
def test_what_numpy_pickles_is_what_is_read(tmp_path, array, protocol, by_column):
    array = np.asfortranarray(array) if by_column else array
    stream = pickle.dumps({"a": array, "b": [array, 3, "x", None]}, protocol=protocol)
    found = read(tmp_path, stream)
    for one in (found["a"], found["b"][0]):
        np.testing.assert_array_equal(one, array)
        assert one.shape == array.shape
        assert (one.dtype.kind, one.dtype.itemsize) == (array.dtype.kind, array.dtype.itemsize)
    assert found["b"][1:] == [3, "x", None]


def test_an_array_of_objects_is_the_list_of_its_items(tmp_path):
    ragged = np.empty(2, dtype=object)
    ragged[0], ragged[1] = np.arange(3.0), np.arange(5.0)
    first, second = read(tmp_path, pickle.dumps({"X": ragged}))["X"]
    np.testing.assert_array_equal(first, np.arange(3.0))
    np.testing.assert_array_equal(second, np.arange(5.0))


class Made:
    """Pickles as numpy's own array does, with a state of one's own."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def __reduce__(self) -> tuple[Any, ...]:
        return np.empty(0).__reduce__()[0], (np.ndarray, (0,), b"b"), self.state


class MadeType:
    """The same of a type."""

    def __init__(self, name: str, state: Any) -> None:
        self.name, self.state = name, state

    def __reduce__(self) -> tuple[Any, ...]:
        return np.dtype, (self.name, False, True), self.state


NUMBER = (3, "<", None, None, None, -1, -1, 0)
RECORD = (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)
CRAFTED = {
    # numpy's dtype takes such flags and then treats the bytes as pointers to objects.
    "objects without the flag": Made((1, (1,), MadeType("O8", (3, "|", None, None, None, -1, -1, 0)), False, b"A" * 8)),
    "a record with objects": Made(
        (1, (1,), MadeType("V8", (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)), False, b"A" * 8)
    ),
    "a sub-array": Made(
        (1, (1,), MadeType("V8", (3, "|", (np.dtype("O"), (1,)), None, None, 8, 1, 0)), False, b"A" * 8)
    ),
    "more than its bytes": Made((1, (2**40,), np.dtype("f8"), False, b"A" * 8)),
    "less than its bytes": Made((1, (1,), np.dtype("f8"), False, b"A" * 16)),
    "a negative shape": Made((1, (-1, -1), np.dtype("f8"), False, b"A" * 8)),
    "a shape that overflows": Made((1, (2**32, 2**32), np.dtype("f8"), False, b"")),
    "a shape of no integers": Made((1, (1.0,), np.dtype("f8"), False, b"A" * 8)),
    "a long item": Made((1, (1,), MadeType("S9999", (3, "|", None, None, None, 2**60, 1, 0)), False, b"A" * 8)),
    "no bytes": Made((1, (1,), np.dtype("f8"), False, [1.0])),
    "no objects": Made((1, (2,), np.dtype("O"), False, [1.0])),
    "no state": Made((1, 2, 3)),
    "text that is none": Made((1, (1,), np.dtype("<U1"), False, b"\xff" * 4)),
    "a type by itself": MadeType("f8", NUMBER),
    "a date": np.array(["2020-01-01"], dtype="M8[D]"),
    "a complex number": np.zeros(2, dtype=complex),
    "a record": np.zeros(2, dtype=[("a", "i4")]),
    "a key of bytes": {b"x": 1},
}


@pytest.mark.parametrize("what", list(CRAFTED))
def test_a_crafted_array_is_refused_in_one_sentence(tmp_path, what):
    with pytest.raises(DataError, match=r"x\.npy cannot be read: .*Copy it again"):
        read(tmp_path, pickle.dumps({"a": CRAFTED[what]}, protocol=2))


def test_the_flags_of_a_type_change_nothing(tmp_path):
    state = (3, "<", None, None, None, -1, -1, 63)
    found = read(tmp_path, pickle.dumps({"a": Made((1, (1,), MadeType("f8", state), False, b"\0" * 8))}, protocol=2))
    np.testing.assert_array_equal(found["a"], [0.0])


@pytest.mark.parametrize(
    "stream",
    [
        b"cnumpy\ndtype\n}S'__setstate__'\nNsb.",  # a state for the class itself
        b"c_codecs\nencode\n(N}S'__code__'\nNstb.",
        b"cnumpy\nndarray\n(I1000000000\ntR.",
        b"cnumpy\ndtype\n(S'O8'\nI00\nI01\ntR.",
        b"cnumpy\ndtype\n)\x81.",
        b"\x82\x01.",
        b"Pname\n.",
        b"L" + b"9" * 5000 + b"L\n.",
        b"(" * 100_000,
        b"]" * 10 + b"a" * 20,
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x8b\xff\xff\xff\x7f.",
    ],
)
def test_a_program_is_refused_in_one_sentence(tmp_path, stream):
    with pytest.raises(DataError, match=r"x\.npy (cannot be read: .+|holds a .+, not a mapping)"):
        read(tmp_path, stream)


def test_memory_does_not_follow_a_number_in_the_file(tmp_path):
    """The unpickler in C makes room for as many memos as the number says: 32 GB here."""
    stream = b"\x80\x02}r\xf0\xff\xff\x7f."
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert read(tmp_path, stream) == {}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.parametrize("code", [pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER])
def test_no_buffer_is_made(tmp_path, code):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="it holds a buffer"):
        read(tmp_path, b"\x80\x05" + code + (2**30).to_bytes(8, "little") + b".")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_text_that_is_turned_into_bytes_a_thousand_times_is_refused(tmp_path):
    text = b"X" + (2**20).to_bytes(4, "little") + b"a" * 2**20
    again = b"c_codecs\nencode\n(h\x00X\x06\x00\x00\x00latin1tR"
    with pytest.raises(DataError, match="it makes more bytes than it holds"):
        read(tmp_path, text + b"q\x00(" + again * 1000 + b"l.")


def test_lists_of_lists_of_the_same_list_are_refused(tmp_path):
    laughs: Any = [1] * 10
    for _ in range(30):
        laughs = [laughs] * 10
    for what in (laughs, [[laughs[0][0][0][0]] * 10] * 3):
        with pytest.raises(DataError, match="nested more than 4 deep"):
            read(tmp_path, pickle.dumps({"a": what}))
    wide = [[[0] * 100] * 200] * 100
    with pytest.raises(DataError, match="more than 1000000 values"):
        read(tmp_path, pickle.dumps({"a": wide}))


def test_a_list_within_itself_is_refused(tmp_path):
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(DataError, match="nested more than 4 deep"):
        read(tmp_path, pickle.dumps({"a": endless}))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(length=st.integers(0, 200), protocol=st.sampled_from([0, 1, 2, 3, 4]))
def test_a_file_that_ends_early_is_one_sentence(tmp_path, length, protocol):
    stream = pickle.dumps({"X": [np.arange(6.0)], "y": np.arange(300), "n": ["a" * 300, 2**40]}, protocol=protocol)
    assert length < len(stream)
    with pytest.raises(DataError, match=r"x\.npy"):
        read(tmp_path, stream[:length])


def test_a_number_of_which_bytes_are_missing_is_one_sentence(tmp_path):
    for stream in (b"\x80\x02}r\x00", b"\x80\x02J\x01", b"\x80\x02K"):
        with pytest.raises(DataError, match=r"x\.npy cannot be read"):
            read(tmp_path, stream)


def test_a_header_that_is_not_closed_is_one_sentence(tmp_path):
    path = file_of(tmp_path, b"")
    path.write_bytes(path.read_bytes().replace(b"}", b" "))
    with pytest.raises(DataError, match=r"x\.npy cannot be read"):
        read_mapping(path, way_out="Copy it again")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_ends_in_a_mapping_or_one_sentence(tmp_path, data):
    stream = bytearray(pickle.dumps({"X": [np.arange(6.0).reshape(2, 3)], "y": np.arange(3), "n": ["a"]}, protocol=2))
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    refusal = ""
    try:
        read(tmp_path, bytes(stream))
    except DataError as error:
        refusal = error.message
    assert not refusal or "x.npy" in refusal
