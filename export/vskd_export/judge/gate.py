"""The gate: an export whose models do not do what the trained network does is refused, and nothing is written.

Float models must give the trained network's logits and embedding on every window, in every engine of this machine, and
its logits on LiteRT's reference kernels. Quantized models must keep the limits of ``limits``. Every violation is
returned. ``evidence`` chooses the windows, and ``encoder`` judges the encoder before anything is converted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vskd.bundle import ModelEntry
from vskd.closed import to_mapping
from vskd.contract import Contract
from vskd.engines import installed_engines
from vskd_export.judge import micro
from vskd_export.judge.engines import EngineRun, recorded_runs, run_engines
from vskd_export.judge.evidence import Evidence
from vskd_export.judge.float_models import check_float
from vskd_export.judge.kernels import check_micro, check_reference
from vskd_export.judge.quantized import check_quantized, measure_quantized
from vskd_export.judge.sizes import check_sizes
from vskd_export.judge.violations import Violation, refuse_not_finite
from vskd_export.quantize.recipes import FLOAT_RECIPE


@dataclass(frozen=True)
class Judgement:
    """What the gate found about the models.

    Attributes
    ----------
    tables : ``parity``, ``quantized``, ``sizes``, ``reference``, ``micro``, as the report has them
    runs : model file -> its answers in the most preferred engine, for the windows of the evidence
    violations : every limit that is exceeded
    """

    tables: Mapping[str, Any]
    runs: Mapping[str, EngineRun]
    violations: tuple[Violation, ...]


def judge_models(
    models: Sequence[ModelEntry],
    files: Mapping[str, bytes],
    contract: Contract,
    evidence: Evidence,
    *,
    progress: Callable[[str], None],
) -> Judgement:
    """Judge every model: in every engine, by its size, and on plain kernels.

    Parameters
    ----------
    models : of the bundle, the float ones among them
    files : model file -> content
    contract : holds the tolerance
    evidence : windows and the trained network's logits
    progress : called with one sentence before each step

    Raises
    ------
    GateError : a logit is not finite
    MissingExtraError : a format has no engine here
    VskdError : a model does not run
    """
    progress(f"Running the models in {', '.join(installed_engines())}")
    runs = run_engines(models, files, evidence.windows, evidence.examples)
    tables, in_engines = check_engines(runs, contract, evidence)
    sizes, too_large = check_sizes(files, models)
    recorded = recorded_runs(runs)
    logits = {file: run.logits for file, run in recorded.items()}
    progress("Running LiteRT's reference kernels")
    reference, on_reference = check_reference(models, files, logits, contract, evidence)
    progress(f"{'Running' if micro.is_installed() else 'Not installed, left out:'} TensorFlow Lite Micro")
    in_micro, on_micro = check_micro(files, recorded, contract, evidence)
    return Judgement(
        tables | {"sizes": sizes, "reference": reference, "micro": in_micro},
        recorded,
        (*in_engines, *too_large, *on_reference, *on_micro),
    )


def check_engines(
    runs: Sequence[EngineRun], contract: Contract, evidence: Evidence
) -> tuple[dict[str, Any], tuple[Violation, ...]]:
    """Judge every model in every engine.

    Parameters
    ----------
    runs : for the windows of ``evidence``
    contract : holds the tolerance
    evidence : windows and the trained network's logits

    Returns
    -------
    ``parity`` of the float models and ``quantized`` measurements, a row per engine and model; the violations

    Raises
    ------
    GateError : a logit is not finite, which nothing allows
    """
    parity, quantized = [], []
    violations: list[Violation] = []
    for run in runs:
        for values in (run.logits, run.embeddings):
            refuse_not_finite(values, f"{run.model.file} in {run.where}", evidence.names)
        if run.model.recipe == FLOAT_RECIPE:
            checked, found = check_float(run, contract, evidence)
            parity.append(to_mapping(checked))
        else:
            measured = measure_quantized(run, contract, evidence)
            found = check_quantized(measured)
            quantized.append(to_mapping(measured))
        violations.extend(found)
    return {"parity": parity, "quantized": quantized}, tuple(violations)
