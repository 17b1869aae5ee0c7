"""Whether a result can be believed: coded reasons, each with the measured value and its limit.

``invalid`` : the numbers are not those of this model on this machine. ``degraded`` : they are, on a machine that was
not at rest; good for a look, not for a claim. A ``note`` informs and changes nothing. Everything is computed from what
the result records, so that ``vskd bench --check`` comes to the same verdict.

Why the limits are what they are
    load : other processes may keep 0.25 cores busy, about what an idle desktop or a logged-in Pi does; from there on
        they share caches and memory with the case often enough to be seen in p90. When fewer cores are left than the
        case has threads, it was time-sliced: invalid. On one core half a core is that limit
    governor : any but ``performance`` changes the clock with the load, so that latency depends on what came before
    throttled : the Raspberry Pi's firmware slows the core for heat or low voltage (bits 0 to 3: now; 16 to 19: since
        it started); a figure taken meanwhile belongs to no clock at all. What it did before the run is a note
    temperature : a Raspberry Pi begins to slow down at 80 degrees and must at 85; other boards lie near
    clock : a change by 5 % moves latency as much as the regressions that a comparison looks for
    swap : one page from a disk or card takes milliseconds, many inferences; 256 pages (1 MiB) in a whole run are what
        others do in passing. Swap that is in use but at rest is a note
    too-few-samples : under 11 windows there is no median with 99 % confidence, so nothing to report; under 64 no p90,
        so nothing of the tail. Under 662 there is no p99: a note
    not-steady : the warm-up's rule was not met, so a trend is in the figures
    preempted : a single-threaded case, back to back, computes all the time; under 95 % something took its core
    memory-grew : 2 MiB in a soak are two arenas of Python's allocator; more is a leak
    energy-uncertain : above a quarter of the figure it tells the order of magnitude; latency stands: a note
    threads-exceed-cores : threads that wait for each other's core measure the scheduler
    profile-... : see ``vskd_benchmarks.result.profile``; the machine is not the device, or a limit could not be set
    audit-... : see ``vskd_benchmarks.result.audits``; a failed one means that what was timed is not what a user gets
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vskd_benchmarks.measure.latency import SMALLEST_SAMPLE
from vskd_benchmarks.result.profile import profile_reasons

OTHER_CORES_LIMIT = 0.25
ONE_CORE_LIMIT = 0.5
WARM_C, HOT_C = 80.0, 85.0
CLOCK_CHANGE_LIMIT = 0.05
SWAPPED_PAGES_LIMIT = 256
CPU_SHARE_LIMIT = 0.95
FEWEST_FOR_TAIL = SMALLEST_SAMPLE[90.0]
FEWEST_FOR_P99 = SMALLEST_SAMPLE[99.0]
GROWTH_LIMIT_BYTES = 2 * 2**20
ENERGY_UNCERTAINTY_LIMIT = 0.25

#: Bits of ``vcgencmd get_throttled``: what holds now, and what has happened since the firmware started.
_THROTTLED_NOW, _THROTTLED_EVER = 0xF, 0xF0000

_LOAD_SOURCE = {
    "case": "meanwhile",
    "group": "while its group was measured",
    "load-average": "in the last minute, by the load average",
}

_RANK = {"note": 0, "degraded": 1, "invalid": 2}
_STATUS = ("valid", "degraded", "invalid")

Reason = dict[str, Any]


def verdicts(result: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The validity of the run and of each of its cases.

    Parameters
    ----------
    result : with environment and cases; what it says of validity is not looked at

    Returns
    -------
    the run's: its own reasons, and the worst status of all; and each case's: its own reasons, and the worst status of
    them and the run's
    """
    machine = [*run_reasons(result["environment"]), *profile_reasons(result.get("profile"))]
    run_rank = _worst(machine)
    own = [list(case_reasons(case, result["environment"])) for case in result["cases"]]
    ranks = [max(run_rank, _worst(reasons)) for reasons in own]
    cases = [{"status": _STATUS[rank], "reasons": reasons} for rank, reasons in zip(ranks, own, strict=True)]
    return {"status": _STATUS[max([run_rank, *ranks])], "reasons": machine}, cases


