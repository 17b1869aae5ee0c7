"""Embedding and spectrum together, by the definition in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd.contract import Contract, ExamplesSpec, ExampleWeights
from vskd.decide import Decider
from vskd.stream import Window
from vskd.wearer.features import AMPLITUDES, joined, spectrum
from vskd.wearer.rule import ExampleRule, example_of


def cosine(one, other):
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@given(seed=st.integers(0, 10_000), samples=st.integers(16, 130))
def test_the_spectrum_is_mean_and_amplitudes_of_each_axis(seed, samples):
    window = np.random.default_rng(seed).normal(0, 2, (3, samples)).astype(np.float32)
    wide = window.astype(np.float64)
    mean = wide.mean(axis=-1, keepdims=True)
    amplitudes = np.abs(np.fft.rfft(wide - mean))[..., 1 : AMPLITUDES + 1] * 2 / samples
    np.testing.assert_allclose(spectrum(window), np.concatenate([mean, amplitudes], axis=-1).ravel(), atol=1e-9)


@given(seed=st.integers(0, 10_000), share=st.floats(0.01, 1))
def test_a_cosine_of_both_is_the_weighted_mean_of_each(seed, share):
    rng = np.random.default_rng(seed)
    windows, embeddings = rng.normal(0, 1, (2, 3, 64)).astype(np.float32), rng.normal(0, 1, (2, 9)).astype(np.float32)
    both = [joined(*pair, share) for pair in zip(embeddings, windows, strict=True)]
    apart = (1 - share) * cosine(*embeddings.astype(np.float64)) + share * cosine(*map(spectrum, windows))
    assert cosine(*both) == pytest.approx(apart, abs=1e-9)
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), 1, atol=1e-12)


def test_without_a_share_the_embedding_comes_back_as_it_is():
    embedding = np.arange(5, dtype=np.float32)
    assert joined(embedding, np.zeros((3, 64), np.float32), 0.0) is embedding


def test_a_device_decides_by_both():
    rng = np.random.default_rng(1)
    spec = ExamplesSpec("nearest", (ExampleWeights(0, 20, 0.5),), spectrum=0.5)
    contract = Contract(labels=("sit", "walk"), examples=spec)
    windows = np.stack([rng.normal(0, 1, (3, 128)), np.repeat(rng.normal(0, 1, (3, 1)), 128, axis=1)])
    windows, embedding = windows.astype(np.float32), np.ones(4, np.float32)
    examples = np.stack([example_of(joined(embedding, window, 0.5)[np.newaxis]) for window in windows])
    decider = Decider(contract, ExampleRule.of(contract, ["sit", "walk"], examples))
    for window, label in zip(windows, ("sit", "walk"), strict=True):  # the embedding tells nothing
        assert decider.decide(np.zeros(2, np.float32), Window(window, 0, 1, True), embedding).label == label


def test_a_window_or_an_embedding_without_anything_is_no_division_by_zero():
    still, some = np.zeros((3, 64), np.float32), np.ones((3, 64), np.float32)
    assert (joined(np.zeros(4, np.float32), still, 0.5) == 0).all()
    assert np.linalg.norm(joined(np.zeros(4, np.float32), some, 0.5)) == pytest.approx(np.sqrt(0.5))
    assert np.isnan(joined(np.full(4, np.nan, np.float32), some, 0.5)).any()
    huge = joined(np.ones(4, np.float32), np.full((3, 64), 3e38, np.float32), 0.5)
    assert np.linalg.norm(huge) == pytest.approx(1)


def test_what_rounding_left_of_nothing_is_no_direction():
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 1e-16, (3, 64)).astype(np.float32)
    found = joined(np.array([3, 4], np.float32), noise, 0.5)
    assert np.linalg.norm(found[:2]) == pytest.approx(np.sqrt(0.5))
    assert np.abs(found[2:]).max() < 1e-9
