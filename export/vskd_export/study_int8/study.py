"""All students of a finished study as int8 models: accuracy that is kept, and costs of each arm."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from vskd.closed import to_mapping
from vskd.errors import ConfigError, did_you_mean
from vskd.writing import write_file
from vskd_export.search.budget import Costs
from vskd_export.search.costs import ONNX, TFLITE, costs_of
from vskd_export.search.latency import TIMED, processor, time_models
from vskd_export.study_int8.cell import CellScores, Place, onnx_model, score_cell
from vskd_training.study.cells import is_finished, open_cell
from vskd_training.study.plan import Cell, Study
from vskd_training.study.running import on_cores

RESULT, TABLE = "int8.json", "int8.md"


@dataclass(frozen=True)
class ArmInt8:
    """An arm on a device.

    Attributes
    ----------
    name : of the arm
    cells : name of each -> its scores
    costs : of its first cell's model; weights change neither operators nor sizes
    latency_us : engine -> median time of a bare call of that model, on this machine
    """

    name: str
    cells: dict[str, CellScores]
    costs: Costs
    latency_us: dict[str, float]


@dataclass(frozen=True)
class StudyInt8:
    """What was found.

    Attributes
    ----------
    study : its name
    sha256 : of the study's file and of its config
    decisions : what accuracy and macro-F1 count
    seeds : of the cells
    machine : processor and Python
    arms : in the study's order
    """

    study: str
    sha256: dict[str, str]
    decisions: str
    seeds: tuple[int, ...]
    machine: dict[str, str]
    arms: tuple[ArmInt8, ...]


def students_of(study: Study, out: Path, seeds: Sequence[int] = (), arms: Sequence[str] = ()) -> list[Cell]:
    """The students of some seeds and arms, or of all.

    Raises
    ------
    ConfigError : one is not finished, there are none of a seed, or an arm is no student of the study
    """
    students = [cell for cell in study.cells if cell.role == "student"]
    names = dict.fromkeys(cell.item for cell in students)
    for arm in arms:
        if arm not in names:
            raise ConfigError(f"the study {study.spec.name} has no student {arm!r}", hint=did_you_mean(arm, names))
    known = sorted({cell.seed for cell in students})
    for seed in seeds:
        if seed not in known:
            raise ConfigError(
                f"the study {study.spec.name} has no students of seed {seed}",
                hint=f"Its seeds: {', '.join(map(str, known))}",
            )
    cells = [cell for cell in students if (not seeds or cell.seed in seeds) and (not arms or cell.item in arms)]
    left = [cell.name for cell in cells if not is_finished(out, cell)]
    if left:
        raise ConfigError(
            f"{len(left)} of {len(cells)} students are not finished, {left[0]} is one",
            hint=f"Finish it first: vskd study STUDY.toml --out {out}",
        )
    return cells


def score_study(
    study: Study,
    place: Place,
    *,
    seeds: Sequence[int] = (),
    arms: Sequence[str] = (),
    jobs: int,
    progress: Callable[[int, int, str], None],
) -> StudyInt8:
    """Make and run every student's int8 model, and measure what each arm's costs.

    Parameters
    ----------
    study : finished
    place : its folder, and its data
    seeds, arms : whose students; none are all
    jobs : models made at a time
    progress : called with (models made, models in all, what is to be said)
    """
    cells = students_of(study, place.out, seeds, arms)
    made: dict[str, CellScores] = {}
    progress(0, len(cells), "")
    with on_cores(jobs) as run:
        for name, scores in run(partial(_named_scores, place=place), cells):
            made[name] = scores
            progress(len(made), len(cells), "")
    names = dict.fromkeys(cell.item for cell in cells)
    return StudyInt8(
        study=study.spec.name,
        sha256=study.sha256,
        decisions=place.decisions,
        seeds=tuple(sorted({cell.seed for cell in cells})),
        machine={"processor": processor(), "python": platform.python_version()},
        arms=tuple(_arm(name, [cell for cell in cells if cell.item == name], made, place) for name in names),
    )


def _named_scores(cell: Cell, place: Place) -> tuple[str, CellScores]:
    return cell.name, score_cell(cell, place)


def _arm(name: str, cells: Sequence[Cell], made: dict[str, CellScores], place: Place) -> ArmInt8:
    first = cells[0]
    contract = open_cell(place.out, first).contract
    tflite = place.folder(first) / TFLITE
    with TemporaryDirectory() as folder:
        onnx = Path(folder) / Path(ONNX).name
        onnx.write_bytes(onnx_model(first, place))
        times = [
            time_models(engine, [path], contract.window_shape)
            for engine, path in zip(TIMED, (tflite, onnx), strict=True)
        ]
    return ArmInt8(
        name=name,
        cells={cell.name: made[cell.name] for cell in cells},
        costs=costs_of(tflite.read_bytes(), contract),
        latency_us={engine: median for engine, (median,) in zip(TIMED, times, strict=True)},
    )


def write_result(found: StudyInt8, out: Path) -> str:
    """Write ``int8.json`` and ``int8.md`` into the study's folder; gives the table."""
    text = "\n".join(_table(found)) + "\n"
    write_file(out / RESULT, (json.dumps(to_mapping(found), indent=1) + "\n").encode())
    write_file(out / TABLE, text.encode())
    return text


def _table(found: StudyInt8) -> Iterator[str]:
    columns = ("accuracy, float", "int8", "macro-F1, float", "int8", "labels changed", "MMAC", "flash, kB", "arena, kB")
    yield (
        f"{found.study}: students as int8 .tflite, per {found.decisions}, mean over folds and over the seeds "
        f"{', '.join(map(str, found.seeds))}. "
        f"Arena: TensorFlow Lite Micro, whole graph. Latency: a short timing of bare calls, one thread, on "
        f"{found.machine['processor']}, whatever else ran."
    )
    yield ""
    yield f"| arm | {' | '.join(columns)} | LiteRT, us | ONNX Runtime, us |"
    yield "|---" * (len(columns) + 3) + "|"
    for arm in found.arms:
        scores, costs = list(arm.cells.values()), arm.costs
        cells = (
            f"{mean(one.float_accuracy for one in scores):.4f}",
            f"{mean(one.int8_accuracy for one in scores):.4f}",
            f"{mean(one.float_macro_f1 for one in scores):.4f}",
            f"{mean(one.int8_macro_f1 for one in scores):.4f}",
            f"{100 * mean(one.changed for one in scores):.2f} %",
            f"{costs.macs / 1e6:.2f}",
            f"{costs.flash_bytes / 1000:.1f}",
            "n/a" if costs.arena_bytes is None else f"{costs.arena_bytes / 1000:.1f}",
            *(f"{arm.latency_us[engine]:.0f}" for engine in TIMED),
        )
        yield f"| {arm.name} | {' | '.join(cells)} |"
