"""The forest's plain arrays answer as scikit-learn's trees do, and come back from a file as they were."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.torch import load, save
from sklearn.ensemble import RandomForestClassifier

from vskd_training.forest.features import window_features
from vskd_training.forest.trees import TREES, Forest, grow_forest


@pytest.fixture(scope="module")
def windows() -> np.ndarray:
    """Three kinds of windows, mixed up enough that the trees do not agree."""
    rng = np.random.default_rng(0)
    made = rng.normal(0, 1, (90, 3, 32)) * (1 + 0.3 * (np.arange(90) % 3))[:, None, None]
    return np.asarray(made, dtype=np.float32)


#: Of five classes, two without a window.
LABELS = np.array([0, 2, 3] * 30)


@pytest.fixture(scope="module")
def forest(windows: np.ndarray) -> Forest:
    return grow_forest(windows[:60], LABELS[:60], classes=5, seed=7, threads=1)


def test_the_answer_is_scikit_learns(forest: Forest, windows: np.ndarray) -> None:
    theirs = RandomForestClassifier(n_estimators=TREES, random_state=7)
    theirs.fit(window_features(windows[:60]), LABELS[:60])
    expected = np.zeros((30, 5))
    expected[:, [0, 2, 3]] = theirs.predict_proba(window_features(windows[60:]))
    logits = forest.logits(windows[60:])
    assert logits.dtype == np.float32
    np.testing.assert_allclose(np.exp(logits), np.maximum(expected, 0.5 / TREES), atol=1e-6)
    assert np.isfinite(logits).all()
    assert (logits.argmax(axis=1) == expected.argmax(axis=1)).all()


def test_seeds_decide_and_threads_do_not(forest: Forest, windows: np.ndarray) -> None:
    again = grow_forest(windows[:60], LABELS[:60], classes=5, seed=7, threads=2)
    other = grow_forest(windows[:60], LABELS[:60], classes=5, seed=8, threads=1)
    np.testing.assert_array_equal(forest.logits(windows), again.logits(windows))
    assert (forest.logits(windows) != other.logits(windows)).any()


def test_a_file_gives_back_the_same_trees(forest: Forest, windows: np.ndarray) -> None:
    back = Forest.from_tensors(load(save(forest.to_tensors())))
    assert back.probabilities.dtype == np.float32
    np.testing.assert_array_equal(back.logits(windows), forest.logits(windows))
    np.testing.assert_array_equal(back.threshold, forest.threshold)
