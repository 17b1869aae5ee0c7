"""A layout against plain Python: cells, numbers, columns, clocks; and files as bytes."""

from __future__ import annotations

import gzip
import io
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vskd.errors import ConfigError, DataError
from vskd.sources.causes import likely_unit, refuse_impossible_times
from vskd.sources.csv import SampleReader
from vskd.sources.layout import AxisNames, Described, Layout, columns_of, described, of_first_line
from vskd.sources.live_text import LONGEST_LINE_BYTES
from vskd.sources.text_file import file_lines

NUMBERS = st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 4), min_size=2, max_size=19)


def samples(text: str, **layout: object) -> tuple[str, np.ndarray]:
    reader = SampleReader.open(io.StringIO(text), name="x", layout=Layout(**layout))  # type: ignore[arg-type]
    return reader.time_unit, np.array([row.values for row in reader.rows()], dtype=np.float64)


@settings(max_examples=60)
@given(
    values=NUMBERS,
    separator=st.sampled_from([(",", ","), (";", ";"), ("tab", "\t"), ("blanks", "  ")]),
    comma=st.booleans(),
    head=st.lists(st.sampled_from(["Device,x", "# note", ""]), max_size=4),
    has_header=st.booleans(),
)
def test_any_layout_gives_back_what_was_written(values, separator, comma, head, has_header):
    name, sign = separator
    comma = comma and name != ","
    rows = [sign.join(repr(value).replace(".", "," if comma else ".") for value in row) for row in values]
    names = [sign.join(("t", "u", "v", "w"))] if has_header else []
    text = "\n".join([*head, *names, *rows[:1], "# in between", "", *rows[1:]]) + "\n"
    columns = {"time": "t", "x": "u", "y": "v", "z": "w"} if has_header else {"time": 1, "x": 2, "y": 3, "z": 4}
    skipped = sum(not line.startswith("#") for line in head) and len(head)
    layout = {"separator": name, "decimal": "," if comma else ".", "skip_lines": skipped, "comment": "#"}
    if head and not skipped:
        layout["skip_lines"] = len(head)
    unit, found = samples(text, **layout, **columns, header=has_header, time_unit="s")
    assert unit == "s"
    np.testing.assert_array_equal(found, values)


@settings(max_examples=40)
@given(
    values=NUMBERS, signs=st.lists(st.booleans(), min_size=6, max_size=6), scale=st.sampled_from([1.0, 1 / 64, -2.0])
)
def test_summed_and_negated_columns_are_sums(values, signs, scale):
    """Apple's -(gravity + user acceleration), and every other choice of signs."""
    minus = ["-" if sign else "" for sign in signs]
    columns = {
        axis: (f"{minus[2 * place]}g{axis}", f"{minus[2 * place + 1]}u{axis}") for place, axis in enumerate("xyz")
    }
    rows = [(index, *row[:3], *row[1:]) for index, row in enumerate(values)]
    text = "time_ms,gx,gy,gz,ux,uy,uz\n" + "".join(",".join(map(repr, row)) + "\n" for row in rows)
    _, found = samples(text, scale=scale, **columns)
    factors = [-1 if sign else 1 for sign in signs]
    for place in range(3):
        gravity, user = (np.array([row[start + place] for row in rows]) for start in (1, 4))
        expected = scale * (factors[2 * place] * gravity + factors[2 * place + 1] * user)
        np.testing.assert_allclose(found[:, 1 + place], expected, rtol=1e-12, atol=1e-9)


def test_a_name_that_begins_with_a_sign_is_a_name():
    assert samples("time_s,-x,y,z\n0,1,2,3\n1,1,2,3\n", x="-x", y="-y", z=-4)[1][0].tolist() == [0, 1, -2, -3]


MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1))


