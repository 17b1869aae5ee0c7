"""The command ``vskd summary``: what ``make demo`` left, in ten lines. Only click is imported here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click


@click.command(epilog="Example: vskd summary build/demo")
@click.argument("folder", type=click.Path(path_type=Path))
def summary(folder: Path) -> None:
    """Say in a few lines what `make demo` left in its folder: accuracies, sizes, latencies."""
    click.echo("\n".join(_lines(folder)))


def _lines(folder: Path) -> Iterator[str]:
    from vskd.bundle import Bundle

    yield f"{folder}: synthetic data, generated subjects, not recorded ones"
    for name in ("teacher", "alone", "distilled", "forest"):
        if name == "forest" and not (folder / name).exists():
            continue  # `vskd train forest` is no step of the demo
        yield f"{name:10} {_accuracy(_read(folder / name / 'run.json')['metrics']['test'])}"
    exported = _read(folder / "int8.json")
    yield f"{exported['model']} on {exported['engine']}: {_accuracy(exported['metrics'])}"
    bundle = Bundle.open(folder / "wrist.bundle")
    sizes = (f"{model.file} {bundle.files[model.file].size_bytes / 1e6:.2f} MB" for model in bundle.models)
    yield f"models     {', '.join(sizes)}"
    for case in _read(folder / "bench" / "result.json")["cases"]:
        latency = case["scopes"].get("sensor_to_label")
        if latency and (case["name"] == "pyts+torch" or (case["kind"] == "bundle" and case["recipe"] != "fp32")):
            yield f"latency    {latency['p50_ns'] / 1e6:.3f} ms p50, sensor to label: {case['name']}"
    yield f"timeline of the held-out recording: {folder / 'timeline.png'}"


def _accuracy(metrics: dict[str, Any]) -> str:
    windows, recordings = metrics["window"]["all"], metrics["recording"]["all"]
    return (
        f"{100 * windows['accuracy']:.1f} % of windows, {100 * recordings['accuracy']:.1f} % of recordings "
        f"(macro-F1 {recordings['macro_f1']:.3f})"
    )


def _read(path: Path) -> dict[str, Any]:
    from vskd.errors import DataError

    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", hint="`make demo` makes it") from error
    except ValueError as error:
        raise DataError(f"cannot read {path}: {error}", hint="`make demo` makes it") from error
    return content
