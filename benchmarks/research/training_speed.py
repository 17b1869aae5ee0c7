"""How fast a student is trained here, against the public code's recipe on the same machine in the same run.

Two processes of the training environment (``research.step_timing``, which describes what each of them trains) take
turns, each with the same number of threads; nothing of the training environment is imported here. A round is some steps
of one and some of the other, about equally long; the order changes from round to round. Useful images are those that
carry a recording: half of the public recipe's batch is zeros. The ratio is taken within each round, of elapsed and of
processor time: elapsed time is what a user waits for, processor time is less disturbed by what else runs here.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import click
from rich.table import Table

from research.document import Script, Verdict, judge, make_document, show
from vskd.errors import ConfigError, MissingExtraError
from vskd.writing import disk_errors
from vskd_benchmarks.measure.processes import WorkerProcess

NAMES = {"vskd": "vskd, 64 px", "public": "public recipe, 224 px"}
RESULT = "training-speed.json"

#: What has to be installed beside the runtime, and the extra that brings it.
EXTRA = {"torch": "training", "torchvision": "training"}

#: Steps in a round; the first is of 8 useful images at 224 px, the second of 32 at 64 px.
PUBLIC_STEPS, OWN_STEPS = 1, 8
ROUNDS = 9

Answer = dict[str, Any]


def measure(*, rounds: int, threads: int) -> dict[str, Any]:
    """All figures, ready for JSON.

    Parameters
    ----------
    rounds : that count; one more is not counted
    threads : of each of the two processes

    Raises
    ------
    VskdError : torch is not installed, or a process failed
    """
    with _process("vskd", threads) as own, _process("public", threads) as public:
        about = {"vskd": own.ready, "public": public.ready}
        rounds_measured = [_round(own, public, own_first=bool(index % 2)) for index in range(rounds + 1)][1:]
    return {"threads": threads, "trained": about, "rounds": rounds_measured, **summarise(rounds_measured)}


def _process(kind: str, threads: int) -> WorkerProcess:
    command = [sys.executable, "-m", "research.step_timing", json.dumps({"kind": kind, "threads": threads})]
    return WorkerProcess(f"training ({NAMES[kind]})", command, threads=threads)


def _round(own: WorkerProcess, public: WorkerProcess, *, own_first: bool) -> dict[str, Answer]:
    turns = [("vskd", own, OWN_STEPS), ("public", public, PUBLIC_STEPS)]
    return {name: process.ask("steps", count=steps) for name, process, steps in (turns if own_first else turns[::-1])}


def summarise(rounds: Sequence[Mapping[str, Answer]]) -> dict[str, Any]:
    """Medians and spread over rounds.

    Parameters
    ----------
    rounds : of each kind what ``research.step_timing.timed`` returns

    Returns
    -------
    ``images_per_s`` and ``images_per_cpu_s`` by kind, ``ratio`` and ``cpu_ratio`` of vskd over public,
    ``share_of_encoding_and_augmentation`` of vskd's step, ``share_of_loading`` of the public one: each ``median``,
    ``lowest`` and ``highest``
    """
    speed = {kind: [_rate(each[kind], "elapsed_s") for each in rounds] for kind in NAMES}
    thrift = {kind: [_rate(each[kind], "cpu_s") for each in rounds] for kind in NAMES}
    return {
        "images_per_s": {kind: _spread(values) for kind, values in speed.items()},
        "images_per_cpu_s": {kind: _spread(values) for kind, values in thrift.items()},
        "ratio": _spread([ours / theirs for ours, theirs in zip(speed["vskd"], speed["public"], strict=True)]),
        "cpu_ratio": _spread([ours / theirs for ours, theirs in zip(thrift["vskd"], thrift["public"], strict=True)]),
        "share_of_encoding_and_augmentation": _spread([_share(each["vskd"]) for each in rounds]),
        "share_of_loading": _spread([_share(each["public"]) for each in rounds]),
    }


def _rate(answer: Answer, time: str) -> float:
    return float(answer["images"] / answer[time])


def _share(answer: Answer) -> float:
    return float(sum(answer["parts_s"].values()) / answer["elapsed_s"])


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "lowest": min(values), "highest": max(values)}


def verdicts(summary: Mapping[str, Any]) -> Iterator[Verdict]:
    """The two goals, by the medians over rounds."""
    yield judge("training_speed_up", summary["ratio"]["median"])
    yield judge("encoding_share", summary["share_of_encoding_and_augmentation"]["median"] * 100)


def table(document: Mapping[str, Any]) -> Table:
    """The speeds as a table."""
    title = f"Useful images, {document['threads']} thread(s): median (lowest to highest round)"
    speed = Table(title=title, title_justify="left")
    for column in ("", "a second", "a processor second"):
        speed.add_column(column, justify="right" if column else "left")
    for kind, name in NAMES.items():
        speed.add_row(name, *(_words(document[of][kind]) for of in ("images_per_s", "images_per_cpu_s")))
    speed.add_row("ratio", _words(document["ratio"]), _words(document["cpu_ratio"]))
    return speed


def _words(spread: Mapping[str, float]) -> str:
    return f"{spread['median']:.1f} ({spread['lowest']:.1f} to {spread['highest']:.1f})"


@click.command(cls=Script, epilog="Example: python -m research.training_speed --out build/training-speed --threads 1")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help=f"Gets {RESULT}.")
@click.option("--rounds", type=click.IntRange(1), default=ROUNDS, show_default=True, help="That count.")
@click.option("--threads", type=click.IntRange(1), help="Of each process.  [default: every core]")
def main(out: Path, rounds: int, threads: int | None) -> None:
    """Measure how fast a student is trained, against the public code's recipe."""
    for package, extra in EXTRA.items():  # refuse before the first minute is spent
        if find_spec(package) is None:
            raise MissingExtraError(package, extra=extra, purpose="the speed of training")
    with disk_errors(out, ConfigError, hint="Give another --out"):
        out.mkdir(parents=True, exist_ok=True)
    cores = threads or len(os.sched_getaffinity(0))
    document = make_document("training_speed", lambda: measure(rounds=rounds, threads=cores), verdicts)
    with disk_errors(out, ConfigError, hint="Give another --out"):
        (out / RESULT).write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    show(document, table(document))


if __name__ == "__main__":
    main()