@settings(max_examples=60)
@given(moment=MOMENTS, hours=st.integers(-12, 14), separator=st.sampled_from("T "), colon=st.booleans())
def test_iso_is_microseconds_since_1970(moment, hours, separator, colon):
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    written = moment.strftime(f"%Y-%m-%d{separator}%H:%M:%S.%f")[:-3]
    columns = columns_of(Layout(header=False, time=1, time_unit="iso", x=2, y=3, z=4), [""] * 4)
    expected = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert columns.time_unit == "us"
    assert columns.clock(f"{written[:19]}:{written[20:]}" if colon else written) == expected
    zone = f"{'-' if hours < 0 else '+'}{abs(hours):02}"
    shifted = expected - hours * 3600 * 10**6
    assert [columns.clock(f"{written}{zone}:00"), columns.clock(f"{written} {zone}00")] == [shifted] * 2
    assert columns.clock(f"{written}Z") == expected


def test_a_format_of_its_own():
    layout = Layout(separator=";", header=False, time=1, time_unit="%d/%m/%Y %H:%M:%S.%f", x=2, y=3, z=4)
    assert columns_of(layout, [""] * 4).clock("31/12/1970 00:00:00.5") == (364 * 86400 + 0.5) * 10**6
    reader = SampleReader.open(
        io.StringIO("1/2/2020 00:00:00.0;0;0;1\n13/13/2020 0:0:0.0;0;0;1\n"), name="x", layout=layout
    )
    assert len(list(reader.rows())) == 1
    assert reader.bad.first.startswith("line 2: time data '13/13/2020 0:0:0.0' does not match")


@settings(max_examples=60)
@given(groups=st.lists(st.integers(49, 51), min_size=3, max_size=8), first=st.integers(1, 50), whole=st.booleans())
def test_rows_that_share_a_second_are_spread_at_the_stated_rate(groups, first, whole):
    """49 to 51 rows a second at 50 Hz: times increase, stay within their second and a sample, and none is lost."""
    stamps = [second for second, rows in enumerate([first, *groups]) for _ in range(rows)]
    text = "time_s,ax,ay,az\n" + "".join(f"{second}{'' if whole else '.0'},0,0,1\n" for second in stamps)
    _, found = samples(text, rate_hz=50.0)
    assert (np.diff(found[:, 0]) > 0).all()
    late = found[:, 0] - stamps
    assert late.min() >= 0
    assert late.max() <= 1 + 0.02 * len(groups) + 1e-9


def test_a_single_repeated_time_stays_repeated_in_effect():
    _, found = samples(
        "time_s,ax,ay,az\n0,0,0,1\n0.02,0,0,1\n0.02,0,0,1\n0.04,0,0,1\n0.06,0,0,1\n0.08,0,0,1\n", rate_hz=50.0
    )
    np.testing.assert_allclose(found[:, 0], [0, 0.02, 0.04, 0.06, 0.06, 0.08])


def test_without_times_the_rate_counts_and_a_bad_line_keeps_its_place():
    _, found = samples("ax,ay,az\n0,0,1\nx,0,1\n0,0,1\n0,0,1\n", rate_hz=25.0)
    np.testing.assert_allclose(found[:, 0], [0, 0.08, 0.12])
    _, found = samples("time_s,ax,ay,az\n7,0,0,1\n7,0,0,1\n", rate_hz=25.0, time="none")
    np.testing.assert_allclose(found[:, 0], [0, 0.04])


