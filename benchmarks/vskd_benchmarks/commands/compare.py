"""The command ``vskd compare``: a table; with ``--json`` it goes to stderr and one document to stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vskd.commands.terminal import example_lines, say
from vskd.errors import VskdError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from vskd_benchmarks.compare.bootstrap import LatencyRatio
    from vskd_benchmarks.compare.compare import Comparison, Unit, YardstickRatio


class NotComparableError(click.ClickException):
    """Two results that must not be compared: exit code 3, because 1 means a regression and 2 misuse."""

    exit_code = 3

    def __init__(self, error: VskdError) -> None:
        super().__init__(str(error))

    def show(self, file: Any = None) -> None:
        """On stderr, as every error of vskd."""
        say(f"error: {self.message}", err=True)


@click.command(
    epilog=example_lines(
        "vskd compare wrist-bench-old wrist-bench-new",
        "vskd compare baseline new --policy limits.toml --json",
        "vskd compare wide narrow --across-models",
        "vskd compare quiet busy --unit yardstick",
    )
)
@click.argument("baseline", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("candidate", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--policy", type=click.Path(path_type=Path), help="Limits, a TOML file.  [default: vskd's own]")
@click.option("--across-models", is_flag=True, help="Allow different models of one task.")
@click.option("--across-machines", is_flag=True, help="Allow different machines.")
@click.option(
    "--unit",
    type=click.Choice(["time", "yardstick"]),
    default="time",
    show_default=True,
    help="What the policy judges: time, or latency in units of the kernel that was timed beside each round.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, the table on stderr.")
def compare(
    baseline: Path,
    candidate: Path,
    policy: Path | None,
    as_json: bool,
    unit: Unit,
    **allowed: bool,
) -> None:
    """Compare two results of vskd bench, case by case.

    Each ratio is candidate over baseline, with an interval of 95 % from resampling whole rounds. BASELINE may be a
    folder without its raw files. The table holds the ratio of the medians also in yardsticks, which a machine's change
    of speed leaves alone; --unit says by which of them the policy judges. Exit code 0: within the policy, 1: a
    regression, 2: wrong options or a wrong policy file, 3: the two must not be compared.
    """
    from vskd.closed import to_mapping
    from vskd.commands.rich_console import SafeConsole
    from vskd_benchmarks.compare.compare import compare as compare_results
    from vskd_benchmarks.compare.policy import DEFAULT_POLICY, read_policy

    try:
        limits = read_policy(policy or DEFAULT_POLICY)
    except VskdError as error:
        raise click.UsageError(str(error)) from error
    try:
        found = compare_results(baseline, candidate, limits, unit=unit, **allowed)
    except VskdError as error:
        raise NotComparableError(error) from error
    console = SafeConsole(stderr=as_json)
    if not console.is_terminal:
        console = SafeConsole(stderr=as_json, width=180)
    _show(found, console)
    if as_json:
        say(json.dumps(to_mapping(found)))
    if found.verdict == "regression":
        sys.exit(1)


def _show(found: Comparison, console: Console) -> None:
    for note in found.notes:
        console.print(f"note: {note}", markup=False, highlight=False)
    console.print(_table(found))
    for side, names in (("baseline", found.only_in_baseline), ("candidate", found.only_in_candidate)):
        if names:
            console.print(f"only in the {side}: {'; '.join(names)}", markup=False, highlight=False)
    for line in _findings(found):
        console.print(line, markup=False, highlight=False)
    console.print(f"verdict: {found.verdict}", style="bold", highlight=False)


def _table(found: Comparison) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    new, old = (Path(path).absolute().name for path in (found.candidate, found.baseline))
    judged = "in time" if found.unit == "time" else "in yardsticks"
    title = f"{new} over {old}, sensor to label: ratio [95 % interval]; the policy judges latency {judged}"
    table = Table(title=Text(title), box=box.SIMPLE, title_justify="left", caption_justify="left")
    table.caption = (
        "Below 1: the candidate is faster or smaller. n/a: too few windows for this percentile, or no file. "
        "The policy judges the models of bundles alone. "
        "Yardstick: the kernel itself; above 1 the machine was slower beside the candidate."
    )
    for heading in ("case", "p50, ms", "p50", "p90", "p99", "p50, yardsticks", "yardstick", "peak memory", "file"):
        table.add_column(heading, justify="left" if heading == "case" else "right")
    for case in found.cases:
        p50 = case.latency["p50"]
        times = "n/a" if p50 is None else f"{p50.baseline_ns / 1e6:.3f} -> {p50.candidate_ns / 1e6:.3f}"
        ratios = [Text(_interval(ratio)) for ratio in case.latency.values()]
        ratios.append(Text(_interval(case.yardsticks.get("p50"))))
        yardstick = "n/a" if case.yardstick_ratio is None else f"{case.yardstick_ratio:.3f}"
        table.add_row(
            Text(case.name), times, *ratios, yardstick, _quotient(case.peak_bytes), _quotient(case.size_bytes)
        )
    return table


def _interval(ratio: LatencyRatio | YardstickRatio | None) -> str:
    return "n/a" if ratio is None else f"{ratio.ratio:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"


def _quotient(both: tuple[int | None, ...]) -> str:
    before, after = both
    return f"{after / before:.3f}" if before and after else "n/a"


def _findings(found: Comparison) -> Iterator[str]:
    """A sentence for every limit that is broken, or may be."""
    for case in found.cases:
        for check in case.checks:
            finding = f"{case.name}: {check.what} {check.value:g}, limit {check.limit:g}"
            if check.verdict == "regression":
                yield f"REGRESSION {finding}"
            elif check.verdict == "unclear":
                yield f"unclear    {finding}; the interval reaches below the limit, measure longer"
