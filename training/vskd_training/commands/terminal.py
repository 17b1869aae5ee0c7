"""What commands show on stderr: a progress bar, and tables. rich loads when something is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from vskd_training.data.experiment import Experiment
    from vskd_training.settings import Config


@contextmanager
def progress_bar(title: str, *, shown: bool = True) -> Iterator[Callable[..., None]]:
    """A progress bar on stderr; yields a function that takes (done, in all, a note)."""
    if not shown:
        yield lambda done, total, note="": None
        return
    from rich import progress

    from vskd.commands.rich_console import SafeConsole

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[note]}"),
    )
    with progress.Progress(*columns, console=SafeConsole(stderr=True)) as bar:

        def update(done: int, total: int, note: str = "") -> None:
            # What is there already (a cache) reports no progress, and then there is no bar.
            task = bar.task_ids[0] if bar.task_ids else bar.add_task(title, note="")
            bar.update(task, completed=done, total=total, note=note)

        yield update


def open_experiment(config: Config, root: Path | None, cache: Path, *, shown: bool = True) -> Experiment:
    """Prepare the recordings of a config under a progress bar."""
    from vskd_training.data.experiment import Experiment

    with progress_bar("prepare recordings", shown=shown) as progress:
        return Experiment.open(config, root=root, cache=cache, progress=progress)


def show_table(table: Table) -> None:
    """Print a table on stderr."""
    from vskd.commands.rich_console import SafeConsole

    SafeConsole(stderr=True).print(table)
