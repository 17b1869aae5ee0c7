"""An evaluation as a whole: each class, calibration, unknown activities, a threshold, plots, and what is refused."""

from __future__ import annotations

import dataclasses
import io
import json
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from scipy.special import softmax

from training.command_line import Command
from vskd.closed import to_mapping
from vskd.decide import UNKNOWN, Decider
from vskd.errors import ConfigError, ContractError, DataError
from vskd.stream import Window
from vskd_training.commands.terminal import rich_table
from vskd_training.data.experiment import Experiment
from vskd_training.data.labels import sides
from vskd_training.datasets.synthetic import SyntheticSettings
from vskd_training.datasets.synthetic.generator import SyntheticSource
from vskd_training.evaluation import predictors
from vskd_training.evaluation.evaluate import (
    Evaluation,
    device_probabilities,
    evaluate,
    refuse_trained_on,
    windows_to_test,
)
from vskd_training.evaluation.files import write_evaluation
from vskd_training.evaluation.metrics import fit_temperature, is_at_bound
from vskd_training.evaluation.plots import draw_confusion
from vskd_training.evaluation.predictors import bundle_predictor, network_predictor
from vskd_training.evaluation.report import Temperature, report, report_unknown
from vskd_training.evaluation.tables import evaluation_sentences, evaluation_tables
from vskd_training.evaluation.unknown import rounded_down, threshold_that_keeps
from vskd_training.loop.train import train_student, train_teacher
from vskd_training.runs.run import Run
from vskd_training.settings import Config, LabelsConfig, load_config

LEFT_OUT = ("jog", "wave")


def alone(experiment: Experiment, out: Path) -> Run:
    return train_student(experiment, out, teachers=())


@pytest.fixture(scope="module")
def config(tiny_config_file: Path) -> Config:
    return load_config(tiny_config_file, changes=('data.unknown_labels=["jog", "wave"]',))


@pytest.fixture(scope="module")
def experiment(config: Config, tiny_cache: Path) -> Experiment:
    return Experiment.open(config, root=None, cache=tiny_cache, progress=None)