@pytest.mark.parametrize(
    ("layout", "what"),
    [
        ({"skip_lines": -1}, "skip_lines and rate_hz must not be negative, nor scale 0, got -1"),
        ({"scale": 0.0}, "nor scale 0"),
        ({"decimal": ","}, "separator and decimal are both a comma"),
        ({"time_unit": "minutes"}, "time_unit cannot be 'minutes'. Give s, ms, us, ns, iso"),
        ({"time": "none"}, "leaves the times to rate_hz, which is 0"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(layout, what):
    with pytest.raises(ConfigError, match=what):
        Layout(**layout)


@pytest.mark.parametrize(
    ("names", "layout", "what"),
    [
        (
            ["t", "x"],
            {"time": "t", "time_unit": "s", "x": 5},
            r"no column 5\. Columns are counted from 1 to 2",
        ),
        (
            ["", ""],
            {"header": False, "time": 1, "time_unit": "s"},
            r"'ax' is named, and header = false\. Give its",
        ),
        (["t", "ax", "ay", "az"], {"time": "t"}, r"the unit of the time column 't' is not known\. Write time_unit"),
    ],
)
def test_columns_that_are_not_there_are_refused(names, layout, what):
    with pytest.raises(ConfigError, match=what):
        columns_of(Layout(**layout), names)


def test_rows_of_one_person_are_read_out_of_many():
    text = "who,what,time_s,ax,ay,az\nann,walk,0,0,0,1\nbob,walk,0,0,0,2\nann,sit,1,0,0,3\nann,walk,1,0,0,4\n"
    reader = SampleReader.open(io.StringIO(text), name="x", only="who=ann;what=walk")
    assert [row.values[3] for row in reader.rows()] == [1, 4]
    with pytest.raises(DataError, match="rows says 'ann'"):
        SampleReader.open(io.StringIO(text), name="x", only="ann")


def test_the_command_line_reads_a_dataset_toml_and_single_keys(tmp_path: Path):
    path = tmp_path / "dataset.toml"
    path.write_text(
        'name = "n"\nunit = "m/s^2"\nrate_hz = 50\nlabels = ["a"]\n[axes]\nx = "-x"\n[layout]\nseparator = ";"\n'
    )
    found = described([path], {"decimal": ","})
    assert (found.unit, found.axes and found.axes.map) == ("m/s^2", "-x,y,z")
    assert found.text == Layout(separator=";", decimal=",", rate_hz=50)
    assert described([path], {"rate_hz": 25}).text.rate_hz == 25
    with pytest.raises(ConfigError, match=r"unknown key 'seperator' in the layout\.layout\. Did you mean 'separator'"):
        described([], {"seperator": ";"})
    with pytest.raises(DataError, match=r"no\.toml cannot be read as TOML"):
        described([tmp_path / "no.toml"], {})


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("said", ["s", "ms", "us", "ns"])
def test_times_in_another_unit_are_named(unit, said):
    per = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    times = [round(step * per[unit] / 50, 3) for step in range(100)]
    if unit == said:
        refuse_impossible_times(times, said, where="x")
        return
    with pytest.raises(DataError, match=rf"x: in {said} the rate is .* Hz; it looks like {unit}\. Name it time_{unit}"):
        refuse_impossible_times(times, said, where="x")


def test_a_slow_or_fast_rate_that_can_be_is_no_other_unit():
    assert {likely_unit(rate, "s") for rate in (0.5, 1, 25, 1000, 8000)} == {""}
    assert [likely_unit(rate, "s") for rate in (0.05, 5e-8, 1e-12)] == ["ms", "ns", ""]


def test_many_rows_of_one_time_are_refused_with_the_rate_to_state():
    text = "time_s,ax,ay,az\n" + "".join(f"{row // 50},0,0,1\n" for row in range(200))
    with pytest.raises(DataError, match=r"50 rows share a time\. State rate_hz in .* \(50\?\)"):
        samples(text)


# --- files


def test_plain_and_gzip_are_the_same_text_whatever_they_are_called(tmp_path: Path):
    text = "\ufefftime_s,ax,ay,az\r\n0,0,0,1\r\n\r\n0.02,0,0,1"
    for name, content in (("a.csv", text.encode()), ("b.csv", gzip.compress(text.encode())), ("c", text.encode())):
        (tmp_path / name).write_bytes(content)
        assert list(file_lines(tmp_path / name, name=name)) == ["time_s,ax,ay,az\n", "0,0,0,1\n", "\n", "0.02,0,0,1"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04zip", "x: it is a zip archive or a spreadsheet. Unpack it, or save it as CSV"),
        ("time_s".encode("utf-16"), "x: it is text in UTF-16. Save it in UTF-8"),
        (b"SQLite format 3", "x: it is a database"),
        (gzip.compress(b"time_s,ax\n" * 9000)[:60], "x, after line .*: the gzip file is damaged"),
        (gzip.compress((b" " * 1023 + b"\n") * 2**16, 1), "x: unpacked, it is more than 100 times as long"),
        (gzip.compress(b"1" * 10**6), f"x, line 1: it has more than {LONGEST_LINE_BYTES} bytes"),
        (b"time_s\n" + b"1" * (LONGEST_LINE_BYTES + 1), f"x, line 2: it has more than {LONGEST_LINE_BYTES} bytes"),
        (b"ok\nmagnitude (m/s\xb2)\n", r"x, line 2: byte 0xb2 is not UTF-8 \(Latin-1\?\)"),
    ],
    # A gzip file holds the time when it was made, and each worker of the tests makes its own.
    ids=["zip", "UTF-16", "database", "cut gzip", "bomb", "long line in gzip", "long line", "Latin-1"],
)
def test_what_is_no_text_is_named(tmp_path: Path, content: bytes, what: str):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=what):
        list(file_lines(tmp_path / "x", name="x"))


def test_a_gzip_file_of_few_megabytes_may_repeat_itself(tmp_path: Path):
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"0,0,0,1\n" * 200_000))
    assert sum(1 for _ in file_lines(tmp_path / "x.csv.gz", name="x")) == 200_000


