"""The share of a battery a day, by hand and by its properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd_benchmarks.device.battery import battery_use

positive = st.floats(1e-6, 1e3)


def share(**changed):
    usual = {
        "inference_j": 0.54e-3, "wake_up_j": 0.0, "rate_hz": 1.0, "batch": 1, "duty_cycle": 1.0, "capacity_wh": 1.3
    }  # fmt: skip
    return battery_use(**{**usual, **changed})


def test_one_per_cent_of_a_small_watch_at_one_hertz_is_054_millijoules_each():
    # 1.3 Wh = 4680 J; 1 % of it is 46.8 J; over 86,400 inferences 0.5417 mJ.
    assert share()["percent_per_day"] == pytest.approx(1.0, rel=0.01)
    assert share(inference_j=46.8 / 86400)["percent_per_day"] == pytest.approx(1.0)


def test_wake_ups_by_hand():
    # Half of the day at 2 Hz: 86,400 inferences, in fours: 21,600 wake-ups. 86.4 J + 21.6 J of 3600 J: 3 %.
    use = share(inference_j=1e-3, wake_up_j=1e-3, rate_hz=2.0, batch=4, duty_cycle=0.5, capacity_wh=1.0)
    assert use["inferences_per_day"] == 86_400
    assert use["wake_ups_per_day"] == 21_600
    assert use["percent_per_day"] == pytest.approx(3.0)
    assert use["wake_up_mj"] == 1.0
    assert use["uncertainty_percent"] is None


def test_the_uncertainty_scales_as_the_energy_does():
    assert share(uncertainty_j=0.27e-3)["uncertainty_percent"] == pytest.approx(share()["percent_per_day"] / 2)


@given(energy_j=positive, rate_hz=positive, capacity_wh=positive, duty=st.floats(0.01, 1.0), batch=st.integers(1, 60))
def test_twice_the_rate_or_half_the_battery_is_twice_the_share(energy_j, rate_hz, capacity_wh, duty, batch):
    one = {"inference_j": energy_j, "wake_up_j": energy_j / 3, "duty_cycle": duty, "batch": batch}
    percent = share(**one, rate_hz=rate_hz, capacity_wh=capacity_wh)["percent_per_day"]
    assert share(**one, rate_hz=2 * rate_hz, capacity_wh=capacity_wh)["percent_per_day"] == pytest.approx(2 * percent)
    assert share(**one, rate_hz=rate_hz, capacity_wh=capacity_wh / 2)["percent_per_day"] == pytest.approx(2 * percent)


@given(st.integers(1, 59))
def test_larger_batches_never_cost_more(batch):
    costs = [share(wake_up_j=1e-4, batch=size)["percent_per_day"] for size in (batch, batch + 1)]
    assert costs[1] < costs[0]
