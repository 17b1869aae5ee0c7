"""What a demo folder holds, in a few lines: accuracies, sizes, latencies and where the files are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vskd.bundle import Bundle
from vskd.errors import DataError


def summarise(folder: Path) -> list[tuple[str, str, str]]:
    """Rows (what, value, file) out of the files that ``make demo`` leaves.

    Parameters
    ----------
    folder : holds ``teacher``, ``alone``, ``distilled``, ``int8.json``, ``wrist.bundle``, ``bench``

    Raises
    ------
    DataError : one of them is missing
    """
    rows = []
    for what, name in (("teacher", "teacher"), ("student alone", "alone"), ("distilled student", "distilled")):
        card = _read(folder / name / "run.json")
        rows.append((what, _accuracy(card["metrics"]["test"]), str(folder / name)))
    integer = _read(folder / "int8.json")
    rows.append(
        (f"{integer['model']} on {integer['engine']}", _accuracy(integer["metrics"]), str(folder / "int8.json"))
    )
    bundle = Bundle.open(folder / "wrist.bundle")
    for model in bundle.models:
        size = f"{bundle.files[model.file].size_bytes / 1e6:.2f} MB"
        rows.append((model.file, size, str(bundle.path / model.file)))
    return rows + _latencies(folder / "bench" / "result.json")


def _accuracy(metrics: dict[str, Any]) -> str:
    per_window, per_recording = metrics["window"]["all"], metrics["recording"]["all"]
    return (
        f"{100 * per_window['accuracy']:.1f} % of windows, {100 * per_recording['accuracy']:.1f} % of recordings "
        f"(macro-F1 {per_recording['macro_f1']:.3f})"
    )


def _latencies(path: Path) -> list[tuple[str, str, str]]:
    """Median latency of every pipeline that was measured, from the sensor's samples to the label."""
    rows = []
    for case in _read(path)["cases"]:
        latency = case["scopes"].get("sensor_to_label")
        if latency is not None:
            value = f"{latency['p50_ns'] / 1e6:.3f} ms p50 ({case['validity']['status']})"
            rows.append((f"{case['name']}, sensor to label", value, str(path)))
    return rows


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}", hint="`make demo` makes it") from error
    return content
