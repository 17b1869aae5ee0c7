"""The sentence that an export is: convert, calibrate, quantize, check, write.

Everything is made and judged in memory first; the bundle is written last, whole or not at all. This module knows the
order of the steps and leaves each step to the module of its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import ModelEntry, refuse_existing, write_bundle
from vskd.bundle_files import FORMER_VARIANTS as FORMS
from vskd.checks.golden import GOLDEN_FILE, golden_to_bytes
from vskd.contract import Contract
from vskd.engines import installed_engines
from vskd.errors import BundleError
from vskd.report import GRAPHS
from vskd_export.convert.graph import frozen_copy
from vskd_export.convert.variants import make_forms
from vskd_export.judge import micro
from vskd_export.judge.answers import run_engines
from vskd_export.judge.evidence import gather_evidence
from vskd_export.judge.gate import check_encoder, check_engines, check_micro, check_reference, check_sizes
from vskd_export.judge.layers import LAYER_WINDOWS, compare_layers
from vskd_export.judge.variants_gate import check_forms
from vskd_export.judge.violations import Ledger
from vskd_export.package.c_array import c_files
from vskd_export.package.describe import describe_model, graph_entry
from vskd_export.package.golden import golden_rows, make_golden
from vskd_export.package.golden_stream import make_golden_stream
from vskd_export.package.page import PAGE_FILE, page
from vskd_export.package.report import REPORT_FILE, compose, to_bytes
from vskd_export.quantize.calibrate import WindowSet, draw_calibration
from vskd_export.quantize.recipes import INTEGER_RECIPE, MODELS, describe_recipes, entry, format_of, make_models
from vskd_training.models.student import Student


@dataclass(frozen=True)
class ExportReport:
    """What an export did.

    Attributes
    ----------
    path : of the bundle
    content : what ``report.json`` holds
    """

    path: Path
    content: Mapping[str, Any]

    def rows(self) -> list[tuple[str, str, str, str, str, str]]:
        """A table for people: model, MB, engine, largest logit difference, flips, accuracy; a row per engine."""
        return [
            (
                row["file"],
                f"{self.content['models'][row['file']]['size_bytes'] / 1e6:.2f}",
                f"{row['engine']} {row['version']}",
                f"{row['largest_difference']:.1e}",
                str(row["flips"]),
                f"{row['accuracy']:.4f}",
            )
            for row in (*self.content["parity"], *self.content["quantized"])
        ]

    def worst_layers(self) -> tuple[str, ...]:
        """A sentence per integer model: which layers quantization hurts most, and how much signal is left there."""
        return tuple(
            f"{file}: least signal over noise in "
            + ", ".join(f"{row['layer']} ({row['sqnr_db']:.1f} dB)" for row in table["worst"])
            for file, table in self.content["layers"].items()
        )

    def degraded(self) -> tuple[str, ...]:
        """Every limit that the bundle does not keep, as a sentence; empty unless a degraded one was allowed."""
        return tuple(breach["message"] for breach in self.content["degraded"])


def export_bundle(
    student: Student,
    contract: Contract,
    *,
    calibration: WindowSet,
    held_out: WindowSet,
    provenance: Mapping[str, Any],
    out: Path,
    overwrite: bool,
    progress: Callable[[str], None],
    leaky: bool = False,
    allow_degraded: bool = False,
    models: Sequence[ModelEntry] = MODELS,
    forms: bool = False,
) -> ExportReport:
    """Export a trained student as a bundle.

    Parameters
    ----------
    student : trained; not changed
    contract : what a window is
    calibration : windows of training people; the integer models are calibrated on some of them
    held_out : windows of other people, on which the exported models are judged
    provenance : where the student comes from (run, configuration, data); goes into the report, so no date, no path
    out : folder to write, e.g. ``wrist.bundle``
    overwrite : replace a bundle that is there
    progress : called with one sentence before each step
    leaky : the run's protocol has the same people in training and test, and is stamped so
    allow_degraded : write the bundle even if a limit is broken, with every breach in its report
    models : what to make, see ``parse_recipes``
    forms : write the other forms too, see ``vskd_export.convert.variants``

    Raises
    ------
    GateError : an exported model does not do what the trained one does; nothing is written
    DataError : calibration windows come from held-out people, or a set is empty or not finite
    ContractError : windows or labels do not fit the contract
    BundleError : the folder exists or cannot be written
    MissingExtraError : a converter or an engine is not installed
    """
    refuse_existing(out, overwrite=overwrite)
    calibration.check(contract, name="calibration")
    held_out.check(contract, name="held-out")
    drawn = draw_calibration(calibration, held_out=held_out, leaky=leaky)
    with _one_sentence_for_a_full_disk():
        work = _Work(student, contract, models, drawn, held_out, Ledger(allow_degraded=allow_degraded), progress)
        work.make()
        work.judge()
        if forms:
            work.add_forms()
        content = compose(
            contract,
            evidence=work.evidence,
            judged=work.tables,
            degraded=work.ledger.breaches,
            files=work.models,
            calibration=drawn,
            held_out=held_out,
            provenance=provenance,
            leaky=leaky,
        )
        return ExportReport(work.write(out, content, overwrite=overwrite), content)


@contextmanager
def _one_sentence_for_a_full_disk() -> Iterator[None]:
    """What the operating system refuses to write, in the folder for temporary files too, told like any other error."""
    try:
        yield
    except OSError as error:
        raise BundleError(
            f"the export could not write a file: {error}",
            hint="Nothing was left behind. Free space there; TMPDIR names another folder for temporary files",
        ) from error


class _Work:
    """An export under way: what was made so far, and what was found out about it."""

    def __init__(
        self,
        student: Student,
        contract: Contract,
        entries: Sequence[ModelEntry],
        drawn: WindowSet,
        held_out: WindowSet,
        ledger: Ledger,
        progress: Callable[[str], None],
    ) -> None:
        self.student, self.contract, self.entries = frozen_copy(student), contract, entries
        self.drawn, self.ledger, self.progress = drawn, ledger, progress
        progress("Running the trained network on held-out and adversarial windows")
        self.evidence = gather_evidence(self.student, contract, held_out)
        self.tables: dict[str, Any] = {FORMS: {}}
        self.models: dict[str, bytes] = {}
        self.others: dict[str, bytes] = {}
        self.recorded: dict[str, NDArray[np.float32]] = {}

    def make(self) -> None:
        """Check the encoder, then convert and quantize."""
        self.tables["encoder"], broken = check_encoder(self.student, self.contract, self.evidence)
        self.ledger.record(broken)
        self.progress("Converting to ONNX and TFLite, and quantizing")
        self.models = make_models(self.student, self.contract, self.drawn, self.entries)

    def judge(self) -> None:
        """Run every model in every engine, on reference kernels, layer by layer and on a microcontroller's kernels."""
        self.progress(f"Running the models in {', '.join(installed_engines())}")
        answers = run_engines(self.entries, self.models, self.evidence.windows)
        found, broken = check_engines(answers, self.contract, self.evidence)
        self.tables |= found
        self.tables["sizes"], too_large = check_sizes(self.models, self.entries)
        self.ledger.record([*broken, *too_large])
        self.recorded = answers.recorded()
        self.progress("Running LiteRT's reference kernels")
        self.tables["reference"], broken = check_reference(
            self.entries, self.models, self.recorded, self.contract, self.evidence
        )
        self.ledger.record(broken)
        self.progress("Comparing the quantized models with the float ones, layer by layer")
        rows = golden_rows(self.evidence)[: 4 * LAYER_WINDOWS : 4]
        self.tables["recipes"] = describe_recipes(self.entries)
        self.tables[GRAPHS] = {
            model.file: describe_model(self.models[model.file], model.format) for model in self.entries
        }
        self.tables["layers"] = compare_layers(self.entries, self.models, self.evidence.windows[rows])
        self.tables["micro"] = self._judge_micro()

    def _judge_micro(self) -> dict[str, Any]:
        smallest = entry("tflite", INTEGER_RECIPE).file
        if smallest not in self.models:
            return {"skipped": f"no {INTEGER_RECIPE} .tflite was asked for"}
        self.progress(f"{'Running' if micro.is_installed() else 'Not installed, left out:'} TensorFlow Lite Micro")
        table, broken = check_micro(
            smallest, self.models[smallest], self.recorded[smallest], self.contract, self.evidence
        )
        self.ledger.record(broken)
        return table

    def add_forms(self) -> None:
        """Make the other forms and judge them."""
        self.progress("Making and running the other forms")
        self.others = make_forms(
            self.student, self.contract, files=self.models, calibration=self.drawn, models=self.entries
        )
        self.tables[FORMS], broken = check_forms(self.others, self.student, self.contract, self.evidence, self.recorded)
        self.ledger.record(broken)

    def write(self, out: Path, content: Mapping[str, Any], *, overwrite: bool) -> Path:
        """Write the bundle with everything that goes into it beside the models."""
        self.progress(f"Writing {out}")
        golden = make_golden(self.evidence, self.contract, self.recorded)
        stream = make_golden_stream(self.student, self.contract, self.evidence, self.models, self.entries)
        graphs = {**self.models, **self.others}
        return write_bundle(
            out,
            contract=self.contract,
            models=self.entries,
            files={
                **graphs,
                **self._in_c(),
                **stream,
                GOLDEN_FILE: golden_to_bytes(golden),
                REPORT_FILE: to_bytes(content),
                PAGE_FILE: page(content, self.contract),
            },
            graphs={file: graph_entry(data, format_of(file)) for file, data in graphs.items()},
            degraded=[breach.message for breach in self.ledger.breaches],
            overwrite=overwrite,
        )

    def _in_c(self) -> dict[str, bytes]:
        """The integer model for TensorFlow Lite Micro, where it was asked for."""
        smallest = entry("tflite", INTEGER_RECIPE).file
        if smallest not in self.models:
            return {}
        return c_files(self.models[smallest], self.contract, name=smallest, micro=self.tables["micro"])
