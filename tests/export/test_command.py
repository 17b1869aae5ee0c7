"""``vskd export``: what it hands to the library, and what it must refuse: one sentence, and nothing written."""

from __future__ import annotations

import dataclasses
import errno
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner, Result

from vskd.bundle import write_bundle
from vskd.closed import to_mapping
from vskd.contract import Contract
from vskd.errors import BundleError, ConfigError, DataError, MissingExtraError, VskdError
from vskd_export import build
from vskd_export.command import export
from vskd_export.package.report import ExportReport
from vskd_export.quantize.calibrate import WindowSet
from vskd_export.quantize.recipes import MODELS
from vskd_export.request import ExportRequest
from vskd_training.data.experiment import Experiment
from vskd_training.models.student import gaf_resnet
from vskd_training.runs.run import Run, finish_run
from vskd_training.settings import Config, DataConfig, StudentConfig

from .conftest import FILES, LABELS, Trained, synthetic_windows


def make_run(folder: Path, contract: Contract, *, width: float = 0.125, trained_on: tuple[str, ...] = ()) -> Path:
    """A finished run of an untrained student, whose card says width 0.125."""
    folder.mkdir()
    config = Config(data=DataConfig(dataset="synthetic", view="rendered"), student=StudentConfig(width=0.125))
    card = {
        "role": "student",
        "config": to_mapping(config),
        "contract": json.loads(contract.to_json()),
        "data": {"split": {"leaky": False, "train": list(trained_on)}},
        "teacher": None,
    }
    finish_run(folder, weights=gaf_resnet(contract, width=width).state_dict(), card=card)
    return folder


def with_windows(
    monkeypatch: pytest.MonkeyPatch,
    trained: Trained,
    *,
    test_subject: str,
    labels: tuple[str, ...] = (),
    leaky: bool = False,
) -> None:
    """Let the command find these recordings instead of preparing a data set."""
    sets = {
        "train": trained.calibration,
        "test": synthetic_windows(8, subjects=(test_subject,), seed=9),
    }
    split = SimpleNamespace(leaky=leaky, test_subjects=(test_subject,), validation_subjects=())
    found_contract = SimpleNamespace(labels=labels or trained.contract.labels)
    opened = experiment_of({part: window_table(found) for part, found in sets.items()}, split, found_contract)
    monkeypatch.setattr(Experiment, "open", lambda *_, **__: opened)


def window_table(found: WindowSet, recordings: np.ndarray | None = None) -> SimpleNamespace:
    """Windows as an experiment has them; by default each is a recording."""
    recordings = np.arange(len(found)) if recordings is None else recordings
    return SimpleNamespace(
        samples=found.windows, labels=found.labels, ids=found.ids, subjects=found.subjects, recordings=recordings
    )


def experiment_of(tables: dict[str, SimpleNamespace], split: SimpleNamespace, contract: object) -> SimpleNamespace:
    """An experiment of these windows on each side; recordings of different sides have different numbers."""
    infos: list[SimpleNamespace] = []
    for side, table in tables.items():
        table.recordings = table.recordings + len(infos)
        label_of = dict(zip(table.recordings.tolist(), table.labels.tolist(), strict=True))
        infos += [SimpleNamespace(label=LABELS[label_of[row]]) for row in sorted(label_of)]
        setattr(split, side, sorted(label_of))
    for side in {"train", "validation", "test"} - tables.keys():
        setattr(split, side, [])
    return SimpleNamespace(
        windows=tables.__getitem__, split=split, contract=contract, prepared=SimpleNamespace(infos=infos),
        sides=SimpleNamespace(unlabelled=()), files=FILES,
    )  # fmt: skip


def run_command(run: Path, out: Path, *options: str) -> Result:
    return CliRunner().invoke(export, [str(run), "--out", str(out), *options])


def refused(result: Result, kind: type[VskdError]) -> str:
    """The sentence, after checking that it is one and has a way out."""
    assert isinstance(result.exception, kind), result.exception
    assert "\n" not in str(result.exception)
    assert result.exception.hint
    return str(result.exception)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[ExportRequest]:
    """Requests that the command made; nothing is exported."""
    made: list[ExportRequest] = []

    def keep(request: ExportRequest, *, progress: object) -> ExportReport:
        made.append(request)
        return ExportReport(request.out, {"parity": [], "quantized": [], "degraded": [], "layers": {}, "classes": {}})

    monkeypatch.setattr(build, "export_bundle", keep)
    return made


