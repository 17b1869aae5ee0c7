"""The pictures of README and docs, from `make demo`'s folder and the committed results.

``python -m research.pictures build/demo --out docs/pictures``

Leaves ``view.svg`` (the screen of ``vskd run --view``), ``windows.png`` (four activities with their Gramian
fields), ``timeline.png`` (the demo's decisions over the truth), ``students.png`` (few labels, and accuracy against
multiply-accumulates), ``pareto.png`` (accuracy against latency) and ``bench.png`` (the head of the demo's
benchmark page, drawn by Chromium).
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from research.document import Script
from vskd.bundle import Bundle
from vskd.classifier import Classifier
from vskd.commands.rich_console import SafeConsole
from vskd.commands.view import RecordingEngine, View
from vskd.encoders import encoder_for
from vskd.sources.csv import Chunk
from vskd_benchmarks.report.html import PAGE, report_files, write_report
from vskd_benchmarks.result.folder import REPORT

RESULTS = Path(__file__).parents[2] / "training" / "results"
SWEEP = Path(__file__).parents[1] / "results" / "2026-11-22-amd-epyc-2-cores" / "sweep"

#: The screen, columns and rows.
SCREEN = (100, 32)
#: Readable on a white page and on a dark one.
INK, PALE = "#5b6b7a", "#9aa7b3"
COLOURS = {"alone": PALE, "self": "#4c8fd6", "everything": "#d1495b"}


@click.command(cls=Script, epilog="Example: python -m research.pictures build/demo --out docs/pictures")
@click.argument("demo", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--until-s", default=46.0, show_default=True, help="Where the recording is stopped for the screen.")
def main(demo: Path, out: Path, until_s: float) -> None:
    """Draw the pictures of the documents from DEMO, the folder of `make demo`."""
    import matplotlib as mpl

    mpl.rcParams.update({
        "figure.dpi": 130, "font.size": 10, "axes.spines.top": False, "axes.spines.right": False,
        "savefig.transparent": False, "axes.edgecolor": INK, "text.color": "#222222", "svg.hashsalt": "vskd",
    })  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    draw_view(demo, out / "view.svg", until_s=until_s)
    draw_windows(demo, out / "windows.png")
    draw_students(out / "students.png")
    shutil.copyfile(demo / "timeline.png", out / "timeline.png")
    draw_pareto(out / "pareto.png")
    draw_page(demo / "bench", out / "bench.png")
    click.echo(f"{out}: {', '.join(sorted(path.name for path in out.iterdir()))}", err=True)


def draw_view(demo: Path, path: Path, *, until_s: float) -> None:
    """The screen of ``vskd run --view`` in the middle of the demo's recording."""
    bundle = Bundle.open(demo / "wrist.bundle")
    engine = RecordingEngine(bundle.load(*bundle.select()))
    classifier = Classifier(bundle.contract, engine)
    console = SafeConsole(
        record=True, file=io.StringIO(), force_terminal=True, width=SCREEN[0], height=SCREEN[1], legacy_windows=False,
        color_system="truecolor",
    )  # fmt: skip
    view = View(
        bundle.contract, title=f"{bundle.path.name} on {engine.name}", unit="g", axes="x,y,z", time_unit="s",
        engine=engine, health=classifier.health, console=console,
    )  # fmt: skip
    time_s, xyz = _recording(demo)
    for start in range(0, int(np.searchsorted(time_s, until_s)), 5):
        chunk = Chunk(time_s[start : start + 5], xyz[start : start + 5])
        view.take(chunk)
        for event in classifier.push(chunk.time, chunk.xyz):
            view.show(event)
    console.print(view.layout(SCREEN[1]), height=SCREEN[1])
    title = "vskd run wrist.bundle --input recording.csv --view"
    path.write_text(console.export_svg(title=title, unique_id="view"), encoding="utf-8")


