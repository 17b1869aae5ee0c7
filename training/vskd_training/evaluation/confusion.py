"""A confusion matrix for people: its shares, its worst classes, its most frequent mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Confusion:
    """Decisions, counted.

    Attributes
    ----------
    labels : of the classes
    matrix : (classes, classes), counts, row = truth
    """

    labels: tuple[str, ...]
    matrix: NDArray[np.int64]

    def shares(self) -> list[list[tuple[int, int]]]:
        """Of each row the counts, and what percent of the row each is."""
        totals = np.maximum(self.matrix.sum(axis=1, keepdims=True), 1)
        percent = np.rint(100 * self.matrix / totals).astype(int)
        return [list(zip(*pair, strict=True)) for pair in zip(self.matrix.tolist(), percent.tolist(), strict=True)]

    def worst(self, most: int = 5) -> Iterator[tuple[str, float, int, str]]:
        """The classes of which the smallest share is found: name, share, decisions, what they are taken for most."""
        totals = self.matrix.sum(axis=1)
        found = np.diag(self.matrix) / np.maximum(totals, 1)
        for row in sorted(np.flatnonzero(totals), key=lambda one: float(found[one]))[:most]:
            others = self.matrix[row].copy()
            others[row] = 0
            taken = f"{self.labels[int(others.argmax())]} ({others.max()})" if others.any() else "nothing else"
            yield self.labels[row], float(found[row]), int(totals[row]), taken

    def pairs(self, most: int) -> list[tuple[str, str, int, float]]:
        """The most frequent mistakes: truth, what it was taken for, how often, and that share of the truth."""
        totals = self.matrix.sum(axis=1)
        rows, columns = np.nonzero(self.matrix - np.diag(np.diag(self.matrix)))
        found = sorted(zip(rows.tolist(), columns.tolist(), strict=True), key=lambda at: (-int(self.matrix[at]), at))
        return [
            (
                self.labels[row],
                self.labels[column],
                int(self.matrix[row, column]),
                float(self.matrix[row, column] / totals[row]),
            )
            for row, column in found[:most]
        ]
