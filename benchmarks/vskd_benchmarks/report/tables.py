"""The tables of a report: every figure of ``result.json`` that a reader may look for, with its unit.

A table is plain text in rows, so that the page alone decides how it looks. Cases have the numbers of the plots. What
was not measured stays empty or says so; nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vskd_benchmarks.result.validity import (
    CLOCK_CHANGE_LIMIT,
    CPU_SHARE_LIMIT,
    FEWEST_FOR_P99,
    OTHER_CORES_LIMIT,
    SWAPPED_PAGES_LIMIT,
    WARM_C,
)

#: Boards that a result may be of, by how their device tree's model begins, and watches that one may stand for.
BOARDS = ("Raspberry Pi Zero 2 W", "Raspberry Pi 4", "Raspberry Pi 5", "Snapdragon W5 watch", "Exynos W1000 watch")

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """A table for people.

    Attributes
    ----------
    title, caption : what it is, how to read it
    headings : of the columns, with units
    rows : of texts; as many as headings
    names : so many first columns are names, the others numbers
    """

    title: str
    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1


def numbered(result: Result) -> list[tuple[str, Mapping[str, Any]]]:
    """Every case with its label: number and name."""
    return [(f"#{number} {case['name']}", case) for number, case in enumerate(result["cases"], start=1)]


def latency(result: Result) -> Table:
    """Sensor to label, with the percentiles that the sample allows."""
    headings = (
        "case",
        "windows",
        "p50, ms",
        "p90, ms",
        "p99, ms",
        "p99.9, ms",
        "slowest, ms",
        "overhead, us",
        "status",
    )
    rows = []
    for label, case in numbered(result):
        told = case["scopes"].get("sensor_to_label")
        if told is not None:
            times = [ms(told[f"p{percent}_ns"]) for percent in ("50", "90", "99", "99.9")]
            overhead = _interval_us(case["overhead"]) if case["kind"] == "bundle" else ""
            status = case["validity"]["status"]
            rows.append((label, str(told["windows"]), *times, ms(told["max_ns"]), overhead, status))
    caption = (
        "n/a: too few windows for this percentile. Overhead: the runtime's own, over the bare call of the engine's "
        "library, median and 95 % interval."
    )
    return Table("Latency of one window, sensor to label", caption, headings, tuple(rows))


def split(result: Result) -> Table:
    """Medians of the stages, and of the model alone."""
    stages = ("resample", "encode", "infer", "decide")
    headings = ("case", *(f"{stage}, us" for stage in stages), "model only, us", "bare call, us")
    rows = []
    for label, case in numbered(result):
        if "sensor_to_label" in case["scopes"]:
            parts = [case["stages"][stage] for stage in stages]
            parts += [case["scopes"].get(scope) for scope in ("model_only", "bare_call")]
            rows.append((label, *("" if part is None else us(part["p50_ns"]) for part in parts)))
    caption = "Medians. Empty encode: the image is drawn inside the model, within infer."
    return Table("Stages", caption, headings, tuple(rows))


def encoders(result: Result) -> Table:
    """The encoders alone, vskd's and pyts."""
    rows = []
    for label, case in numbered(result):
        if case["kind"] == "encoder":
            times = [case["scopes"][f"{name}_encoder"]["p50_ns"] for name in ("numpy", "pyts")]
            rows.append((label, *(us(time) for time in times)))
    return Table("A window to its image", "Medians.", ("case", "vskd in numpy, us", "pyts, us"), tuple(rows))


def start(result: Result) -> Table:
    """Cold start, memory, size."""
    headings = ("case", "cold start, ms", "import, ms", "open, ms", "first window, ms", "peak memory, MB",
                "over the library, MB", "file, MB", "million MACs")  # fmt: skip
    rows = []
    for label, case in numbered(result):
        cold, memory, model = case["cold_start"] or {}, case["memory"], case["model"] or {}
        times = [cold.get(key) for key in ("median_ns", "import_ns", "open_ns", "first_window_ns")]
        sizes = [memory["peak_bytes"], memory["over_library_bytes"], model.get("size_bytes"), model.get("macs")]
        texts = ["" if value is None else f"{value / 1e6:.1f}" for value in (*times, *sizes)]
        rows.append((label, *texts))
    caption = (
        "Cold start: from the start of a process to its first label, files in the disk's cache. Over the library: "
        "peak memory less that of a process which only imports the engine."
    )
    return Table("Start, memory and size", caption, headings, tuple(rows))