@pytest.fixture(scope="module")
def run(experiment: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return alone(experiment, tmp_path_factory.mktemp("evaluate") / "run")


@pytest.fixture(scope="module")
def result(run: Run, experiment: Experiment) -> Evaluation:
    return evaluate(run, experiment, network_predictor(run, experiment), coverage=0.9)


@pytest.fixture(scope="module")
def teacher(tiny: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("teacher") / "run"
    return train_teacher(tiny, out)


@pytest.fixture(scope="module")
def reported(tiny: Experiment, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Experiment]:
    """A run without validation subjects."""
    data = dataclasses.replace(tiny.config.data, train_on_validation=True)
    settings = dataclasses.replace(tiny.config, data=data)
    whole = dataclasses.replace(tiny, config=settings, sides=sides(tiny.prepared.infos, data, LabelsConfig()))
    return alone(whole, tmp_path_factory.mktemp("reported") / "run"), whole


# --- activities that the network does not know ------------------------------------------------------------------------


def test_unknown_activities_are_no_class_and_on_no_side(experiment: Experiment, tiny: Experiment) -> None:
    infos = experiment.prepared.infos
    assert experiment.contract.labels == tuple(name for name in tiny.contract.labels if name not in LEFT_OUT)
    for part in ("train", "validation", "test"):
        labels = {infos[row].label for row in getattr(experiment.split, part)}
        assert labels == set(experiment.contract.labels)
        before, after = getattr(tiny.split, part), getattr(experiment.split, part)
        assert set(before) - set(after) == {row for row in before if infos[row].label in LEFT_OUT}
    assert {infos[row].label for row in experiment.sides.unknown} == set(LEFT_OUT)
    assert {infos[row].subject for row in experiment.sides.unknown} == {"2", "4"}
    assert experiment.split.test_subjects == tiny.split.test_subjects


def test_they_are_not_among_the_unlabelled_either(config: Config, tiny_cache: Path) -> None:
    scarce = dataclasses.replace(
        config,
        labels=LabelsConfig(subjects=("1",)),
        data=dataclasses.replace(config.data, train_on_validation=True),
    )
    opened = Experiment.open(scarce, root=None, cache=tiny_cache, progress=None)
    labels = {opened.prepared.infos[row].label for row in opened.sides.unlabelled}
    assert labels == set(opened.contract.labels)


def test_a_teacher_that_knew_them_is_refused(teacher: Run, experiment: Experiment, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="knows another split"):
        train_student(experiment, tmp_path / "s", teachers=[teacher])


EVERY = SyntheticSource(SyntheticSettings()).labels
MISTAKES = [
    (("jogg",), r"names 'jogg', of which the test subjects have no recording\. Did you mean 'jog'"),
    (("jog", "jog"), "names an activity twice: jog, jog"),
    (EVERY, "leaves no recording for train"),
]


@pytest.mark.parametrize(("unknown", "message"), MISTAKES, ids=["spelling", "twice", "all"])
def test_unknown_activities_that_cannot_be(tiny: Experiment, unknown: tuple[str, ...], message: str) -> None:
    data = dataclasses.replace(tiny.config.data, unknown_labels=unknown)
    with pytest.raises(ConfigError, match=message):
        sides(tiny.prepared.infos, data, LabelsConfig())


def test_the_card_and_the_evaluation_agree_on_them(run: Run, result: Evaluation, experiment: Experiment) -> None:
    card, found = run.card["metrics"]["test"]["unknown"], result.metrics["unknown"]
    for per in ("window", "recording"):
        for score in ("max_probability", "energy"):
            assert found[per][score]["auroc"] == pytest.approx(card[per][score]["auroc"], abs=0.01)
    assert card["labels"] == list(LEFT_OUT)
    assert card["window"]["known"] == len(experiment.windows("test"))
    assert card["window"]["unknown"] == len(experiment.windows("unknown"))
    assert card["recording"]["unknown"] == len(experiment.sides.unknown) == 4
    logits = network_predictor(run, experiment).predict
    known, unknown = (logits(experiment.windows(part)).astype(float) for part in ("test", "unknown"))
    energies = [np.log(np.exp(side).sum(axis=1)) for side in (known, unknown)]
    pairs = [(a > b) + (a == b) / 2 for a in energies[0] for b in energies[1]]
    assert card["window"]["energy"]["auroc"] == pytest.approx(np.mean(pairs))
    temperature = run.contract.decision.temperature
    sures = [softmax(side / temperature, axis=1).max(axis=1) for side in (known, unknown)]
    pairs = [(a > b) + (a == b) / 2 for a in sures[0] for b in sures[1]]
    assert card["window"]["max_probability"]["auroc"] == pytest.approx(np.mean(pairs))
    assert run.card["data"]["split"]["unknown"] == {"labels": list(LEFT_OUT), "recordings": 4}


@pytest.mark.parametrize(("temperature", "auroc"), [(1.0, 0.0), (10.0, 1.0)])
def test_the_highest_probability_is_taken_after_the_temperature(temperature: float, auroc: float) -> None:
    """At 1 the unknown window looks surer (0.79 against 0.73), at 10 the known one does (0.46 against 0.38)."""
    table: Any = SimpleNamespace(recordings=np.array([0]))
    known, unknown = np.array([[3.0, 2.0, -10.0]]), np.array([[3.0, 1.0, 1.0]])
    found = report_unknown((table, known), (table, unknown), ("jog",), Temperature(temperature, "config"))
    for per in ("window", "recording"):
        assert found[per]["max_probability"]["auroc"] == auroc


def test_without_the_key_nothing_is_said_of_unknown_activities(tiny: Experiment) -> None:
    assert "unknown" not in tiny.data_card()["split"]
    assert tiny.sides.unknown == ()


# --- calibration ------------------------------------------------------------------------------------------------------


def test_calibration_is_reported_before_and_after_the_fitted_temperature(run: Run, result: Evaluation) -> None:
    found = result.metrics["calibration"]
    fitted = run.contract.decision.temperature
    assert found["temperature"] == {"value": fitted, "source": "validation subjects", "at_bound": is_at_bound(fitted)}
    assert fitted != 1.0
    assert found["before"]["window"]["nll"] != found["after"]["window"]["nll"]
    on_validation = run.card["metrics"]["validation"]["calibration"]
    assert on_validation["after"]["window"]["nll"] <= on_validation["before"]["window"]["nll"]
    for when in ("before", "after"):
        assert found[when]["window"]["accuracy"] == result.metrics["window"]["all"]["accuracy"]
        assert found[when]["recording"]["count"] == result.metrics["recording"]["all"]["count"]


def test_without_validation_subjects_there_is_no_after_and_no_threshold(reported: tuple[Run, Experiment]) -> None:
    run, experiment = reported
    found = evaluate(run, experiment, network_predictor(run, experiment), coverage=0.95)
    assert found.metrics["calibration"]["temperature"] == {"value": 1.0, "source": "none", "at_bound": False}
    assert found.metrics["calibration"]["after"] is None
    assert found.unknown_below is None
    assert "no threshold is offered" in " ".join(evaluation_sentences(found))
    assert windows_to_test(run, experiment) == len(experiment.windows("test"))


def test_a_temperature_of_the_config_is_called_that(reported: tuple[Run, Experiment]) -> None:
    run, experiment = reported
    found = Temperature.of(run.contract.with_decision(temperature=2.0), experiment)
    assert found == Temperature(2.0, "config")
    table = experiment.windows("test")
    logits = network_predictor(run, experiment).predict(table)
    assert report(experiment, table, logits, found)["calibration"]["after"]["window"]["count"] == len(table)


def test_the_temperature_is_fitted_on_validation_windows_and_no_others(run: Run, experiment: Experiment) -> None:
    """Fitted again here, on the logits of each side: it is that of the validation side."""
    predict = network_predictor(run, experiment).predict
    tables = {side: experiment.windows(side) for side in ("train", "validation", "test")}
    fitted = {side: fit_temperature(predict(table), table.labels) for side, table in tables.items()}
    assert run.contract.decision.temperature == pytest.approx(fitted["validation"], rel=1e-3)
    for side in ("train", "test"):
        assert run.contract.decision.temperature != pytest.approx(fitted[side], rel=1e-2)


def test_every_side_has_windows_of_its_own_subjects_only(run: Run, result: Evaluation, experiment: Experiment) -> None:
    sides_of = {side: set(experiment.windows(side).subjects) for side in ("train", "validation", "test", "unknown")}
    assert sides_of == {"train": {"1"}, "validation": {"3"}, "test": {"2", "4"}, "unknown": {"2", "4"}}
    for metrics in (result.metrics, run.card["metrics"]["test"]):
        for per in ("window", "recording"):
            assert set(metrics[per]["all"]["by_subject"]) == {"2", "4"}
    assert set(run.card["metrics"]["validation"]["window"]["all"]["by_subject"]) == {"3"}
    assert result.metrics["window"]["all"]["count"] == len(experiment.windows("test"))


# --- per window and per recording, all activities and those of the wrist ----------------------------------------------


def test_decisions_per_window_and_per_recording_are_those_of_known_probabilities() -> None:
    """Three recordings of the activities a, b (at the wrist) and c; the second is wrong, one window of the first is."""
    shares = [[0.9, 0.05, 0.05], [0.3, 0.6, 0.1], [0.1, 0.2, 0.7], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]
    table: Any = SimpleNamespace(
        labels=np.array([0, 0, 1, 1, 2]), subjects=("1", "1", "2", "2", "2"), recordings=np.array([0, 0, 1, 1, 2]),
        too_short=0,
    )  # fmt: skip
    infos = [SimpleNamespace(label=label, subject=subject) for label, subject in (("a", "1"), ("b", "2"), ("c", "2"))]
    known: Any = SimpleNamespace(
        contract=SimpleNamespace(labels=("a", "b", "c")), prepared=SimpleNamespace(infos=infos), wrist_labels=("a", "b")
    )
    found = report(known, table, np.log(shares), Temperature(1.0, "none"))
    assert found["confusion_window"] == [[1, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert found["confusion"] == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
    for per, which, count, accuracy, by_subject in (
        ("window", "all", 5, 0.6, {"1": 0.5, "2": 2 / 3}),
        ("window", "wrist", 4, 0.5, {"1": 0.5, "2": 0.5}),
        ("recording", "all", 3, 2 / 3, {"1": 1.0, "2": 0.5}),
        ("recording", "wrist", 2, 0.5, {"1": 1.0, "2": 0.0}),
    ):
        scores = found[per][which]
        assert (scores["count"], scores["accuracy"]) == (count, pytest.approx(accuracy))
        assert scores["by_subject"] == pytest.approx(by_subject)
    assert found["calibration"]["before"]["recording"]["confidence"] == pytest.approx((0.6 + 0.5 + 0.8) / 3)


# --- each class -------------------------------------------------------------------------------------------------------


def test_classes_add_up_to_the_whole(result: Evaluation) -> None:
    metrics = result.metrics
    for per, matrix in (("window", "confusion_window"), ("recording", "confusion")):
        rows = metrics["by_class"][per]
        assert [row["label"] for row in rows] == list(result.labels)
        whole = metrics[per]["all"]
        assert sum(row["count"] for row in rows) == sum(row["predicted"] for row in rows) == whole["count"]
        found = sum(row["recall"] * row["count"] for row in rows) / whole["count"]
        assert found == pytest.approx(whole["accuracy"]) == pytest.approx(np.trace(metrics[matrix]) / whole["count"])
        assert np.mean([row["f1"] for row in rows]) == pytest.approx(whole["macro_f1"])


def test_the_tables_show_the_figures_of_the_document(result: Evaluation) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    for shown in evaluation_tables("student", result):
        console.print(rich_table(shown))
    # Columns are two spaces apart, or one where a cell fills its column.
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
    for per in ("window", "recording"):
        scores = result.metrics[per]["all"]
        worst = f"{scores['worst_accuracy']:.3f} ({scores['worst_subject']})"
        figures = [f"{scores[name]:.3f}" for name in ("accuracy", "macro_f1")]
        assert " ".join(["test", per, "all", str(scores["count"]), *figures, worst]) in lines
        for row in result.metrics["by_class"][per]:
            figures = ["n/a" if row[name] is None else f"{row[name]:.3f}" for name in ("precision", "recall", "f1")]
            assert " ".join([row["label"], str(row["count"]), str(row["predicted"]), *figures]) in lines
        for name, value in (("before", 1.0), ("after", result.metrics["calibration"]["temperature"]["value"])):
            found = result.metrics["calibration"][name][per]
            figures = [f"{found[score]:.3f}" for score in ("accuracy", "confidence", "ece", "nll", "brier")]
            assert " ".join([per, f"{name}: {value:.3f}", *figures]) in lines
        found = result.metrics["unknown"][per]["energy"]
        counts = [str(result.metrics["unknown"][per][side]) for side in ("known", "unknown")]
        assert " ".join([per, *counts, "energy", f"{found['auroc']:.3f}", f"{found['fpr95']:.3f}"]) in lines


def test_a_leaky_evaluation_says_so(run: Run, experiment: Experiment, result: Evaluation) -> None:
    assert not result.leaky
    split = dataclasses.replace(experiment.split, leaky=True)
    leaky = dataclasses.replace(experiment, sides=dataclasses.replace(experiment.sides, split=split))
    found = evaluate(run, leaky, network_predictor(run, leaky), coverage=0.9)
    assert found.leaky
    assert next(evaluation_sentences(found)).startswith("LEAKY: test subjects are also in the training")


# --- the threshold ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rules",
    [{}, {"smoothing": 0.3}, {"smoothing": 0.3, "min_lead": 0.1}, {"min_dwell_windows": 2}],
    ids=str,
)
def test_the_offered_threshold_keeps_its_share_on_a_device(
    run: Run, experiment: Experiment, rules: dict[str, Any]
) -> None:
    """Played through the device's own decision, with the threshold in its contract."""
    ruled = dataclasses.replace(run, contract=run.contract.with_decision(**rules))
    predictor = network_predictor(ruled, experiment)
    offer = evaluate(ruled, experiment, predictor, coverage=0.8).unknown_below

    def kept(part: Any, threshold: float) -> float:
        table = experiment.windows(part)
        decider = Decider(ruled.contract.with_decision(unknown_below=threshold))
        events = []
        for row, logits in enumerate(predictor.predict(table)):
            first = row == 0 or table.recordings[row] != table.recordings[row - 1]
            window = Window(table.samples[row], *table.spans_s[row].tolist(), after_gap=bool(first))
            events.append(decider.decide(logits, window).label)
        return float(np.mean([label != UNKNOWN for label in events]))

    assert offer is not None
    chosen_on = {
        part: device_probabilities(
            ruled.contract, experiment.windows(part), predictor.predict(experiment.windows(part))
        )
        for part in ("validation", "test")
    }
    found = {part: rounded_down(threshold_that_keeps(values, 0.8)) for part, values in chosen_on.items()}
    assert offer.threshold == found["validation"] != found["test"]
    assert offer.validation_windows == len(experiment.windows("validation"))
    assert kept("validation", offer.threshold) == offer.validation_coverage >= 0.8
    assert kept("validation", offer.threshold + 2e-4) < 0.8 or offer.validation_coverage > 0.8
    assert kept("test", offer.threshold) == offer.test_coverage
    assert kept("unknown", offer.threshold) == offer.unknown_coverage
    assert ruled.contract.decision.unknown_below == 0.0


def test_no_threshold_is_offered_by_which_all_that_is_not_certain_would_be_unknown(
    run: Run, experiment: Experiment
) -> None:
    predictor = network_predictor(run, experiment)
    certain = dataclasses.replace(predictor, predict=lambda table: 1e6 * predictor.predict(table))
    assert evaluate(run, experiment, certain, coverage=0.95).unknown_below is None


def test_a_teacher_is_tested_and_gets_no_threshold(tiny: Experiment, teacher: Run) -> None:
    found = evaluate(teacher, tiny, network_predictor(teacher, tiny), coverage=0.95)
    assert found.unknown_below is None
    card = teacher.card["metrics"]["test"]
    for key in ("window", "recording", "confusion", "by_class"):
        assert found.metrics[key] == card[key]
    # Weights that were loaded lie otherwise in memory than trained ones, which rounds otherwise.
    nll = (values["calibration"]["after"]["window"]["nll"] for values in (found.metrics, card))
    assert next(nll) == pytest.approx(next(nll), rel=1e-5)


# --- a bundle's model -------------------------------------------------------------------------------------------------


def test_a_bundles_model_is_tested_window_by_window(
    run: Run, experiment: Experiment, result: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = network_predictor(run, experiment).predict
    tables = [experiment.windows(part) for part in ("test", "validation", "unknown")]
    known = {
        window.tobytes(): row for table in tables for window, row in zip(table.samples, predict(table), strict=True)
    }
    contract = run.contract

    chosen: list[dict[str, Any]] = []

    class Stand:
        @classmethod
        def open(cls, path: Path) -> SimpleNamespace:
            entry = SimpleNamespace(file="model.onnx")
            return SimpleNamespace(
                contract=contract,
                select=lambda **asked: chosen.append(asked) or ("onnxruntime", entry),
                load=lambda name, entry: SimpleNamespace(infer=lambda window: known[window.tobytes()]),
                sha256=lambda: "abc",
            )

    monkeypatch.setattr(predictors, "Bundle", Stand)
    counts: list[int] = []
    predictor = bundle_predictor(run, Path("x.bundle"), engine="onnxruntime", recipe="fp32", progress=counts.append)
    found = evaluate(run, experiment, predictor, coverage=0.9)
    assert found.metrics == result.metrics
    assert found.unknown_below == result.unknown_below
    assert (found.engine, found.model, found.sha256) == ("onnxruntime", "model.onnx", "abc")
    assert chosen == [{"engine": "onnxruntime", "recipe": "fp32"}]
    assert counts == list(range(1, windows_to_test(run, experiment) + 1))
    contract = contract.with_decision(smoothing=0.5)
    with pytest.raises(ContractError, match=r"x\.bundle has another contract than .*run"):
        bundle_predictor(run, Path("x.bundle"), engine=None, recipe=None, progress=counts.append)


# --- files ------------------------------------------------------------------------------------------------------------


def test_the_document_and_the_plots_are_written(result: Evaluation, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "evaluation"
    out.mkdir(parents=True)
    (out / "evaluation.json").write_text("of an earlier run")
    (out / "notes.txt").write_text("mine")
    written = write_evaluation(result, out, title="student")
    names = ["confusion-windows.png", "confusion.png", "evaluation.json", "reliability.png", "report.html"]
    assert sorted(path.name for path in written) == names
    assert sorted(path.name for path in out.iterdir()) == sorted([*names, "notes.txt"])
    assert json.loads((out / "evaluation.json").read_text()) == json.loads(json.dumps(to_mapping(result)))


def test_each_confusion_matrix_is_drawn_under_its_name(
    result: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, Any] = {}

    def draw(matrix: Any, labels: Any, *, title: str) -> bytes:
        drawn[title] = matrix
        return title.encode()

    monkeypatch.setattr("vskd_training.evaluation.files.draw_confusion", draw)
    write_evaluation(result, tmp_path, title="student")
    expected = {"student: recordings": "confusion", "student: windows": "confusion_window"}
    assert drawn == {title: result.metrics[key] for title, key in expected.items()}
    assert (tmp_path / "confusion.png").read_bytes() == b"student: recordings"
    assert (tmp_path / "confusion-windows.png").read_bytes() == b"student: windows"


def test_a_folder_that_cannot_be_written_is_one_sentence(result: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match=r"cannot write .*file.*Give another --out"):
        write_evaluation(result, tmp_path / "file", title="student")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("classes", [2, 27, 37])
def test_a_confusion_matrix_has_room_for_every_name(classes: int) -> None:
    labels = [f"draw_circle_counter_clockwise_{number}" for number in range(classes)]
    picture = Image.open(io.BytesIO(draw_confusion(np.eye(classes, dtype=int).tolist(), labels, title="t")))
    assert picture.format == "PNG"
    # Names of 8 points need 13 pixels a row at 120 dpi.
    assert min(picture.size) > 13 * classes + 200


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_prints_one_document_and_writes_where_asked(
    vskd: Command, run: Run, result: Evaluation, tiny_cache: Path, tmp_path: Path
) -> None:
    done = vskd("evaluate", run.path, "--cache", tiny_cache, "--coverage", 0.9, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    assert json.loads(done.out) == json.loads(json.dumps(to_mapping(result)))
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == json.loads(done.out)
    words = " ".join(done.err.split())
    assert f"decision.unknown_below = {result.unknown_below.threshold} keeps" in words
    assert "fitted on validation subjects" in words
    assert "AUROC" in words
    silently = vskd("evaluate", run.path, "--cache", tiny_cache)
    assert silently.code == 0
    assert "written" not in silently.err


def test_a_run_card_of_before_is_opened_and_tested(
    vskd: Command, reported: tuple[Run, Experiment], tiny_cache: Path, tmp_path: Path
) -> None:
    """It lacks the key for unknown activities, and everything that is reported beside accuracies."""
    run, _ = reported
    card = json.loads(json.dumps(run.card))
    del card["config"]["data"]["unknown_labels"]
    for key in ("confusion_window", "by_class", "calibration"):
        del card["metrics"]["test"][key]
    old = tmp_path / "old"
    old.mkdir()
    (old / "run.json").write_text(json.dumps(card))
    (old / "model.safetensors").write_bytes((run.path / "model.safetensors").read_bytes())
    done = vskd("evaluate", old, "--cache", tiny_cache)
    assert done.code == 0, done.err
    assert json.loads(done.out)["metrics"]["recording"] == card["metrics"]["test"]["recording"]
    assert "not fitted: no validation subjects" in " ".join(done.err.split())


def test_subjects_whom_the_run_was_trained_on_are_not_tested(run: Run, experiment: Experiment) -> None:
    refuse_trained_on(run, experiment)
    for side in ("test_subjects", "validation_subjects"):
        split = dataclasses.replace(experiment.split, **{side: ("2", "1")})
        other = dataclasses.replace(experiment, sides=dataclasses.replace(experiment.sides, split=split))
        with pytest.raises(ConfigError, match=r"was trained on the subject 1, a test or validation subject"):
            refuse_trained_on(run, other)
    card = json.loads(json.dumps(run.card))
    card["data"]["split"]["leaky"] = True
    refuse_trained_on(dataclasses.replace(run, card=card), other)


def test_recordings_of_other_activities_are_refused(run: Run, experiment: Experiment) -> None:
    """What the network calls its second class would be counted as somebody else's second class."""
    labels = experiment.contract.labels
    for others in (labels[1:], (*labels[1:], "yodel")):
        other = dataclasses.replace(experiment, contract=dataclasses.replace(experiment.contract, labels=others))
        with pytest.raises(
            ConfigError, match=rf"knows the activities {labels[0]}, .*; these recordings have {labels[1]}"
        ):
            refuse_trained_on(run, other)


def test_unlabelled_subjects_of_the_training_are_not_tested_either(run: Run, experiment: Experiment) -> None:
    card = json.loads(json.dumps(run.card))
    card["data"]["split"]["unlabelled"] = [experiment.split.test_subjects[0]]
    with pytest.raises(ConfigError, match=r"a test or validation subject of these recordings"):
        refuse_trained_on(dataclasses.replace(run, card=card), experiment)


BUNDLE = Path(str(files("vskd"))) / "models" / "synthetic.bundle"
MISUSES = [
    (("nowhere",), 1, "nowhere holds no run"),
    (("nowhere", "--engine", "litert"), 2, "give --bundle too"),
    (("nowhere", "--coverage", "0"), 2, "0.0 is not in the range 0<x<=1"),
    (("nowhere", "--out", __file__), 2, "is a file"),
    (("nowhere", "--out", BUNDLE), 2, "synthetic.bundle is a bundle, to which nothing may be added"),
    (("nowhere", "--coverage", "nan"), 2, "--coverage must be above 0 and at most 1, got nan"),
    (("nowhere", "--coverage", "95"), 2, "95.0 is not in the range 0<x<=1"),
]


@pytest.mark.parametrize(("words", "code", "message"), MISUSES, ids=lambda value: str(value)[:30])
def test_misuse_is_one_sentence(vskd: Command, words: tuple[str | Path, ...], code: int, message: str) -> None:
    done = vskd("evaluate", *words)
    assert (done.code, done.out) == (code, "")
    assert message in " ".join(done.err.replace("│", " ").split())


def test_training_draws_the_confusion_matrix_beside_the_run(
    vskd: Command, tiny_config_file: Path, tiny_cache: Path, tmp_path: Path
) -> None:
    words = ("--config", tiny_config_file, "--cache", tiny_cache, "--set", 'data.unknown_labels=["jog"]')
    done = vskd("train", "student", *words, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "left-out activities: jog (2 recordings of test subjects)" in done.err
    assert (tmp_path / "run" / "confusion.png").read_bytes().startswith(b"\x89PNG")
