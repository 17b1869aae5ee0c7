"""``report.html``: whole, self-contained, and the report's own words."""

from __future__ import annotations

import base64
import html
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from browser import CHROMIUM, seen
from vskd.bundle import Bundle
from vskd.checks.golden import read_golden
from vskd.contract import Contract
from vskd_export.package.page import page
from vskd_export.package.pictures import pictures, png
from vskd_export.package.report import ExportReport


class _Reader(HTMLParser):
    """Checks that tags are closed in order, and keeps what a browser would show."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(content: bytes) -> _Reader:
    reader = _Reader()
    reader.feed(content.decode())
    assert reader.open == []
    return reader


def test_the_page_of_a_real_export_is_whole_and_needs_nothing_else(bundle: Bundle) -> None:
    reader = read(bundle.checked_path("report.html").read_bytes())

    sources = [value or "" for name, value in reader.attributes if name in ("src", "href", "onload")]
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    text = " ".join(reader.text)
    assert "@import" not in text
    assert "url(" not in text
    for word in ("Every limit of the gate is kept", "trunk/layer1/0/conv1+relu", "rest", "fast", "bytes of arena"):
        assert word in text


def test_it_tells_the_figures_of_the_report(exported: ExportReport, bundle: Bundle) -> None:
    text = bundle.checked_path("report.html").read_text()
    for row in exported.content["quantized"]:
        assert f"{row['flips']}, {100 * row['flip_rate']:.2f} %" in text
    for row in exported.content["parity"]:
        assert f"{row['largest_difference']:.1e}" in text
    rows = re.findall(r'<span class="bar" style="width: ([0-9.]+)%">', text)
    layers = [layer for table in exported.content["layers"].values() for layer in table["layers"]]
    assert [float(width) for width in rows] == pytest.approx([layer["sqnr_db"] / 0.6 for layer in layers])


def test_it_shows_four_recorded_windows_each_of_another_activity(exported: ExportReport, bundle: Bundle) -> None:
    golden, contract = read_golden(bundle), bundle.contract
    shown = pictures(golden, contract)
    assert len({picture.label for picture in shown}) == len(shown) == 4
    text = bundle.checked_path("report.html").read_text()
    assert text.count("<polyline") == 4 * 3
    assert text.count("data:image/png") == 4 * 3
    sizes = {Image.open(io.BytesIO(base64.b64decode(image))).size for picture in shown for image in picture.images}
    assert sizes == {(contract.gaf.size, contract.gaf.size)} if contract.gaf else not sizes
    for points in (curve.split() for picture in shown for curve in picture.curves):
        assert len(points) == contract.window.samples
        assert all(0 <= float(number) <= 320 for point in points for number in point.split(","))


def test_an_image_keeps_its_values_as_colours() -> None:
    pixels = np.array([[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [0, 0, 255]]], np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(pixels)))), pixels)


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
def test_the_page_fits_a_phone_and_a_desk(bundle: Bundle, tmp_path: Path) -> None:
    frames, console = seen(tmp_path, bundle.checked_path("report.html").read_text())
    assert console == []
    assert [(frame["scroll"] <= frame["width"], frame["broken"], frame["beyond"]) for frame in frames] == [
        (True, 0, [])
    ] * 2


def test_what_is_wrong_stands_at_the_top_and_nothing_can_break_out(exported: ExportReport, contract: Contract) -> None:
    message = "model <b>x</b> loses 9.00% & more"
    content = {
        **exported.content,
        "leaky": True,
        "degraded": [{"message": message, "remedies": ["mend <it>", "leave it"]}] * 2,
    }
    text = page(content, contract).decode()

    read(text.encode())
    assert html.escape(message) in text
    assert "<b>x</b>" not in text
    assert text.count("<li>mend &lt;it&gt;</li>\n<li>leave it</li>") == 1
    assert text.index("Degraded.") < text.index("LEAKY.") < text.index("What the models expect")
    assert "Every limit of the gate is kept" not in text
    # What was refused is no bundle, and nobody can use or repeat it.
    refused = page({**content, "refused": True}, contract).decode()
    for only_of_a_bundle in ("How to use this", "vskd verify .", "To repeat"):
        assert only_of_a_bundle in text
        assert only_of_a_bundle not in refused