def processor(result: Result) -> Table:
    """Where a pace or a duration makes it mean something: processor time, wake-ups, growth."""
    configuration = result["configuration"]
    rows = []
    for label, case in numbered(result) if configuration["mode"] != "single-stream" else ():
        wakes = case["cpu"]["voluntary_switches"] / (case["rounds"] * case["calls_per_round"])
        growth = "" if case["soak"] is None else f"{case['soak']['growth_bytes'] / 1e3:.0f}"
        rows.append((label, f"{100 * case['cpu']['share']:.2f}", f"{wakes:.1f}", growth))
    headings = ("case", "of one core, %", "wake-ups a window", "growth of memory, kB")
    rate = configuration["rate_hz"]
    caption = f"Mode {configuration['mode']}, {'back to back' if rate is None else f'{rate:g} windows a second'}."
    return Table("Processor and memory over time", caption, headings, tuple(rows))


def energy(result: Result) -> Table:
    """Energy and battery, where energy was asked for; a model is called one in every row."""
    told = result.get("energy", {"source": "", "detail": "", "of": ""})
    source = ("measured, " if told.get("measured") else "") + f"{told['source']}, of {told['of'].replace('-', ' ')}"
    rows = []
    for label, case in numbered(result):
        if case.get("energy") is not None:
            battery = case["battery"] or {}
            values = [case["energy"][key] for key in ("per_inference_mj", "uncertainty_mj", "total_per_inference_mj")]
            values += [battery.get("percent_per_day"), battery.get("uncertainty_percent")]
            rows.append((label, source, *("" if value is None else f"{value:.3g}" for value in values)))
    headings = ("case", "source", "over idle, mJ a window", "uncertainty, mJ", "with idle, mJ a window",
                "of the battery a day, %", "uncertainty, points")  # fmt: skip
    return Table("Energy and battery", f"Source: {told['detail']}.", headings, tuple(rows), names=2)


def battery_slot(result: Result) -> str:
    """What stands in the place of the battery's plot where no battery was measured."""
    told = result.get("energy")
    if told is None:
        return "Battery per day: not measured. This result holds no energy."
    if told["problem"] is not None:
        return f"Battery per day: no figures. {told['problem']}"
    if not told["measured"]:
        return "Battery per day: not measured. The table below holds a model's figures."
    return "Battery per day: no figures above zero, or no capacity to divide by; see the table below."


def profile(result: Result) -> Table:
    """What of the profile was applied, and what was not."""
    told = result.get("profile", {"title": "", "note": "", "applied": (), "not_applied": ()})
    rows = [(held["setting"], f"{held['wanted']:g}", f"applied: {_text(held['got'])}, by {held['means']}")
            for held in told["applied"]]  # fmt: skip
    rows += [
        (lack["setting"], f"{lack['wanted']:g}", f"NOT applied ({lack['code']}): {lack['reason']}")
        for lack in told["not_applied"]
    ]
    headings = ("setting", "wanted", "what became of it")
    return Table(f"Profile: {told['title']}", told["note"], headings, tuple(rows), names=3)


def ratios(result: Result) -> list[Table]:
    """How many times faster than what was measured beside it: a table for each bundle whose windows that was fed."""
    label = {case["id"]: text for text, case in numbered(result)}
    fed = {case["id"]: case["bundle"] for case in result["cases"]}
    found = {(r["case"], r["against"]): r for r in result["ratios"]}
    tables = []
    for bundle in dict.fromkeys(fed[ratio["against"]] for ratio in result["ratios"]):
        others = [name for name in label if fed[name] == bundle and any(key[1] == name for key in found)]
        own = [name for name in label if any((name, other) in found for other in others)]
        rows = tuple((label[name], *(_times(found.get((name, other))) for other in others)) for name in own)
        headings = ("case", *(label[other] for other in others))
        tables.append(Table(f"Times faster than what was fed {bundle}'s windows", _RATIO, headings, rows))
    return tables


_RATIO = (
    "Ratio of the medians of sensor to label, round by round, both measured in turns: median over the rounds (lowest "
    "to highest). Below 1 the other is the quicker."
)


def _times(ratio: Mapping[str, Any] | None) -> str:
    return "" if ratio is None else f"{ratio['ratio']:.2f} ({ratio['lowest']:.2f} to {ratio['highest']:.2f})"


def goals(result: Result) -> Table:
    """What vskd promises, and the worst case here."""
    words = {True: "met", False: "missed", None: "not measured"}
    rows = tuple(
        (goal["goal"], goal["limit"], "" if goal["worst"] is None else f"{goal['worst']:g}", words[goal["met"]])
        for goal in result["goals"]
    )
    return Table("What vskd promises", "The worst case of this run.", ("promise", "limit", "here", "result"), rows)


