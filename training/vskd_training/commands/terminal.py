"""What commands of the training show on standard error. rich loads when something is shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vskd import pages
from vskd.commands.progress import progress_bar
from vskd.commands.terminal import say

if TYPE_CHECKING:
    from rich.table import Table

    from vskd_training.data.experiment import Experiment
    from vskd_training.settings import Config


def open_experiment(config: Config, root: Path | None, cache: Path, *, shown: bool = True) -> Experiment:
    """Prepare the recordings of a config under a progress bar."""
    from vskd_training.data.experiment import Experiment

    with progress_bar("prepare recordings", shown=shown) as progress:
        return Experiment.open(config, root=root, cache=cache, progress=progress)


def show_table(table: Table | pages.Table) -> None:
    """Print a table on stderr."""
    from vskd.commands.rich_console import SafeConsole

    SafeConsole(stderr=True).print(rich_table(table) if isinstance(table, pages.Table) else table)


def rich_table(table: pages.Table) -> Table:
    """A page's table for a terminal."""
    from rich import box
    from rich.table import Table

    # Narrow: a name that is cut off on a terminal of eighty columns says nothing.
    shown = Table(title=table.title, box=box.SIMPLE, title_justify="left", collapse_padding=True, pad_edge=False)
    for heading in table.headings:
        shown.add_column(heading)
    for row in table.rows:
        shown.add_row(*row)
    return shown


def show_split(experiment: Experiment) -> None:
    """Say who is on which side of the split, and what of the recordings takes no part."""
    from vskd_training.datasets.recording import defects_in_words
    from vskd_training.datasets.signal_limits import slow_recordings
    from vskd_training.evaluation.classes import class_windows, in_words, without_window

    split = experiment.split
    sides = {"train": split.train_subjects, "validation": split.validation_subjects, "test": split.test_subjects}
    if experiment.sides.unlabelled:
        sides["without labels"] = experiment.sides.unlabelled_subjects
    subjects = "; ".join(f"{side} {', '.join(names) or 'none'}" for side, names in sides.items())
    say(f"{experiment.prepared.name}, {split.protocol}: subjects {subjects}", err=True)
    defects = experiment.prepared.defects
    if defects:
        data = experiment.config.data
        which = f"`vskd data check --dataset {data.dataset} --view {data.view}` names each"
        say(f"{defects_in_words(defects)}; {which}", err=True)
    without = experiment.without_label()
    if any(without.values()):
        say(
            f"recordings without a label: {without['distillation']} of training subjects, used in distillation; "
            f"{without['unused']} of others, not used",
            err=True,
        )
    if experiment.sides.unknown:
        names, count = ", ".join(experiment.config.data.unknown_labels), len(experiment.sides.unknown)
        say(f"left-out activities: {names} ({count} recordings of test subjects)", err=True)
    words = in_words(class_windows(experiment), withheld=experiment.labels_withheld)
    slow = slow_recordings(experiment.contract, experiment.prepared, range(len(experiment.prepared.infos)))
    for line in (*words, *without_window(experiment), *([slow] if slow else [])):
        say(line, err=True)
    if split.leaky:
        say("LEAKY: test subjects are also in the training; this says nothing about new subjects", err=True)
