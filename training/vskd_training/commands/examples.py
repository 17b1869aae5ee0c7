"""The command ``vskd examples``. Only click is imported here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vskd.commands.terminal import JSON, example_lines, say, say_json
from vskd_training.commands.options import CACHE, ROOT
from vskd_training.commands.terminal import open_experiment, show_table

if TYPE_CHECKING:
    from vskd_training.evaluation.example_choice import Choice
    from vskd_training.wearers.evaluate import OfRun
    from vskd_training.wearers.summary import Summary


def _group(context: click.Context, parameter: click.Parameter, given: str | None) -> tuple[str, str] | None:
    if given is None:
        return None
    name, equals, value = given.partition("=")
    if not equals:
        raise click.BadParameter(f"{given!r} is not GROUP=VALUE")
    return name, value


@click.command(
    epilog=example_lines(
        "vskd examples OUT/cells/raw/*/* --out raw.jsonl",
        "vskd examples OUT/cells/raw/fold-[1357]/* --choose odd.json",
        "vskd examples OUT/cells/raw/fold-[2468]/* --rule odd.json",
    )
)
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="JSON lines, one per run. Runs that are there are not evaluated again, and take part in the summary.",
)
@click.option(
    "--rule",
    type=click.Path(path_type=Path),
    default=None,
    help="How examples count, as --choose wrote it for other subjects.  [default: chosen on each run's validation "
    "subjects]",
)
@click.option(
    "--choose",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Choose how examples count on the runs' test subjects, who are then not tested by it, and write it here.",
)
@click.option(
    "--enroll",
    "enrols",
    metavar="GROUP=VALUE",
    default=None,
    callback=_group,
    help="Recordings of this group enrol, the others are tested: side=left.",
)
@click.option(
    "--level",
    type=click.Choice(["recording", "window"]),
    default="recording",
    show_default=True,
    help="What the summary counts.",
)
@click.option("--against", metavar="ARM", default=None, help="Compare the other arms with this one, not with controls.")
@ROOT
@CACHE
@JSON
def examples(
    runs: tuple[Path, ...],
    out: Path | None,
    rule: Path | None,
    choose: Path | None,
    enrols: tuple[str, str] | None,
    level: str,
    against: str | None,
    root: Path | None,
    cache: Path,
    as_json: bool,
) -> None:
    """Test students with the test subjects' own examples.

    They get 0, 1, 2 and 3 examples of each activity, with the network and without.

    The last repetition is tested, the others enrol in turn. How examples count is chosen on validation subjects. Runs
    are evaluated one after the other; the summary's unit is the subject.
    """
    if choose and (out or rule or enrols or against):
        raise click.UsageError("--choose only chooses; leave out --out, --rule, --enroll and --against")
    if choose:
        _choose(runs, choose, root, cache, as_json=as_json)
        return
    from vskd.closed import to_mapping
    from vskd.errors import DataError
    from vskd.writing import append_line, disk_errors
    from vskd_training.evaluation.evaluate import refuse_trained_on
    from vskd_training.runs.run import Run
    from vskd_training.wearers.evaluate import evaluate_examples
    from vskd_training.wearers.summary import summarise

    given = _read_rule(rule) if rule else None
    found = _read_results(out, enrols) if out and out.exists() else []
    done = {(one.arm, one.run, one.weights_sha256): one.spec for one in found}
    for path in runs:
        run, (arm, name) = Run.open(path, role="student"), _names(path)
        if spec := done.get((arm, name, run.card["weights_sha256"])):
            if given and given.spec != spec:
                raise DataError(f"{out} holds {arm} {name} by another --rule", hint="Give another --out")
            continue
        experiment = open_experiment(run.config, root or run.root(), cache)
        refuse_trained_on(run, experiment)
        result = evaluate_examples(run, experiment, arm=arm, name=name, given=given, enrols=enrols)
        found.append(result)
        say(f"{arm} {name}: {_in_words(result)}", err=True)
        if out:
            with disk_errors(out, DataError, hint="Give another --out, or make room"):
                append_line(out, json.dumps(to_mapping(result), sort_keys=True))
    summary = summarise(found, level=level, against=against)  # type: ignore[arg-type]  # of a click.Choice
    _show(summary)
    say_json(to_mapping(summary), as_json=as_json)


def _names(path: Path) -> tuple[str, str]:
    """Arm and run: of a study's cell ARM/FOLD/seed-N, of any other run its folder twice."""
    parts = path.resolve().parts
    if len(parts) > 3 and parts[-1].startswith("seed-"):
        return parts[-3], "/".join(parts[-2:])
    return parts[-1], parts[-1]