def _worst(reasons: Sequence[Reason]) -> int:
    return max((_RANK[reason["severity"]] for reason in reasons), default=0)


def run_reasons(environment: Mapping[str, Any]) -> Iterator[Reason]:
    """Reasons that lie in the machine."""
    before, after = environment["before"], environment["after"]
    other = sorted({*before["governors"], *after["governors"]} - {"performance"})
    if other:
        names = ", ".join(other)
        yield _reason("governor", "degraded", names, "performance", "", f"the frequency governor is {names}")
    yield from _throttling(before["throttled"], after["throttled"])
    yield from _temperature(environment)
    yield from _clock(environment["readings"])
    yield from _swap(before, after)
    if environment["machine"]["virtual_machine"]:
        yield _reason("virtual-machine", "note", "hypervisor", None, "", "the processor is a virtual machine's")


def load_reasons(before: float | None, after: float | None) -> Iterator[Reason]:
    """Reasons of a benchmark that can look at its neighbours only before and after itself: busy cores each."""
    for when, cores in (("before", before), ("after", after)):
        if cores is not None and cores > OTHER_CORES_LIMIT:
            message = f"{cores:.2f} cores were busy with other work {when} the run, above {OTHER_CORES_LIMIT}"
            yield _reason("load", "degraded", cores, OTHER_CORES_LIMIT, "cores", message)


def _throttling(before: str | None, after: str | None) -> Iterator[Reason]:
    bits_before, bits_after = _bits(before), _bits(after)
    for when, said, bits in (("before", before, bits_before), ("after", after, bits_after)):
        if bits & _THROTTLED_NOW:
            message = f"vcgencmd get_throttled said {said} {when} the run"
            yield _reason("throttled", "invalid", said, "0x0", "", message)
    if bits_after & ~bits_before & _THROTTLED_EVER:
        yield _reason("throttled", "invalid", after, before, "", f"the board was slowed down during the run: {after}")
    elif bits_before & _THROTTLED_EVER:
        message = f"the board was slowed down earlier: {before}"
        yield _reason("throttled-earlier", "note", before, "0x0", "", message)


def _bits(said: str | None) -> int:
    try:
        return int(said or "0", 16)
    except ValueError:
        return 0  # the tool's own complaint, e.g. that it lacks a right: nothing is known


def _temperature(environment: Mapping[str, Any]) -> Iterator[Reason]:
    states = (environment["before"], *environment["readings"], environment["after"])
    hottest = max((state["temperature_c"] for state in states if state["temperature_c"] is not None), default=None)
    if hottest is not None and hottest >= WARM_C:
        severity, limit = ("invalid", HOT_C) if hottest >= HOT_C else ("degraded", WARM_C)
        message = f"the hottest thermal zone reached {hottest:.1f} degrees Celsius, {limit:g} are the limit"
        yield _reason("temperature", severity, hottest, limit, "C", message)


def _clock(readings: Sequence[Mapping[str, Any]]) -> Iterator[Reason]:
    clocks = [reading["frequency_khz"] for reading in readings if reading["frequency_khz"]]
    change = 1 - min(clocks) / max(clocks) if clocks else 0.0
    if change > CLOCK_CHANGE_LIMIT:
        message = f"the quickest core ran at {min(clocks) / 1000:.0f} to {max(clocks) / 1000:.0f} MHz"
        yield _reason("clock", "degraded", round(change, 4), CLOCK_CHANGE_LIMIT, "share", message)


def _swap(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Reason]:
    if before["swapped_pages"] is not None and after["swapped_pages"] is not None:
        pages = after["swapped_pages"] - before["swapped_pages"]
        if pages > SWAPPED_PAGES_LIMIT:
            message = f"{pages} pages were swapped during the run, above {SWAPPED_PAGES_LIMIT}"
            yield _reason("swap-activity", "degraded", pages, SWAPPED_PAGES_LIMIT, "pages", message)
    if after["swap_used_bytes"]:
        used = after["swap_used_bytes"]
        yield _reason("swap-in-use", "note", used, 0, "bytes", f"{used / 1e6:.1f} MB of swap are in use")


