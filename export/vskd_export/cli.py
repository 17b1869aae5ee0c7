"""The command ``export``. Only click is imported here; the converters load inside the command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vskd_export.build import ExportReport
    from vskd_export.calibrate import WindowSet
    from vskd_training.windows import WindowTable


@click.command(epilog="Example: vskd export runs/student --out wrist.bundle")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write, NAME.bundle.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is there.")
@click.option("--forms", is_flag=True, help="Also image -> logits and the encoder alone (+90 MB at full width).")
@click.option("--root", type=click.Path(path_type=Path), default=None, help="Folder of the data set.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=Path("build/cache"),
    show_default=True,
    help="Folder for prepared recordings.",
)
def export(run: Path, out: Path, overwrite: bool, forms: bool, root: Path | None, cache: Path) -> None:
    """Write a run's student as a bundle, or fail and write nothing."""
    from vskd.bundle import refuse_existing
    from vskd_training.experiment import Experiment
    from vskd_training.models.student import Student
    from vskd_training.run import Run

    refuse_existing(out, overwrite=overwrite)  # before the minute of work, not after it
    opened = Run.open(run, role="student")
    experiment = Experiment.open(opened.config, root=root, cache=cache, progress=None)
    student = Student(opened.contract, width=opened.config.student.width)
    opened.load_weights(student)

    from vskd_export.build import export_bundle

    report = export_bundle(
        student,
        opened.contract,
        calibration=_window_set(experiment.windows("train")),
        held_out=_window_set(experiment.windows("test")),
        provenance={key: opened.card[key] for key in ("config", "data", "teacher", "weights_sha256", "versions")},
        out=out,
        overwrite=overwrite,
        progress=lambda sentence: click.echo(sentence, err=True),
        leaky=experiment.split.leaky,
        forms=forms,
    )
    _show(report)


def _window_set(table: WindowTable) -> WindowSet:
    from vskd_export.calibrate import WindowSet

    return WindowSet(table.samples, table.labels, table.ids, table.subjects)


def _show(report: ExportReport) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{report.path}: held-out windows, against torch")
    for column in ("model", "MB", "engine", "largest difference", "flips", "accuracy"):
        table.add_column(column)
    for row in report.rows():
        table.add_row(*row)
    Console(stderr=True).print(table)
    click.echo(f"bundle: {report.path}", err=True)
