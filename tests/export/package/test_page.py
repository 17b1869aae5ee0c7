"""``report.html``: whole, self-contained, and the report's own words."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest

from vskd.bundle import Bundle
from vskd.contract import Contract
from vskd_export.package.page import page
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

    assert not [name for name, _ in reader.attributes if name in ("src", "href", "onload")]
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


def test_what_is_wrong_stands_at_the_top_and_nothing_can_break_out(exported: ExportReport, contract: Contract) -> None:
    message = "model <b>x</b> loses 9.00% & more"
    content = {
        **exported.content,
        "leaky": True,
        "degraded": [{"message": message, "remedies": ["mend <it>", "leave it"]}],
    }
    text = page(content, contract).decode()

    read(text.encode())
    assert html.escape(message) in text
    assert "<b>x</b>" not in text
    assert "Remedies: mend &lt;it&gt;; or leave it." in text
    assert text.index("Degraded.") < text.index("LEAKY.") < text.index("What the models expect")
    assert "Every limit of the gate is kept" not in text
