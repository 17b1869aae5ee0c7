"""Whether every class of the contract was taught, and which ones are judged: a list of labels promises to find them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from vskd_export.judge.violations import Violation
from vskd_export.quantize.calibrate import WindowSet

#: Class -> windows that it was trained on, and is judged on.
ClassTable = dict[str, dict[str, int]]


def check_classes(
    labels: Sequence[str], training: Mapping[str, int], held_out: WindowSet
) -> tuple[ClassTable, tuple[Violation, ...]]:
    """Count the windows of each class.

    Parameters
    ----------
    labels : of the contract
    training : class -> labelled windows that taught it
    held_out : windows that the models are judged on

    Returns
    -------
    the counts, and a violation for each class that nothing taught
    """
    judged = Counter(labels[label] for label in held_out.labels.tolist())
    table = {label: {"training": training.get(label, 0), "judged": judged[label]} for label in labels}
    violations = tuple(
        Violation(
            code="class-training",
            component="the trained network",
            engine="",
            value=0.0,
            limit=1.0,
            message=f"no window of {label!r} was trained on: the contract lists it, and it is never found",
        )
        for label, counts in table.items()
        if not counts["training"]
    )
    return table, violations


def not_judged(table: Mapping[str, Mapping[str, int]]) -> str:
    """A sentence about the classes that the gate says nothing about; empty where there is none."""
    without = [label for label, counts in table.items() if not counts["judged"]]
    if not without:
        return ""
    return f"{len(without)} of {len(table)} activities have no held-out window and are not judged: {', '.join(without)}"
