"""The report in a real browser: every figure is there, nothing is wider than the screen, and nothing complains.

A probe page holds the report in two frames, one as wide as a phone and one as wide as a desk, looks into both, and
leaves what it saw in its own text.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from vskd_benchmarks.report.html import PAGE, write_report

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")

QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
)  # fmt: skip

WIDTHS = (400, 1200)

PROBE = """<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">{frames}<pre id="seen"></pre><script>
function look(frame) {{
  const page = frame.contentDocument, width = page.documentElement.clientWidth;
  const images = [...page.images];
  const visible = element => getComputedStyle(element).clipPath === "none" && !element.closest("thead");
  return {{
    width: width, scroll: page.documentElement.scrollWidth, images: images.length,
    broken: images.filter(image => !image.complete || image.naturalWidth === 0).length,
    small: images.filter(image => image.getBoundingClientRect().width < 250).length,
    beyond: [...page.body.querySelectorAll("*")].filter(
      element => visible(element) && element.getBoundingClientRect().right > width + 1).map(element => element.tagName),
  }};
}}
window.addEventListener("load", () => {{
  document.getElementById("seen").textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(look));
}});
</script>"""


def browse(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [CHROMIUM, *QUIET, f"--user-data-dir={folder / 'profile'}", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


def seen(folder: Path, page: str) -> tuple[list[dict[str, object]], list[str]]:
    """What the probe saw of a page in each frame, and what the console of the browser printed."""
    frames = "".join(f'<iframe width="{w}" height="900" srcdoc="{html.escape(page)}"></iframe>' for w in WIDTHS)
    probe = folder / "probe.html"
    probe.write_text(PROBE.format(frames=frames), encoding="utf-8")
    done = browse(folder, "--window-size=1700,1000", "--virtual-time-budget=5000", "--dump-dom", probe.as_uri())
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None
    return json.loads(html.unescape(found[1])), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


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
