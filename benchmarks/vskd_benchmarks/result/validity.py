"""Whether a result can be believed: coded reasons, each with the measured value and its limit.

``invalid`` : the numbers are not those of this model on this machine. ``degraded`` : they are, on a machine that was
not at rest; good for a look, not for a claim. A ``note`` informs and changes nothing. Everything is computed from what
the result records, so that ``vskd bench check`` comes to the same verdict.

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
    yardstick : a fixed kernel, timed beside the case in each of its rounds. On a machine at rest its rounds differ by
        0.2 %; a coefficient of variation of 5 % between them is a machine that changed under the case as much as the
        regressions that a comparison looks for (see clock). A case whose yardstick is 10 % slower than this machine's
        best ran in a slower mode throughout, which nothing else shows: that much a user would have to be told. It is
        the case's, because cases of one run lie in different modes; the run's status is the worst of them
    preempted : a single-threaded case, back to back, computes all the time; under 95 % another process took its core
    memory-grew : 2 MiB in a soak are two arenas of Python's allocator; more is a leak
    energy-uncertain : above a quarter of the figure only the order of magnitude is known; latency stands: a note
    threads-exceed-cores : threads that wait for each other's core measure the scheduler
    profile-... : a machine that is neither the device nor a board that the profile accepts in its place, or a setting
        that could not be applied: degraded. A stand-in, or another option that overrides it: a note
    audit-... : see ``vskd_benchmarks.result.audits``; a failed one means that what was timed is not what a user gets
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vskd_benchmarks.measure.latency import SMALLEST_SAMPLE
from vskd_benchmarks.result.records.case import Case
from vskd_benchmarks.result.records.conditions import AppliedProfile, Environment, Reading, Yardstick
from vskd_benchmarks.result.records.energy import CaseEnergy
from vskd_benchmarks.result.records.validity import (
    AccuracyAudit,
    Audits,
    OutputsAudit,
    Reason,
    ReasonCode,
    RepeatedInputAudit,
    Severity,
    Status,
    Validity,
)

OTHER_CORES_LIMIT = 0.25
ONE_CORE_LIMIT = 0.5
WARM_C, HOT_C = 80.0, 85.0
CLOCK_CHANGE_LIMIT = 0.05
SWAPPED_PAGES_LIMIT = 256
CPU_SHARE_LIMIT = 0.95
FEWEST_FOR_MEDIAN = SMALLEST_SAMPLE[50.0]
FEWEST_FOR_TAIL = SMALLEST_SAMPLE[90.0]
FEWEST_FOR_P99 = SMALLEST_SAMPLE[99.0]
GROWTH_LIMIT_BYTES = 2 * 2**20
ENERGY_UNCERTAINTY_LIMIT = 0.25
YARDSTICK_VARIATION_LIMIT, YARDSTICK_SLOWER_LIMIT = 0.05, 0.10

#: Bits of ``vcgencmd get_throttled``: what holds now, and what has happened since the firmware started.
_THROTTLED_NOW, _THROTTLED_EVER = 0xF, 0xF0000

_LOAD_SOURCE = {
    "case": "meanwhile",
    "group": "while its group was measured",
}

#: What each setting of a profile is called in a message, with its unit.
_SETTINGS = {
    "cores": "cores",
    "frequency_khz": "clock (kHz)",
    "memory_bytes": "memory (bytes)",
    "rate_hz": "pace (Hz)",
}

_RANK = {"note": 0, "degraded": 1, "invalid": 2}
_STATUS: tuple[Status, ...] = ("valid", "degraded", "invalid")


def verdicts(
    environment: Environment, profile: AppliedProfile | None, cases: Sequence[Case], yardstick: Yardstick | None
) -> tuple[Validity, tuple[Validity, ...]]:
    """The validity of the run and of each of its cases.

    Parameters
    ----------
    environment, profile : of the run
    cases : their own validity is not read
    yardstick : of the run, its best round known; None in older results

    Returns
    -------
    the run's: its own reasons, and the worst status of all; and each case's: its own reasons, and the worst status of
    them and the run's
    """
    machine = (*run_reasons(environment), *profile_reasons(profile))
    run_rank = _worst(machine)
    own = [(*case_reasons(case, environment), *yardstick_reasons(case, yardstick)) for case in cases]
    ranks = [max(run_rank, _worst(reasons)) for reasons in own]
    each = tuple(Validity(_STATUS[rank], reasons) for rank, reasons in zip(ranks, own, strict=True))
    return Validity(_STATUS[max([run_rank, *ranks])], machine), each


def _worst(reasons: Sequence[Reason]) -> int:
    return max((_RANK[reason.severity] for reason in reasons), default=0)


def run_reasons(environment: Environment) -> Iterator[Reason]:
    """Reasons that lie in the machine."""
    before, after = environment.before, environment.after
    other = [name for name in environment.governors if name != "performance"]
    if other:
        names = ", ".join(other)
        yield Reason("governor", "degraded", names, "performance", "", f"the frequency governor is {names}")
    yield from _throttling(before.throttled, after.throttled)
    yield from _temperature(environment)
    yield from _clock(environment.readings)
    yield from _swap(environment)
    if environment.machine.virtual_machine:
        yield Reason("virtual-machine", "note", "hypervisor", None, "", "the processor is a virtual machine's")


def _throttling(before: str | None, after: str | None) -> Iterator[Reason]:
    bits_before, bits_after = _bits(before), _bits(after)
    for when, answer, bits in (("before", before, bits_before), ("after", after, bits_after)):
        if bits & _THROTTLED_NOW:
            message = f"vcgencmd get_throttled gave {answer} {when} the run"
            yield Reason("throttled", "invalid", answer, "0x0", "", message)
    if bits_after & ~bits_before & _THROTTLED_EVER:
        yield Reason("throttled", "invalid", after, before, "", f"the board was slowed down during the run: {after}")
    elif bits_before & _THROTTLED_EVER:
        message = f"the board was slowed down earlier: {before}"
        yield Reason("throttled-earlier", "note", before, "0x0", "", message)


def _bits(answer: str | None) -> int:
    try:
        return int(answer or "0", 16)
    except ValueError:
        return 0  # the tool's own complaint, e.g. that it lacks a right: nothing is known


def _temperature(environment: Environment) -> Iterator[Reason]:
    before, after = environment.before.temperature_c, environment.after.temperature_c
    temperatures = (before, *(reading.temperature_c for reading in environment.readings), after)
    hottest = max((temperature for temperature in temperatures if temperature is not None), default=None)
    if hottest is None or hottest < WARM_C:
        return
    message = f"the hottest thermal zone reached {hottest:.1f} degrees Celsius"
    if hottest >= HOT_C:
        yield Reason("temperature", "invalid", hottest, HOT_C, "C", f"{message}, {HOT_C:g} are the limit")
    else:
        yield Reason("temperature", "degraded", hottest, WARM_C, "C", f"{message}, {WARM_C:g} are the limit")


def _clock(readings: Sequence[Reading]) -> Iterator[Reason]:
    clocks = [reading.frequency_khz for reading in readings if reading.frequency_khz]
    change = 1 - min(clocks) / max(clocks) if clocks else 0.0
    if change > CLOCK_CHANGE_LIMIT:
        message = f"the quickest core ran at {min(clocks) / 1000:.0f} to {max(clocks) / 1000:.0f} MHz"
        yield Reason("clock", "degraded", round(change, 4), CLOCK_CHANGE_LIMIT, "share", message)


def _swap(environment: Environment) -> Iterator[Reason]:
    pages, used = environment.swapped_pages, environment.after.swap_used_bytes
    if pages is not None and pages > SWAPPED_PAGES_LIMIT:
        message = f"{pages} pages were swapped during the run, above {SWAPPED_PAGES_LIMIT}"
        yield Reason("swap-activity", "degraded", pages, SWAPPED_PAGES_LIMIT, "pages", message)
    if used:
        yield Reason("swap-in-use", "note", used, 0, "bytes", f"{used / 1e6:.1f} MB of swap are in use")


def case_reasons(case: Case, environment: Environment) -> Iterator[Reason]:
    """Reasons that lie in a case."""
    yield from _load(case, environment)
    yield from _samples(case)
    if not case.warm_up.steady:
        calls = case.warm_up.calls
        yield Reason("not-steady", "degraded", calls, None, "calls", f"not steady after {calls} calls of warm-up")
    share = case.cpu.share
    if case.mode == "single-stream" and case.threads == 1 and share < CPU_SHARE_LIMIT:
        message = f"it computed for {share:.0%} of the time, below {CPU_SHARE_LIMIT:.0%}"
        yield Reason("preempted", "degraded", share, CPU_SHARE_LIMIT, "share", message)
    cores = environment.machine.cores
    if cores is not None and case.threads > cores:
        message = f"{case.threads} threads on {cores} cores"
        yield Reason("threads-exceed-cores", "degraded", case.threads, cores, "threads", message)
    soak = case.soak
    if soak is not None and soak.growth_bytes > soak.limit_bytes:
        grown = soak.growth_bytes
        message = f"resident memory grew by {grown / 1e6:.1f} MB"
        yield Reason("memory-grew", "degraded", grown, soak.limit_bytes, "bytes", message)
    yield from _audits(case.audits)
    yield from _energy(case.energy)


def yardstick_reasons(case: Case, yardstick: Yardstick | None) -> Iterator[Reason]:
    """Reasons that the kernel beside a case gives: the machine changed, or was slow throughout."""
    own, best_ns = case.yardstick, None if yardstick is None else yardstick.reference_ns
    if own is None or best_ns is None:
        return
    if own.variation > YARDSTICK_VARIATION_LIMIT:
        message = (
            f"the yardstick beside it varied by {own.variation:.1%} from round to round, "
            f"above {YARDSTICK_VARIATION_LIMIT:.0%}"
        )
        code: ReasonCode = "yardstick-not-steady"
        yield Reason(code, "degraded", own.variation, YARDSTICK_VARIATION_LIMIT, "share", message)
    slower = round(own.median_ns / best_ns - 1, 4)
    if slower > YARDSTICK_SLOWER_LIMIT:
        message = (
            f"the yardstick beside it took {own.median_ns / 1e3:.0f} us, {slower:.0%} more than this machine's best "
            f"of {best_ns / 1e3:.0f} us"
        )
        yield Reason("yardstick-slow", "degraded", slower, YARDSTICK_SLOWER_LIMIT, "share", message)


def _energy(energy: CaseEnergy | None) -> Iterator[Reason]:
    if energy is None or energy.uncertainty_mj is None:
        return
    each, uncertainty = energy.per_inference_mj, energy.uncertainty_mj
    if uncertainty > ENERGY_UNCERTAINTY_LIMIT * abs(each):
        message = f"{each:.3g} mJ an inference are uncertain by {uncertainty:.2g} mJ; measure for longer, or in a soak"
        yield Reason("energy-uncertain", "note", uncertainty, ENERGY_UNCERTAINTY_LIMIT * abs(each), "mJ", message)


def _load(case: Case, environment: Environment) -> Iterator[Reason]:
    cores, other = environment.machine.cores, case.cpu.other_cores
    if other is None or other <= OTHER_CORES_LIMIT:
        return
    left = max(ONE_CORE_LIMIT, (cores or 1) - case.threads)
    source, cores_busy = _LOAD_SOURCE[case.cpu.load_source], round(other, 3)
    message = f"other work kept {other:.2f} cores busy {source}"
    if other > left:
        yield Reason("load", "invalid", cores_busy, left, "cores", f"{message}, above {left:g}")
    else:
        yield Reason(
            "load", "degraded", cores_busy, OTHER_CORES_LIMIT, "cores", f"{message}, above {OTHER_CORES_LIMIT:g}"
        )


def _samples(case: Case) -> Iterator[Reason]:
    windows = min(statistics.windows for statistics in case.scopes.values())
    message = f"{windows} windows are too few for"
    if windows < FEWEST_FOR_MEDIAN:
        message = f"{message} a median, which takes {FEWEST_FOR_MEDIAN}"
        yield Reason("too-few-samples", "invalid", windows, FEWEST_FOR_MEDIAN, "windows", message)
    elif windows < FEWEST_FOR_TAIL:
        message = f"{message} p90, which takes {FEWEST_FOR_TAIL}"
        yield Reason("too-few-samples", "degraded", windows, FEWEST_FOR_TAIL, "windows", message)
    elif windows < FEWEST_FOR_P99:
        message = f"{message} p99, which takes {FEWEST_FOR_P99}"
        yield Reason("no-p99", "note", windows, FEWEST_FOR_P99, "windows", message)


def _audits(audits: Audits) -> Iterator[Reason]:
    outputs, repeated, accuracy = audits.outputs, audits.repeated_input, audits.accuracy
    audited: tuple[tuple[ReasonCode, OutputsAudit | RepeatedInputAudit | AccuracyAudit, float | None], ...] = (
        ("audit-outputs", outputs, outputs.largest_difference),
        ("audit-repeated-input", repeated, repeated.faster),
        ("audit-accuracy", accuracy, accuracy.largest_difference),
    )
    for code, audit, value in audited:
        if audit.passed is False:
            yield Reason(code, "invalid", value, audit.limit, "", f"audit failed: {audit.detail}")


def profile_reasons(profile: AppliedProfile | None) -> Iterator[Reason]:
    """Reasons that lie in the profile; none without one."""
    if profile is None:
        return
    if profile.relation == "stand-in":
        yield Reason("profile-stand-in", "note", profile.name, None, "", profile.statement)
    elif profile.relation == "other":
        yield Reason("profile-machine", "degraded", profile.name, None, "", profile.statement)
    for lack in profile.not_applied:
        severity: Severity = "note" if lack.code == "asked-otherwise" else "degraded"
        message = f"profile {profile.name}: {_SETTINGS[lack.setting]} not applied ({lack.code}): {lack.reason}"
        yield Reason("profile-not-applied", severity, lack.setting, lack.wanted, "", message)
