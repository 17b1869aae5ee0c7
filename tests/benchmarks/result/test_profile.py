"""What a result says of its profile, and the reasons to doubt that follow from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vskd.closed import from_mapping
from vskd_benchmarks.device.confinement import Confinement
from vskd_benchmarks.device.environment import describe_machine
from vskd_benchmarks.device.profiles import ProfileSettings, read_profile
from vskd_benchmarks.result.profile import profile_facts
from vskd_benchmarks.result.records.conditions import Machine
from vskd_benchmarks.result.validity import profile_reasons

SETTINGS = ProfileSettings(cores=1, frequency_khz=1_000_000, memory_bytes=400_000_000, rate_hz=1.0)


def facts(board, name="generic-watch"):
    confinement = Confinement(SETTINGS)
    confinement.hold("cores", 1, [0], "sched_setaffinity")
    confinement.deviate("frequency_khz", 1_000_000, "the system offers no scaling_max_freq", "no-cpufreq")
    confinement.deviate("rate_hz", 1.0, "--rate-hz 2")
    machine = from_mapping(Machine, describe_machine(), where="machine")
    return profile_facts(read_profile(name), confinement, replace(machine, board=board))


@pytest.mark.parametrize(
    ("board", "code", "severity"),
    [(None, "profile-machine", "degraded"), ("Raspberry Pi Zero 2 W Rev 1.0", "profile-stand-in", "note")],
)
def test_a_result_says_that_the_machine_is_not_the_device(board, code, severity):
    reasons = {reason.code: reason for reason in profile_reasons(facts(board))}
    assert reasons[code].severity == severity
    assert "generic watch" in reasons[code].message


def test_on_the_device_itself_nothing_is_held_against_it():
    used = facts("Raspberry Pi 5 Model B Rev 1.0", "pi-5")
    assert used.relation == "itself"
    assert {reason.code for reason in profile_reasons(used)} == {"profile-not-applied"}


def test_what_was_not_applied_degrades_unless_the_user_asked_for_it():
    found = [reason for reason in profile_reasons(facts(None)) if reason.code == "profile-not-applied"]
    assert {reason.value: reason.severity for reason in found} == {"frequency_khz": "degraded", "rate_hz": "note"}
    assert "(no-cpufreq): the system offers no scaling_max_freq" in found[0].message
