"""What the measuring scripts share: a document with the machine's state and the goals, and errors in one sentence.

A script prints tables on standard error and its document as the last line of standard output. Its exit code is 0
whether or not the goals are met, 1 where something could not be measured, 2 for a wrong command line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from vskd.closed import from_mapping, to_mapping
from vskd.errors import VskdError
from vskd_benchmarks.device.environment import busy_cores, describe_machine, read_state
from vskd_benchmarks.goals import GOALS
from vskd_benchmarks.result.records.conditions import Environment
from vskd_benchmarks.result.records.validity import Reason
from vskd_benchmarks.result.validity import OTHER_CORES_LIMIT, run_reasons


class Script(click.Command):
    """A command whose ``VskdError`` is one sentence and the exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except VskdError as error:
            raise click.ClickException(str(error)) from error


@dataclass(frozen=True)
class Verdict:
    """A goal compared with what a script measured.

    Attributes
    ----------
    what : where it was measured, and the goal in words
    goal, measured : in ``unit``
    met : whether it was
    """

    what: str
    goal: float
    measured: float
    unit: str
    met: bool


def judge(name: str, measured: float, *, where: str = "") -> Verdict:
    """Set a measured value against a goal of today.

    Parameters
    ----------
    name : of the goal
    measured : in the goal's unit
    where : e.g. which bundle and engine
    """
    goal = GOALS[name]
    what = f"{where}: {goal.words}" if where else goal.words
    return Verdict(what, goal.limit, round(measured, 3), goal.unit, goal.met(measured))


def make_document(
    benchmark: str, measure: Callable[[], Mapping[str, Any]], verdicts: Callable[[Any], Iterable[Verdict]]
) -> dict[str, Any]:
    """The document of a script, ready for JSON.

    Parameters
    ----------
    benchmark : its name
    measure : gives the figures
    verdicts : of the figures
    """
    before, before_cores = read_state(), busy_cores()
    figures = measure()
    after, after_cores = read_state(), busy_cores()
    seen = {"machine": describe_machine(), "before": before, "after": after, "readings": []}
    machine_reasons = run_reasons(from_mapping(Environment, seen, where="environment"))
    return {
        "benchmark": benchmark,
        "machine": seen["machine"],
        "before": {**before, "busy_cores": before_cores},
        "after": {**after, "busy_cores": after_cores},
        "reasons_to_doubt": [to_mapping(each) for each in (*load_reasons(before_cores, after_cores), *machine_reasons)],
        **figures,
        "goals": [asdict(goal) for goal in verdicts(figures)],
    }


def load_reasons(before: float | None, after: float | None) -> Iterator[Reason]:
    """Reasons of a script, which looks at its neighbours only before and after itself: busy cores each."""
    for when, cores in (("before", before), ("after", after)):
        if cores is not None and cores > OTHER_CORES_LIMIT:
            message = f"{cores:.2f} cores were busy with other work {when} the run, above {OTHER_CORES_LIMIT}"
            yield Reason("load", "degraded", cores, OTHER_CORES_LIMIT, "cores", message)


def show(document: Mapping[str, Any], table: Table) -> None:
    """Print a table of figures, the goals and the reasons to doubt on stderr, and the document on stdout."""
    console = Console(stderr=True)
    goals = Table(title="Goals", title_justify="left")
    for column in ("", "goal", "measured", "unit", "verdict"):
        goals.add_column(column, justify="right" if column in ("goal", "measured") else "left")
    for goal in document["goals"]:
        verdict = "[green]met[/]" if goal["met"] else "[red]missed[/]"
        goals.add_row(goal["what"], f"{goal['goal']:g}", f"{goal['measured']:g}", goal["unit"], verdict)
    console.print(table, goals)
    for reason in document["reasons_to_doubt"]:
        console.print(f"{reason['severity']}: {reason['message']}", markup=False)
    click.echo(json.dumps(document))
