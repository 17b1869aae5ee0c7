"""``vskd examples`` as a whole command, on students that were trained for a moment."""

from __future__ import annotations

import json

import numpy as np
import pytest

from training.tiny_config import TINY
from vskd.contract import ExamplesSpec, ExampleWeights
from vskd_training.datasets.synthetic.generator import LABELS
from vskd_training.evaluation.examples import Outputs, last_tested
from vskd_training.wearers.controls import control_features, nearest
from vskd_training.wearers.evaluate import OfRun, OfSubject
from vskd_training.wearers.summary import summarise

NEW = LABELS[2]
CONFIG = TINY.replace("trials = 1", "trials = 3").replace("epochs = 3", "epochs = 1")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "examples.toml"
    path.write_text(CONFIG)
    return path


def trained(vskd, config, place, *changes):
    words = [word for change in changes for word in ("--set", change)]
    done = vskd("train", "student", "--config", config, "--out", place, "--cache", place.parent / "cache", *words)
    assert done.code == 0, done.err
    return place


def test_from_training_to_a_summary_over_subjects(vskd, config, tmp_path):
    runs = [
        trained(vskd, config, tmp_path / "cells" / "gaf" / "all" / f"seed-{seed}", f"seed={seed}",
                f'data.unknown_labels=["{NEW}"]')
        for seed in (0, 1)
    ]  # fmt: skip
    card = json.loads((runs[0] / "run.json").read_text())
    assert card["contract"]["examples"] == card["examples"]["spec"]
    assert card["examples"]["subjects"] == card["data"]["split"]["validation"]
    out, cache = tmp_path / "out.jsonl", runs[0].parent / "cache"

    done = vskd("examples", *runs, "--out", out, "--cache", cache)
    assert done.code == 0, done.err
    summary, lines = json.loads(done.out), [json.loads(line) for line in out.read_text().splitlines()]
    assert [(line["arm"], line["run"]) for line in lines] == [("gaf", "all/seed-0"), ("gaf", "all/seed-1")]
    assert lines[0]["spec"] == card["contract"]["examples"]
    subjects = card["data"]["split"]["test"]
    assert [one["subject"] for one in lines[0]["subjects"]] == subjects
    rows = {(row["by"], row["examples"]): row for row in summary["rows"]}
    assert set(rows) == {("network", 0)} | {
        (by, count) for by in ("network", "raw", "raw centred", "spectrum") for count in (1, 2)
    }
    for (by, count), row in rows.items():
        for place, subject in enumerate(subjects):
            each = [line["subjects"][place]["accuracy"][by][str(count)]["recording"] for line in lines]
            assert row["by_subject"][subject] == pytest.approx(np.mean(each))
    assert rows["network", 0]["by_subject"] == pytest.approx(accuracy_of_the_last(runs, cache, subjects))
    assert {"alone: recall 1", "all: known before 2"} <= set(summary["new"]["gaf"])
    assert set(lines[0]["unknown"]) == {"0", "1", "2", "3"}
    assert 0 <= lines[0]["unknown"]["1"]["cosine"]["auroc"] <= 1
    assert 0 < lines[0]["cosine"] <= 1
    assert len(summary["comparisons"]) == 4

    again = vskd("examples", *runs, "--out", out, "--cache", cache, "--level", "window")
    assert len(out.read_text().splitlines()) == 2  # nothing is evaluated twice
    assert json.loads(again.out)["level"] == "window"
    against = vskd("examples", *runs, "--out", out, "--cache", cache, "--against", "gap")
    assert (against.code, against.out) == (1, "")
    assert "there is no run of an arm 'gap'" in against.err
    assert "Did you mean 'gaf'?" in against.err
    rule = tmp_path / "rule.json"
    spec = {"score": "nearest", "weights": [{"logits": 0, "examples": 8, "neutral": 0.5}]}
    rule.write_text(json.dumps({"spec": spec, "nll": {}, "subjects": ["someone"]}))
    mixed = vskd("examples", *runs, "--out", out, "--cache", cache, "--rule", rule)
    assert mixed.code == 1
    assert "holds gaf all/seed-0 by another --rule" in mixed.err
    mixed = vskd("examples", *runs, "--out", out, "--cache", cache, "--enroll", "side=left")
    assert mixed.code == 1
    assert "holds evaluations by another --enroll" in mixed.err
    chosen = vskd("examples", *runs, "--choose", tmp_path / "chosen.json", "--cache", cache)
    assert chosen.code == 0, chosen.err
    assert json.loads(chosen.out)["subjects"] == sorted(subjects)
    assert json.loads(chosen.out) == json.loads((tmp_path / "chosen.json").read_text())
    tested = vskd("examples", runs[0], "--rule", tmp_path / "chosen.json", "--cache", cache)
    assert (tested.code, tested.out) == (1, "")
    assert f"the rule was chosen on {', '.join(sorted(subjects))}, whom " in tested.err
    done = vskd("examples", runs[0], "--rule", rule, "--cache", cache)
    assert done.code == 0, done.err


