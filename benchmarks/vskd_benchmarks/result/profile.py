"""What a result says of the profile it was measured under, and what follows from it for its validity.

A profile's name on a result says what was asked of the machine, never that the machine was the device. ``statement``
says it in words; a machine that is neither the device nor a board that the profile accepts in its place makes the
result degraded, as does every setting that could not be applied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vskd.closed import to_mapping
from vskd_benchmarks.device.confinement import Confinement
from vskd_benchmarks.device.profiles import Profile, profile_sha256

#: What each setting is called in a message, with its unit.
_WORDS = {
    "threads": "threads",
    "cores": "cores",
    "frequency_khz": "clock (kHz)",
    "memory_bytes": "memory (bytes)",
    "rate_hz": "pace (Hz)",
    "batch": "windows a wake-up",
}


def profile_facts(profile: Profile, confinement: Confinement, machine: Mapping[str, Any]) -> dict[str, Any]:
    """The profile's part of the result.

    Parameters
    ----------
    profile : that was asked for
    confinement : how it was applied
    machine : as ``vskd_benchmarks.device.environment.describe_machine`` gives it
    """
    relation = profile.relation_to(machine["board"])
    return {
        "name": profile.name,
        "title": profile.title,
        "note": profile.note,
        "sha256": profile_sha256(profile.name),
        "relation": relation,
        "statement": _statement(profile, relation, machine),
        "figures": {
            name: {"value": value, **to_mapping(profile.sources[name])} for name, value in profile.figures().items()
        },
        "applied": list(confinement.applied.values()),
        "not_applied": list(confinement.not_applied.values()),
    }


def _statement(profile: Profile, relation: str, machine: Mapping[str, Any]) -> str:
    name = machine["board"] or machine["cpu"] or machine["architecture"]
    if relation == "itself":
        return f"Measured on the device: {name}."
    if relation == "stand-in":
        return f"Measured on {name}, which the profile accepts in place of a {profile.title}; the figures are {name}'s."
    return f"Measured on {name}, which is no {profile.title}: no figure here is one of a {profile.title}."


def profile_reasons(facts: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    """Reasons of validity that lie in the profile.

    Parameters
    ----------
    facts : as ``profile_facts`` gives them; None without a profile
    """
    if facts is None:
        return
    if facts["relation"] == "stand-in":
        yield _reason("profile-stand-in", "note", facts["name"], None, facts["statement"])
    elif facts["relation"] == "other":
        yield _reason("profile-machine", "degraded", facts["name"], None, facts["statement"])
    for lack in facts["not_applied"]:
        severity = "note" if lack["code"] == "asked-otherwise" else "degraded"
        message = f"profile {facts['name']}: {_WORDS[lack['setting']]} not applied ({lack['code']}): {lack['reason']}"
        yield _reason("profile-not-applied", severity, lack["setting"], lack["wanted"], message)


def _reason(code: str, severity: str, value: str, limit: float | None, message: str) -> dict[str, Any]:
    return {"code": code, "severity": severity, "value": value, "limit": limit, "unit": "", "message": message}
