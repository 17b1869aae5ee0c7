"""``report/report.html`` of a result folder: one file that needs no network, for a screen, a phone and paper.

Beside it the plots as PNG and the figures as CSV. All of it is derived from ``result.json`` and the raw files, holds no
date, and is no part of the result: the manifest does not name it, and it can be made again at any time.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib
import importlib.util
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vskd.errors import ConfigError, MissingExtraError
from vskd.writing import disk_errors, write_folder
from vskd_benchmarks.compare.pairing import Measured
from vskd_benchmarks.report import tables as report_tables
from vskd_benchmarks.result.folder import MANIFEST, REPORT, read_raw

PAGE = "report.html"

_TEMPLATE = Path(__file__).with_name("report.html.j2")

#: Scopes and stages that a row of ``cases.csv`` has columns for.
_TIMED = ("sensor_to_label", "model_only", "bare_call", "numpy_encoder", "pyts_encoder")
_STAGES = ("resample", "encode", "infer", "decide")
_STATISTICS = ("windows", "p50_ns", "p90_ns", "p95_ns", "p99_ns", "p99.9_ns", "min_ns", "max_ns", "mean_ns")


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
    measured = Measured.open(folder)
    result = measured.document
    raws = {}
    for case in result["cases"]:
        measured.check_file(case["raw"])
        raws[case["id"]] = read_raw(folder, case["id"])
    drawn = importlib.import_module("vskd_benchmarks.report.charts").charts(result, raws)
    identity = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    files = {PAGE: page(result, drawn, identity), "cases.csv": _csv(_case_rows(result))}
    files["ratios.csv"] = _csv([{**ratio} for ratio in result["ratios"]])
    return files | {f"{chart.name}.png": chart.png for charts in drawn.values() for chart in charts}


def page(result: Mapping[str, Any], drawn: Mapping[str, Any], identity: str) -> bytes:
    """The page alone, UTF-8.

    Parameters
    ----------
    result : ``result.json``
    drawn : as ``vskd_benchmarks.report.charts.charts`` gives it
    identity : SHA-256 of the manifest
    """
    jinja2 = importlib.import_module("jinja2")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["data_uri"] = _data_uri
    text: str = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        result=result,
        tables=report_tables,
        charts=drawn,
        identity=identity,
        headline=list(report_tables.headline(result)),
        machine=_machine_name(result),
    )
    return text.encode()


def _data_uri(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _machine_name(result: Mapping[str, Any]) -> str:
    machine = result["environment"]["machine"]
    return str(machine["board"] or machine["cpu"] or machine["architecture"])


def _case_rows(result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A row for each case, as the result has it: ns and bytes; empty where there is no figure."""
    plain = (
        "id",
        "name",
        "kind",
        "bundle",
        "engine",
        "engine_version",
        "recipe",
        "threads",
        "mode",
        "encoder",
        "weights",
    )
    for case in result["cases"]:
        row = {key: case[key] for key in plain} | {"status": case["validity"]["status"]}
        row |= {f"model_{key}": (case["model"] or {}).get(key) for key in ("sha256", "size_bytes", "macs")}
        row["peak_bytes"] = case["memory"]["peak_bytes"]
        energy, battery = case.get("energy") or {}, case.get("battery") or {}
        row |= {key: energy.get(key) for key in ("per_inference_mj", "uncertainty_mj", "total_per_inference_mj")}
        row |= {"energy_source": energy.get("source"), "battery_percent_per_day": battery.get("percent_per_day")}
        row["cold_start_ns"] = (case["cold_start"] or {}).get("median_ns")
        for names, place in ((_TIMED, case["scopes"]), (_STAGES, case["stages"])):
            row |= {f"{name}_{key}": (place.get(name) or {}).get(key) for name in names for key in _STATISTICS}
        yield row


def _csv(rows: Any) -> bytes:
    found = list(rows)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(found[0]) if found else [])
    writer.writeheader()
    writer.writerows(found)
    return stream.getvalue().encode()
