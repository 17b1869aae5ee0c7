"""Profiles: every figure has a source, the files are closed, and a machine is never taken for another."""

from __future__ import annotations

import dataclasses
import re

import pytest

from vskd.errors import ConfigError
from vskd_benchmarks.commands.bench import bench
from vskd_benchmarks.device.profiles import (
    FOLDER,
    MachineNames,
    PowerModel,
    Profile,
    ProfileSettings,
    Source,
    parse_profile,
    profile_names,
    read_profile,
)

TEXT = (FOLDER / "generic-watch.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", profile_names())
def test_every_figure_of_every_profile_has_a_source_or_is_an_assumption(name):
    profile = read_profile(name)
    assert profile.figures().keys() == profile.sources.keys()
    for source in profile.sources.values():
        assert source.url.startswith("https://") or source.kind == "assumption"
        assert source.text


def test_the_six_profiles_are_there_and_the_help_names_them():
    names = {"pi-zero-2w", "pi-4", "pi-5", "snapdragon-w5", "exynos-w1000", "generic-watch"}
    assert set(profile_names()) == names
    text = next(option.help for option in bench.params if option.name == "profile")
    assert names == set(re.findall(r"[\w-]+", text.partition(":")[2]))


def test_an_unknown_profile_gets_the_list_and_a_suggestion():
    with pytest.raises(ConfigError, match="unknown profile 'pi5'") as caught:
        read_profile("pi5")
    assert "Did you mean 'pi-5'?" in caught.value.hint
    assert all(name in caught.value.hint for name in profile_names())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("cores = 1", "cores = 0", r"settings.cores must be above 0, got 0"),
        ("cores = 1", "cores = 1\nturbo = 1", "unknown key 'turbo'"),
        ("cores = 1", "", "lacks the key 'cores'"),
        ('[sources."battery.capacity_wh"]', '[sources."battery.capacity_ah"]', "battery.capacity_wh has no source"),
        ("[battery]\ncapacity_wh = 1.3", "", "source of 'battery.capacity_wh', which it does not hold"),
        (
            'text = "a recent chip at a moderate clock"',
            'text = "x"\nurl = "https://x"',
            "model.core_v needs an address",
        ),
        ("name =", "name", "is no TOML"),
    ],
)
def test_a_file_with_a_mistake_is_refused(old, new, message):
    assert TEXT.count(old) == 1 or old == "name ="
    with pytest.raises(ConfigError, match=message):
        parse_profile(TEXT.replace(old, new, 1), where="x.toml")


def profile(**machine):
    settings = ProfileSettings(1, 1, 1_500_000, 10**8, 1.0)
    model = PowerModel(200.0, 0.9, 500.0)
    figures = [f"settings.{field.name}" for field in dataclasses.fields(settings)]
    figures += [f"model.{field.name}" for field in dataclasses.fields(model)]
    sources = dict.fromkeys(figures, Source("assumption", "a test"))
    return Profile("x", "X", "", MachineNames(**machine), settings, model, None, sources)


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
