"""The tables of a result that hold its figures: latency, split, start and memory, energy, ratios, goals.

A table is plain text in rows, so that the page and the terminal decide how it looks. Cases have the numbers of the
plots. What was not measured stays empty or is marked; nothing is filled in.
"""

from __future__ import annotations

from typing import get_args

from vskd.pages import Table
from vskd_benchmarks import goals as today
from vskd_benchmarks.measure.latency import Statistics
from vskd_benchmarks.result.records.case import Case, MedianInterval, Stage
from vskd_benchmarks.result.records.result import JudgedGoal, Ratio, Result


def in_order(result: Result) -> list[Case]:
    """The cases in the order of their numbers: first those that go from the sensor to the label."""
    return sorted(result.cases, key=lambda case: case.sensor_to_label is None)


def numbered(result: Result) -> list[tuple[str, Case]]:
    """Every case with its label: number and name."""
    return [(f"#{number} {case.name}", case) for number, case in enumerate(in_order(result), start=1)]


def held_out(result: Result, case: Case) -> tuple[str, float, bool] | None:
    """Name and value of a model's accuracy on held-out windows, macro-F1 where it is known, and whether it is its own.

    It is the trained network's where the bundle's report does not tell the model's; None of what is no bundle's model.
    """
    bundle = next(bundle for bundle in result.bundles if bundle.id == case.bundle)
    if case.kind != "bundle" or case.model is None:
        return None
    own = bundle.accuracy_of(case.model.file, case.engine)
    for key, name in (("macro_f1", "macro-F1"), ("accuracy", "accuracy")):
        for scores, is_own in ((own, True), (bundle.accuracy or {}, False)):
            if key in scores:
                return name, scores[key], is_own
    return None


def _on_path(result: Result) -> list[tuple[str, Case, Statistics]]:
    """The cases that go from the sensor to the label."""
    return [(label, case, path) for label, case in numbered(result) if (path := case.sensor_to_label) is not None]


def latency(result: Result) -> Table:
    """Sensor to label, with the percentiles that the sample allows."""
    rows = []
    for label, case, path in _on_path(result):
        units = case.yardstick and case.yardstick.sensor_to_label
        times = [_ms(ns) for ns in (path.p50_ns, path.p90_ns, path.p99_ns, path.p99_9_ns, path.max_ns)]
        overhead = _interval_us(case.overhead) if case.kind == "bundle" else ""
        yardsticks = "" if units is None else f"{units:.4g}"
        known = held_out(result, case)
        accuracy = f"{100 * known[1]:.1f}" if known else ""
        rows.append((label, accuracy, str(path.windows), *times, yardsticks, overhead, case.validity.status))
    headings = (
        "case",
        "held out, %",
        "windows",
        "p50, ms",
        "p90, ms",
        "p99, ms",
        "p99.9, ms",
        "slowest, ms",
        "p50, yardsticks",
        "overhead, us",
        "status",
    )
    caption = (
        "Held out: macro-F1 on the bundle's held-out windows, the model's own where the report tells it, else the "
        "trained network's. n/a: too few windows for this percentile. "
        "Overhead: of the runtime, beyond the bare call of the engine's library, median and 95 % interval. Yardstick: "
        "a fixed kernel timed beside each round; p50 in units of it tells models apart where the machine's speed "
        "changes, see Yardstick."
    )
    return Table(
        f"Latency of one window, sensor to label ({result.configuration.mode})", caption, headings, tuple(rows)
    )


def split(result: Result) -> Table:
    """Medians of the stages, and of the model alone."""
    rows = []
    for label, case, _ in _on_path(result):
        parts = (
            *(case.stages[name] for name in get_args(Stage)),
            case.scopes.get("model_only"),
            case.scopes.get("bare_call"),
        )
        rows.append((label, *("" if part is None else _us(part.p50_ns) for part in parts)))
    headings = ("case", "resample, us", "encode, us", "infer, us", "decide, us", "model only, us", "bare call, us")
    caption = "Medians. No encode stage: the encoder is inside the model, in infer."
    return Table("Stages", caption, headings, tuple(rows))


def encoders(result: Result) -> Table:
    """The encoders alone, vskd's and pyts."""
    rows = tuple(
        (label, _us(case.scopes["numpy_encoder"].p50_ns), _us(case.scopes["pyts_encoder"].p50_ns))
        for label, case in numbered(result)
        if case.kind == "encoder"
    )
    return Table("A window to its image", "Medians.", ("case", "vskd in numpy, us", "pyts, us"), rows)


def start(result: Result) -> Table:
    """Cold start, memory, size."""
    rows = []
    for label, case in numbered(result):
        cold, memory, model = case.cold_start, case.memory, case.model
        times = (cold.median_ns, cold.import_ns, cold.open_ns, cold.first_window_ns) if cold else (None,) * 4
        sizes = (
            memory.peak_bytes,
            memory.over_library_bytes,
            *((model.size_bytes, model.macs) if model else (None,) * 2),
        )
        rows.append((label, *("" if value is None else f"{value / 1e6:.1f}" for value in (*times, *sizes))))
    headings = (
        "case", "cold start, ms", "import, ms", "open, ms", "first window, ms", "peak memory, MB",
        "over the library, MB", "file, MB", "million MACs",
    )  # fmt: skip
    caption = (
        "Cold start: from the start of a process to its first label, files in the page cache. Over the library: "
        "peak memory minus that of a process that only imports the engine."
    )
    return Table("Start, memory and size", caption, headings, tuple(rows))


