"""The decisions of ``vskd run`` against the truth: how many are right, and a plot over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vskd.decide import NO_SIGNAL, STILL
from vskd_training.datasets.recording import Span


class Score(NamedTuple):
    """Right decisions of those judged, and events within an activity that decide nothing."""

    right: int
    judged: int
    undecided: int

    def __str__(self) -> str:
        apart = f"; {self.undecided} not decided ({NO_SIGNAL}, {STILL})" if self.undecided else ""
        return f"{self.right} of {self.judged} decisions right (windows within one activity){apart}"


def score(events: Sequence[Span], spans: Sequence[Span]) -> Score:
    """Only windows within one activity are judged; between two there is no truth.

    ``no signal`` and ``still`` are no decisions, unless an activity is called so.
    """
    no_decisions = {NO_SIGNAL, STILL} - {span.label for span in spans}
    within = [
        (event.label, span.label)
        for event in events
        for span in spans
        if span.start_s <= event.start_s and event.end_s <= span.end_s
    ]
    judged = [pair for pair in within if pair[0] not in no_decisions]
    return Score(sum(predicted == true for predicted, true in judged), len(judged), len(within) - len(judged))


def draw_timeline(events: Sequence[Span], spans: Sequence[Span], out: Path) -> Score:
    """Draw the decisions over the truth as a PNG; returns ``score``."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys([span.label for span in spans] + [event.label for event in events]))
    figure = Figure(figsize=(12, 0.4 * len(names) + 1.6), layout="constrained")
    axes = figure.subplots()
    for index, span in enumerate(spans):
        row = names.index(span.label)
        axes.barh(
            row, span.end_s - span.start_s, left=span.start_s, height=0.8, color="#9ecae1",
            label="truth" if index == 0 else None,
        )  # fmt: skip
    times = [event.end_s for event in events]
    axes.plot(times, [names.index(event.label) for event in events], ".", color="#08306b", label="decision")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    found = score(events, spans)
    axes.set_title(str(found))
    axes.set_xlabel("time at which the window ends, s")
    figure.legend(loc="outside lower right", ncols=2)
    figure.savefig(out, dpi=110)
    return found
