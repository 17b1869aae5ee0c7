"""CSV in, samples out, and a line number for every row that is none."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vskd.errors import DataError
from vskd.sources.csv import SampleReader

HEADER = "time_s,ax,ay,az\n"


def read(text: str, rows: int = 100):
    reader = SampleReader.open(io.StringIO(text, newline=""), name="walk.csv")
    return reader, list(reader.chunks(rows))


@settings(max_examples=60)
@given(
    values=st.lists(st.tuples(*[st.floats(allow_nan=False)] * 4), min_size=1, max_size=20),
    rows=st.integers(1, 25),
)
def test_chunks_hold_every_row_in_order_and_exactly(values, rows):
    _, chunks = read(HEADER + "".join(",".join(map(repr, row)) + "\n" for row in values), rows)
    assert [len(chunk.time) for chunk in chunks[:-1]] == [rows] * (len(chunks) - 1)
    np.testing.assert_array_equal(np.concatenate([chunk.time for chunk in chunks]), [row[0] for row in values])
    np.testing.assert_array_equal(np.concatenate([chunk.xyz for chunk in chunks]), [row[1:] for row in values])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_header_says_the_time_unit(unit):
    reader, _ = read(f"time_{unit},ax,ay,az\n1,0,0,1\n")
    assert reader.time_unit == unit


def test_columns_are_found_by_name_and_others_passed_over():
    _, (chunk,) = read("label, az ,gx,time_s,ay,ax\nwalk,3,9,0.5,2,1\n")
    np.testing.assert_array_equal(chunk.time, [0.5])
    np.testing.assert_array_equal(chunk.xyz, [[1, 2, 3]])


def test_whole_numbers_of_nanoseconds_stay_exact():
    _, (chunk,) = read("time_ns,ax,ay,az\n1700000000000000001,0,0,1\n-5,0,0,1\n")
    assert chunk.time.dtype == np.int64
    assert chunk.time.tolist() == [1700000000000000001, -5]


def test_what_spreadsheets_and_loggers_write_is_read():
    text = "\ufefftime_s,ax,ay,az\r\n0.0, 0 ,0,1\r\n\r\n0.02,nan,-inf,1e-3\r\n"
    _, (chunk,) = read(text)
    np.testing.assert_array_equal(chunk.time, [0.0, 0.02])
    np.testing.assert_array_equal(chunk.xyz, [[0, 0, 1], [math.nan, -math.inf, 1e-3]])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0.04,0,x,1", "line 4: could not convert string to float: 'x'"),
        ("0.04,0,,1", "line 4: could not convert string to float: ''"),
        ("0.04,0,1", "line 4: 3 values, the header has 4"),
        ("0.04,0,0,1,5", "line 4: 5 values, the header has 4"),
        ("noon,0,0,1", "line 4: could not convert string to float: 'noon'"),
        ("--4,0,0,1", "line 4: invalid literal"),
        ("9223372036854775808,0,0,1", "line 4: the time 9223372036854775808 does not fit into 64 bits"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(row, message):
    with pytest.raises(DataError, match=rf"walk\.csv, {message}.*Mend or drop the row"):
        read(f"{HEADER}0,0,0,1\n0.02,0,0,1\n{row}\n0.06,0,0,1\n")


def test_rows_before_a_bad_one_are_handed_out():
    reader = SampleReader.open(io.StringIO(f"{HEADER}0,0,0,1\n0.02,0,x,1\n"), name="pipe")
    chunks = reader.chunks(rows=1)
    assert next(chunks).time.tolist() == [0]
    with pytest.raises(DataError, match="pipe, line 3"):
        next(chunks)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("\n", "''"),
        ("time_s,ax,ay\n", "'time_s,ax,ay'"),
        ("ax,ay,az\n", "'ax,ay,az'"),
        ("time_s,time_ms,ax,ay,az\n", "'time_s,time_ms,ax,ay,az'"),
        ("0.0,1,2,3\n", "'0.0,1,2,3'"),
        ("time_s;ax;ay;az\n", "'time_s;ax;ay;az'"),
    ],
)
def test_a_header_that_lacks_a_column_is_refused(text, got):
    with pytest.raises(DataError, match=rf"walk\.csv, line 1: the header must hold time_s .*, got {got}"):
        read(text)


def test_an_empty_file_is_said_to_be_empty():
    with pytest.raises(DataError, match=r"walk\.csv is empty\. Its first line names the columns"):
        read("")


def test_a_header_alone_is_no_recording():
    with pytest.raises(DataError, match=r"walk\.csv holds a header and no samples"):
        read(HEADER + "\n\n")


def test_bytes_that_are_no_text_are_refused():
    lines = io.TextIOWrapper(io.BytesIO(HEADER.encode() + b"0,0,0,1\n\xff\xfe\x00\n"), encoding="utf-8")
    with pytest.raises(DataError, match=r"photo\.jpg, after line 0: .*Give CSV text in UTF-8"):
        list(SampleReader.open(lines, name="photo.jpg").chunks(10))


def test_a_field_without_end_is_refused():
    with pytest.raises(DataError, match=r"walk\.csv, after line 3: field larger than field limit"):
        read(HEADER + "0,0,0,1\n" + "1" * 200_000 + ",0,0,1\n")