def accuracy_of_the_last(runs, cache, subjects):
    """Accuracy per recording on the last trial alone, by torch and numpy."""
    from vskd_training.data.experiment import Experiment
    from vskd_training.runs.predict import predict_windows
    from vskd_training.runs.run import Run
    from vskd_training.runs.trained import trained_student

    found = {subject: [] for subject in subjects}
    for path in runs:
        run = Run.open(path, role="student")
        experiment = Experiment.open(run.config, root=None, cache=cache, progress=None)
        table = experiment.windows("test")
        temperature = run.contract.decision.temperature
        logits = predict_windows(trained_student(run), table).logits.numpy().astype(np.float64) / temperature
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        for subject in subjects:
            right = []
            for row in np.unique(table.recordings):
                info = experiment.prepared.infos[row]
                if info.subject == subject and info.trial == 3:
                    mean = shares[table.recordings == row].mean(axis=0)
                    right.append(run.contract.labels[mean.argmax()] == info.label)
            found[subject].append(np.mean(right))
    return {subject: float(np.mean(values)) for subject, values in found.items()}


def test_arms_are_compared_with_as_many_examples():
    def of(arm, right):
        accuracy = {by: {str(count): {"recording": right + 0.1 * count, "window": 0.0} for count in (0, 1)}
                    for by in ("network", "raw")}  # fmt: skip
        spec = ExamplesSpec("nearest", (ExampleWeights(0.0, 20, 0.8),))
        subjects = tuple(OfSubject(str(number), accuracy, {}) for number in range(6))
        return OfRun(arm, "all/seed-0", "", spec, ("someone",), (), subjects, {}, None)

    summary = summarise([of("ce", 0.5), of("kd", 0.75)], level="recording", against="ce")
    assert [(one.arm, one.against) for one in summary.comparisons] == [
        ("kd, network, 0", "ce, network, 0"),
        ("kd, network, 1", "ce, network, 1"),
    ]
    assert [one.mean for one in summary.comparisons] == pytest.approx([0.25, 0.25])
    with_controls = summarise([of("ce", 0.5)], level="recording").comparisons
    assert [one.against for one in with_controls] == ["ce, raw, 1", "ce, network, 0"]


def test_a_run_without_validation_subjects_needs_a_rule(vskd, config, tmp_path):
    run = trained(vskd, config, tmp_path / "run", "data.train_on_validation=true")
    assert json.loads((run / "run.json").read_text())["contract"]["examples"] is None
    done = vskd("examples", run, "--cache", tmp_path / "cache")
    assert done.code == 1
    assert "has no validation subjects with repetitions" in done.err
    assert "--rule" in done.err
    rule = tmp_path / "rule.json"
    rule.write_text('{"spec": {"score": "nearest", "weights": []}, "nll": {}, "subjects": []}')
    done = vskd("examples", run, "--cache", tmp_path / "cache", "--rule", rule)
    assert (done.code, done.out) == (1, "")
    assert "examples.weights must hold 1 to 16 entries" in done.err
    done = vskd("examples", run, "--choose", rule, "--rule", rule)
    assert done.code == 2


def test_a_control_is_the_nearest_window_by_cosine():
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 1, (8, 3, 64)).astype(np.float32)
    recordings = np.arange(8)
    labels = {row: "ab"[row % 2] for row in range(8)}
    subjects, orders = dict.fromkeys(range(8), "ann"), {row: (row, str(row)) for row in range(8)}
    empty = np.zeros((8, 2), np.float32)
    outputs = Outputs(samples, empty, empty, recordings, labels, subjects, orders, {row: {} for row in range(8)})
    (one,) = last_tested(outputs.repetitions("ann"), 3)
    features = control_features(outputs)
    assert features["spectrum"].shape == (8, 3 * 25)
    for name, of_window in {
        "raw": lambda x: np.tanh(x / 2).ravel(),
        "raw centred": lambda x: (np.tanh(x / 2) - np.tanh(x / 2).mean(axis=1, keepdims=True)).ravel(),
        "spectrum": lambda x: np.concatenate(
            [x.mean(axis=1), (np.abs(np.fft.rfft(x - x.mean(axis=1, keepdims=True))) / 32)[:, 1:25].ravel()]
        ),
    }.items():
        made = nearest(features[name], outputs, one.enrolled, one.tested)
        rows = [of_window(window.astype(np.float64)) for window in samples]
        for place, row in enumerate(one.tested):
            for column, label in enumerate(made.labels):
                expected = max(
                    rows[row] @ rows[other] / np.linalg.norm(rows[row]) / np.linalg.norm(rows[other])
                    for other in one.enrolled
                    if labels[other] == label
                )
                assert made.scores[place, column] == pytest.approx(expected, abs=1e-6)
