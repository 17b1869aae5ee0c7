"""Exporting from Python: ``vskd.export``, which the command of that name calls.

What loads torch and the converters is imported inside, so that it can be looked at without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vskd_training.commands.python import Place, several

if TYPE_CHECKING:
    from vskd_export.package.report import ExportReport
    from vskd_export.quantize.calibrate import WindowSet
    from vskd_export.request import ExportRequest
    from vskd_training.data.experiment import Experiment
    from vskd_training.models.student import Student
    from vskd_training.runs.run import Run


def export(
    run: Place,
    out: Place,
    *,
    recipes: str | Sequence[str] = (),
    variants: bool = False,
    overwrite: bool = False,
    allow_degraded: bool = False,
    small: bool = False,
    licence: str = "",
    sign: Place | None = None,
    root: Place | None = None,
    cache: Place = "build/cache",
    progress: bool = True,
) -> ExportReport:
    """Write a run's student as a bundle, or say what is wrong with it: ``vskd export``.

    What the gate refuses is not written; its report is, to ``OUT.refused``.

    Parameters
    ----------
    run : a student's finished run, or its folder
    out : folder to write, ``NAME.bundle``
    recipes : numeric forms to add to fp32, for both formats or one: ``int8``, ``fp16``, ``w8-pc``, ``fp16.tflite``, see
        ``vskd export --help``; none is ``int8``
    variants : write also image -> logits, the encoder alone, and window -> probabilities
    overwrite : replace a bundle that is there
    allow_degraded : write the bundle even if the gate refuses it; its report lists every violation
    small : keep the int8 ``.tflite`` alone, without C source and page
    licence : of the model, for its card: an SPDX identifier
    sign : private key (PEM) to sign the bundle with, see ``vskd.transport.signature``
    root : folder of the data set; None: where the run found it
    cache : folder for prepared recordings
    progress : say each step on standard error

    Returns
    -------
    ``path`` of the bundle, and ``content`` of its ``report.json``

    Raises
    ------
    GateError : an exported model does not do what the trained one does
    BundleError : the folder exists or cannot be written
    ConfigError, DataError : a recipe, run or recording that cannot be used
    MissingExtraError : a converter or an engine is not installed
    """
    from vskd.bundle import refuse_existing
    from vskd_export.quantize.recipes import parse_recipes

    # Refusals come before the minute of work, not after it.
    models, place = parse_recipes(several(recipes)), Path(out)
    refuse_existing(place, overwrite=overwrite)
    _refuse(small and bool(variants or recipes), licence, sign)

    from vskd_training.commands.terminal import open_experiment
    from vskd_training.evaluation.evaluate import refuse_trained_on
    from vskd_training.runs.run import Run
    from vskd_training.runs.trained import trained_student

    opened = Run.open(Path(run), role="student")
    found_in = Path(root) if root is not None else opened.root()
    experiment = open_experiment(opened.config, found_in, Path(cache), shown=progress)
    # The gate judges on subjects whom the student was not trained on, in the order of its own classes.
    refuse_trained_on(opened, experiment)

    from vskd_export.build import export_bundle
    from vskd_export.steps import export_steps

    request = replace(
        _request(opened, trained_student(opened), experiment, place, found_in),
        overwrite=overwrite,
        allow_degraded=allow_degraded,
        models=models,
        variants=variants,
        small=small,
        licence=licence,
    )
    with export_steps(variants=variants, shown=progress) as begin:
        report = export_bundle(request, progress=begin)
    _sign(report, sign)
    return report


def _sign(report: ExportReport, key: Place | None) -> None:
    from vskd.bundle import Bundle
    from vskd.transport.signature import sign

    if key is not None:
        sign(Bundle.open(report.path), Path(key))


def _refuse(small_and_more: bool, licence: str, sign: Place | None) -> None:
    """Refuse what cannot be written in the end."""
    from vskd.errors import ConfigError
    from vskd.transport.signature import check_signer
    from vskd_training.datasets.data_set import About

    About(licence=licence)  # an SPDX identifier
    if small_and_more:
        raise ConfigError("a small bundle holds the int8 .tflite alone", hint="Leave out variants and recipes")
    if sign is not None:
        check_signer(Path(sign))


def _request(run: Run, student: Student, experiment: Experiment, out: Path, root: Path | None) -> ExportRequest:
    """What to export, by what the run and its recordings say."""
    from vskd_export.request import ExportRequest
    from vskd_training.data.sources import about

    calibration, held_out = _windows_of(experiment)
    recorded, notice = about(run.config.data, root)
    return ExportRequest(
        student=student,
        contract=run.contract,
        calibration=calibration,
        held_out=held_out,
        provenance=_provenance(run),
        out=out,
        seen_in_training=not experiment.split.test_subjects,
        training=_training(experiment),
        files=experiment.files,
        leaky=experiment.split.leaky,
        about=recorded,
        notice=notice,
    )


def _provenance(run: Run) -> dict[str, Any]:
    """What the bundle's report says of the run; ``module`` is there for a user's own network."""
    told = ("config", "data", "teacher", "module", "study", "quantization", "weights_sha256", "versions")
    return {key: run.card[key] for key in told if key in run.card}


def _training(experiment: Experiment) -> dict[str, int]:
    """Class -> labelled windows that taught it."""
    from vskd_training.evaluation.classes import class_windows

    return {label: sides["train"] for label, sides in class_windows(experiment).items()}


def _windows_of(experiment: Experiment) -> tuple[WindowSet, WindowSet]:
    """Windows to calibrate with, and to judge on: of test subjects, or where nobody was held out of other recordings.

    Raises
    ------
    DataError : nobody was held out, and no class has two recordings
    """
    from vskd.errors import DataError
    from vskd_export.quantize.calibrate import WindowSet, judged_apart

    table = experiment.windows("train")
    if experiment.split.test_subjects:
        return WindowSet.of(table), WindowSet.of(experiment.windows("test"))
    calibration, judged = judged_apart(WindowSet.of(table), table.recordings)
    if not len(judged):
        raise DataError(
            "the run was trained on everybody, and no class has two recordings, one to calibrate with and one to judge",
            hint="Record more, or export a run that has test subjects",
        )
    return calibration, judged
