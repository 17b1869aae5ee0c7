"""The report in a real browser: every figure is there, nothing is wider than the screen, and nothing complains."""

from __future__ import annotations

import pytest
from PIL import Image

from browser import CHROMIUM, browse, seen
from vskd_benchmarks.report.html import PAGE, write_report

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")


def test_a_report_fits_a_phone_and_a_desk_and_shows_every_figure(reported, tmp_path):
    page = (reported / "report" / PAGE).read_text(encoding="utf-8")
    frames, console = seen(tmp_path, page)
    assert console == []
    assert len(frames) == 2
    for frame in frames:
        assert frame["scroll"] <= frame["width"]
        assert (frame["images"], frame["broken"], frame["small"], frame["beyond"]) == (8, 0, 0, [])
    assert frames[0]["width"] <= 400


def test_energy_and_profile_fit_a_phone_and_a_desk(make_result, under, tmp_path):
    folder = make_result(tmp_path / "result", edit=under("pi-4"))
    frames, console = seen(tmp_path, write_report(folder).read_text(encoding="utf-8"))
    assert console == []
    assert [(frame["scroll"] <= frame["width"], frame["broken"], frame["beyond"]) for frame in frames] == [
        (True, 0, [])
    ] * 2


def test_the_probe_sees_what_is_wrong(tmp_path):
    bad = '<body><img src="data:image/png;base64,AAAA"><div style="width: 2000px">x</div><script>nothing()</script>'
    frames, console = seen(tmp_path, bad)
    assert [(frame["broken"], frame["beyond"]) for frame in frames] == [(1, ["DIV"])] * 2
    assert all(frame["scroll"] > frame["width"] for frame in frames)
    assert any("nothing is not defined" in line for line in console)


def test_the_plots_are_painted(reported, tmp_path):
    page = reported / "report" / PAGE
    screenshot = tmp_path / "page.png"
    browse(tmp_path, "--window-size=1200,7000", f"--screenshot={screenshot}", page.as_uri())
    with Image.open(screenshot) as image:
        assert image.size == (1200, 7000)
        colours = {colour: count for count, colour in image.convert("RGB").getcolors(2**24)}
    for name in ("0072B2", "D55E00", "009E73"):  # marks and lines of the plots; the page itself uses none of them so
        assert colours[tuple(bytes.fromhex(name))] > 200
