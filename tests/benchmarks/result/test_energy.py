"""What follows from recorded energy: a model by hand, a day of the battery, and their assumptions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vskd_benchmarks.device.energy import EnergyRecord, EnergySettings
from vskd_benchmarks.device.profiles import read_profile
from vskd_benchmarks.result.energy import derive_energy, energy_facts
from vskd_benchmarks.result.folder import read_raw, read_result
from vskd_benchmarks.result.records.energy import CaseEnergy
from vskd_benchmarks.result.validity import _energy

WATCH = read_profile("generic-watch")


def record(source="model", profile=WATCH, **settings):
    return EnergyRecord(EnergySettings(**settings), profile, source, "", (), 0, idle_ns=(0, 5 * 10**9))


@pytest.fixture(scope="module")
def case(make_result, tmp_path_factory):
    """Of 20 inferences that took 40 ms of processor time."""
    made = read_result(make_result(tmp_path_factory.mktemp("made") / "result")).cases[0]
    return replace(made, rounds=2, calls_per_round=10, cpu=replace(made.cpu, busy_ns=40_000_000))


@pytest.fixture
def modelled(case):
    """The run's energy and the case with its own: (relation, pace, settings) -> both."""

    def derived(relation, pace_hz=1.0, profile=WATCH, **settings):
        facts = energy_facts(record(profile=profile, **settings), pace_hz=pace_hz, relation=relation)
        run, (with_energy,) = derive_energy(facts, [case], {case.id: {}})
        return run, with_energy

    return derived


def test_the_model_by_hand(modelled):
    run, case = modelled("itself")
    # 64 mW for 40 ms over 20 inferences: 0.128 mJ each; a wake-up of 666 us: 0.042624 mJ.
    assert case.energy.per_inference_mj == pytest.approx(0.128)
    assert case.battery.wake_up_mj == pytest.approx(0.042624)
    # (0.128 + 0.042624) mJ * 86,400 = 14.742 J of 4680 J.
    assert case.battery.percent_per_day == pytest.approx(0.3150, abs=1e-4)
    assert case.energy.measured is run.measured is False
    unknown = ("uncertainty_mj", "total_per_inference_mj", "idle_w", "active_w", "readings")
    assert [getattr(case.energy, name) for name in unknown] == [None] * 5
    assert run.assumptions[0].startswith("model, not measured: a computing core takes 64 mW = 100 uW/MHz/V^2")


@pytest.mark.parametrize(
    ("relation", "of"), [("itself", "device"), ("stand-in", "stand-in"), ("other", "no-device"), (None, "no-device")]
)
def test_a_model_on_another_machine_is_of_no_device(modelled, relation, of):
    run, _ = modelled(relation)
    assert run.of == of
    found = [line for line in run.assumptions if "no figure of energy or battery here" in line]
    assert len(found) == (relation == "other")


def test_a_battery_and_a_day_of_the_users_own(modelled):
    run, case = modelled("itself", battery_wh=2.6, duty_cycle=0.25)
    assert case.battery.percent_per_day == pytest.approx(0.3150 / 8, abs=1e-5)
    assert "a window at 1 Hz for 25% of the day" in run.assumptions
    assert "battery of 2.6 Wh, from --battery-wh" in run.assumptions


def test_without_a_capacity_there_is_no_share_and_it_is_said(modelled):
    run, case = modelled("itself", profile=read_profile("pi-4"))
    assert case.battery is None
    assert case.energy is not None
    assert "no share of a battery: no capacity is known; --battery-wh gives one" in run.assumptions


@pytest.mark.parametrize(("pace_hz", "wake_up"), [(1.0, None), (None, pytest.approx(4.2624e-5))])
def test_wake_ups_are_counted_once(pace_hz, wake_up):
    facts = energy_facts(record("power-meter"), pace_hz=pace_hz, relation="stand-in")
    assert facts.wake_up_j == wake_up
    assert ("wake-ups lie within the measured energy" in facts.assumptions) == (wake_up is None)


def test_an_energy_within_its_uncertainty_is_noted():
    energy = CaseEnergy("pmic", True, 1, per_inference_mj=0.4, uncertainty_mj=0.11)
    (reason,) = _energy(energy)
    assert (reason.code, reason.severity, reason.limit) == ("energy-uncertain", "note", pytest.approx(0.1))
    assert reason.message.startswith("0.4 mJ an inference are uncertain by 0.11 mJ")
    assert not list(_energy(replace(energy, uncertainty_mj=0.09)))
    assert not list(_energy(replace(energy, uncertainty_mj=None)))


def test_each_case_has_the_energy_of_its_own_blocks(make_result, tmp_path):
    folder = make_result(tmp_path / "metered", active_w=2.0, edit=lambda facts: facts.update(cases=facts["cases"][:2]))
    result = read_result(folder)
    assert (result.energy.problem, result.energy.idle_w) == (None, pytest.approx(1.0, rel=0.01))
    for case in result.cases:
        spent_s = np.diff(read_raw(folder, case.id)["interval"], axis=1).sum() / 1e9
        # 2 W above the idle machine's 1 W, over 800 inferences.
        assert case.energy.per_inference_mj == pytest.approx(2e3 * spent_s / 800, rel=0.02)
        assert case.energy.total_per_inference_mj == pytest.approx(3e3 * spent_s / 800, rel=0.02)
        # One window a second all day, from a battery of one watt-hour.
        share = 86_400 / 3600 / 10
        assert case.battery.percent_per_day == pytest.approx(case.energy.per_inference_mj * share)
        assert case.battery.uncertainty_percent == pytest.approx(case.energy.uncertainty_mj * share)
    assert result.cases[0].energy.per_inference_mj > 3 * result.cases[1].energy.per_inference_mj
    raws = {case.id: read_raw(folder, case.id) for case in result.cases}
    _, (first, _) = derive_energy(result.energy, result.cases, raws)
    assert (first.energy, first.battery) == (None, None)


def test_an_uncertain_energy_reaches_the_verdict(make_result, tmp_path):
    folder = make_result(tmp_path / "metered", active_w=1e-4, edit=lambda facts: facts.update(cases=facts["cases"][:1]))
    (case,) = read_result(folder).cases
    assert [(reason.code, reason.severity) for reason in case.validity.reasons] == [("energy-uncertain", "note")]
    assert case.validity.status == "valid"


@pytest.mark.parametrize(("relation", "status"), [("itself", "valid"), ("other", "degraded")])
def test_a_profile_on_another_machine_reaches_the_verdict(make_result, under, tmp_path, relation, status):
    def only_held(facts):
        under("pi-4")(facts)
        facts["profile"] |= {"relation": relation, "not_applied": []}

    result = read_result(make_result(tmp_path / "result", edit=only_held))
    assert (result.validity.status, result.cases[0].validity.status) == (status, status)
