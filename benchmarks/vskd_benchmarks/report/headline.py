"""A result in five lines: the verdict, the fastest model, its time, its size, and against what one would write."""

from __future__ import annotations

from vskd_benchmarks.report.tables import held_out, numbered
from vskd_benchmarks.result.records.case import Case
from vskd_benchmarks.result.records.result import Result

#: What a verdict means.
VERDICTS = {
    "valid": "No check failed: these figures can be cited.",
    "degraded": "The machine was not idle or not steady: an indication, not figures to cite.",
    "invalid": "At least one case failed an audit or a limit: do not use its figures.",
}


def headline(result: Result) -> tuple[tuple[str, str], ...]:
    """Topic and sentence, a pair for each line; of a result without a bundle's model the verdict alone."""
    status = result.validity.status
    lines = [("verdict", f"{status}. {VERDICTS[status]}")]
    own = [
        (path.p50_ns, label, case)
        for label, case in numbered(result)
        if case.kind == "bundle" and (path := case.sensor_to_label) is not None and path.p50_ns is not None
    ]
    if not own:
        return tuple(lines)
    p50_ns, label, case = min(own, key=lambda one: one[0])
    known = held_out(result, case)
    accuracy = f", {known[0]} {100 * known[1]:.1f} % on held-out windows" if known else ""
    lines.append(("fastest model", f"{label}{accuracy}"))
    lines.append(("sensor to label", f"{p50_ns / 1e6:.3f} ms in the median{_tail(case)}"))
    file = f"file {case.model.size_bytes / 1e6:.2f} MB, " if case.model else ""
    lines.append(("size", f"{file}peak memory {case.memory.peak_bytes / 1e6:.0f} MB"))
    lines.append(("speed-up", _speed_up(result, case)))
    return tuple(lines)


def _tail(case: Case) -> str:
    path = case.sensor_to_label
    return "" if path is None or path.p99_ns is None else f", {path.p99_ns / 1e6:.3f} ms in 99 of 100 windows"


def _speed_up(result: Result, case: Case) -> str:
    """Over the pipelines that one would write with other libraries."""
    usual = {other.id: other.name.rpartition(": ")[2] for other in result.cases if other.kind == "usual-pipeline"}
    times = [
        f"{ratio.ratio:.1f} times faster than {usual[ratio.against]}"
        for ratio in result.ratios
        if ratio.case == case.id and ratio.against in usual
    ]
    return ", ".join(times) or "the usual pipeline was not measured beside it"
