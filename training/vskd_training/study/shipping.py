"""The accuracy of a network that is trained on everybody: that of the study which tested its config on others.

Such a network has no test subjects, so no number of its own can be honest. A finished study trained the same config on
parts of the subjects and tested it on the rest; its figures are copied into the run card, with the hash of the file
that they come from. The arm is found by its config, which must be equal in every key but those that split the subjects,
and by its teachers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vskd.closed import from_mapping, to_mapping
from vskd.errors import ConfigError, DataError
from vskd.pages import number_of
from vskd.untrusted.documents import read_json
from vskd_training.loop.viewers import flat
from vskd_training.runs.run import Run
from vskd_training.settings import Config
from vskd_training.study.cells import folder_of
from vskd_training.study.plan import cell_name, teachers_of
from vskd_training.study.report import RESULT
from vskd_training.study.spec import StudySpec

#: Keys that may differ: they split the subjects, draw random numbers, or count cores.
_MAY_DIFFER = frozenset(
    {"data." + name for name in ("protocol", "fold", "fold_count", "split_column", "allow_leak", "train_on_validation")}
    | {"data." + name for name in ("train_subjects", "test_subjects", "validation_subjects", "subjects")}
    | {"seed", "threads"}
)


def study_card(out: Path, config: Config, teachers: Sequence[Run], *, data_key: str) -> dict[str, Any]:
    """What a finished study says of a config: for the run card of a network trained on everybody.

    Parameters
    ----------
    out : the study's folder
    config : of the student, as it is trained
    teachers : its own, trained on everybody, too
    data_key : of its recordings

    Raises
    ------
    DataError : no finished study, one whose cells are gone or changed, or of other recordings; a leaky one
    ConfigError : no arm has this config and these teachers; names the arm that comes nearest, and the key
    """
    content, sha256 = _read(out)
    spec = from_mapping(StudySpec, content["study"], where=RESULT)
    if content["leaky"]:
        raise DataError(
            f"the study {spec.name} is LEAKY: its accuracy says nothing about new subjects", hint="Name another study"
        )
    if content["dataset"]["key"] != data_key:
        raise DataError(
            f"the study {spec.name} tested other recordings than these: {content['dataset']['key'][:12]}, not "
            f"{data_key[:12]}",
            hint="Give --root and the config the recordings of the study",
        )
    students = {arm.name for arm in spec.arm if arm.kind == "student"}
    differences = {
        name: _difference(out, spec, name, arm, config, teachers)
        for name, arm in content["arms"].items()
        if name in students
    }
    if not differences:
        raise DataError(f"the study {spec.name} has no finished arm that is a student", hint="Finish the study")
    for name, found in differences.items():
        if not found:
            return {"name": spec.name, "arm": name, "result_sha256": sha256, **_figures(spec, content["arms"][name])}
    nearest = min(differences, key=lambda name: len(differences[name]))
    raise ConfigError(
        f"no arm of the study {spec.name} is this student; the nearest is {nearest!r}, where {differences[nearest][0]}",
        hint="Give the config, the --set and the --teacher of the arm; only the split and the seed may differ",
    )


def _read(out: Path) -> tuple[dict[str, Any], str]:
    path = out / RESULT
    try:
        raw = path.read_bytes()
        content: dict[str, Any] = read_json(raw.decode("utf-8"))
        missing = {"study", "leaky", "dataset", "arms"} - {*content}
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", hint="`vskd study` writes it") from error
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is no result of a study: {error}", hint="`vskd study` writes it") from error
    if missing:
        raise DataError(f"{path} is no result of a study: it lacks {min(missing)}", hint="`vskd study` writes it")
    return content, hashlib.sha256(raw).hexdigest()


def _figures(spec: StudySpec, arm: Mapping[str, Any]) -> dict[str, Any]:
    """The arm's figures, as the study has them."""
    worst = min(arm["by_subject"], key=arm["by_subject"].__getitem__)
    return {
        "decisions": spec.decisions,
        "accuracy": arm["accuracy"],
        "macro_f1": arm["macro_f1"],
        "interval_over_subjects": arm["interval_over_subjects"],
        "worst_subject": {"name": worst, "accuracy": arm["by_subject"][worst]},
        "subjects": len(arm["by_subject"]),
        "seeds": len(spec.seeds),
    }


def _difference(
    out: Path, spec: StudySpec, name: str, arm: Mapping[str, Any], config: Config, teachers: Sequence[Run]
) -> list[str]:
    """In what an arm differs from a config and its teachers; empty where it is the same."""
    first = arm["cells"][0]
    cell = Run.open(folder_of(out, cell_name(name, first["fold"], first["seed"])), role="student")
    if cell.card["weights_sha256"] != first["weights_sha256"]:
        raise DataError(f"{cell.path} was trained again after {out / RESULT}", hint="Run the study again")
    taught_by = next(one.teacher for one in spec.arm if one.name == name)
    theirs = [
        Run.open(folder_of(out, one), role=None).config
        for one in teachers_of(spec, taught_by, first["fold"], first["seed"])
    ]
    return [*_keys_that_differ(cell.config, config), *_teachers_that_differ(theirs, teachers)]


def _keys_that_differ(theirs: Config, ours: Config) -> list[str]:
    there, here = flat(to_mapping(theirs)), flat(to_mapping(ours))
    return [
        f"{key} is {there.get(key)!r} there and {here.get(key)!r} here"
        for key in sorted({*there, *here} - _MAY_DIFFER)
        if there.get(key) != here.get(key)
    ]


def _teachers_that_differ(theirs: Sequence[Config], ours: Sequence[Run]) -> list[str]:
    if len(theirs) != len(ours):
        return [f"the student has {len(theirs)} teachers there and {len(ours)} here"]
    left = list(theirs)
    for run in ours:
        same = next((one for one in left if not _keys_that_differ(one, run.config)), None)
        if same is None:
            return [f"no teacher is {run.path.name}: {_keys_that_differ(left[0], run.config)[0]}"]
        left.remove(same)
    return []


def in_words(card: Mapping[str, Any] | None) -> str:
    """What is known of the accuracy of a network trained on everybody: one sentence."""
    if card is None:
        return "trained on everybody: its accuracy is unknown, since no study was named (--study)"
    return (
        f"trained on everybody: its accuracy is that of the arm {card['arm']} of the study {card['name']}, "
        f"{card['accuracy']:.3f} per {card['decisions']} over {number_of(card['subjects'], 'subject')} "
        f"(result.json {card['result_sha256'][:12]})"
    )
