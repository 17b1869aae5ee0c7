"""``report/report.html`` of a result folder: one file that needs no network, for a screen, a phone and paper.

Beside it the plots as PNG and the figures as CSV. All of it is derived from ``result.json`` and the raw files, holds no
date, and is no part of the result: the manifest does not name it, and it can be made again at any time.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import io
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

from vskd.closed import key_of, to_mapping
from vskd.errors import ConfigError, MissingExtraError
from vskd.pages import parts
from vskd.report import SCORES
from vskd.writing import disk_errors, write_folder
from vskd_benchmarks.goals import VERSION
from vskd_benchmarks.measure.latency import Statistics
from vskd_benchmarks.report import evidence, tables
from vskd_benchmarks.report.headline import headline
from vskd_benchmarks.result.folder import MANIFEST, REPORT, ResultFolder
from vskd_benchmarks.result.judgement import judge
from vskd_benchmarks.result.records.case import Scope, Stage
from vskd_benchmarks.result.records.result import Result

PAGE = "report.html"

_TEMPLATE = Path(__file__).with_name("report.html.j2")

#: What a row of ``cases.csv`` takes from its case as it is, from its yardstick, and from its energy.
_PLAIN = ("id", "name", "kind", "bundle", "engine", "engine_version", "recipe", "threads", "mode", "encoder", "weights")
_YARDSTICK = ("median_ns", "variation", "sensor_to_label")
_ENERGY = ("per_inference_mj", "uncertainty_mj", "total_per_inference_mj")


def write_report(folder: Path) -> Path:
    """Write the report into a result folder, whole or not at all; one that is there is replaced.

    Parameters
    ----------
    folder : as ``vskd bench --out`` leaves it

    Returns
    -------
    the page

    Raises
    ------
    DataError : no result folder, or changed since it was written
    ConfigError : it cannot be written
    MissingExtraError : matplotlib or jinja2 is not installed
    """
    for package in ("matplotlib", "jinja2"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, extra="bench", purpose="a report")
    files = report_files(folder)
    with disk_errors(folder / REPORT, ConfigError, hint="Copy the folder to where it can be written to"):
        write_folder(folder / REPORT, files, replace=True)
    return folder / REPORT / PAGE


def report_files(folder: Path) -> dict[str, bytes]:
    """Every file of the report by its name.

    Parameters
    ----------
    folder : a result folder
    """
    from vskd_benchmarks.report.charts import charts  # needs matplotlib

    opened = ResultFolder.open(folder)
    result = opened.result
    raws = opened.raws()
    drawn = charts(result, raws)
    identity = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    today = None
    if result.goals_version != VERSION:
        today = replace(result, goals_version=VERSION, goals=judge(result, raws, VERSION))
    files = {PAGE: page(result, drawn, identity, today), "cases.csv": _csv(_case_rows(result))}
    files["ratios.csv"] = _csv(map(to_mapping, result.ratios))
    return files | {f"{chart.name}.png": chart.png for section in drawn.values() for chart in section}


def page(result: Result, drawn: Mapping[str, Any], identity: str, today: Result | None = None) -> bytes:
    """The page alone, UTF-8.

    Parameters
    ----------
    result : ``result.json``
    drawn : as ``vskd_benchmarks.report.charts.charts`` gives it
    identity : SHA-256 of the manifest
    today : the result judged by today's goals, where its own are older
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.DictLoader(parts()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = _data_uri
    text = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        result=result,
        today=today,
        tables=tables,
        evidence=evidence,
        charts=drawn,
        identity=identity,
        headline=headline(result),
        lowering=list(evidence.lowering(result)),
        machine=result.environment.machine.name,
    )
    return text.encode()


def _data_uri(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _case_rows(result: Result) -> Iterator[dict[str, Any]]:
    """A row for each case, as the result has it: ns and bytes; empty where there is no figure."""
    bundles = {bundle.id: bundle for bundle in result.bundles}
    for case in result.cases:
        scores = bundles[case.bundle].accuracy_of(case.model.file, case.engine) if case.model else {}
        row: dict[str, Any] = {name: getattr(case, name) for name in _PLAIN} | {"status": case.validity.status}
        row |= {f"model_{name}": getattr(case.model, name, None) for name in ("sha256", "size_bytes", "macs")}
        row |= {f"model_{name}": scores.get(name) for name in SCORES}
        row["peak_bytes"] = case.memory.peak_bytes
        row |= {name: getattr(case.energy, name, None) for name in _ENERGY}
        row["energy_source"] = case.energy and case.energy.source
        row["battery_percent_per_day"] = case.battery and case.battery.percent_per_day
        row |= {f"yardstick_{name}": getattr(case.yardstick, name, None) for name in _YARDSTICK}
        row["cold_start_ns"] = case.cold_start and case.cold_start.median_ns
        timed = {name: case.scopes.get(name) for name in get_args(Scope)}
        timed |= {name: case.stages[name] for name in get_args(Stage)}
        for name, statistics in timed.items():
            row |= {f"{name}_{key_of(each)}": getattr(statistics, each.name, None) for each in fields(Statistics)}
        yield row


def _csv(rows: Any) -> bytes:
    found = list(rows)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(found[0]) if found else [])
    writer.writeheader()
    writer.writerows(found)
    return stream.getvalue().encode()