def of_everybody(monkeypatch: pytest.MonkeyPatch, trained: Trained) -> np.ndarray:
    """Let the command find recordings of which all subjects were trained on; two windows each, their recordings."""
    found = trained.calibration
    recordings = np.arange(len(found)) // 8 * 4 + np.arange(len(found)) % 4  # classes alternate from window to window
    split = SimpleNamespace(leaky=False, test_subjects=(), validation_subjects=())
    opened = experiment_of({"train": window_table(found, recordings)}, split, trained.contract)
    monkeypatch.setattr(Experiment, "open", lambda *_, **__: opened)
    return recordings


STUDY_CARD = {
    "name": "choice",
    "arm": "alone",
    "result_sha256": "ab" * 32,
    "decisions": "recording",
    "accuracy": 0.8764,
    "macro_f1": 0.8642,
    "interval_over_subjects": [0.8, 0.9],
    "worst_subject": {"name": "zoe", "accuracy": 0.75},
    "subjects": 8,
    "seeds": 3,
}


def everybody_run(folder: Path, trained: Trained, *, study: object) -> Path:
    """A finished run of the trained student, on everybody."""
    run = make_run(folder, trained.contract, trained_on=tuple(set(trained.calibration.subjects)))
    card = json.loads((run / "run.json").read_text())
    finish_run(run, weights=trained.student.state_dict(), card={**card, "study": study})
    return run


