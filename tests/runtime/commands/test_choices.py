"""The names that options offer are those of the engines and sensors there are."""

from __future__ import annotations

import pytest

import vskd
from vskd import engines
from vskd.commands import choices
from vskd.sources import i2c as samples_i2c


def test_options_offer_the_engines_there_are() -> None:
    assert tuple(engines.ENGINES) == choices.ENGINES


def test_options_offer_the_sensors_there_are() -> None:
    assert tuple(samples_i2c.SENSORS) == choices.SENSORS
    assert samples_i2c.PREFIX == choices.SENSOR_PREFIX


@pytest.mark.parametrize("name", vskd.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(vskd, name) is not None
    assert name in dir(vskd)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'vskd' has no attribute 'Clasifier'"):
        vskd.Clasifier  # noqa: B018
