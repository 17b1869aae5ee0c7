"""Whether samples can be in the unit that was named: gravity alone gives a wrist's median |a|."""

from __future__ import annotations

from vskd.contract import STANDARD_GRAVITY_M_S2, Unit
from vskd.errors import StreamError
from vskd.stream.samples import factor_to_g

#: Samples whose median |a| decides whether the unit is right (fewer if a window has fewer), and the bounds between
#: which it is believed, g. A wrist that throws or boxes without pause stays below 3 g in the median; 1 g read as
#: m/s^2 is 0.1 g.
UNIT_CHECK_SAMPLES = 50
PLAUSIBLE_G = (0.25, 4.0)


def refuse_wrong_unit(magnitudes_g: list[float], *, unit: Unit, is_judged: bool = False) -> None:
    """Refuse samples whose median |a| is far from what gravity alone gives.

    Parameters
    ----------
    magnitudes_g : |a| of some samples, g, if they are in ``unit``
    unit : in which they were given
    is_judged : each window will be judged by its gravity, too: a median below the bounds that no unit explains is left
        to that, since a sensor may only be slow to wake

    Raises
    ------
    StreamError : names the unit that they look like
    """
    median_g = sorted(magnitudes_g)[len(magnitudes_g) // 2]
    if not PLAUSIBLE_G[0] <= median_g <= PLAUSIBLE_G[1]:
        to_g = factor_to_g(unit)
        if is_judged and median_g < PLAUSIBLE_G[0] and not median_g / to_g >= PLAUSIBLE_G[0]:
            return
        raise StreamError(
            f"the median |a| of {len(magnitudes_g)} samples is {median_g / to_g:.4g} {unit}, "
            f"but gravity alone makes it {1 / to_g:.4g}",
            hint=_unit_hint(median_g / to_g),
        )


def _unit_hint(median: float) -> str:
    """Which unit a median |a| of this size would fit."""
    low, high = PLAUSIBLE_G
    if low <= median <= high:
        return "It looks like g: use unit='g' (--unit g)"
    if low <= median / STANDARD_GRAVITY_M_S2 <= high:
        return "It looks like m/s^2: use unit='m/s^2' (--unit m/s^2)"
    if median < low:
        return "It looks like acceleration without gravity, which this model was not trained on"
    return "It looks like raw counts: multiply by the sensor's g per count"