def test_a_run_on_everybody_is_judged_on_recordings_that_were_not_calibrated_on(
    tmp_path: Path, trained: Trained, requests: list[ExportRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings = dict(zip(trained.calibration.ids, of_everybody(monkeypatch, trained).tolist(), strict=True))
    result = run_command(everybody_run(tmp_path / "run", trained, study=STUDY_CARD), tmp_path / "x.bundle")
    assert result.exit_code == 0, result.exception
    (request,) = requests
    assert request.seen_in_training
    assert not request.leaky
    assert request.files == FILES
    calibration, judged = ({recordings[one] for one in part.ids} for part in (request.calibration, request.held_out))
    assert not calibration & judged
    assert calibration | judged == set(recordings.values())
    assert set(request.held_out.labels.tolist()) == set(request.calibration.labels.tolist())
    assert set(request.held_out.subjects) == set(request.calibration.subjects) == {"anna", "ben"}
    assert request.provenance["study"] == STUDY_CARD


def test_a_run_on_everybody_with_one_recording_of_each_class_cannot_be_judged(
    tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_everybody(monkeypatch, trained)
    opened = Experiment.open(None)  # type: ignore[arg-type,call-arg]
    opened.windows("train").recordings[:] = trained.calibration.labels
    sentence = refused(run_command(everybody_run(tmp_path / "run", trained, study=None), tmp_path / "x"), DataError)
    assert "no class has two recordings" in sentence


@pytest.mark.slow
@pytest.mark.parametrize("study", [STUDY_CARD, None], ids=["study", "no study"])
def test_a_bundle_of_everybody_has_no_accuracy_but_its_studys(
    tmp_path: Path, trained: Trained, study: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the command line, converted and judged in earnest."""
    of_everybody(monkeypatch, trained)
    out = tmp_path / "x.bundle"
    result = run_command(everybody_run(tmp_path / "run", trained, study=study), out, "--allow-degraded")
    assert result.exit_code == 0, result.exception
    report = json.loads((out / "report.json").read_text())
    assert report["seen_in_training"] is True
    assert report["torch"] == {"windows": report["held_out"]["windows"]}
    for row in report["quantized"]:
        assert (row["accuracy"], row["macro_f1"]) == (None, None)
        assert row["flip_rate"] == row["flips"] / report["torch"]["windows"]
    assert {row["accuracy"] for row in report["parity"]} == {None}
    page = " ".join((out / "report.html").read_text().split())
    assert "Seen in training: parity only." in page
    assert ("87.64 % per recording over 8 unseen subjects" in page) == (study is not None)
    assert ("Its accuracy is unknown" in page) == (study is None)
    assert ("the arm alone of the study choice, 0.876" in result.output) == (study is not None)


@pytest.mark.parametrize("leaky", [False, True])
def test_the_command_hands_on_the_run_its_windows_and_the_options(
    leaky: bool,
    tmp_path: Path,
    contract: Contract,
    trained: Trained,
    requests: list[ExportRequest],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run(tmp_path / "run", contract)
    with_windows(monkeypatch, trained, test_subject="cara", leaky=leaky)
    options = ("--allow-degraded", "--overwrite", "--variants", "--recipe", "fp16") if leaky else ()

    assert run_command(run, tmp_path / "x.bundle", *options).exit_code == 0

    (request,) = requests
    assert set(request.calibration.subjects) == {"anna", "ben"}
    assert set(request.held_out.subjects) == {"cara"}
    assert request.contract == contract
    assert (request.allow_degraded, request.overwrite, request.variants, request.leaky) == (leaky,) * 4
    assert {model.recipe for model in request.models} == {"fp32", "fp16" if leaky else "w8a8-static-pc"}
    weights = safetensors.torch.load_file(run / "model.safetensors")
    torch.testing.assert_close(dict(request.student.state_dict()), weights, rtol=0, atol=0)
    assert request.provenance["weights_sha256"] == json.loads((run / "run.json").read_text())["weights_sha256"]


def test_the_recordings_are_those_of_the_folders_named(
    tmp_path: Path, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, object] = {}

    def stop(config: Config, **folders: object) -> None:
        asked.update(folders, config=config)
        raise DataError("far enough", hint="no further")

    monkeypatch.setattr(Experiment, "open", stop)
    run = make_run(tmp_path / "run", contract)
    options = ("--root", str(tmp_path / "data"), "--cache", str(tmp_path / "cache"))
    assert refused(run_command(run, tmp_path / "x.bundle", *options), DataError).startswith("far enough")
    config = Run.open(run, role="student").config
    assert callable(asked.pop("progress"))
    assert asked == {"config": config, "root": tmp_path / "data", "cache": tmp_path / "cache"}


def test_at_80_columns_no_name_and_no_figure_of_the_table_is_cut(
    exported: ExportReport,
    tmp_path: Path,
    contract: Contract,
    trained: Trained,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_windows(monkeypatch, trained, test_subject="cara")
    monkeypatch.setattr(build, "export_bundle", lambda *_, **__: ExportReport(Path("x.bundle"), exported.content))
    monkeypatch.setenv("COLUMNS", "80")
    result = run_command(make_run(tmp_path / "run", contract), tmp_path / "x.bundle")
    words = result.output.split()
    for cell in (cell for row in exported.rows() for cell in row):
        assert set(cell.split()) <= set(words)


def test_the_old_name_of_variants_is_refused_with_the_new_one(tmp_path: Path) -> None:
    result = run_command(tmp_path / "run", tmp_path / "x.bundle", "--forms")
    assert result.exit_code == 2
    assert "--forms is called --variants now" in result.output
    assert "--forms" not in CliRunner().invoke(export, ["--help"]).output


def test_the_help_and_the_recipes_load_neither_torch_nor_a_converter() -> None:
    code = "import sys, vskd_export.command, vskd_export.quantize.recipes; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert not {"torch", "scipy", "onnx", "onnxruntime", "litert_torch", "jinja2"} & set(loaded.split())


def test_the_help_names_the_recipes_that_users_say() -> None:
    text = " ".join(CliRunner().invoke(export, ["--help"]).output.split())
    for word in ("int8 (the same as w8a8-static- pc)", "fp16", "fp32", "w8a8s-static-pc.onnx"):
        assert word.replace(" ", "") in text.replace(" ", "")


def test_a_run_that_never_finished(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_bytes(b"{}")

    sentence = refused(run_command(run, tmp_path / "x.bundle"), DataError)

    assert "never finished: it has no run.json" in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_bundle_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "x.bundle").mkdir()
    for name in ("manifest.json", "contract.json"):
        (tmp_path / "x.bundle" / name).write_bytes(b"{}")
    sentence = refused(run_command(tmp_path / "x.bundle", tmp_path / "y.bundle"), DataError)
    assert "x.bundle is a bundle already, and a run is needed. Give the folder of the run" in sentence


def test_a_checkpoint_whose_tensors_have_another_shape(
    tmp_path: Path, contract: Contract, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "run", contract, width=0.25)
    with_windows(monkeypatch, trained, test_subject="cara")

    sentence = refused(run_command(run, tmp_path / "x.bundle"), DataError)

    assert "model.safetensors does not fit the model of its own config" in sentence
    assert "size mismatch for trunk.conv1.weight" in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_calibration_with_subjects_of_the_test_set(
    tmp_path: Path, contract: Contract, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "run", contract)
    with_windows(monkeypatch, trained, test_subject="ben")

    sentence = refused(run_command(run, tmp_path / "x.bundle", "--allow-degraded"), DataError)

    assert "calibration would use subjects of the held-out set: ben" in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_recordings_that_test_subjects_whom_the_run_was_trained_on(
    tmp_path: Path, contract: Contract, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another --root than at training: its split may test anybody, and the gate would pass what was learnt."""
    run = make_run(tmp_path / "run", contract, trained_on=("cara",))
    with_windows(monkeypatch, trained, test_subject="cara")

    sentence = refused(run_command(run, tmp_path / "x.bundle"), ConfigError)

    assert "was trained on the subject cara, a test or validation subject" in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_recordings_of_other_activities(
    tmp_path: Path, contract: Contract, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate would count the answers of one list of classes against the truths of another."""
    run = make_run(tmp_path / "run", contract)
    with_windows(monkeypatch, trained, test_subject="cara", labels=(*contract.labels[1:], "yodel"))

    sentence = refused(run_command(run, tmp_path / "x.bundle"), ConfigError)

    assert "these recordings have" in sentence
    assert "yodel" in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_that_is_there_and_one_that_is_no_bundle(tmp_path: Path, contract: Contract) -> None:
    run = make_run(tmp_path / "run", contract)
    out = tmp_path / "notes"
    out.mkdir()
    (out / "keep.txt").write_text("mine", encoding="utf-8")

    assert "exists. Give another name, or --overwrite" in refused(run_command(run, out), BundleError)
    assert "is no bundle; it is not replaced" in refused(run_command(run, out, "--overwrite"), BundleError)
    assert (out / "keep.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("notes.txt", r"is a file, and a bundle is a folder"),
        ("notes.txt/x.bundle", r"cannot write .*: Not a directory"),
    ],
)
def test_a_place_where_no_bundle_can_be_written_is_refused_before_the_run_is_read(
    place: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    assert re.search(sentence, refused(run_command(tmp_path / "no run", tmp_path / place, "--overwrite"), BundleError))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("words", "kind", "sentence"),
    [
        (("--small", "--recipe", "fp16"), ConfigError, "a small bundle holds the int8 .tflite alone"),
        (("--licence", "my own"), ConfigError, "about.licence is no SPDX identifier: 'my own'"),
        (("--sign", "key.pem"), MissingExtraError, "pip install 'vskd[sign]'"),
    ],
)
def test_what_cannot_be_written_in_the_end_is_refused_before_the_run_is_read(
    words: tuple[str, ...], kind: type[VskdError], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # model-signing is not there
    assert sentence in refused(run_command(tmp_path / "no run", tmp_path / "x.bundle", *words), kind)


@pytest.mark.parametrize("room", [0, 1, 3])
def test_a_disk_that_fills_up_half_way_leaves_the_old_bundle_and_no_rest(
    room: int, tmp_path: Path, contract: Contract, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = write_bundle(tmp_path / "x.bundle", contract=contract, models=MODELS, files=files)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    written, write = [], Path.write_bytes

    def until_full(path: Path, content: bytes) -> int:
        written.append(path)
        if len(written) > room:
            write(path, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", until_full)
    other = dataclasses.replace(contract, trained_on="something else")
    with pytest.raises(BundleError, match=r"cannot write .*No space left on device.*Nothing was left behind"):
        write_bundle(out, contract=other, models=MODELS, files=files, overwrite=True)

    assert len(written) == room + 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.bundle"]
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
