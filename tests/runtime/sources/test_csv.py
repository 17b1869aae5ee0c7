"""CSV in, samples out, and a line number for every row that is none."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vskd.errors import DataError
from vskd.sources.csv import JUDGED, MOST_BAD, SampleReader
from vskd.sources.layout import Layout

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


BAD_ROWS = [
    ("0.04,0,x,1", "line 4: 'x' is no number"),
    ("0.04,0,1_0,1", "line 4: '1_0' is no number"),
    ("0.04,0,\u0661,1", "line 4: '\u0661' is no number"),
    ('0.04,0,"0,5",1', "line 4: '0,5' is no number (a decimal comma? decimal = \",\")"),
    ("0.04,0,1", "line 4: 3 values, the header has 4"),
    ("0.04,0,0,1,5", "line 4: 5 values, the header has 4"),
    ("noon,0,0,1", "line 4: 'noon' is no number"),
    ("--4,0,0,1", "line 4: '--4' is no number"),
    ("1_0,0,0,1", "line 4: '1_0' is no number"),
    ("\u0661,0,0,1", "line 4: '\u0661' is no number"),
    ("9223372036854775808,0,0,1", "line 4: the time 9223372036854775808 does not fit into 64 bits"),
]


@pytest.mark.parametrize(("row", "message"), BAD_ROWS)
@pytest.mark.parametrize("is_live", [False, True])
def test_a_bad_row_is_dropped_counted_and_said_once(row, message, is_live):
    notes: list[str] = []
    text = f"{HEADER}0,0,0,1\n0.02,0,0,1\n{row}\n0.06,0,0,1\n"
    reader = SampleReader.open(io.StringIO(text), name="walk.csv", is_live=is_live, note=notes.append)
    (chunk,) = reader.chunks(100)
    assert chunk.time.tolist() == [0, 0.02, 0.06]
    assert (reader.bad.count, reader.bad.first) == (1, message)
    assert notes == [f"walk.csv, line 4 is no sample and was dropped: {message.partition(': ')[2]}"]


def test_an_empty_cell_is_nan_which_the_stream_counts():
    reader, (chunk,) = read(f"{HEADER}0,0,,1\n,0,0,1\n0.04,0,0,1\n")
    np.testing.assert_array_equal(chunk.xyz[0], [0, math.nan, 1])
    np.testing.assert_array_equal(chunk.time, [0, math.nan, 0.04])
    assert reader.bad.count == 0


@settings(max_examples=60)
@given(bad=st.lists(st.booleans(), min_size=1, max_size=700))
def test_too_many_bad_rows_of_the_last_ones_end_the_reading_at_that_row(bad):
    """The oracle counts every window of the last rows by itself."""
    windows = [sum(bad[max(0, end - JUDGED) : end]) for end in range(1, len(bad) + 1)]
    ends = next((index for index, count in enumerate(windows) if count > MOST_BAD), None)
    text = HEADER + "".join(f"{'x' if one else row / 50},0,0,1\n" for row, one in enumerate(bad))
    reader = SampleReader.open(io.StringIO(text), name="pipe", is_live=True)
    kept: list[float] = []
    reason = ""
    try:
        kept.extend(float(row.values[0]) for row in reader.rows())
    except DataError as error:
        reason = error.message
    if ends is not None:
        assert reason.startswith(f"pipe: {MOST_BAD + 1} of the last {min(ends + 1, JUDGED)} lines are no samples")
        assert kept == [row / 50 for row, one in enumerate(bad[:ends]) if not one]
    elif 2 * sum(bad) > len(bad):
        assert reason.startswith(f"pipe: {sum(bad)} of {len(bad)} lines are no samples, the first is line ")
    else:
        assert reason == ""
        assert kept == [row / 50 for row, one in enumerate(bad) if not one]


def test_rows_before_too_many_bad_ones_are_handed_out():
    reader = SampleReader.open(io.StringIO(f"{HEADER}0,0,0,1\n" + "0.02,0,x,1\n" * 30), name="pipe")
    chunks = reader.chunks(rows=1)
    assert next(chunks).time.tolist() == [0]
    with pytest.raises(DataError, match=r"pipe: 21 of the last 22 lines are no samples, the first is line 3: 'x'"):
        next(chunks)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ('0.04,0,0,1,"the 5 note', "a quote is not closed"),
        ('0.04,0,0,1,"', "a quote is not closed"),
        ("0.04,0,0,1\0\0\0,", "it holds NUL"),
    ],
)
def test_a_damaged_line_is_refused_in_a_file_and_dropped_from_a_pipe(damage, what):
    """A quote that is not closed once took every row up to the next quote with it."""
    text = "time_s,ax,ay,az,note\n" + "".join(f"{row / 50},0,0,1,\n" for row in range(50))
    text += damage + "\n" + "".join(f"{row / 50},0,0,1,\n" for row in range(50, 99)) + '9,0,0,1,"a, note"\n'
    with pytest.raises(DataError, match=rf"walk\.csv, line 52: {what}.*Mend the line, or drop it"):
        read(text)
    reader = SampleReader.open(io.StringIO(text), name="pipe", is_live=True)
    assert len(list(reader.rows())) == 100
    assert reader.bad.first.startswith(f"line 52: {what}")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("time_s,ax,ay\n", "lacks 'az', got 'time_s,ax,ay'"),
        ("ax,ay,az\n", "there is no time column, got 'ax,ay,az'"),
        ("time_s,time_ms,ax,ay,az\n", r"there are 2 time columns: time_s, time_ms, .*time = \"time_ms\""),
        ("time_s,ax,ay,az,ax\n", "the column 'ax' is there 2 times"),
        ("0.0,1,2,3\n", "This line holds numbers, so there is no header: header = false"),
        ("time_s;ax;ay;az\n", r"separated by semicolons: write separator = \";\", and decimal = \",\" if"),
        ("--- Data File Created By a logger v2 at 30 Hz ---\n", r"has 1 cells; if the columns .* write skip_lines"),
        ("time_s\tax\tay\taz\n", r"separated by tabs: write separator = \"tab\" into"),
        ("time_s ax ay az\n", r"separated by blanks: write separator = \"blanks\""),
        ("Logger 3\ntime_s,ax,ay,az\n", "This line has 1 cells; if the columns are named further down, write skip"),
        (
            "time,x,y,z\n",
            r"describe them \(time = 'time', .*\); `vskd data init` guesses",
        ),
        ("\x1f\ufffd\x08\n", "Give CSV text in UTF-8; a gzip file is read as a file, and in a pipe through zcat"),
        ('time_s,ax,ay,"az\n', "a quote is not closed.*Close the quote"),
    ],
)
def test_a_header_that_cannot_be_understood_is_refused_with_its_cause(text, what):
    with pytest.raises(DataError, match=rf"walk\.csv, line 1: .*{what}"):
        read(text)


def test_an_empty_file_is_said_to_be_empty():
    with pytest.raises(DataError, match=r"walk\.csv: is empty\. Its first line names the columns"):
        read("")
    with pytest.raises(DataError, match=r"walk\.csv: has 1 lines, and skip_lines is 3\. Lower skip_lines"):
        SampleReader.open(io.StringIO(HEADER), name="walk.csv", layout=Layout(skip_lines=3))


def test_a_header_alone_is_no_recording():
    with pytest.raises(DataError, match=r"walk\.csv: holds no samples"):
        read(HEADER + "\n\n")
