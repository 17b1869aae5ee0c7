"""``vskd demo``: a recording of somebody whom the network never saw, through a bundle that comes with vskd."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vskd.commands.terminal import JSON, for_people, say
from vskd.engines import ENGINE_NAMES

if TYPE_CHECKING:  # numpy is slow to import, and `--help` needs none
    from vskd.bundle import Bundle
    from vskd.decide import Event

#: ``NAME.bundle``, ``NAME.csv.gz`` and ``NAME.truth.csv``; `make models` makes them.
MODELS = Path(__file__).resolve().parent.parent / "models"

#: The first is the default.
NAMES = ("shoulder", "synthetic")

#: (start_s, end_s, label)
Truth = Sequence[tuple[float, float, str]]


@click.command(epilog="Example: vskd demo, or vskd demo synthetic --engine vskd")
@click.argument("name", type=click.Choice(NAMES), default=NAMES[0])
@click.option("--engine", type=click.Choice(ENGINE_NAMES), default=None, help="What runs the model.  [default: what is "
    "installed, else vskd's own]")  # fmt: skip
@JSON
def demo(name: str, engine: str | None, as_json: bool) -> None:
    """Try a model that comes with vskd, in ten seconds.

    A recording is replayed through it: no training, no torch.

    `shoulder` is a real smartwatch (seven exercises), `synthetic` a generated wrist (twelve activities).
    """
    from vskd.bundle import Bundle
    from vskd.classifier import Classifier
    from vskd.sinks.event_files import JsonLinesSink
    from vskd.sources.csv import SampleReader
    from vskd.sources.feed import feed
    from vskd.sources.text_file import file_lines

    opened, recording = Bundle.open(MODELS / f"{name}.bundle"), MODELS / f"{name}.csv.gz"
    truth = _truth(MODELS / f"{name}.truth.csv")
    samples = SampleReader.open(file_lines(recording, name=recording.name), name=recording.name)
    with Classifier.open(opened.path, engine=engine) as classifier:
        say(f"{_about(opened)}; {classifier.engine.name} runs it", err=True)
        told, written = _Told(truth), JsonLinesSink(sys.stdout, classifier.labels)

        def take(event: Event) -> None:
            told(event)
            if not for_people(as_json):
                written(event)

        feed(classifier, samples.chunks(rows=1024), take)
    *lines, total = told.lines()
    if not for_people(as_json):
        say(total, err=True)
    else:
        for line in (*lines, total):
            say(line)
        say(f"Next: vskd inspect {opened.path}")
        say(f"      vskd run {opened.path} --input {recording} --view")


class _Told:
    """What was told in each stretch of one activity, of the windows that lie whole within it."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._told = [Counter[str]() for _ in truth]

    def __call__(self, event: Event) -> None:
        for (start_s, end_s, _), told in zip(self._truth, self._told, strict=True):
            if start_s <= event.start_s and event.end_s <= end_s:
                told[event.label] += 1

    def lines(self) -> Iterator[str]:
        """A line for each stretch, and one for all."""
        width = max(len(label) for _, _, label in self._truth)
        right = 0
        for (start_s, end_s, label), told in zip(self._truth, self._told, strict=True):
            right += told[label]
            wrong = "".join(f", {count} {other}" for other, count in told.most_common() if other != label)
            yield f"{start_s:6.1f} to {end_s:5.1f} s  {label:{width}}  {told[label]:2} of {told.total():2} right{wrong}"
        judged = sum(told.total() for told in self._told)
        yield f"{right} of {judged} windows right; those between two activities are left out"


def _about(bundle: Bundle) -> str:
    contract = bundle.contract
    return f"{bundle.path.name}: {len(contract.labels)} activities from the {contract.sensor.placement}"


def _truth(path: Path) -> Truth:
    with path.open(encoding="utf-8", newline="") as stream:
        return [(float(row["start_s"]), float(row["end_s"]), row["label"]) for row in csv.DictReader(stream)]
