"""Two results side by side: which bundle and which case of one is which of the other, and what forbids to compare them.

A refusal is one sentence with both values and the way out. What is compared and how far it can be trusted is
``vskd_benchmarks.compare.compare``'s matter; nothing here reads a latency.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vskd.errors import ConfigError, DataError, did_you_mean
from vskd_benchmarks.result.folder import RAW, RESULT, read_manifest, read_result

#: What makes a machine another one, in ``environment.machine``. Versions do not: they are often what is compared.
MACHINE = ("board", "cpu", "cpu_part", "architecture", "features", "cores", "affinity", "virtual_machine")

#: What two contracts must agree in to pose the same task, even where models may differ.
TASK = ("window_mode", "window_samples", "hop_samples", "rate_hz", "classes")

Case = Mapping[str, Any]


@dataclass(frozen=True)
class Choices:
    """What a user allows and wants.

    Attributes
    ----------
    scope : what is compared, a key of the cases' ``scopes``
    across_models : different models, of one task
    across_machines : different machines
    cases : ids of cases of the candidate; empty takes all
    """

    scope: str = "sensor_to_label"
    across_models: bool = False
    across_machines: bool = False
    cases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """A result folder, opened.

    Attributes
    ----------
    folder : where it lies
    document : its ``result.json``
    """

    folder: Path
    document: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Measured:
        """Open a result folder; its document must be the one that the manifest holds.

        Raises
        ------
        DataError : no result folder, or changed since it was written
        """
        document = read_result(folder)
        measured = cls(folder, document)
        measured.check_file(RESULT)
        return measured

    def check_file(self, name: str) -> None:
        """Hold a file against the manifest.

        Raises
        ------
        DataError : missing or changed
        """
        path, entry = self.folder / name, read_manifest(self.folder).files.get(name)
        if entry is None or not path.is_file():
            hint = "The raw nanoseconds are needed: keep the whole folder"
            raise DataError(f"{self.folder} has no {name}", hint=hint)
        if hashlib.sha256(path.read_bytes()).hexdigest() != entry.sha256:
            raise DataError(f"{path} was changed: its SHA-256 is not the manifest's", hint="Copy the folder again")

    @property
    def has_raw(self) -> bool:
        """Whether the raw nanoseconds lie beside the document; a committed summary may leave them out."""
        return (self.folder / RAW).is_dir()

    def bundle(self, case: Case) -> Mapping[str, Any]:
        """The bundle that a case was fed from."""
        found: Mapping[str, Any] = next(b for b in self.document["bundles"] if b["id"] == case["bundle"])
        return found


@dataclass(frozen=True)
class Pairing:
    """Cases that are to be compared, and what a reader must know of them.

    Attributes
    ----------
    pairs : (baseline's case, candidate's case)
    only_baseline, only_candidate : names of cases without a counterpart
    stamps : sentences on what differs although it was allowed
    """

    pairs: tuple[tuple[Case, Case], ...]
    only_baseline: tuple[str, ...]
    only_candidate: tuple[str, ...]
    stamps: tuple[str, ...]


def pair(baseline: Measured, candidate: Measured, choices: Choices) -> Pairing:
    """Match the cases of two results, or refuse.

    Raises
    ------
    ConfigError : they must not be compared, or nothing in them can be
    """
    stamps = [*_conditions(baseline, candidate), *_machines(baseline, candidate, choices)]
    partners = _partners(baseline, candidate)
    same = {bundle["id"]: bundle["id"] for bundle in candidate.document["bundles"]}
    ours, theirs = _by_key(baseline, choices, partners), _by_key(candidate, choices, same)
    wanted = _wanted(theirs, choices)
    pairs = tuple((ours[key], case) for key, case in theirs.items() if key in ours and case["id"] in wanted)
    if not pairs:
        raise _nothing_in_common(baseline, candidate, choices)
    for one, other in pairs:
        _check_case(baseline, one)
        _check_case(candidate, other)
    stamps += _models(baseline, candidate, pairs, choices)
    return Pairing(
        pairs,
        tuple(case["name"] for key, case in ours.items() if key not in theirs and not choices.cases),
        tuple(case["name"] for key, case in theirs.items() if key not in ours and case["id"] in wanted),
        tuple(stamps),
    )


def _conditions(baseline: Measured, candidate: Measured) -> Iterator[str]:
    """Refuse different modes; tell of what may differ and bears on latency."""
    ours, theirs = (side.document["configuration"] for side in (baseline, candidate))
    for what, before, after in (
        ("mode", ours["mode"], theirs["mode"]),
        ("rate, windows a second", ours["rate_hz"], theirs["rate_hz"]),
        ("batch, windows a wake-up", ours.get("batch", 1), theirs.get("batch", 1)),
    ):
        if before != after:
            message = f"the {what} differs: {baseline.folder} has {_said(before)}, {candidate.folder} {_said(after)}"
            raise ConfigError(message, hint="Measure both alike: the same --mode, --rate-hz and --batch")
    yield from _profiles(baseline, candidate)
    if ours["quick"] != theirs["quick"]:
        yield f"only {baseline.folder if ours['quick'] else candidate.folder} was measured with --quick"
    for side in (baseline, candidate):
        status = side.document["validity"]["status"]
        if status != "valid":
            yield f"{side.folder} is {status}"


def _profiles(baseline: Measured, candidate: Measured) -> Iterator[str]:
    """Refuse another profile; tell where the same one was applied otherwise."""
    ours, theirs = (side.document.get("profile") for side in (baseline, candidate))
    names = [_said(None if each is None else f"{each['name']} {each['sha256'][:12]}") for each in (ours, theirs)]
    if names[0] != names[1]:
        message = f"the profile differs: {baseline.folder} has {names[0]}, {candidate.folder} {names[1]}"
        raise ConfigError(message, hint="Measure both alike: the same --profile")
    if ours is not None and theirs is not None:
        applied = [sorted(held["setting"] for held in each["applied"]) for each in (ours, theirs)]
        if applied[0] != applied[1]:
            yield f"applied of the profile: {_said(applied[0])} -> {_said(applied[1])}"


def _machines(baseline: Measured, candidate: Measured, choices: Choices) -> Iterator[str]:
    ours, theirs = (side.document["environment"]["machine"] for side in (baseline, candidate))
    different = [key for key in MACHINE if ours[key] != theirs[key]]
    if different:
        key = different[0]
        said = f"{key} {_said(ours[key])} against {_said(theirs[key])}"
        if not choices.across_machines:
            hint = "Measure both on one machine, or say --across-machines"
            raise ConfigError(f"{baseline.folder} and {candidate.folder} are of different machines: {said}", hint=hint)
        yield f"ACROSS MACHINES: {said}" + (f", and {', '.join(different[1:])}" if different[1:] else "")
    packages = {**ours["versions"], **theirs["versions"]}
    versions = [("Python", ours["python"], theirs["python"]), ("system", ours["system"], theirs["system"])]
    versions += [(name, ours["versions"].get(name), theirs["versions"].get(name)) for name in sorted(packages)]
    for name, before, after in versions:
        if before != after:
            yield f"{name}: {_said(before)} -> {_said(after)}"
    governors = [side.document["environment"]["before"]["governors"] for side in (baseline, candidate)]
    if governors[0] != governors[1]:
        yield f"frequency governor: {_said(governors[0])} -> {_said(governors[1])}"


def _partners(baseline: Measured, candidate: Measured) -> dict[str, str]:
    """Bundle of the baseline -> bundle of the candidate: the same one, or of the same name, or the only one left."""
    ours, theirs = list(baseline.document["bundles"]), list(candidate.document["bundles"])
    found: dict[str, str] = {}
    for keys in (("sha256", "id"), ("sha256",), ("id",)):
        for one in list(ours):
            other = next((bundle for bundle in theirs if all(bundle[key] == one[key] for key in keys)), None)
            if other is not None:
                found[one["id"]] = other["id"]
                ours.remove(one)
                theirs.remove(other)
    if len(ours) == len(theirs) == 1:
        found[ours[0]["id"]] = theirs[0]["id"]
    return found


def _by_key(side: Measured, choices: Choices, partners: Mapping[str, str]) -> dict[tuple[Any, ...], Case]:
    """Cases that hold the scope, by what must be equal; the bundle by its name in the candidate."""
    cases = [case for case in side.document["cases"] if choices.scope in case["scopes"]]
    # A bundle without a partner must not pass for the candidate's bundle of that name.
    return {(partners.get(case["bundle"], ("alone", case["bundle"])), *_identity(case)): case for case in cases}


def _identity(case: Case) -> tuple[Any, ...]:
    network = () if case["kind"] == "bundle" else (case["network"], case["model"] and case["model"]["file"])
    return (case["kind"], case["engine"], case["recipe"], case["threads"], case["encoder"], *network)


def _wanted(theirs: Mapping[tuple[Any, ...], Case], choices: Choices) -> set[str]:
    known = {case["id"] for case in theirs.values()}
    for name in choices.cases:
        if name not in known:
            raise ConfigError(f"the candidate has no case {name!r}", hint=did_you_mean(name, known))
    return set(choices.cases) or known


def _nothing_in_common(baseline: Measured, candidate: Measured, choices: Choices) -> ConfigError:
    """Why no case of one is a case of the other, in one sentence."""
    sides = (baseline, candidate)
    for side in sides:
        scopes = {scope for case in side.document["cases"] for scope in case["scopes"]}
        if choices.scope not in scopes:
            return ConfigError(
                f"{side.folder} does not hold the scope {choices.scope}", hint=f"It holds: {', '.join(sorted(scopes))}"
            )
    threads = [sorted({case["threads"] for case in side.document["cases"]}) for side in sides]
    if not set(threads[0]) & set(threads[1]):
        counts = [", ".join(map(str, each)) for each in threads]
        message = f"the threads differ: {baseline.folder} has {counts[0]}, {candidate.folder} {counts[1]}"
        return ConfigError(message, hint="Measure both with the same --threads")
    names = ["; ".join(case["name"] for case in side.document["cases"]) for side in sides]
    message = f"no case of {baseline.folder} ({names[0]}) is one of {candidate.folder} ({names[1]})"
    return ConfigError(message, hint="A case is the same where bundle, engine, recipe, threads and encoder are")


def _check_case(side: Measured, case: Case) -> None:
    if case["validity"]["status"] == "invalid":
        reasons = [*case["validity"]["reasons"], *side.document["validity"]["reasons"]]
        why = next((reason["message"] for reason in reasons if reason["severity"] == "invalid"), "no reason recorded")
        message = f"{case['name']} of {side.folder} is invalid: {why}"
        raise ConfigError(message, hint="Measure again, or choose other cases with --case")


def _models(
    baseline: Measured, candidate: Measured, pairs: Sequence[tuple[Case, Case]], choices: Choices
) -> Iterator[str]:
    """Refuse other contracts, inputs and models; tell of what differs and is allowed."""
    seen: set[str] = set()
    for one, other in pairs:
        for sentence in (
            *_contracts(baseline.bundle(one), candidate.bundle(other), choices),
            *_inputs(one, other),
            *_files(one, other, choices),
        ):
            if sentence not in seen:
                seen.add(sentence)
                yield sentence


def _contracts(ours: Mapping[str, Any], theirs: Mapping[str, Any], choices: Choices) -> Iterator[str]:
    if ours["contract_sha256"] == theirs["contract_sha256"]:
        return
    said = f"the contracts of {ours['name']} and {theirs['name']} differ"
    differing = [key for key in (*TASK, "image_shape", "scaling", "temperature") if ours[key] != theirs[key]]
    values = ", ".join(f"{key} {_said(ours[key])} against {_said(theirs[key])}" for key in differing)
    said += f": {values}" if values else f": SHA-256 {ours['contract_sha256'][:12]}, {theirs['contract_sha256'][:12]}"
    if not choices.across_models:
        raise ConfigError(
            said, hint="Compare bundles of one contract; --across-models allows another model of one task"
        )
    if set(differing) & set(TASK):
        raise ConfigError(said, hint="They pose different tasks; no flag makes their times comparable")
    yield f"ACROSS MODELS: {said}"


def _inputs(one: Case, other: Case) -> Iterator[str]:
    if one["signal"]["source"] != other["signal"]["source"]:
        ours, theirs = one["signal"]["source"], other["signal"]["source"]
        message = f"{other['name']} was fed other windows: {ours} in the baseline, {theirs} in the candidate"
        raise ConfigError(message, hint="Measure both on bundles with golden windows, or both without")
    if one["options"] != other["options"]:
        yield f"session options of {other['name']}: {_said(one['options'])} -> {_said(other['options'])}"


def _files(one: Case, other: Case, choices: Choices) -> Iterator[str]:
    ours, theirs = (case["model"]["sha256"] if case["model"] else None for case in (one, other))
    if ours == theirs:
        return
    said = f"the model of {other['name']} is another file: SHA-256 {_said(ours)[:12]} against {_said(theirs)[:12]}"
    if not choices.across_models:
        raise ConfigError(said, hint="Compare runs of one model, or say --across-models")
    yield f"ACROSS MODELS: {said}"


def _said(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items()) or "none"
    return " ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
