"""The measurement of the low-pass filter, on tones whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from research.resampling import measure, split


def tones(*hz: float) -> np.ndarray:
    """(samples, 3), g: ten seconds at 50 Hz of tones of 0.2 g on x, and gravity."""
    time_s = np.arange(500) / 50
    x = sum(0.2 * np.sin(2 * np.pi * one * time_s) for one in hz)
    return np.stack([x, np.zeros(500), np.ones(500)], axis=1)


def test_a_tone_above_is_all_alias_without_the_filter_and_none_with_it():
    found = measure(iter([(tones(3.0, 18.0), 50.0)]), 25.0)
    of_a_tone = 0.2 / np.sqrt(2) / np.sqrt(3)  # over three axes
    assert found["above"] == pytest.approx(of_a_tone, rel=0.01)
    assert found["movement"] == pytest.approx(of_a_tone * np.sqrt(2), rel=0.01)
    assert found["alias linear"] == pytest.approx(of_a_tone, rel=0.05)
    assert found["alias low-pass"] < 0.01 * of_a_tone
    assert found["lost linear"] < 1e-4  # every second sample is taken as it is
    assert found["lost low-pass"] < 0.02 * of_a_tone


def test_the_parts_of_a_recording_make_it_up():
    below, above = split(tones(3.0, 18.0), 50.0, 12.5)
    np.testing.assert_allclose(below + above, tones(3.0, 18.0), atol=1e-12)
    np.testing.assert_allclose(below, tones(3.0), atol=1e-9)
