"""The channels of a raw network: by definition, and against arithmetic of its own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vskd.contract import Contract, RawSpec, WindowSpec
from vskd.encoders import encoder_for
from vskd.encoders.gaf import GafEncoder
from vskd.encoders.raw import RawEncoder
from vskd.errors import ConfigError, ContractError, SignalError

WINDOWS = np.random.default_rng(0).normal(0, 3, (5, 3, 32)).astype(np.float32)


def test_each_transform_by_its_definition():
    encoded = RawEncoder(RawSpec(transforms=("centred", "g", "tanh"), scale_g=1.5, clip_g=4), 32)(WINDOWS)

    assert encoded.shape == (5, 9, 32)
    for window, channels in zip(WINDOWS, encoded, strict=True):
        for axis in range(3):
            readings = [float(value) for value in window[axis]]
            soft = [math.tanh(value / 1.5) for value in readings]
            mean = math.fsum(soft) / len(soft)
            np.testing.assert_allclose(channels[axis], [value - mean for value in soft], atol=5e-7)
            np.testing.assert_array_equal(channels[3 + axis], [max(-4.0, min(4.0, value)) for value in window[axis]])
            np.testing.assert_allclose(channels[6 + axis], soft, atol=5e-7)


def test_one_window_is_encoded_as_in_a_batch():
    encode = RawEncoder(RawSpec(transforms=("tanh", "centred")), 32)
    np.testing.assert_array_equal(encode(WINDOWS[2]), encode(WINDOWS)[2])


def test_centred_channels_do_not_know_where_up_is():
    encode = RawEncoder(RawSpec(transforms=("centred",)), 32)
    rest = np.zeros((3, 32), dtype=np.float32)
    rest[2] = 1.0
    np.testing.assert_allclose(encode(rest), 0, atol=1e-7)


@pytest.mark.parametrize("value", [np.nan, np.inf, 2e30])
def test_what_is_no_reading_is_refused(value):
    window = WINDOWS[0].copy()
    window[1, 3] = value
    with pytest.raises(SignalError, match=r"NaN, infinite or beyond 1e\+30 g"):
        RawEncoder(RawSpec(), 32)(window)


@pytest.mark.parametrize("shape", [(32,), (3, 31), (1, 2, 3, 32)])
def test_another_shape_is_refused(shape):
    with pytest.raises(SignalError, match=r"must be \(channels, 32\)"):
        RawEncoder(RawSpec(), 32)(np.zeros(shape))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"transforms": ()}, "must name some of g, tanh and centred, once each"),
        ({"transforms": ("g", "g")}, "once each"),
        ({"scale_g": 0.0}, "raw.scale_g must lie between 0.001 and 1000 g, got 0.0"),
        ({"clip_g": -1.0}, "raw.clip_g must lie between 0.001 and 1000 g, got -1.0"),
    ],
)
def test_a_spec_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        RawSpec(**settings)


def test_a_contract_has_one_encoder():
    raw = Contract(labels=("a", "b"), window=WindowSpec(samples=32), gaf=None, raw=RawSpec())

    assert raw.encoded_shape == (3, 32)
    assert isinstance(encoder_for(raw), RawEncoder)
    assert Contract.from_json(raw.to_json()) == raw
    with pytest.raises(ContractError, match="takes no image: its network is raw"):
        _ = raw.image_shape
    image = Contract(labels=("a", "b"))
    assert image.encoded_shape == image.image_shape == (3, 64, 64)
    assert isinstance(encoder_for(image), GafEncoder)
    with pytest.raises(ContractError, match="one encoder, gaf or raw, and this one has neither"):
        Contract(labels=("a", "b"), gaf=None)
    with pytest.raises(ContractError, match="one encoder, gaf or raw, and this one has both"):
        Contract(labels=("a", "b"), raw=RawSpec())
