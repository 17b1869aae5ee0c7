"""The tables of a result that hold its evidence: reasons to doubt, audits, the machine, the bundles, the profile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vskd.pages import Table
from vskd_benchmarks.report.tables import in_order, numbered
from vskd_benchmarks.result.records.result import Result
from vskd_benchmarks.result.records.validity import Reason, Validity
from vskd_benchmarks.result.validity import (
    CPU_SHARE_LIMIT,
    FEWEST_FOR_P99,
    OTHER_CORES_LIMIT,
    YARDSTICK_SLOWER_LIMIT,
    YARDSTICK_VARIATION_LIMIT,
)


def reasons(result: Result) -> Table:
    """Every reason of the verdict, notes included; cases with the same words share a row."""
    found: dict[tuple[str, ...], list[str]] = {}
    owners: list[tuple[str, Validity]] = [("machine", result.validity)]
    owners += [(f"#{number}", case.validity) for number, case in enumerate(in_order(result), start=1)]
    for owner, validity in owners:
        for reason in validity.reasons:
            key = (reason.severity, reason.code, reason.message, *_values(reason))
            found.setdefault(key, []).append(owner)
    rank = ("invalid", "degraded", "note")
    rows = tuple((*key, ", ".join(found[key])) for key in sorted(found, key=lambda key: rank.index(key[0])))
    headings = ("severity", "code", "what", "value", "limit", "case")
    return Table("Reasons", "A note does not affect the verdict.", headings, rows, names=6)


def _values(reason: Reason) -> tuple[str, str]:
    unit = f" {reason.unit}" if reason.unit else ""
    value, limit = ("" if each is None else f"{each}{unit}" for each in (reason.value, reason.limit))
    return value, limit


def lowering(result: Result) -> Iterator[tuple[str, str, str]]:
    """What lowers the verdict, once for each kind: severity and code, where, and the first sentence of it."""
    rows = [row for row in reasons(result).rows if row[0] != "note"]
    for kind in dict.fromkeys(row[:2] for row in rows):
        alike = [row for row in rows if row[:2] == kind]
        where = [owner for row in alike for owner in row[5].split(", ")]
        more = "" if len(alike) == 1 else f", and {len(alike) - 1} more like it"
        yield ": ".join(kind), ", ".join(sorted(where, key=_place)), alike[0][2] + more


def _place(owner: str) -> tuple[int, str]:
    return (int(owner[1:]) if owner[1:].isdigit() else 0, owner)


def case_facts(result: Result) -> Table:
    """What the verdict on each case rests on, with the limits."""
    rows = []
    for label, case in numbered(result):
        cpu, warm_up = case.cpu, case.warm_up
        windows = min(statistics.windows for statistics in case.scopes.values())
        other = "not known" if cpu.other_cores is None else f"{cpu.other_cores:.2f}"
        steady = f"{'steady' if warm_up.steady else 'not steady'} after {warm_up.calls} calls"
        rows.append((label, str(windows), other, f"{100 * cpu.share:.1f}", str(cpu.involuntary_switches), steady))
    headings = (
        "case",
        f"windows (p99 from {FEWEST_FOR_P99})",
        f"cores used by other processes (limit {OTHER_CORES_LIMIT})",
        f"processor time, % of elapsed (back to back on one thread: at least {100 * CPU_SHARE_LIMIT:g})",
        "core taken away, times",
        "warm-up",
    )
    return Table("Each case against the limits", "", headings, tuple(rows))


def yardstick(result: Result) -> Table:
    """The fixed kernel beside each case: how steady and how quick the machine was."""
    run, rows = result.yardstick, []
    headings = (
        "case",
        "median of the rounds, us",
        "quickest to slowest round, us",
        f"variation of the rounds, % (limit {100 * YARDSTICK_VARIATION_LIMIT:g})",
        f"over the best, % (limit {100 * YARDSTICK_SLOWER_LIMIT:g})",
    )
    if run is None or run.reference_ns is None:
        return Table("Yardstick", "", headings, ())
    for label, case in numbered(result):
        if case.yardstick is not None:
            own = case.yardstick
            bounds = f"{min(own.round_p50_ns) / 1e3:.1f} to {max(own.round_p50_ns) / 1e3:.1f}"
            over = 100 * (own.median_ns / run.reference_ns - 1)
            rows.append((label, f"{own.median_ns / 1e3:.1f}", bounds, f"{100 * own.variation:.1f}", f"{over:.1f}"))
    before = "none is known from before" if run.known_best_ns is None else f"{run.known_best_ns / 1e3:.1f} us before it"
    caption = (
        f"A fixed kernel (version {run.version}), timed in the case's process before and after the calls of each "
        f"round. This machine's best round: {(run.best_ns or 0) / 1e3:.1f} us in this run; {before}."
    )
    return Table("Yardstick", caption, headings, tuple(rows))


def audits(result: Result) -> Table:
    """What the three audits of each case found."""
    words = {True: "passed", False: "FAILED", None: "not applicable"}
    rows = []
    for label, case in numbered(result):
        found = (case.audits.outputs, case.audits.repeated_input, case.audits.accuracy)
        rows.append((label, *(f"{words[audit.passed]}: {audit.detail}" for audit in found)))
    headings = ("case", "outputs of the timed run", "repeated input (limit: 10 % faster)", "golden windows")
    return Table("Audits", "A case that fails one is invalid.", headings, tuple(rows), names=4)


def not_measured(result: Result) -> Table:
    """Cases that were skipped."""
    rows = tuple((skipped.name, skipped.bundle, skipped.reason) for skipped in result.not_measured)
    return Table("Not measured", "", ("what", "bundle", "why"), rows, names=3)


def bundles(result: Result) -> Table:
    """What was measured."""
    rows = []
    for bundle in result.bundles:
        figures = (bundle.accuracy or {}).items()
        accuracy = ", ".join(f"{name.replace('_', '-')} {100 * value:.1f} %" for name, value in figures)
        window = f"{bundle.window_samples} samples at {bundle.rate_hz:g} Hz, {bundle.window_mode}"
        scaled = f"raw, {' and '.join(bundle.transforms)}" if bundle.is_raw else bundle.scaling
        encoded = " x ".join(map(str, bundle.encoded_shape)) + f", {scaled}"
        rows.append((bundle.name, window, encoded, str(bundle.classes), accuracy or "not known", bundle.sha256[:16]))
    headings = ("bundle", "window", "network's input", "classes", "held out, trained network", "SHA-256")
    return Table("Bundles", "", headings, tuple(rows), names=6)


def profile(result: Result) -> Table:
    """What of the profile was applied, and what was not."""
    headings = ("setting", "wanted", "what became of it")
    used = result.profile
    if used is None:
        return Table("Profile", "", headings, ())
    rows = [(held.setting, f"{held.wanted:g}", f"applied: {_text(held.got)}, by {held.means}") for held in used.applied]
    rows += [
        (lack.setting, f"{lack.wanted:g}", f"NOT applied ({lack.code}): {lack.reason}") for lack in used.not_applied
    ]
    return Table(f"Profile: {used.title}", used.note, headings, tuple(rows), names=3)


def profile_sources(result: Result) -> Table:
    """Where every figure of the profile comes from."""
    figures = {} if result.profile is None else result.profile.figures
    rows = tuple((name, f"{each.value:.10g}", each.kind, each.text, each.url) for name, each in figures.items())
    headings = ("figure", "value", "kind", "source", "address")
    return Table("Sources of the profile's figures", "", headings, rows, names=5)


def machine(result: Result) -> Table:
    """The machine, its state, and what is installed on it."""
    environment = result.environment
    used, throttled = (
        environment.machine,
        [state.throttled or "unknown" for state in (environment.before, environment.after)],
    )
    memory = "" if used.memory_bytes is None else f"{used.memory_bytes / 1e9:.1f} GB"
    rows = (
        ("board", used.board or ""), ("processor", used.cpu or ""), ("ARM part", used.cpu_part or ""),
        ("architecture", used.architecture), ("relevant instruction sets", " ".join(used.features)),
        ("cores", _text(used.cores)), ("cores allowed", _text(used.affinity)), ("memory", memory),
        ("virtual machine", {True: "yes", False: "no", None: ""}[used.virtual_machine]), ("system", used.system),
        ("Python", f"{used.python} ({used.implementation})"),
        ("frequency governor (wanted: performance)", _text(environment.governors) or "unknown"),
        ("throttled (vcgencmd), before and after", ", ".join(throttled)),
        ("pages swapped during the run", _text(environment.swapped_pages) or "unknown"),
        ("packages", ", ".join(f"{name} {version}" for name, version in used.versions.items())),
    )  # fmt: skip
    return Table("Environment", "", ("", ""), tuple(row for row in rows if row[1]), names=2)


def _text(value: Any) -> str:
    return "" if value is None else ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