def boards(result: Result) -> Table:
    """A slot for each board; only the one that was measured is filled."""
    machine = result["environment"]["machine"]
    name = machine["board"] or machine["cpu"] or machine["architecture"]
    times = [case["scopes"]["sensor_to_label"]["p50_ns"] for case in result["cases"] if case["kind"] == "bundle"]
    best = min((time for time in times if time is not None), default=None)
    filled = next((board for board in BOARDS if (machine["board"] or "").startswith(board)), None)
    rows = [(name, "n/a" if best is None else ms(best), result["validity"]["status"])]
    rows += [(board, "not measured", "") for board in BOARDS if board != filled]
    headings = ("board", "quickest bundle model, p50, ms", "status")
    return Table("Boards", "An empty slot is not an estimate.", headings, tuple(rows))


def profile_sources(result: Result) -> Table:
    """Where every figure of the profile comes from."""
    figures = result.get("profile", {}).get("figures", {})
    rows = tuple(
        (name, f"{each['value']:.10g}", each["kind"], each["text"], each["url"]) for name, each in figures.items()
    )
    headings = ("figure", "value", "kind", "source", "address")
    return Table("Where the profile's figures come from", "", headings, rows, names=5)


def not_measured(result: Result) -> Table:
    """Empty slots of this run."""
    rows = tuple((slot["name"], slot["bundle"], slot["reason"]) for slot in result["not_measured"])
    return Table("Not measured", "", ("what", "bundle", "why"), rows, names=3)


def reasons(result: Result) -> Table:
    """Every reason of the verdict, notes included; cases with the same words share a row."""
    found: dict[tuple[str, ...], list[str]] = {}
    owners = [("machine", result["validity"])]
    owners += [(f"#{number}", case["validity"]) for number, case in enumerate(result["cases"], start=1)]
    for owner, validity in owners:
        for reason in validity["reasons"]:
            key = (reason["severity"], reason["code"], reason["message"], *_values(reason))
            found.setdefault(key, []).append(owner)
    rank = ("invalid", "degraded", "note")
    rows = tuple((*key, ", ".join(found[key])) for key in sorted(found, key=lambda key: rank.index(key[0])))
    headings = ("severity", "code", "what", "value", "limit", "case")
    return Table("Reasons", "A note changes nothing.", headings, rows, names=6)


def _values(reason: Mapping[str, Any]) -> tuple[str, str]:
    unit = f" {reason['unit']}" if reason["unit"] else ""
    value, limit = ("" if reason[key] is None else f"{reason[key]}{unit}" for key in ("value", "limit"))
    return value, limit


def case_facts(result: Result) -> Table:
    """What the verdict on each case rests on, beside the limits."""
    rows = []
    for label, case in numbered(result):
        cpu, warm = case["cpu"], case["warm_up"]
        windows = min(statistics["windows"] for statistics in case["scopes"].values())
        other = "not known" if cpu["other_cores"] is None else f"{cpu['other_cores']:.2f}"
        steady = f"{'steady' if warm['steady'] else 'not steady'} after {warm['calls']} calls"
        rows.append((label, str(windows), other, f"{100 * cpu['share']:.1f}", str(cpu["involuntary_switches"]), steady))
    headings = (
        "case",
        f"windows (p99 from {FEWEST_FOR_P99})",
        f"cores kept busy by others (limit {OTHER_CORES_LIMIT})",
        f"computing, % (back to back on one thread: {100 * CPU_SHARE_LIMIT:g})",
        "core taken away, times",
        "warm-up",
    )
    return Table("Each case against the limits", "", headings, tuple(rows))


def machine_facts(result: Result) -> Table:
    """What the verdict on the machine rests on, beside the limits."""
    environment = result["environment"]
    before, after, readings = (environment[key] for key in ("before", "after", "readings"))
    heats = [reading["temperature_c"] for reading in (before, *readings, after) if reading["temperature_c"] is not None]
    clocks = [reading["frequency_khz"] / 1e3 for reading in readings if reading["frequency_khz"]]
    pages = (before["swapped_pages"], after["swapped_pages"])
    governors = ", ".join(sorted({*before["governors"], *after["governors"]}))
    clock = f"{min(clocks):.0f} to {max(clocks):.0f}" if clocks else ""
    throttled = f"{before['throttled']} before, {after['throttled']} after" if before["throttled"] else ""
    loads = [f"{state['load_average'][0]:g}" for state in (before, after) if state["load_average"]]
    told = (
        ("hottest thermal zone, °C", f"{max(heats):.1f}" if heats else "", f"below {WARM_C:g}"),
        ("clock of the quickest core, MHz", clock, f"within {CLOCK_CHANGE_LIMIT:.0%}"),
        ("frequency governor", governors, "performance"),
        ("throttled (vcgencmd)", throttled, "0x0"),
        ("pages swapped during the run", "" if None in pages else str(pages[1] - pages[0]), f"{SWAPPED_PAGES_LIMIT}"),
        ("load average of a minute, before and after", ", ".join(loads), "no limit"),
    )
    rows = tuple((fact, value or "the machine does not tell", limit) for fact, value, limit in told)
    return Table("The machine against the limits", "", ("fact", "measured", "limit"), rows, names=3)


