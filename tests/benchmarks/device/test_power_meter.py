"""The file of a power meter: its columns, its clock, and every way in which it can be wrong."""

from __future__ import annotations

import numpy as np
import pytest

from vskd.errors import DataError
from vskd_benchmarks.device.power_meter import read_power_meter

#: The run starts at this time.
UNIX_NS = 1_700_000_000_250_000_000


def read(path, text):
    path.write_text(text, encoding="utf-8")
    return read_power_meter(path, unix_ns=UNIX_NS)


def test_power_by_unix_time(tmp_path):
    found = read(tmp_path / "m.csv", "time_s,power_w\n1700000000.25,1.5\n1700000001.25,2.5\n")
    assert np.abs(found.time_ns - [0, 10**9]).max() < 1000
    assert found.power_w.tolist() == [1.5, 2.5]


def test_voltage_and_current_beside_other_columns_in_any_order(tmp_path):
    text = "channel,current_a,time_s,voltage_v\nusb,0.2,1700000000.25,5\n\nusb,0.3,1700000001.25,5.1\n"
    assert read(tmp_path / "m.csv", text).power_w.tolist() == pytest.approx([1.0, 1.53])


def test_a_line_that_is_still_being_written_is_left_out(tmp_path):
    found = read(tmp_path / "m.csv", "time_s,power_w\n1700000001,1\n1700000002,2\n17000")
    assert found.power_w.tolist() == [1.0, 2.0]


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


def test_a_meter_that_counts_from_its_start_gets_the_way_out(tmp_path):
    with pytest.raises(DataError, match="which is no Unix time") as caught:
        read(tmp_path / "m.csv", "time_s,power_w\n0.0,1\n2.0,1\n")
    assert caught.value.hint == "Add the Unix time of the meter's zero to time_s"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*gone\.csv"):
        read_power_meter(tmp_path / "gone.csv", unix_ns=0)
    (tmp_path / "m.csv").write_bytes(b"time_s,power_w\n\xff\xfe\n")
    with pytest.raises(DataError, match=r"cannot read .*m\.csv"):
        read_power_meter(tmp_path / "m.csv", unix_ns=0)