def draw_windows(demo: Path, path: Path) -> None:
    """Four activities of the demo's recording: the signal of a window, and the fields that the network sees."""
    from matplotlib.figure import Figure

    bundle = Bundle.open(demo / "wrist.bundle")
    time_s, xyz = _recording(demo)
    with (demo / "truth.csv").open(encoding="utf-8", newline="") as file:
        truth = list(csv.DictReader(file))
    activities = list({row["label"]: row for row in truth}.values())[:4]
    encoder = encoder_for(bundle.contract)
    figure = Figure(figsize=(8.4, 7.6), layout="constrained")
    axes = figure.subplots(4, 4, height_ratios=(0.8, 1, 1, 1))
    for number, (column, row) in enumerate(zip(axes.T, activities, strict=True)):
        middle_s = (float(row["start_s"]) + float(row["end_s"])) / 2
        window = _window(time_s, xyz, middle_s, bundle)
        column[0].plot(np.linspace(0, bundle.contract.window.duration_s, window.shape[1]), window.T, linewidth=1)
        column[0].set_title(row["label"].replace("_", " "))
        column[0].set_ylim(-2.6, 2.6)
        column[0].set_xlabel("s")
        for axis, name, image in zip(column[1:], "xyz", encoder(window), strict=True):
            axis.imshow(image, cmap="RdBu", vmin=-1, vmax=1, origin="lower")
            axis.set(xticks=[], yticks=[], ylabel="" if number else name)
    axes[0, 0].set_ylabel("g")
    axes[0, 0].legend(("x", "y", "z"), loc="lower left", ncols=3, fontsize=7, frameon=False)
    figure.savefig(path)


def _recording(demo: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times (samples,), s, and readings (samples, 3), g."""
    time_s, *columns = np.loadtxt(demo / "recording.csv", delimiter=",", skiprows=1, unpack=True)
    return time_s, np.stack(columns, axis=1)


def _window(
    time_s: NDArray[np.float64], xyz: NDArray[np.float64], middle_s: float, bundle: Bundle
) -> NDArray[np.float32]:
    """(3, samples) at the contract's rate around a time of the recording."""
    window = bundle.contract.window
    grid_s = middle_s + (np.arange(window.samples) - window.samples / 2) / window.rate_hz
    return np.stack([np.interp(grid_s, time_s, one) for one in xyz.T]).astype(np.float32)


def draw_students(path: Path) -> None:
    """Left what teachers add with few labels, right what multiply-accumulates buy: UTD-MHAD, eight left out in turn."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    labels = {"one": "1", "two": "2", "four": "4", "all": "7"}
    studies = [_arms(f"utd-mhad-watch-{name}-labelled") for name in labels]
    names = {
        "alone": "watch student alone",
        "self": "taught by students like it",
        "everything": "taught by camera and students",
    }
    for arm, name in names.items():
        accuracies = [100 * study[arm]["accuracy"] for study in studies]
        left.plot(range(len(labels)), accuracies, "o-", color=COLOURS[arm], label=name)
    left.set_xticks(range(len(labels)), labels.values())
    left.set(xlabel="labelled, of seven training subjects", ylabel="27 actions, unseen people, %")
    left.legend(frameon=False, loc="lower right")
    arms = _arms("utd-mhad-image-or-raw")
    for family, colour in (("raw", COLOURS["everything"]), ("image", COLOURS["self"])):
        points = sorted(
            (arm["cost"]["macs"] / 1e6, 100 * arm["accuracy"]) for name, arm in arms.items() if name.startswith(family)
        )
        right.plot(*zip(*points, strict=True), "o-", color=colour, label=f"{family} students")
    right.axhline(100 * arms["forest"]["accuracy"], color=PALE, linestyle="--", label="forest on hand-made features")
    right.set(xscale="log", xlabel="million multiply-accumulates a window, all labels, no teacher")
    right.set_xticks([1, 3, 10], ["1", "3", "10"])
    right.minorticks_off()
    right.legend(frameon=False, loc="center right")
    figure.savefig(path)


def draw_pareto(path: Path) -> None:
    """Accuracy against latency of image students, as the page of a benchmark draws it, on white."""
    from PIL import Image

    chart = Image.open(io.BytesIO(report_files(SWEEP)["accuracy-latency.png"])).convert("RGBA")
    Image.alpha_composite(Image.new("RGBA", chart.size, "white"), chart).convert("RGB").save(path)


def draw_page(result: Path, path: Path) -> None:
    """The head of the page of a benchmark."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise click.ClickException("no chromium in PATH, which draws bench.png; the other pictures are drawn")
    write_report(result)
    page = (result / REPORT / PAGE).resolve().as_uri()
    words = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=900,680")
    with tempfile.TemporaryDirectory() as profile:
        own = (f"--user-data-dir={profile}", f"--screenshot={path.resolve()}")
        subprocess.run([chromium, *words, *own, page], check=True, capture_output=True, timeout=60)


def _arms(study: str) -> dict[str, Any]:
    document: dict[str, dict[str, Any]] = json.loads((RESULTS / study / "result.json").read_text(encoding="utf-8"))
    return document["arms"]


if __name__ == "__main__":
    main()