def test_a_missing_file_is_said(tmp_path: Path):
    with pytest.raises(DataError, match=r"no\.csv: cannot be read \(No such file or directory\)"):
        list(file_lines(tmp_path / "no.csv", name="no.csv"))


def test_an_empty_cell_is_nan():
    assert math.isnan(Layout().number(" "))


PHONE = Described(
    Layout(separator=";", decimal=",", time="Zeit \"s\"", time_unit="s", x=("-ä", "b"), y=2, z="c", scale=-0.5),
    unit="m/s^2", axes=AxisNames("-y", "x"), rate_hz=50.0,
)  # fmt: skip


@pytest.mark.parametrize("files", [PHONE, Described(), Described(unit="g"), Described(axes=AxisNames(z="-z"))])
def test_what_files_are_survives_a_bundle(files: Described, tmp_path: Path):
    (tmp_path / "layout.toml").write_text(files.as_toml(), encoding="utf-8")
    assert described([tmp_path / "layout.toml"], {}) == files


METRES = Described(unit="m/s^2", axes=AxisNames("-y", "x"))


@pytest.mark.parametrize(
    ("line", "trained_on", "unit", "x", "said"),
    [
        ("time_s,ax,ay,az", None, None, "ax", ""),
        ("time_ms,az_g,ay_g,ax_g,note", None, "g", "ax_g", ""),
        ("t,x,y,z", None, None, "ax", ""),  # which the reader refuses
        ("time_s,ax,ay,az", METRES, "m/s^2", "ax", "trained on: m/s^2, axes -y,x,z; --unit"),
        ("time_s,ax,ay,az", Described(unit="g"), "g", "ax", "trained on: g; --unit"),
        ("\ufefftime_s,ax_g,ay_g,az_g", METRES, "g", "ax_g", "read in g, as its columns say; the model was trained on"),
        ("time_s,ax_ms2,ay_ms2,az_ms2", METRES, "m/s^2", "ax_ms2", ""),
        ('"Zeit ""s"" ";b;c', PHONE, "m/s^2", ("-ä", "b"), "trained on: m/s^2, axes -y,x,z"),
        ("time_s,ax,ay,az", PHONE, None, "ax", "read in g: its columns are not those"),
        ("time_s,ax,ay,az", Described(Layout(header=False), "m/s^2"), None, "ax", "read in g: its columns are not"),
        ("0.02,1,2,3", Described(Layout(header=False, time=1), "m/s^2"), "m/s^2", "ax", "trained on: m/s^2"),
    ],
)
def test_a_file_is_as_the_models_own_unless_its_first_line_says_otherwise(line, trained_on, unit, x, said):
    found, sentence = of_first_line(line, trained_on)
    assert (found.unit, found.layout.x) == (unit, x)
    assert said in sentence
    assert bool(said) == bool(sentence)
