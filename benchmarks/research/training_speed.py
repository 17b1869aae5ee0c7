"""How fast a student is trained here, against the public code's recipe on the same machine in the same run.

``python -m research.training_speed --out DIR [--rounds N] [--threads N]``

Two processes of the training environment (``research.step_timing``, which describes what each of them trains) take
turns, each with the same number of threads; nothing of the training environment is imported here. A round is some steps
of one and some of the other, about equally long; the order changes from round to round. Useful images are those that
carry a recording: half of the public recipe's batch is zeros. The ratio is taken within each round, of elapsed and of
processor time: elapsed time is what a user waits for, processor time is less disturbed by what else runs here.

DIR gets ``training-speed.json``. A table goes to standard error, the same JSON document is the last line of standard
output. The exit code is 0 whether or not the goals are met, 1 where something could not be
measured, 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from vskd.errors import DataError, MissingExtraError, VskdError
from vskd_benchmarks.device.environment import busy_cores, describe_machine, read_state
from vskd_benchmarks.goals import Verdict, judge
from vskd_benchmarks.measure.processes import WorkerProcess
from vskd_benchmarks.report.terminal import goal_table, show_script_result
from vskd_benchmarks.result.validity import reasons_of_a_script

NAMES = {"vskd": "vskd, 64 px", "public": "public recipe, 224 px"}
RESULT = "training-speed.json"

#: What has to be installed beside the runtime, and the extra that brings it.
EXTRA = {"torch": "training", "torchvision": "training"}

#: Steps in a round; the first is of 8 useful images at 224 px, the second of 32 at 64 px.
PUBLIC_STEPS, OWN_STEPS = 1, 8
ROUNDS = 9

Answer = dict[str, Any]


def measure(*, rounds: int, threads: int) -> dict[str, Any]:
    """The whole result, ready for JSON.

    Parameters
    ----------
    rounds : that count; one more is not counted
    threads : of each of the two processes

    Raises
    ------
    VskdError : torch is not installed, or a process failed
    """
    before = {**read_state(), "busy_cores": busy_cores()}
    with _process("vskd", threads) as own, _process("public", threads) as public:
        about = {"vskd": own.ready, "public": public.ready}
        measured = [_round(own, public, own_first=bool(index % 2)) for index in range(rounds + 1)][1:]
    after = {**read_state(), "busy_cores": busy_cores()}
    machine = describe_machine()
    summary = summarise(measured)
    return {
        "benchmark": "training_speed",
        "machine": machine,
        "before": before,
        "after": after,
        "reasons_to_doubt": reasons_of_a_script(machine, before, after),
        "threads": threads,
        "trained": about,
        "rounds": measured,
        **summary,
        "goals": [asdict(goal) for goal in verdicts(summary)],
    }


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


def tables(result: Mapping[str, Any]) -> Iterator[Table]:
    """The result as tables."""
    title = f"Useful images, {result['threads']} thread(s): median (lowest to highest round)"
    speed = Table(title=title, title_justify="left")
    for column in ("", "a second", "a processor second"):
        speed.add_column(column, justify="right" if column else "left")
    for kind, name in NAMES.items():
        speed.add_row(name, *(_words(result[of][kind]) for of in ("images_per_s", "images_per_cpu_s")))
    speed.add_row("ratio", _words(result["ratio"]), _words(result["cpu_ratio"]))
    yield speed
    yield goal_table(result["goals"])


def _words(spread: Mapping[str, float]) -> str:
    return f"{spread['median']:.1f} ({spread['lowest']:.1f} to {spread['highest']:.1f})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m research.training_speed",
        description="Measure how fast a student is trained, against the public code's recipe.",
        epilog="Example: python -m research.training_speed --out build/training-speed --threads 1",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=f"gets {RESULT}")
    parser.add_argument("--rounds", type=_count, default=ROUNDS, help=f"that count (default: {ROUNDS})")
    parser.add_argument(
        "--threads", type=_count, default=len(os.sched_getaffinity(0)), help="of each process (default: every core)"
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _check_installed() -> None:
    for package, extra in EXTRA.items():
        if find_spec(package) is None:
            raise MissingExtraError(package, extra=extra, purpose="the speed of training")


def _write(result: Mapping[str, Any], out: Path) -> None:
    try:
        (out / RESULT).write_text(json.dumps(result, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write in {out}: {error.strerror}", hint="Give another --out") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    wanted, console = _parser().parse_args(arguments), Console(stderr=True)
    try:
        _check_installed()  # refuse before the first minute is spent
        _make_folder(wanted.out)
        result = measure(rounds=wanted.rounds, threads=wanted.threads)
        _write(result, wanted.out)
    except VskdError as error:
        console.print(f"Error: {error}", markup=False)
        return 1
    show_script_result(result, tables(result), console)
    return 0


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the folder {out}: {error.strerror}", hint="Give another --out") from error


if __name__ == "__main__":
    sys.exit(main())