def _in_words(result: OfRun) -> str:
    """Accuracies per recording with each number of examples, mean over the run's subjects."""
    counts = result.subjects[0].accuracy["network"]
    shares = (
        sum(one.accuracy["network"][count]["recording"] for one in result.subjects) / len(result.subjects)
        for count in counts
        if all(count in one.accuracy["network"] for one in result.subjects)
    )
    return ", ".join(f"{share:.1%}" for share in shares)


def _read_rule(path: Path) -> Choice:
    from vskd.closed import from_mapping
    from vskd.errors import DataError
    from vskd.untrusted.documents import read_json
    from vskd_training.evaluation.example_choice import Choice

    try:
        return from_mapping(Choice, read_json(path.read_text(encoding="utf-8")), where=str(path))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the rule {path}: {error}", hint="--choose writes one") from error


def _read_results(path: Path, enrols: tuple[str, str] | None) -> list[OfRun]:
    from vskd.closed import from_mapping
    from vskd.errors import DataError
    from vskd.untrusted.documents import read_json
    from vskd_training.wearers.evaluate import OfRun

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        found = [from_mapping(OfRun, read_json(line), where=f"{path}") for line in lines]
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}", hint="Give another --out") from error
    if any(one.enrols != (enrols or ()) for one in found):
        raise DataError(f"{path} holds evaluations by another --enroll", hint="Give another --out")
    return found


def _choose(runs: Sequence[Path], place: Path, root: Path | None, cache: Path, *, as_json: bool) -> None:
    from vskd.closed import to_mapping
    from vskd.errors import ConfigError, DataError
    from vskd.writing import disk_errors, write_file
    from vskd_training.evaluation.evaluate import refuse_trained_on
    from vskd_training.evaluation.example_choice import choose
    from vskd_training.runs.run import Run
    from vskd_training.wearers.evaluate import outputs_of

    parts = []
    for path in runs:
        run = Run.open(path, role="student")
        experiment = open_experiment(run.config, root or run.root(), cache)
        refuse_trained_on(run, experiment)
        parts.append((run.contract, outputs_of(run, experiment, "test")))
    choice = choose(parts)
    if choice is None:
        raise ConfigError("no test subject of these runs repeats an activity", hint="Give runs on other recordings")
    with disk_errors(place, DataError, hint="Give another --choose"):
        write_file(place, (json.dumps(to_mapping(choice), indent=1) + "\n").encode())
    say(f"written: {place}", err=True)
    say_json(to_mapping(choice), as_json=as_json)


def _show(summary: Summary) -> None:
    from rich.table import Table

    table = Table("arm", "by", "examples", f"accuracy per {summary.level}", "95 %", "worst subject", "subjects")
    for row in summary.rows:
        interval = "" if row.low is None else f"{row.low:.3f} to {row.high:.3f}"
        values = f"{row.mean:.3f}", interval, f"{row.worst:.3f}", str(len(row.by_subject))
        table.add_row(row.arm, row.by, str(row.examples), *values)
    show_table(table)
    for one in summary.comparisons:
        words = f"p = {one.p_holm:.3g}, adjusted" if one.p_holm is not None else one.reason
        mean = "" if one.mean is None else f"{one.mean:+.3f}, "
        say(f"{one.arm} against {one.against}: {mean}{words}", err=True)
    for arm, numbers in summary.new.items():
        for name, value in numbers.items():
            say(f"{arm}, new activity, {name}: {value:.3f}", err=True)
