"""The file of a power meter: its columns, its clock, and every way in which it can be wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd.errors import DataError
from vskd_benchmarks.device.power_meter import read_power_meter

#: The run starts at this time of both clocks.
UNIX_NS, MONOTONIC_NS = 1_700_000_000_250_000_000, 5_000_000_000


def read(path, text, **how):
    path.write_text(text, encoding="utf-8")
    usual = {"clock": "unix", "offset_s": 0.0, "unix_ns": UNIX_NS, "monotonic_ns": MONOTONIC_NS}
    return read_power_meter(path, **{**usual, **how})


def test_power_by_unix_time(tmp_path):
    found = read(tmp_path / "m.csv", "time_s,power_w\n1700000000.25,1.5\n1700000001.25,2.5\n")
    assert np.abs(found.time_ns - [0, 10**9]).max() < 1000
    assert found.power_w.tolist() == [1.5, 2.5]
    assert not found.means


def test_voltage_and_current_beside_other_columns_in_any_order(tmp_path):
    text = "channel,current_a,time_s,voltage_v\nusb,0.2,1700000000.25,5\n\nusb,0.3,1700000001.25,5.1\n"
    assert read(tmp_path / "m.csv", text).power_w.tolist() == pytest.approx([1.0, 1.53])


def test_this_machines_own_monotonic_clock(tmp_path):
    found = read(tmp_path / "m.csv", "time_s,power_w\n4.5,1\n6.0,1\n", clock="monotonic")
    assert found.time_ns.tolist() == [-500_000_000, 1_000_000_000]


def test_a_meter_that_counts_from_its_start_takes_an_offset(tmp_path):
    found = read(tmp_path / "m.csv", "time_s,power_w\n0.0,1\n2.0,1\n", offset_s=1_700_000_000.25)
    assert np.abs(found.time_ns - [0, 2 * 10**9]).max() < 1000


@given(st.floats(-1e6, 1e6), st.lists(st.floats(0.001, 100), min_size=2, max_size=30))
def test_an_offset_moves_every_reading_alike(tmp_path_factory, offset_s, steps):
    path = tmp_path_factory.mktemp("meter") / "m.csv"
    seconds = np.cumsum(steps)
    text = "time_s,power_w\n" + "".join(f"{second!r},1\n" for second in seconds.tolist())
    plain = read(path, text, clock="monotonic")
    moved = read(path, text, clock="monotonic", offset_s=offset_s)
    assert np.abs(moved.time_ns - plain.time_ns - offset_s * 1e9).max() < 1000


def test_a_line_that_is_still_being_written_is_left_out(tmp_path):
    found = read(tmp_path / "m.csv", "time_s,power_w\n1700000001,1\n1700000002,2\n17000")
    assert found.power_w.tolist() == [1.0, 2.0]


def test_a_file_with_nothing_but_its_header_will_do_before_the_run(tmp_path):
    assert read(tmp_path / "m.csv", "time_s,power_w\n", partial=True).power_w.size == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column time_s, it has none"),
        ("time_s,power_mw\n1,2\n", "has no column voltage_v, it has time_s, power_mw"),
        ("time_s,voltage_v\n1,2\n", "has no column current_a"),
        ("seconds,power_w\n1,2\n", "has no column time_s, it has seconds, power_w"),
        ("time_s,power_w\n", "holds no readings"),
        ("time_s,power_w\n1700000001,x\n", "line 2: '1700000001,x' holds no number"),
        ("time_s,power_w\n1700000001,1\n1700000002\n", "line 3: '1700000002' holds no number"),
        ("time_s,power_w\n1700000001,nan\n", "line 2: '1700000001,nan' is not finite"),
        ("time_s,power_w\n1700000002,1\n1700000001,1\n", "line 3: time_s is 1700000001.0 after 1700000002.0"),
        ("time_s,power_w\n1700000002,1\n1700000002,1\n", "time does not rise"),
        ("time_s,power_w\n12.5,1\n", r"time_s starts at 12\.5 s, which is no Unix time"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path / "m.csv", text)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*gone\.csv"):
        read_power_meter(tmp_path / "gone.csv", clock="unix", offset_s=0.0, unix_ns=0, monotonic_ns=0)
    (tmp_path / "m.csv").write_bytes(b"time_s,power_w\n\xff\xfe\n")
    with pytest.raises(DataError, match=r"cannot read .*m\.csv"):
        read_power_meter(tmp_path / "m.csv", clock="unix", offset_s=0.0, unix_ns=0, monotonic_ns=0)
