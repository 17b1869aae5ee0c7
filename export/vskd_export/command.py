"""The command ``export``. Only click is imported here; the converters load inside the command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vskd.commands.terminal import say
from vskd_export import python

if TYPE_CHECKING:
    from vskd_export.package.report import ExportReport


def _renamed(context: click.Context, parameter: click.Parameter, given: bool) -> None:
    if given:
        raise click.UsageError("--forms is called --variants now", ctx=context)


@click.command(epilog="Example: vskd export runs/student --out wrist.bundle --recipe int8 --recipe fp16")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write, NAME.bundle.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is there.")
@click.option("--variants", is_flag=True, help="Also image -> logits, encoder alone, window -> probabilities (170 MB).")
@click.option("--forms", is_flag=True, hidden=True, expose_value=False, callback=_renamed)
@click.option("--root", type=click.Path(path_type=Path), default=None, help="Folder of the data set.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=Path("build/cache"),
    show_default=True,
    help="Folder for prepared recordings.",
)
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    help="Numeric form to add to fp32, for both formats or one (fp16.tflite): int8 (the same as w8a8-static-pc), fp16, "
    "w8a8s-static-pc.onnx (int8 with signed activations, for ARM), w8a16-static-pc.tflite (16-bit activations), w8-pc "
    "(int8 weights, float arithmetic); may be repeated.  [default: int8]",
)
@click.option(
    "--allow-degraded",
    is_flag=True,
    help="Write the bundle even if the gate refuses it; its report lists every violation.",
)
@click.option("--small", is_flag=True, help="Keep the int8 .tflite alone, without C source and page: a third the size.")
@click.option("--licence", "--license", default="", help="Of the model, for its card: an SPDX identifier, Apache-2.0.")
@click.option(
    "--sign",
    type=click.Path(path_type=Path),
    default=None,
    help="Private key (PEM) to sign the bundle with, see vskd bundle sign.",
)
def export(**options: Any) -> None:
    """Write a run's student as a bundle, if it passes every check.

    What the gate refuses is not written; its report is, to OUT.refused. An int8 model that changes too many labels is
    prepared in training: vskd train student --set quantization.epochs=4.
    """
    _show(python.export(**options))


def _show(report: ExportReport) -> None:
    from rich import box
    from rich.table import Table

    from vskd.commands.rich_console import SafeConsole
    from vskd_export.judge.classes import not_judged

    seen = report.content.get("seen_in_training")
    windows = "windows seen in training, parity only" if seen else "held-out windows"
    title = f"{report.path} against the trained network, {windows}"
    table = Table(title=title, box=box.SIMPLE, title_justify="left", collapse_padding=True, pad_edge=False)
    table.add_column("model", no_wrap=True)
    for column in ("MB", "engine", "logits\ndiffer by", "labels\nchanged", "accuracy"):
        table.add_column(column)
    for row in report.rows():
        table.add_row(*row)
    SafeConsole(stderr=True).print(table)
    classes = report.content["classes"]
    listed = ", ".join(f"{label} {counts['training']}/{counts['judged']}" for label, counts in classes.items())
    say(f"windows of each activity (training/judged): {listed}", err=True)
    if sentence := not_judged(classes):
        say(sentence, err=True)
    for sentence in report.worst_layers():
        say(sentence, err=True)
    if seen:
        from vskd_training.study.shipping import in_words

        say(in_words(report.content["provenance"].get("study")), err=True)
    for sentence in report.degraded():
        say(f"DEGRADED: {sentence}", err=True)
    say(f"bundle: {report.path}", err=True)
