"""Sensor files of any content: read, or refused as broken; what is kept is in order and finite, the rest is counted."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vskd.sources.layout import Layout
from vskd_training.datasets.files.pgm import read_pgm
from vskd_training.datasets.files.sensor_csv import drop_bad_samples, read_lines, read_sensor
from vskd_training.datasets.recording import BrokenFileError, Defect

IN_ONE_FOLDER = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
CELL = st.one_of(
    st.floats(-1e3, 1e3).map(str),
    st.integers(-9, 99).map(str),
    st.sampled_from(["", "nan", "inf", "-inf", "x", "1e999", "1e300", '"']),
)
TABLE = st.lists(st.lists(CELL, min_size=3, max_size=5).map(",".join), max_size=12).map("\n".join)


HEADS = ["time_s,ax,ay,az", "time_ns,ax,ay,az", "ax,ay,az", "", "az,time_s,ay,ax,note"]


def refusal(read: Callable[[], object]) -> Defect | None:
    """The defect with which a file is refused, or None; any other exception fails the test."""
    try:
        read()
    except BrokenFileError as error:
        return error.defect
    return None


@IN_ONE_FOLDER
@given(body=TABLE, head=st.sampled_from(HEADS))
@example(body="0,0,0,1\n0,0,0,1\n1,0,0,1", head="time_s,ax,ay,az")
def test_any_table_is_read_or_refused(tmp_path: Path, body: str, head: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"{head}\n{body}")
    if defect := refusal(lambda: read_sensor(path, where="x.csv", layout=Layout(rate_hz=50.0))):
        assert defect.left_out
        assert defect.where.startswith("x.csv")
        return
    table = read_sensor(path, where="x.csv", layout=Layout(rate_hz=50.0))
    assert len(table.time_s) >= 2
    assert np.isfinite(table.xyz).all()
    assert (np.diff(table.time_s) > 0).all()
    rows = sum(bool(line.strip()) for line in body.splitlines())
    dropped = sum(int(found[0]) if (found := re.findall(r"^\d+", d.what)) else 1 for d in table.defects)
    assert len(table.time_s) + dropped == rows


@IN_ONE_FOLDER
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    for read in (
        lambda: read_sensor(path, where="x", layout=Layout()),
        lambda: read_lines(path, where="x", parse=four_numbers),
        lambda: read_pgm(path, where="x"),
    ):
        defect = refusal(read)
        assert defect is None or defect.where.startswith("x")


def four_numbers(line: str) -> tuple[float, float, float, float]:
    time_s, x, y, z = (float(cell) for cell in line.split())
    return time_s, x, y, z


@given(times=st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, -1.0, math.nan, math.inf]), max_size=12))
def test_what_is_kept_increases_and_what_is_not_is_counted(times: list[float]) -> None:
    values = np.arange(len(times), dtype=np.float64)[:, np.newaxis] * [1, 1, 1]
    seconds = np.array(times, dtype=np.float64)
    try:
        kept_s, kept, defects = drop_bad_samples(seconds, values, where="x", lines=range(2, len(times) + 2))
    except BrokenFileError:
        return  # times that most samples share, as whole seconds; test_clock has its rule
    assert (np.diff(kept_s) > 0).all()
    assert len(kept_s) == len(kept)
    counts = {defect.kind: int(defect.what.split()[0]) for defect in defects}
    moved = counts.pop("samples out of order", 0) + 100 * counts.pop("clock resets", 0)
    moved += counts.pop("packets that share a time", 0)
    assert sum(counts.values()) == len(times) - len(kept)
    assert counts.get("values that are no numbers", 0) == sum(not math.isfinite(one) for one in times)
    if not moved:
        np.testing.assert_array_equal(kept_s, seconds[kept[:, 0].astype(int)])


def test_columns_come_in_any_order_and_further_ones_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("\ufeffaz, gx,ay,time_ms,ax,note\n3,7,2,0,1,hello\n30,70,20,20,10,\n")
    table = read_sensor(path, where="x.csv", layout=Layout(), further=("gx",))
    np.testing.assert_array_equal(table.xyz, [[1, 2, 3], [10, 20, 30]])
    np.testing.assert_array_equal(table.further, [[7], [70]])
    np.testing.assert_allclose(table.time_s, [0, 0.02])
    with pytest.raises(BrokenFileError, match="lacks 'gz'"):
        read_sensor(path, where="x.csv", layout=Layout(), further=("gz",))
