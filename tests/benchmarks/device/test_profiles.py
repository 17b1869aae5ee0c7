"""Profiles: every figure has a source, the files are closed, and a machine is never taken for another."""

from __future__ import annotations

import re

import pytest

from vskd.errors import ConfigError
from vskd_benchmarks.commands.bench import bench
from vskd_benchmarks.device.profiles import (
    MachineNames,
    PowerModel,
    Profile,
    ProfileSettings,
    profile_names,
    read_profile,
)


@pytest.mark.parametrize("name", profile_names())
def test_every_figure_of_every_profile_has_a_source_or_is_an_assumption(name):
    profile = read_profile(name)
    assert profile.name == name
    assert profile.figures().keys() == profile.sources.keys()
    assert min(profile.figures().values()) > 0
    for source in profile.sources.values():
        assert source.url.startswith("https://") != (source.kind == "assumption")
        assert source.text


def test_the_six_profiles_are_there_and_the_help_names_them():
    names = {"pi-zero-2w", "pi-4", "pi-5", "snapdragon-w5", "exynos-w1000", "generic-watch"}
    assert set(profile_names()) == names
    text = next(option.help for option in bench.commands["measure"].params if option.name == "profile")
    assert names == set(re.findall(r"[\w-]+", text.partition(":")[2]))


def test_an_unknown_profile_gets_the_list_and_a_suggestion():
    with pytest.raises(ConfigError, match="unknown profile 'pi5'") as caught:
        read_profile("pi5")
    assert "Did you mean 'pi-5'?" in caught.value.hint
    assert all(name in caught.value.hint for name in profile_names())


def profile(**machine):
    settings = ProfileSettings(1, 1_500_000, 10**8, 1.0)
    return Profile("x", "X", "", MachineNames(**machine), settings, PowerModel(200.0, 0.9, 500.0))


def test_the_core_and_a_wake_up_by_hand():
    # 200 uW/MHz/V^2 at 1500 MHz and 0.9 V: 200 * 1500 * 0.81 = 243,000 uW; 500 us of that are 121.5 uJ.
    assert profile().core_active_w == pytest.approx(0.243)
    assert profile().wake_up_j == pytest.approx(121.5e-6)


@pytest.mark.parametrize(
    ("board", "relation"),
    [
        ("Raspberry Pi Zero 2 W Rev 1.0", "stand-in"),
        ("Some Watch", "itself"),
        ("Raspberry Pi 5 Model B Rev 1.0", "other"),
        (None, "other"),
    ],
)
def test_what_a_machine_is_to_a_profile(board, relation):
    device = profile(boards=("Some Watch",), stand_ins=("Raspberry Pi Zero 2 W",))
    assert device.relation_to(board) == relation


def test_a_profile_without_boards_is_no_machine():
    assert profile().relation_to("Raspberry Pi 5") == "other"