def case_reasons(case: Mapping[str, Any], environment: Mapping[str, Any]) -> Iterator[Reason]:
    """Reasons that lie in a case."""
    yield from _load(case, environment)
    yield from _samples(case)
    if not case["warm_up"]["steady"]:
        calls = case["warm_up"]["calls"]
        yield _reason("not-steady", "degraded", calls, None, "calls", f"not steady after {calls} calls of warm-up")
    share = case["cpu"]["share"]
    if case["mode"] == "single-stream" and case["threads"] == 1 and share < CPU_SHARE_LIMIT:
        message = f"it computed for {share:.0%} of the time, below {CPU_SHARE_LIMIT:.0%}"
        yield _reason("preempted", "degraded", share, CPU_SHARE_LIMIT, "share", message)
    cores = environment["machine"]["cores"]
    if cores is not None and case["threads"] > cores:
        message = f"{case['threads']} threads on {cores} cores"
        yield _reason("threads-exceed-cores", "degraded", case["threads"], cores, "threads", message)
    soak = case["soak"]
    if soak is not None and soak["growth_bytes"] > soak["limit_bytes"]:
        grown = soak["growth_bytes"]
        message = f"resident memory grew by {grown / 1e6:.1f} MB"
        yield _reason("memory-grew", "degraded", grown, soak["limit_bytes"], "bytes", message)
    yield from _audits(case["audits"])
    yield from _energy(case.get("energy"))


def _energy(energy: Mapping[str, Any] | None) -> Iterator[Reason]:
    if energy is None or energy["uncertainty_mj"] is None:
        return
    each, uncertainty = energy["per_inference_mj"], energy["uncertainty_mj"]
    if uncertainty > ENERGY_UNCERTAINTY_LIMIT * abs(each):
        message = f"{each:.3g} mJ an inference are uncertain by {uncertainty:.2g} mJ; measure for longer, or in a soak"
        yield _reason("energy-uncertain", "note", uncertainty, ENERGY_UNCERTAINTY_LIMIT * abs(each), "mJ", message)


def _load(case: Mapping[str, Any], environment: Mapping[str, Any]) -> Iterator[Reason]:
    cores, other = environment["machine"]["cores"], case["cpu"]["other_cores"]
    if other is None or other <= OTHER_CORES_LIMIT:
        return
    left = max(ONE_CORE_LIMIT, (cores or 1) - case["threads"])
    severity, limit = ("invalid", left) if other > left else ("degraded", OTHER_CORES_LIMIT)
    source = _LOAD_SOURCE[case["cpu"]["load_source"]]
    message = f"other work kept {other:.2f} cores busy {source}, above {limit:g}"
    yield _reason("load", severity, round(other, 3), limit, "cores", message)


def _samples(case: Mapping[str, Any]) -> Iterator[Reason]:
    windows = min(statistics["windows"] for statistics in case["scopes"].values())
    for limit, code, severity, lacking in (
        (SMALLEST_SAMPLE[50.0], "too-few-samples", "invalid", "a median"),
        (FEWEST_FOR_TAIL, "too-few-samples", "degraded", "p90"),
        (FEWEST_FOR_P99, "no-p99", "note", "p99"),
    ):
        if windows < limit:
            message = f"{windows} windows are too few for {lacking}, which takes {limit}"
            yield _reason(code, severity, windows, limit, "windows", message)
            return


def _audits(audits: Mapping[str, Mapping[str, Any]]) -> Iterator[Reason]:
    values = {"outputs": "largest_difference", "repeated_input": "faster", "accuracy": "largest_difference"}
    for name, key in values.items():
        audit = audits[name]
        if audit["passed"] is False:
            code = f"audit-{name.replace('_', '-')}"
            yield _reason(code, "invalid", audit[key], audit["limit"], "", f"audit failed: {audit['detail']}")


def _reason(
    code: str, severity: str, value: float | str | None, limit: float | str | None, unit: str, message: str
) -> Reason:
    return {
        "code": code, "severity": severity, "value": value, "limit": limit, "unit": unit, "message": message,
    }  # fmt: skip
