"""A random forest (Breiman, Machine Learning 2001) on hand-made features: the baseline that is no network.

scikit-learn grows it. What is kept are its trees as plain arrays, so that a finished run is read without unpickling
anything, and answers without scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vskd_training.forest.features import window_features

#: Trees of a forest.
TREES = 300


@dataclass(frozen=True, eq=False)
class Forest:
    """The nodes of all trees, one tree after the other.

    Attributes
    ----------
    roots : (trees,), the first node of each tree
    left, right : (nodes,), where a window goes whose feature is at most the threshold, and any other; -1 of a leaf
    feature : (nodes,), which one is compared; see ``features.feature_names``
    threshold : (nodes,), in the feature's unit
    probabilities : (nodes, classes), of the training windows that came to the node
    """

    roots: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    probabilities: NDArray[np.float32]

    def logits(self, windows: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Logarithms of the trees' mean probability; a class that no tree names counts as half a tree's vote.

        Parameters
        ----------
        windows : (n, axes, samples), g

        Returns
        -------
        (n, classes)
        """
        features = window_features(windows)
        mean = np.mean([self.probabilities[self._leaves(root, features)] for root in self.roots], axis=0)
        return np.asarray(np.log(np.maximum(mean, 0.5 / len(self.roots))), dtype=np.float32)

    def _leaves(self, root: np.int64, features: NDArray[np.float32]) -> NDArray[np.int64]:
        """(n,): the leaf of a tree that each row of features comes to."""
        nodes = np.full(len(features), root)
        rows = np.arange(len(features))
        while (inner := self.left[nodes] >= 0).any():
            here, of = nodes[inner], rows[inner]
            below = features[of, self.feature[here]] <= self.threshold[here]
            nodes[inner] = np.where(below, self.left[here], self.right[here])
        return nodes

    def to_tensors(self) -> dict[str, Tensor]:
        """What ``from_tensors`` reads back."""
        return {item.name: torch.from_numpy(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Forest:
        """A forest that was kept as tensors."""
        return cls(**{item.name: tensors[item.name].numpy() for item in fields(cls)})


def grow_forest(
    windows: NDArray[np.float32], labels: NDArray[np.int64], *, classes: int, seed: int, threads: int
) -> Forest:
    """Train a forest.

    Parameters
    ----------
    windows : (n, axes, samples), g
    labels : (n,), each below ``classes``; a class without a window is never answered
    classes : how many there are
    seed : of the draws of windows and features; the threads do not change the result
    threads : cores
    """
    from sklearn.ensemble import RandomForestClassifier

    grown = RandomForestClassifier(n_estimators=TREES, random_state=seed, n_jobs=threads)
    grown.fit(window_features(windows), labels)
    trees = [estimator.tree_ for estimator in grown.estimators_]
    sizes = np.array([tree.node_count for tree in trees])
    roots = np.cumsum(sizes) - sizes
    probabilities = np.zeros((int(sizes.sum()), classes), dtype=np.float32)
    probabilities[:, grown.classes_] = np.concatenate([tree.value[:, 0] for tree in trees])
    return Forest(
        roots=roots.astype(np.int64),
        left=_children([tree.children_left for tree in trees], roots),
        right=_children([tree.children_right for tree in trees], roots),
        feature=np.concatenate([tree.feature for tree in trees]).astype(np.int64),
        threshold=np.concatenate([tree.threshold for tree in trees]).astype(np.float64),
        probabilities=probabilities,
    )


def _children(of_trees: list[NDArray[np.int64]], roots: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each tree's numbers of nodes as numbers in the whole forest."""
    moved = [np.where(tree < 0, -1, tree + root) for tree, root in zip(of_trees, roots, strict=True)]
    return np.concatenate(moved).astype(np.int64)