def audits(result: Result) -> Table:
    """What the three audits of each case said."""
    words = {True: "passed", False: "FAILED", None: "not applicable"}
    rows = []
    for label, case in numbered(result):
        told = [case["audits"][name] for name in ("outputs", "repeated_input", "accuracy")]
        rows.append((label, *(f"{words[audit['passed']]}: {audit['detail']}" for audit in told)))
    headings = ("case", "outputs of the timed run", "repeated input (limit: 10 % faster)", "golden windows")
    return Table("Audits", "A case that fails one is invalid.", headings, tuple(rows), names=4)


def machine(result: Result) -> Table:
    """The machine and what is installed on it."""
    told = result["environment"]["machine"]
    memory = "" if told["memory_bytes"] is None else f"{told['memory_bytes'] / 1e9:.1f} GB"
    rows = (
        ("board", told["board"] or ""), ("processor", told["cpu"] or ""), ("ARM part", told["cpu_part"] or ""),
        ("architecture", told["architecture"]), ("instructions that bear on speed", " ".join(told["features"])),
        ("cores", _text(told["cores"])), ("cores that were allowed", _text(told["affinity"])), ("memory", memory),
        ("virtual machine", {True: "yes", False: "no", None: ""}[told["virtual_machine"]]), ("system", told["system"]),
        ("Python", f"{told['python']} ({told['implementation']})"),
        ("packages", ", ".join(f"{name} {version}" for name, version in told["versions"].items())),
    )  # fmt: skip
    return Table("Environment", "", ("", ""), tuple(row for row in rows if row[1]), names=2)


def bundles(result: Result) -> Table:
    """What was measured."""
    rows = []
    for bundle in result["bundles"]:
        told = bundle["accuracy"] or {}
        accuracy = ", ".join(f"{name.replace('_', '-')} {100 * value:.1f} %" for name, value in told.items())
        window = f"{bundle['window_samples']} samples at {bundle['rate_hz']:g} Hz, {bundle['window_mode']}"
        image = " x ".join(map(str, bundle["image_shape"])) + f", {bundle['scaling']}"
        rows.append(
            (bundle["name"], window, image, str(bundle["classes"]), accuracy or "not told", bundle["sha256"][:16])
        )
    headings = ("bundle", "window", "image", "classes", "held out, trained network", "SHA-256")
    return Table("Bundles", "", headings, tuple(rows), names=6)


def ms(latency_ns: int | None) -> str:
    """Milliseconds; n/a where there is no figure."""
    return "n/a" if latency_ns is None else f"{latency_ns / 1e6:.3f}"


def us(latency_ns: int | None) -> str:
    """Microseconds; n/a where there is no figure."""
    return "n/a" if latency_ns is None else f"{latency_ns / 1e3:,.1f}"


def _interval_us(told: Mapping[str, int | None] | None) -> str:
    values = [] if told is None else [told[key] for key in ("p50_ns", "low_ns", "high_ns")]
    known = [f"{value / 1e3:.0f}" for value in values if value is not None]
    return f"{known[0]} ({known[1]} to {known[2]})" if len(known) == 3 else ""


def _text(value: Any) -> str:
    return "" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def headline(result: Result) -> Iterator[tuple[str, str, str]]:
    """What lowers the verdict, once for each kind: severity and code, where, and the first sentence of it."""
    lowering = [row for row in reasons(result).rows if row[0] != "note"]
    for kind in dict.fromkeys(row[:2] for row in lowering):
        alike = [row for row in lowering if row[:2] == kind]
        where = [owner for row in alike for owner in row[5].split(", ")]
        more = "" if len(alike) == 1 else f", and {len(alike) - 1} more like it"
        yield ": ".join(kind), ", ".join(sorted(where, key=_place)), alike[0][2] + more


def _place(owner: str) -> tuple[int, str]:
    return (int(owner[1:]) if owner[1:].isdigit() else 0, owner)
