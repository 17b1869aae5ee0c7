"""The part of a result on the profile it was measured under.

A profile's name on a result names the limits that were set, never the machine. ``statement`` puts it in words;
``vskd_benchmarks.result.validity`` draws the consequences.
"""

from __future__ import annotations

from vskd.closed import to_mapping
from vskd_benchmarks.device.confinement import Confinement
from vskd_benchmarks.device.profiles import Profile, profile_sha256
from vskd_benchmarks.result.records.conditions import (
    AppliedProfile,
    Machine,
    ProfileFigure,
)


def profile_facts(profile: Profile, confinement: Confinement, machine: Machine) -> AppliedProfile:
    """The profile's part of the result.

    Parameters
    ----------
    profile : of ``--profile``
    confinement : how it was applied
    machine : that was measured
    """
    relation = profile.relation_to(machine.board)
    figures = {
        name: ProfileFigure(value=value, **to_mapping(profile.sources[name]))
        for name, value in profile.figures().items()
    }
    return AppliedProfile(
        name=profile.name,
        title=profile.title,
        note=profile.note,
        sha256=profile_sha256(profile.name),
        relation=relation,
        statement=_statement(profile, relation, machine),
        figures=figures,
        applied=tuple(confinement.applied.values()),
        not_applied=tuple(confinement.not_applied.values()),
    )


def _statement(profile: Profile, relation: str, machine: Machine) -> str:
    name = machine.name
    if relation == "itself":
        return f"Measured on the device: {name}."
    if relation == "stand-in":
        return f"Measured on {name}, which the profile accepts in place of a {profile.title}; the figures are {name}'s."
    return f"Measured on {name}, which is no {profile.title}: no figure here is one of a {profile.title}."
