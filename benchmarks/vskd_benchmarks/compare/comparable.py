"""What forbids to compare two results, and what a reader must know where it is allowed.

A refusal is one sentence with both values and the way out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from vskd.errors import ConfigError
from vskd_benchmarks.result.folder import ResultFolder
from vskd_benchmarks.result.records.case import Case
from vskd_benchmarks.result.records.conditions import TASK, AppliedProfile, MeasuredBundle

#: What makes a machine another one, in ``environment.machine``. Versions do not: they are often what is compared.
MACHINE = ("board", "cpu", "cpu_part", "architecture", "features", "cores", "affinity", "virtual_machine")


def check_conditions(baseline: ResultFolder, candidate: ResultFolder, *, across_machines: bool) -> list[str]:
    """Refuse different modes, profiles and machines; what differs and affects latency, a sentence each.

    Raises
    ------
    ConfigError : they must not be compared
    """
    return [*_conditions(baseline, candidate), *_machines(baseline, candidate, across_machines)]


def check_pairs(
    baseline: ResultFolder, candidate: ResultFolder, pairs: Sequence[tuple[Case, Case]], *, across_models: bool
) -> list[str]:
    """Refuse invalid cases, other contracts, inputs and models; what differs and is allowed, a sentence each.

    Raises
    ------
    ConfigError : they must not be compared
    """
    notes: dict[str, None] = {}
    for one, other in pairs:
        _check_case(baseline, one)
        _check_case(candidate, other)
    for one, other in pairs:
        bundles = baseline.result.bundle(one.bundle), candidate.result.bundle(other.bundle)
        contracts, files = _contracts(*bundles, across_models), _files(one, other, across_models)
        notes |= dict.fromkeys((*contracts, *_inputs(one, other), *files))
    return list(notes)


def yardstick_lack(baseline: ResultFolder, candidate: ResultFolder) -> str:
    """Why latencies cannot be compared in yardsticks; empty where they can."""
    versions = []
    for side in (baseline, candidate):
        if side.result.yardstick is None:
            return f"{side.path} has no yardstick: an earlier vskd wrote it"
        versions.append(side.result.yardstick.version)
    if versions[0] != versions[1]:
        return f"the yardstick differs: {baseline.path} has version {versions[0]}, {candidate.path} {versions[1]}"
    return ""


def _conditions(baseline: ResultFolder, candidate: ResultFolder) -> Iterator[str]:
    """Refuse different modes; note what may differ and affects latency."""
    ours, theirs = (side.result.configuration for side in (baseline, candidate))
    for what, before, after in (
        ("mode", ours.mode, theirs.mode),
        ("rate, windows a second", ours.rate_hz, theirs.rate_hz),
    ):
        if before != after:
            message = f"the {what} differs: {baseline.path} has {_words(before)}, {candidate.path} {_words(after)}"
            raise ConfigError(message, hint="Measure both alike: the same --mode and --rate-hz")
    yield from _profiles(baseline, candidate)
    if ours.quick != theirs.quick:
        yield f"only {baseline.path if ours.quick else candidate.path} was measured with --quick"
    for side in (baseline, candidate):
        status = side.result.validity.status
        if status != "valid":
            yield f"{side.path} is {status}"


def _profiles(baseline: ResultFolder, candidate: ResultFolder) -> Iterator[str]:
    """Refuse another profile; note where the same one was applied otherwise."""
    before, after = baseline.result.profile, candidate.result.profile
    if _profile_name(before) != _profile_name(after):
        names = f"{baseline.path} has {_profile_name(before)}, {candidate.path} {_profile_name(after)}"
        raise ConfigError(f"the profile differs: {names}", hint="Measure both alike: the same --profile")
    if before is not None and after is not None:
        applied = [" ".join(sorted(each.setting for each in profile.applied)) for profile in (before, after)]
        if applied[0] != applied[1]:
            yield f"applied of the profile: {applied[0] or 'none'} -> {applied[1] or 'none'}"


def _profile_name(profile: AppliedProfile | None) -> str:
    return "none" if profile is None else f"{profile.name} {profile.sha256[:12]}"


def _machines(baseline: ResultFolder, candidate: ResultFolder, across_machines: bool) -> Iterator[str]:
    before, after = (side.result.environment.machine for side in (baseline, candidate))
    different = _differing(before, after, MACHINE)
    if different and not across_machines:
        hint = "Measure both on one machine, or add --across-machines"
        names = f"{baseline.path} and {candidate.path}"
        raise ConfigError(f"{names} are of different machines: {_against(before, after, different[:1])}", hint=hint)
    if different:
        more = f", and {', '.join(different[1:])}" if different[1:] else ""
        yield f"ACROSS MACHINES: {_against(before, after, different[:1])}{more}"
    packages = sorted({*before.versions, *after.versions})
    governors = [side.result.environment.before.governors for side in (baseline, candidate)]
    for name, old, new in (
        ("Python", before.python, after.python),
        ("system", before.system, after.system),
        *((package, before.versions.get(package), after.versions.get(package)) for package in packages),
        ("frequency governor", *governors),
    ):
        if old != new:
            yield f"{name}: {_words(old)} -> {_words(new)}"


def _differing(before: object, after: object, keys: Sequence[str]) -> list[str]:
    return [key for key in keys if getattr(before, key) != getattr(after, key)]


def _against(before: object, after: object, keys: Sequence[str]) -> str:
    """Both values of each key, e.g. ``cores 4 against 2``."""
    return ", ".join(f"{key} {_words(getattr(before, key))} against {_words(getattr(after, key))}" for key in keys)


def _check_case(side: ResultFolder, case: Case) -> None:
    if case.validity.status == "invalid":
        reasons = [*case.validity.reasons, *side.result.validity.reasons]
        why = next((reason.message for reason in reasons if reason.severity == "invalid"), "no reason recorded")
        message = f"{case.name} of {side.path} is invalid: {why}"
        raise ConfigError(message, hint="Measure again")


def _contracts(before: MeasuredBundle, after: MeasuredBundle, across_models: bool) -> Iterator[str]:
    if before.contract_sha256 == after.contract_sha256:
        return
    differing = _differing(before, after, (*TASK, "encoded_shape", "scaling", "transforms", "temperature"))
    values = f"SHA-256 {before.contract_sha256[:12]}, {after.contract_sha256[:12]}"
    if differing:
        values = _against(before, after, differing)
    message = f"the contracts of {before.name} and {after.name} differ: {values}"
    if not across_models:
        hint = "Compare bundles of one contract; --across-models allows another model of one task"
        raise ConfigError(message, hint=hint)
    if set(differing) & set(TASK):
        raise ConfigError(message, hint="They pose different tasks; no flag makes their times comparable")
    yield f"ACROSS MODELS: {message}"


def _inputs(one: Case, other: Case) -> Iterator[str]:
    before, after = one.signal.source, other.signal.source
    if before != after:
        message = f"{other.name} was fed other windows: {before} in the baseline, {after} in the candidate"
        raise ConfigError(message, hint="Measure both on bundles with golden windows, or both without")
    if one.options != other.options:
        yield f"session options of {other.name}: {_words(one.options)} -> {_words(other.options)}"


def _files(one: Case, other: Case, across_models: bool) -> Iterator[str]:
    before, after = (case.model.sha256 if case.model else "none" for case in (one, other))
    if before == after:
        return
    message = f"the model of {other.name} is another file: SHA-256 {before[:12]} against {after[:12]}"
    if not across_models:
        raise ConfigError(message, hint="Compare runs of one model, or add --across-models")
    yield f"ACROSS MODELS: {message}"


def _words(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items()) or "none"
    return " ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
