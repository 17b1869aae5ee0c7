"""``report.html``: the report for people, one file that needs nothing else, for a phone, a screen and paper.

Beside pictures of golden windows it holds nothing that ``report.json`` does not hold, and no date, so that equal
reports give equal pages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vskd.checks.golden import Golden
from vskd.contract import Contract
from vskd.description import contract_in_words
from vskd.pages import Table, number_of, parts
from vskd_export.judge.violations import remedies
from vskd_export.package.pictures import pictures

_TEMPLATE = Path(__file__).with_name("page.html.j2")


def page(content: Mapping[str, Any], contract: Contract, golden: Golden | None = None) -> bytes:
    """The page, UTF-8.

    Parameters
    ----------
    content : of ``report.json``
    contract : of the bundle
    golden : of the bundle, for the pictures; a refused export has none
    """
    from jinja2 import DictLoader, Environment, StrictUndefined

    environment = Environment(
        loader=DictLoader(parts()), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": _percent, "small": _small, "number_of": number_of}
    text = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        contract=Table("", "", ("", ""), tuple(contract_in_words(contract)), names=2),
        report=content,
        remedies=remedies(content["degraded"]),
        figures=list(_figures(content)),
        pictures=[] if golden is None else pictures(golden, contract),
        models=_models(content),
        ports=_ports(content),
        boards=_boards(content),
        parity=_parity(content),
        quantized=_quantized(content),
        lost=_lost(content, contract.labels),
        origin=_origin(content),
        provenance=json.dumps(content["provenance"], indent=2, sort_keys=True),
    )
    return text.encode()


def _figures(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The figures to see first: what they are, and they."""
    if "accuracy" in report["torch"]:
        yield "trained network, accuracy on held-out windows", _percent(report["torch"]["accuracy"])
    for row in report["quantized"]:
        if row["accuracy"] is not None:
            yield f"{row['file']} in {row['engine']}", _percent(row["accuracy"])
    sizes = sorted((model["size_bytes"], file) for file, model in report["models"].items())
    yield f"smallest file, {sizes[0][1]}", f"{sizes[0][0] / 1e3:,.0f} kB"
    if "arena_bytes" in report["micro"]:
        yield "memory on a microcontroller (arena)", f"{report['micro']['arena_bytes'] / 1e3:,.0f} kB"


def _models(report: Mapping[str, Any]) -> Table:
    rows = tuple(
        (
            file,
            report["recipes"][file]["meaning"],
            report["graphs"][file]["version"],
            f"{model['size_bytes'] / 1e6:.2f}",
            f"{report['sizes'][file]['file_ratio']:.2f}" if file in report["sizes"] else "",
            f"{report['graphs'][file]['macs'] / 1e6:.1f}",
        )
        for file, model in report["models"].items()
    )
    return Table("", "", ("file", "what it is", "format", "MB", "times smaller", "million MACs"), rows, names=3)


def _ports(report: Mapping[str, Any]) -> Table:
    """One row for each port, on each machine that it was replayed on."""
    rows = tuple(
        (f"{row['port']}: {row['not_replayed']}", *([""] * 5))
        if row["not_replayed"]
        else (
            row["port"],
            *(f"{row[f'{what}_equal']} of {row[whole]}" for what, whole in _COUNTS),
            *("" if row[key] is None else f"{row[key]:,}" for key in ("bytes", "ram_bytes")),
        )
        for row in report.get("ports", ())
    )
    caption = (
        "Replayed with golden windows and streams at export; equal to the int8 model as vskd executes it in Python. "
        "Bytes: of a whole firmware; of what a browser fetches of core and network; of the network in Kotlin. RAM: "
        "state and stack in C, the module's memory in WebAssembly. Emulated boards replay fewer windows."
    )
    return Table("", caption, ("port", "bits equal", "labels equal", "events equal", "bytes", "RAM, bytes"), rows)


#: What a port's row counts: equal ones, and all of them.
_COUNTS = (("windows", "windows"), ("labels", "windows"), ("events", "events"))


def _boards(report: Mapping[str, Any]) -> Table:
    keys = ("flash_bytes", "state_bytes", "stack_bytes", "per_window", "network", "encoder", "longest_push")
    headings = (
        "processor", "flash, bytes", "state, bytes", "stack, bytes", "instructions a window", "of the network",
        "of the encoder", "of the longest push",
    )  # fmt: skip
    rows = tuple(
        (board["processor"], *(f"{board[key]:,}" for key in keys)) for board in report.get("port", {}).get("boards", ())
    )
    caption = "The whole path from the sensor to the event, emulated. Instructions are no time."
    return Table("On a microcontroller", caption, headings, rows)


def _parity(report: Mapping[str, Any]) -> Table:
    rows = tuple(
        (
            f"{row['engine']} {row['version']}",
            row["file"],
            row["window"],
            _small(row["largest_difference"]),
            _small(row["limit"]),
            str(row["flips"]),
        )
        for row in report["parity"]
    )
    headings = ("engine", "file", "in window", "largest difference of a logit", "limit", "labels changed")
    return Table("", "", headings, rows, names=3)


def _quantized(report: Mapping[str, Any]) -> Table:
    rows = tuple(
        (
            f"{row['engine']} {row['version']}",
            row["file"],
            "not known" if row["accuracy"] is None else _percent(row["accuracy"]),
            f"{_percent(row['macro_f1_loss'])} ({_percent(row['macro_f1_loss_limit'])})",
            f"{row['flips']}, {_percent(row['flip_rate'])} ({_percent(row['flip_rate_limit'])})",
            _percent(row["largest_flipped_margin"]),
            f"{_percent(row['nearest_changed'])} ({_percent(row['nearest_changed_limit'])})",
            f"{row['worst_class']}: {_percent(row['worst_class_loss'])} ({_percent(row['worst_class_loss_limit'])})",
        )
        for row in report["quantized"]
    )
    headings = (
        "engine", "file", "accuracy", "macro-F1 lost (limit)", "labels changed (limit)", "largest margin among them",
        "nearest examples changed (limit)", "worst class (limit)",
    )  # fmt: skip
    return Table("", "", headings, rows, names=2)


def _lost(report: Mapping[str, Any], labels: tuple[str, ...]) -> Table:
    """Of each class, what it loses by integers; the worst first."""
    found = report["quantized"]
    known = [label for label in labels if found and label in found[0]["class_loss"]]
    known.sort(key=lambda label: -max(row["class_loss"][label] for row in found))
    rows = tuple((label, *(f"{100 * row['class_loss'][label]:.2f}" for row in found)) for label in known)
    headings = ("class", *(f"{row['file']} in {row['engine']}" for row in found))
    caption = "F1 of the trained network less F1 of the quantized model, points; below zero the class gains."
    return Table("What each class loses", caption, headings, rows)


def _origin(report: Mapping[str, Any]) -> Table:
    held_out = "judged on training subjects" if report["seen_in_training"] else "held-out subjects"
    counts = (f"{label} {one['training']} / {one['judged']}" for label, one in report["classes"].items())
    rows = (
        ("trained on", report["trained_on"] or "unknown"),
        (held_out, ", ".join(report["held_out"]["subjects"])),
        (
            "calibration subjects",
            f"{', '.join(report['calibration']['subjects'])}; "
            f"SHA-256 of the windows {report['calibration']['sha256'][:16]}",
        ),
        ("windows of each activity, training / judged", ", ".join(counts)),
        ("versions", ", ".join(f"{package} {version}" for package, version in report["versions"].items())),
    )
    return Table("", "", ("", ""), rows, names=2)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _small(value: float) -> str:
    return f"{value:.1e}"
