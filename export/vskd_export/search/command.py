"""The command ``vskd search``. Only click is imported here; torch, Optuna and the converters load inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vskd.commands.progress import progress_bar
from vskd.commands.terminal import left_at_stop, say
from vskd.errors import ConfigError
from vskd_training.commands.options import CACHE, ROOT

if TYPE_CHECKING:
    from vskd_export.search.plan import Search
    from vskd_export.search.running import Effort
    from vskd_export.search.trial import Place

_EXAMPLE = (
    "Example: vskd search training/searches/utd-mhad-watch.toml --mmac 3 --flash 160kB --arena 32kB --root DIR "
    "--out build/search"
)


def _size(context: click.Context, parameter: click.Parameter, given: str | None) -> int | None:
    from vskd_export.search.budget import parse_bytes

    return None if given is None else _parsed(parse_bytes, given, context, parameter)


def _mmac(context: click.Context, parameter: click.Parameter, given: str | None) -> float | None:
    from vskd_export.search.budget import parse_mmac

    return None if given is None else _parsed(parse_mmac, given, context, parameter)


def _parsed(parse: Callable[[str], Any], given: str, context: click.Context, parameter: click.Parameter) -> Any:
    try:
        return parse(given)
    except ConfigError as error:
        raise click.BadParameter(str(error), ctx=context, param=parameter) from error


def _options(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option("--mmac", callback=_mmac, help="Most multiply-accumulates of a window, millions."),
        click.option("--flash", callback=_size, help="Largest int8 .tflite: 160kB (1000 bytes), 64KiB, or bytes."),
        click.option(
            "--arena", callback=_size, help="Most memory in TensorFlow Lite Micro, whole graph (extra micro)."
        ),
        click.option(
            "--trials", type=click.IntRange(min=1), default=40, show_default=True, help="Candidates to train in all."
        ),
        click.option(
            "--jobs",
            type=click.IntRange(min=1),
            default=None,
            help="Trials at a time.  [default: 1; with ray as many as the cluster has cores for]",
        ),
        click.option(
            "--out", type=click.Path(path_type=Path), required=True, help="Folder; one that is there is resumed."
        ),
        click.option(
            "--outer-fold", default="", show_default=False, help="Fold of data.protocol to leave out, e.g. a subject."
        ),
        click.option("--plan", is_flag=True, help="Print the size of the search, and run nothing."),
        click.option(
            "--backend",
            type=click.Choice(["loky", "ray"]),
            default="loky",
            show_default=True,
            help="The cores of this machine, or a Ray cluster, whose nodes all see --out, --cache and --root.",
        ),
        click.option("--ray-address", metavar="HOST:PORT", default="", show_default=False, help="Head of the cluster."),
        ROOT,
        CACHE,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(epilog=_EXAMPLE)
@click.argument("search_file", metavar="SEARCH.toml", type=click.Path(path_type=Path))
@_options
def search(search_file: Path, plan: bool, backend: str, outer_fold: str, **options: Any) -> None:
    """Find the most accurate student within a budget.

    It is chosen on training subjects only.

    Draws students from the file's [space], converts each one untrained to measure what it costs, and trains those
    within the budget, leaving out one training subject after the other. Killed at any moment, the same command resumes
    it; another budget in the same folder adds to it. Leaves result.json, table.md, pareto.png and a preset for each
    budget, which `vskd train student --config` takes. Exit code 1 if nothing fits the budget.
    """
    if (backend == "ray") != bool(options["ray_address"]):
        raise click.UsageError("--backend ray and --ray-address HOST:PORT go together; `ray start` prints the address")
    from vskd_export.search.budget import Budget

    budget = Budget(options["mmac"], options["flash"], options["arena"])

    from vskd_export.search.outlook import outlook
    from vskd_export.search.plan import open_search
    from vskd_export.search.running import Effort
    from vskd_export.search.trial import Place

    opened = open_search(search_file, root=options["root"], outer_fold=outer_fold)
    place = Place(options["out"], options["root"], options["cache"])
    effort = Effort(options["trials"], options["jobs"], options["ray_address"])
    if plan:
        for line in outlook(opened, budget, effort, place):
            say(line)
        return
    _run(opened, budget, effort, place)


def _run(opened: Search, budget: Any, effort: Effort, place: Place) -> None:
    from vskd.commands.rich_console import say_tables
    from vskd_export.search.report import PLOT, RESULT, preset_file, report_search, table
    from vskd_export.search.running import run_search

    kept = left_at_stop(f"finished trials are kept in {place.out}", "the same command goes on")
    with kept, progress_bar(f"search {opened.spec.name}") as bar:
        run_search(opened, budget, effort, place, progress=bar)
    result = report_search(opened, place)
    trained = sum(count for state, count in result.budgets[budget.name].trials.items() if state != "over")
    if trained < effort.trials:
        say(
            f"{trained} of {effort.trials} trials were found: the space gave no further candidate within the budget "
            "(raise it, or widen [space])",
            err=True,
        )
    say_tables(table(result))
    made = [place.out / RESULT, place.out / PLOT]
    made += [place.out / preset_file(budget.name)] if result.budgets[budget.name].winner else []
    say(f"written: {', '.join(map(str, made))}", err=True)
