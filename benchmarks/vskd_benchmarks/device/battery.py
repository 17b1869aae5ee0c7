"""What a classifier takes out of a battery in a day.

Share of the battery a day = (energy per inference * inferences a day + energy per wake-up * wake-ups a day) / capacity.
Nothing else a watch does is in it: display, radio, the sensor itself and the losses of its converter are not.
"""

from __future__ import annotations

from typing import Any

DAY_S = 86_400
J_PER_WH = 3_600.0


def battery_use(
    *,
    inference_j: float,
    wake_up_j: float,
    rate_hz: float,
    batch: int,
    duty_cycle: float,
    capacity_wh: float,
    uncertainty_j: float | None = None,
) -> dict[str, Any]:
    """The use of a battery, as the result holds it.

    Parameters
    ----------
    inference_j : energy of one inference over idle, J
    wake_up_j : energy of one wake-up, J; 0 where ``inference_j`` holds it already
    rate_hz : windows a second while it runs
    batch : windows for one wake-up
    duty_cycle : share of the day in which it runs
    capacity_wh : of the battery
    uncertainty_j : of ``inference_j``; None where nothing is known of it

    Returns
    -------
    ``percent_per_day`` and what it was computed from
    """
    inferences = rate_hz * DAY_S * duty_cycle
    wake_ups = inferences / batch
    capacity_j = capacity_wh * J_PER_WH
    return {
        "percent_per_day": 100 * (inference_j * inferences + wake_up_j * wake_ups) / capacity_j,
        "uncertainty_percent": None if uncertainty_j is None else 100 * uncertainty_j * inferences / capacity_j,
        "inferences_per_day": inferences,
        "wake_ups_per_day": wake_ups,
        "wake_up_mj": wake_up_j * 1e3,
        "capacity_wh": capacity_wh,
    }