def processor(result: Result) -> Table:
    """Where a pace or a duration makes it mean something: processor time, wake-ups, growth."""
    configuration = result.configuration
    rows = []
    for label, case in numbered(result) if configuration.mode != "single-stream" else ():
        wake_ups = case.cpu.voluntary_switches / (case.rounds * case.calls_per_round)
        growth = "" if case.soak is None else f"{case.soak.growth_bytes / 1e3:.0f}"
        rows.append((label, f"{100 * case.cpu.share:.2f}", f"{wake_ups:.1f}", growth))
    headings = ("case", "of one core, %", "wake-ups a window", "growth of memory, kB")
    rate = "back to back" if configuration.rate_hz is None else f"{configuration.rate_hz:g} windows a second"
    return Table("Processor and memory over time", f"Mode {configuration.mode}, {rate}.", headings, tuple(rows))


def energy(result: Result) -> Table:
    """Energy and battery, where energy was measured or modelled; a model is marked in every row."""
    run, rows = result.energy, []
    headings = (
        "case", "source", "over idle, mJ a window", "uncertainty, mJ", "with idle, mJ a window",
        "of the battery a day, %", "uncertainty, points",
    )  # fmt: skip
    if run is None:
        return Table("Energy and battery", "", headings, ())
    source = f"{'measured, ' if run.measured else ''}{run.source}, of {run.of.replace('-', ' ')}"
    for label, case in numbered(result):
        figures, battery = case.energy, case.battery
        if figures is not None:
            shares = (battery.percent_per_day, battery.uncertainty_percent) if battery else (None, None)
            values = (figures.per_inference_mj, figures.uncertainty_mj, figures.total_per_inference_mj, *shares)
            rows.append((label, source, *("" if value is None else f"{value:.3g}" for value in values)))
    return Table("Energy and battery", f"Source: {run.detail}.", headings, tuple(rows), names=2)


def ratios(result: Result) -> list[Table]:
    """How many times faster than other pipelines: a table for each bundle whose windows they were fed."""
    label = {case.id: text for text, case in numbered(result)}
    fed = {case.id: case.bundle for case in result.cases}
    found = {(ratio.case, ratio.against): ratio for ratio in result.ratios}
    tables = []
    for bundle in dict.fromkeys(fed[ratio.against] for ratio in result.ratios):
        others = [name for name in label if fed[name] == bundle and any(key[1] == name for key in found)]
        own = [name for name in label if any((name, other) in found for other in others)]
        rows = tuple((label[name], *(_times(found.get((name, other))) for other in others)) for name in own)
        headings = ("case", *(label[other] for other in others))
        tables.append(Table(f"Speed-up over other pipelines on the windows of {bundle}", _RATIO, headings, rows))
    return tables


_RATIO = (
    "Ratio of the median latencies, sensor to label, per round, both measured in turns: median over the rounds (lowest "
    "to highest), then the same with each latency in units of its own round's yardstick. Below 1 the other pipeline is "
    "faster."
)


def _times(ratio: Ratio | None) -> str:
    if ratio is None:
        return ""
    units = "" if ratio.in_yardsticks is None else f"; in yardsticks {ratio.in_yardsticks:.2f}"
    return f"{ratio.ratio:.2f} ({ratio.lowest:.2f} to {ratio.highest:.2f}){units}"


def goals(result: Result) -> Table:
    """The goals that the result was judged by, and the worst case here."""
    words = {True: "met", False: "missed", None: "not measured"}
    rows = tuple(
        (goal.goal, goal.limit, "" if goal.worst is None else f"{goal.worst:g}", words[goal.met] + _on(goal))
        for goal in result.goals
    )
    caption = f"The worst case of this run against goals version {result.goals_version}."
    if result.goals_version != today.VERSION:
        caption += f" Today's goals are version {today.VERSION}: see vskd bench check, or the page."
    return Table("Goals of vskd", caption, ("goal", "limit", "here", "result"), rows)


def _on(goal: JudgedGoal) -> str:
    """That a verdict is one of a run that proves nothing."""
    doubtful = goal.met is not None and goal.status in ("degraded", "invalid")
    return f", but the run is {goal.status}" if doubtful else ""


def _ms(latency_ns: int | None) -> str:
    return "n/a" if latency_ns is None else f"{latency_ns / 1e6:.3f}"


def _us(latency_ns: int | None) -> str:
    return "n/a" if latency_ns is None else f"{latency_ns / 1e3:,.1f}"


def _interval_us(overhead: MedianInterval | None) -> str:
    values = (None,) if overhead is None else (overhead.p50_ns, overhead.low_ns, overhead.high_ns)
    known = [f"{value / 1e3:.0f}" for value in values if value is not None]
    return f"{known[0]} ({known[1]} to {known[2]})" if len(known) == 3 else ""
