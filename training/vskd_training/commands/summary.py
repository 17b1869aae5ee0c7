"""The command ``vskd summary``: what ``make demo`` left, in ten lines. Only click is imported here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from vskd.commands.terminal import say


@click.command(epilog="Example: vskd summary build/demo")
@click.argument("folder", type=click.Path(path_type=Path))
def summary(folder: Path) -> None:
    """Say in a few lines what `make demo` left in its folder: accuracies, sizes, latencies."""
    say("\n".join(_lines(folder)), lines=True)


#: What is exported: the run, its bundle, and the evaluation of its int8 model.
_SHIPPED = (("distilled", "wrist.bundle", "int8.json"), ("watch", "watch.bundle", "watch-int8.json"))


def _lines(folder: Path) -> Iterator[str]:
    yield f"{folder}: synthetic data, generated subjects, not recorded ones"
    for name in ("teacher", "alone", "distilled", "watch", "forest"):
        if name in ("watch", "forest") and not (folder / name).exists():
            continue  # `vskd train forest` is no step of the demo, and earlier demos trained one student
        yield f"{name:10} {_accuracy(_read(folder / name / 'run.json')['metrics']['test'])}"
    bench = _read(folder / "bench" / "result.json")
    yield "int8       accuracy of recordings, size, p50 from sensor to label in each engine"
    for run, bundle, evaluation in _SHIPPED:
        if (folder / bundle).exists():
            yield f"{run:10} {_shipped(folder / bundle, _read(folder / evaluation), bench['cases'])}"
    for case in bench["cases"]:
        if case["kind"] == "usual-pipeline" and case["engine"] == "torch":
            yield f"pyts+torch {_milliseconds(case)}: the image student without vskd"
    yield f"timeline of the held-out recording: {folder / 'timeline.png'}"


def _shipped(path: Path, evaluated: dict[str, Any], cases: list[dict[str, Any]]) -> str:
    """One bundle's int8 model in a line."""
    from vskd.bundle import Bundle

    accuracy = evaluated["metrics"]["recording"]["all"]["accuracy"]
    size_mb = Bundle.open(path).files[evaluated["model"]].size_bytes / 1e6
    latencies = [
        f"{case['engine']} {_milliseconds(case)}"
        for case in cases
        if case["kind"] == "bundle" and case["bundle"] == path.stem and case["recipe"] == "w8a8-static-pc"
    ]
    return f"{100 * accuracy:.1f} %, {size_mb:.2f} MB, {', '.join(latencies)}"


def _milliseconds(case: dict[str, Any]) -> str:
    return f"{case['scopes']['sensor_to_label']['p50_ns'] / 1e6:.3f} ms"


def _accuracy(metrics: dict[str, Any]) -> str:
    windows, recordings = metrics["window"]["all"], metrics["recording"]["all"]
    return (
        f"{100 * windows['accuracy']:.1f} % of windows, {100 * recordings['accuracy']:.1f} % of recordings "
        f"(macro-F1 {recordings['macro_f1']:.3f})"
    )


def _read(path: Path) -> dict[str, Any]:
    from vskd.errors import DataError
    from vskd.untrusted.documents import read_json

    try:
        content: dict[str, Any] = read_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", hint="`make demo` makes it") from error
    except ValueError as error:
        raise DataError(f"cannot read {path}: {error}", hint="`make demo` makes it") from error
    return content
