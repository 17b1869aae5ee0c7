"""The command ``vskd summary``: what ``make demo`` left, in ten lines. Only click is imported here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from vskd.commands.terminal import say


@click.command(epilog="Example: vskd summary build/demo")
@click.argument("folder", type=click.Path(path_type=Path))
def summary(folder: Path) -> None:
    """Say in ten lines what `make demo` left, and what to do next."""
    say("\n".join(_lines(folder)), lines=True)


#: What is exported: the run, its bundle, and the evaluation of its int8 model.
_SHIPPED = (("distilled", "wrist.bundle", "int8.json"), ("watch", "watch.bundle", "watch-int8.json"))


def _lines(folder: Path) -> Iterator[str]:
    yield f"{folder}: synthetic data, generated subjects, not recorded ones"
    metrics = {}
    for name in ("teacher", "alone", "distilled", "watch", "forest"):
        if name in ("watch", "forest") and not (folder / name).exists():
            continue  # `vskd train forest` is no step of the demo, and earlier demos trained one student
        metrics[name] = _read(folder / name / "run.json")["metrics"]["test"]
        against = f", {_points(metrics[name], metrics['alone'])} to alone" if name == "distilled" else ""
        yield f"{name:10} {_accuracy(metrics[name])}{against}"
    bench = _read(folder / "bench" / "result.json")
    yield "int8       recordings (against the network), size, median from sensor to label"
    quickest_ns = math.inf
    for run, bundle, evaluation in _SHIPPED:
        if (folder / bundle).exists():
            cases = [case for case in bench["cases"] if case["bundle"] == bundle.removesuffix(".bundle")]
            yield f"{run:10} {_shipped(folder / bundle, _read(folder / evaluation), metrics[run], cases)}"
            quickest_ns = min(quickest_ns, *map(_p50_ns, _int8(cases))) if run == "distilled" else quickest_ns
    for case in bench["cases"]:
        if case["kind"] == "usual-pipeline" and case["engine"] == "torch":
            times = f", {_p50_ns(case) / quickest_ns:.0f} times int8's time" if math.isfinite(quickest_ns) else ""
            yield f"pyts+torch {_p50_ns(case) / 1e6:.3f} ms: the image student without vskd{times}"
    yield f"next: vskd run {folder}/wrist.bundle --input {folder}/recording.csv --view; {folder / 'timeline.png'}"


def _int8(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [case for case in cases if case["kind"] == "bundle" and case["recipe"] == "w8a8-static-pc"]


def _shipped(path: Path, evaluated: dict[str, Any], network: dict[str, Any], cases: list[dict[str, Any]]) -> str:
    """One bundle's int8 model in a line."""
    from vskd.bundle import Bundle

    accuracy, change = _share(evaluated["metrics"]), _points(evaluated["metrics"], network)
    size_mb = Bundle.open(path).files[evaluated["model"]].size_bytes / 1e6
    latencies = [f"{case['engine']} {_p50_ns(case) / 1e6:.3f} ms" for case in _int8(cases)]
    return f"{100 * accuracy:.1f} % ({change}), {size_mb:.2f} MB, {', '.join(latencies)}"


def _p50_ns(case: dict[str, Any]) -> float:
    return float(case["scopes"]["sensor_to_label"]["p50_ns"])


def _share(metrics: dict[str, Any]) -> float:
    """Of the recordings that are recognised."""
    return float(metrics["recording"]["all"]["accuracy"])


def _points(metrics: dict[str, Any], other: dict[str, Any]) -> str:
    return f"{100 * (_share(metrics) - _share(other)):+.1f} points"


def _accuracy(metrics: dict[str, Any]) -> str:
    windows = metrics["window"]["all"]["accuracy"]
    return f"{100 * _share(metrics):.1f} % of recordings, {100 * windows:.1f} % of windows"


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
