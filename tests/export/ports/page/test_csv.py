"""The page reads the CSV files that ``vskd run --layout`` reads, to the same samples, or says what it takes."""

from __future__ import annotations

import io

import numpy as np
import pytest

from export.ports.page.node import NEEDS_NODE, Node
from vskd.commands.input_option import toml_values
from vskd.sources.csv import SampleReader
from vskd.sources.layout import described, of_first_line

pytestmark = NEEDS_NODE

ROWS = [(0.02 * row, 0.1 * row, -1.5 + 0.01 * row, 9.81) for row in range(60)]
DECIMAL = "\n".join(";".join(f"{value:.4f}".replace(".", ",") for value in row) for row in ROWS)
WHOLE_NS = 1_764_000_000_123_456_789


def table(head: str, form: str = "{:.3f},{:.4f},{:.4f},{:.4f}") -> str:
    return "\n".join([head, *(form.format(*row) for row in ROWS), ""])


HOLES = "2.0,,nan,1\nrubbish\n2.1,1_0,2,3\n2.2,1,2,3,4\n2.3,inf,-Infinity,.5e1\n"
SEPARATED = "separator=;\ndecimal=,\nskip_lines=2\nx=vx\ny=vy\nz=vz\ntime=t\ntime_unit=s"
TABS = "separator=tab\nheader=false\ntime=4\ntime_unit=s\nx=-1\ny=2\nz=3\nscale=0.5"
BLANKS = "separator=blanks\ncomment=%\nheader=false\ntime=1\ntime_unit=s\nx=2\ny=3\nz=4"
SUMS = "x=['gx', '-ux']\ny=[\"gx\", 'ux']\nz=-ux\ntime=clock\ntime_unit=s"


def shared(head: str, times: list[int]) -> str:
    return "\n".join([head, *(f"{when},{row},2,3" for row, when in enumerate(times))])


#: Layout of ``--layout``, and a file.
FILES = {
    "plain": ("", table("time_s,ax,ay,az")),
    "states g": ("", table("note,time_s,ax_g,ay_g,az_g", "x,{0:.3f},{1:.3f},{2:.3f},{3:.3f}")),
    "states m/s^2": ("", table("time_s,ax_ms2,ay_ms2,az_ms2", "{0:.3f},{1:.3f},{2:.3f},{3:.3f}")),
    "more columns": ("", "\ufeff" + table('hr,"az",ax,time_s,ay', '61,"{3:.3f}", {1:.3f},{0:.3f},{2:.3f}')),
    "whole ns": ("", shared("time_ns,ax,ay,az", [WHOLE_NS + 20_000_001 * row for row in range(30)])),
    "holes and damage": ("", table("time_s,ax,ay,az") + HOLES),
    "decimal commas": (SEPARATED, f"a\nb\nt;vx;vy;vz\n{DECIMAL}\n"),
    "tabs, no header": (TABS, table("#", "{1:.3f}\t{2:.3f}\t{3:.3f}\t{0:.3f}").partition("\n")[2]),
    "blanks": (BLANKS, "% made by hand\n" + table("", "  {0:.6f}   {1:.3f} {2:.3f}\t{3:.3f}")[1:]),
    "no time": ("time=none\nrate_hz=40", table("ax,ay,az", "{1:.3f},{2:.3f},{3:.3f};")),
    "sums of columns": (SUMS, table("clock,gx,ux,other")),
    "dates": ("time=when\ntime_unit=iso", table("when,ax,ay,az", "2025-11-27 10:00:0{0:.6f} +01:00,{1:.3f},{2:.3f},1")),
    "seconds shared": ("rate_hz=10", shared("time_s,ax,ay,az", [row // 11 for row in range(60)])),
    "ns shared": ("rate_hz=50", shared("time_ns,ax,ay,az", [WHOLE_NS + row // 10 * 200_000_000 for row in range(60)])),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_by_vskd_run(node: Node, name: str) -> None:
    layout, text = FILES[name]
    keys = dict(line.split("=", 1) for line in layout.splitlines())
    said = described([], toml_values(keys)) if keys else of_first_line(text.partition("\n")[0], None)[0]
    reader = SampleReader.open(io.StringIO(text), name=name, layout=said.text)
    chunks = list(reader.chunks(rows=1024))
    found = node("csv", text=text, layout=layout)
    assert isinstance(found, dict), found
    assert (found.get("unit"), found["timeUnit"], found["bad"]) == (said.unit, reader.time_unit, reader.bad.count)
    time, xyz = np.concatenate([one.time for one in chunks]), np.concatenate([one.xyz for one in chunks])
    if time.dtype.kind == "i":
        assert [int(one) for one in found["time"]] == time.tolist()
    else:
        assert list(map(float, found["time"])) == pytest.approx(time.tolist(), abs=1e-9)
    rows = [[float(one.replace("Infinity", "inf")) for one in row] for row in found["xyz"]]
    np.testing.assert_array_equal(np.array(rows), xyz)


@pytest.mark.parametrize(
    ("layout", "text", "says"),
    [
        ("", "time_s;ax;ay;az\n0;1;2;3\n", 'seem to be separated by ;: write separator = ";"'),
        ("", "0,1,2,3\n", "lacks 'ax'"),
        ("", "time_s,time_ms,ax,ay,az\n", "2 time columns: time_s, time_ms"),
        ("", "time_s,ax,ay,az\nx,1,2,3\n", "Of 1 lines 1 are no samples"),
        ("time=t", "t,ax,ay,az\n", "write time_unit"),
        ("x=9", "time_s,ax,ay,az\n", "There is no column 9; they count from 1 to 4"),
        ("header=false\nx=ax", "0,1,2,3\n", "'ax' is named, and header = false"),
        ("time_unit='%H:%M'", "time_s,ax,ay,az\n", "in this page. It takes: s ms us ns iso. vskd run also takes"),
        ("colour=red", "", "no key colour. It has: separator, decimal"),
        ("decimal=,", "", "both a comma"),
        ("time=none", "", "needs rate_hz"),
        ("just words", "", "is no key = value"),
    ],
)
def test_what_the_page_does_not_take_is_said(node: Node, layout: str, text: str, says: str) -> None:
    assert says in node("csv", text=text, layout=layout)
