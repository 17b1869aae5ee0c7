"""What a study reports: seeds averaged within subjects, arms paired by subject, and every committed figure again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from training.command_line import Command
from training.study.tiny_study import ENSEMBLE, ONE_ARM, STUDY, RunStudy, WriteStudy
from vskd.errors import DataError
from vskd_training.data.experiment import Experiment
from vskd_training.evaluation.predictors import network_predictor
from vskd_training.runs.run import Run
from vskd_training.study.plan import Study, open_study
from vskd_training.study.report import draw_differences, report_study
from vskd_training.study.result import summarise
from vskd_training.study.statistics import bca_interval, compare, holm, sign_flip
from vskd_training.study.tables import table

RESULTS = Path(__file__).parents[3] / "training" / "results"


def change_cards(finished: Path, out: Path, name: str, change: Any) -> None:
    """Copy finished cells, and change the test metrics in the cards of an arm or of one cell."""
    if not (out / "cells").exists():
        shutil.copytree(finished / "cells", out / "cells")
    for path in (out / "cells" / name).rglob("run.json"):
        card = json.loads(path.read_text())
        change(card["metrics"]["test"])
        path.write_text(json.dumps(card))


def by_recording(by_subject: Mapping[str, float]) -> Any:
    return lambda test: test["recording"]["all"].update(by_subject=dict(by_subject))


def test_seeds_are_averaged_within_each_subject(study: Study, finished: Path) -> None:
    document = json.loads((finished / "result.json").read_text())
    distilled = document["arms"]["distilled"]
    assert [cell["seed"] for cell in distilled["cells"]] == [0, 1]
    for subject in ("2", "4"):
        each = [cell["by_subject"][subject] for cell in distilled["cells"]]
        assert distilled["by_subject"][subject] == pytest.approx(np.mean(each))
    each = [cell["accuracy"] for cell in distilled["cells"]]
    assert distilled["accuracy_sd_over_cells"] == pytest.approx(np.std(each))
    # One network teaches alone: its accuracy on unseen subjects is the teacher accuracy of its student.
    assert distilled["teacher_accuracy"] == document["teachers"]["camera"]["accuracy"] > 0
    assert document["arms"]["alone"]["teacher_accuracy"] is None
    assert document["arms"]["alone"]["interval_over_subjects"] is None  # two subjects are too few
    first = document["comparisons"][0]
    assert (first["arm"], first["against"]) == ("distilled", "alone")
    alone = document["arms"]["alone"]["by_subject"]["4"]
    assert first["by_subject"]["4"] == pytest.approx(distilled["by_subject"]["4"] - alone)
    text = (finished / "table.md").read_text()
    assert "With 2 subjects no p is below 0.5" in text
    assert text.count("not significant") == 2
    assert (finished / "differences.png").read_bytes().startswith(b"\x89PNG")
    assert summarise(study, finished) == report_study(study, finished)


def test_a_study_can_count_windows(write_study: WriteStudy, finished: Path, tmp_path: Path) -> None:
    def change(test: dict[str, Any]) -> None:
        test["window"]["all"]["accuracy"], test["window"]["all"]["by_subject"]["4"] = 0.75, 0.875

    change_cards(finished, tmp_path, ".", change)
    by_window = write_study(STUDY.replace("seeds = [0, 1]", 'decisions = "window"\nseeds = [0, 1]', 1))
    result = summarise(open_study(by_window, root=None), tmp_path)
    assert result.arms["alone"].accuracy == result.teachers["camera"].accuracy == 0.75
    assert result.arms["alone"].window_accuracy == 0.75
    assert result.arms["distilled"].by_subject["4"] == 0.875
    assert "decisions per window" in table(result)


def test_only_test_metrics_are_reported_and_the_wrists_beside_them(
    study: Study, finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished / "cells", tmp_path / "cells")
    for path in tmp_path.rglob("run.json"):
        card = json.loads(path.read_text())
        other = {"accuracy": 0.125, "macro_f1": 0.0625, "by_subject": {"2": 0.125, "4": 0.125}}
        card["metrics"]["validation"] = {per: {"all": other} for per in ("recording", "window")}
        card["metrics"]["test"]["recording"]["wrist"] = other
        path.write_text(json.dumps(card))
    before, after = summarise(study, finished), summarise(study, tmp_path)
    for name, scores in after.arms.items():
        assert (scores.wrist_accuracy, scores.wrist_macro_f1) == (0.125, 0.0625)
        for score in ("accuracy", "macro_f1", "window_accuracy", "by_subject"):
            assert getattr(scores, score) == getattr(before.arms[name], score)


def test_the_wrist_has_columns_where_it_is_known_apart(study: Study, finished: Path, tmp_path: Path) -> None:
    plain = table(summarise(study, finished)).splitlines()[2:6]
    assert plain[0] == (
        "| | accuracy | sd over cells | 95 % over subjects | macro-F1 | worst subject | per window | teacher accuracy "
        "| MMAC | parameters |"
    )
    change_cards(finished, tmp_path, ".", lambda test: test["recording"].update(wrist=test["recording"]["all"]))
    wrist = table(summarise(study, tmp_path)).splitlines()[2:6]
    assert "| macro-F1 | wrist accuracy | wrist macro-F1 | worst subject |" in wrist[0]
    for lines, columns in ((plain, 10), (wrist, 12)):
        assert {line.count("|") for line in lines} == {columns + 1}


def test_each_cell_names_the_subjects_of_every_side(study: Study, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "cells", tmp_path / "cells")
    sides = {"train": ["1"], "unlabelled": ["3"], "validation": ["5"], "test": ["2", "4"]}
    for path in tmp_path.rglob("run.json"):
        card = json.loads(path.read_text())
        card["data"]["split"].update(sides)
        path.write_text(json.dumps(card))
    for scores in summarise(study, tmp_path).arms.values():
        assert [cell.subjects for cell in scores.cells] == [sides] * 2


def test_the_spread_is_over_cells(study: Study, finished: Path, tmp_path: Path) -> None:
    for seed, accuracy in ((0, 0.5), (1, 0.7)):
        change_cards(
            finished,
            tmp_path,
            f"alone/all/seed-{seed}",
            lambda test, accuracy=accuracy: test["recording"]["all"].update(accuracy=accuracy),
        )
    alone = summarise(study, tmp_path).arms["alone"]
    assert (alone.accuracy, alone.accuracy_sd_over_cells) == pytest.approx((0.6, 0.1))


def test_a_leaky_study_says_so(study: Study, finished: Path, tmp_path: Path) -> None:
    assert "LEAKY" not in table(summarise(study, finished))
    shutil.copytree(finished / "cells", tmp_path / "cells")
    for path in tmp_path.rglob("run.json"):
        card = json.loads(path.read_text())
        card["data"]["split"]["leaky"] = True
        path.write_text(json.dumps(card))
    result = summarise(study, tmp_path)
    assert result.leaky
    assert "LEAKY: the test subjects are also in training." in table(result)


ALONE = {"2": 0.5, "4": 0.7, "6": 0.9, "8": 0.8}
DISTILLED = {"2": 0.6, "4": 0.76, "6": 0.91, "8": 0.83}
AGAIN = {"2": 0.4, "4": 0.75, "6": 0.97, "8": 0.72}


@pytest.fixture
def known(study: Study, finished: Path, tmp_path: Path) -> Path:
    """The study's folder with known accuracies of four subjects; the two seeds of an arm lie 0.05 to either side."""
    for name, accuracies in (("alone", ALONE), ("distilled", DISTILLED), ("again", AGAIN)):
        for seed, sign in ((0, -1), (1, 1)):
            shifted = {subject: value + sign * 0.05 for subject, value in accuracies.items()}
            change_cards(finished, tmp_path, f"{name}/all/seed-{seed}", by_recording(shifted))
    return tmp_path


def test_each_arm_has_its_own_interval_over_subjects_and_not_over_seeds(study: Study, known: Path) -> None:
    result = summarise(study, known)
    text = table(result)
    for name, accuracies in (("alone", ALONE), ("distilled", DISTILLED), ("again", AGAIN)):
        expected = bca_interval(np.array(list(accuracies.values())))
        assert expected is not None
        assert result.arms[name].interval_over_subjects == pytest.approx(expected)
        (line,) = (line for line in text.splitlines() if line.startswith(f"| {name} |"))
        assert f"{expected[0]:.3f} to {expected[1]:.3f}" in line
    assert "0.500 (2)" in text


def test_arms_are_paired_by_subject_and_adjusted_together(study: Study, known: Path) -> None:
    """Differences, intervals and p-values of each comparison from the known accuracies, subject by subject."""
    result = summarise(study, known)
    expected = [
        np.array([accuracies[subject] - ALONE[subject] for subject in ALONE]) for accuracies in (DISTILLED, AGAIN)
    ]
    p_values = [sign_flip(differences).p for differences in expected]
    assert p_values == [0.125, 0.75]
    for row, differences, p, adjusted in zip(result.comparisons, expected, p_values, (0.25, 0.75), strict=True):
        assert list(row.by_subject.values()) == pytest.approx(differences)
        assert row.mean == pytest.approx(differences.mean())
        assert (row.low, row.high) == pytest.approx(bca_interval(differences))
        assert (row.p, row.p_holm) == (p, adjusted)


def test_each_figure_of_a_comparison_is_in_its_line(study: Study, known: Path) -> None:
    result = summarise(study, known)
    lines = table(result).splitlines()
    for row in result.comparisons:
        assert row.low is not None
        assert row.high is not None
        interval = f"{100 * row.low:+.1f} to {100 * row.high:+.1f}"
        better = sum(value > 0 for value in row.by_subject.values())
        expected = f"| {row.arm} - {row.against} | {100 * row.mean:+.1f} | {interval} | {better} of 4 "
        assert f"{expected}| {row.p:.3g} | {row.p_holm:.3g} | not significant |" in lines


def test_a_network_of_another_fold_or_seed_is_not_counted(study: Study, known: Path) -> None:
    """Each row stands beside the hash of the network whose card it was read from."""
    for scores in summarise(study, known).arms.values():
        for row in scores.cells:
            (name,) = (
                name for name, arm in summarise(study, known).arms.items() if arm is not None and row in arm.cells
            )
            card = json.loads((known / "cells" / name / "all" / f"seed-{row.seed}" / "run.json").read_text())
            assert row.weights_sha256 == card["weights_sha256"]
            assert row.by_subject == card["metrics"]["test"]["recording"]["all"]["by_subject"]


def test_arms_of_other_test_subjects_are_not_compared(study: Study, known: Path) -> None:
    change_cards(known, known, "again", by_recording({"1": 0.5}))
    result = summarise(study, known)
    first, second = result.comparisons
    assert (first.p, first.p_holm) == (0.125, 0.25)  # Holm still counts both comparisons
    assert (second.p, second.p_holm, second.mean, second.significant) == (None, None, None, False)
    assert second.reason == "again was tested on 1, alone on 2, 4, 6, 8"
    assert f"| again - alone | n/a | n/a | n/a | n/a | n/a | not tested: {second.reason} |" in table(result)
    draw_differences(result, known / "differences.png")


def test_one_test_subject_cannot_be_tested_and_the_table_still_comes(
    study: Study, finished: Path, tmp_path: Path
) -> None:
    change_cards(finished, tmp_path, ".", by_recording({"2": 0.5}))
    change_cards(finished, tmp_path, "distilled", by_recording({"2": 0.75}))
    result = report_study(study, tmp_path)
    row = json.loads((tmp_path / "result.json").read_text())["comparisons"][0]
    assert (row["mean"], row["p"], row["p_holm"], row["significant"]) == (0.25, None, None, False)
    assert row["reason"].startswith("one subject")
    assert "| distilled - alone | +25.0 | n/a | 1 of 1 | n/a | n/a | not tested: one subject" in table(result)
    assert "none could be tested" in table(result)


def test_more_subjects_than_an_exact_test_takes_are_reported_with_the_error_of_p(
    study: Study, finished: Path, tmp_path: Path
) -> None:
    accuracies = {str(number): 0.5 + 0.01 * (number % 3) for number in range(32)}
    shutil.copytree(finished / "cells", tmp_path / "cells")
    change_cards(finished, tmp_path, "alone", by_recording(dict.fromkeys(accuracies, 0.5)))
    change_cards(finished, tmp_path, "distilled", by_recording(accuracies))
    change_cards(finished, tmp_path, "again", by_recording({key: 1.01 - one for key, one in accuracies.items()}))
    result = summarise(study, tmp_path)
    assert result.comparisons[0].p == 1 / 100_001
    lines = table(result)
    assert "over 32 subjects (sign-flip test, 100,000 random sign vectors beyond 20 subjects, with the stand" in lines
    assert "| 21 of 32 | 1e-05 (se 1e-05) | 2e-05 | significant |" in lines


def test_what_is_finished_is_reported(study: Study, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "cells", tmp_path / "cells")
    shutil.rmtree(tmp_path / "cells" / "again" / "all" / "seed-1")
    result = report_study(study, tmp_path)
    assert list(result.arms) == ["alone", "distilled"]
    assert result.unfinished == {"again": "1 of 2 cells"}
    assert result.comparisons[0].p is not None
    assert result.comparisons[1].reason == "again is not finished: 1 of 2 cells"
    text = (tmp_path / "table.md").read_text()
    (row,) = result.finished_cells["again"]
    assert f"Not finished: again, 1 of 2 cells (accuracy {row.accuracy:.3f})." in text
    assert "not tested: again is not finished: 1 of 2 cells" in text


def test_a_study_that_stops_leaves_a_table_of_what_is_finished(
    vskd: Command,
    write_study: WriteStudy,
    finished: Path,
    tiny_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise DataError("the loss became nan", hint="Lower the rate")

    monkeypatch.setattr("vskd_training.study.running.run_study", stop)
    words = ("study", write_study(STUDY), "--cache", tiny_cache)
    assert vskd(*words, "--out", tmp_path / "nothing").out == ""
    shutil.copytree(finished / "cells" / "alone", tmp_path / "out" / "cells" / "alone")
    done = vskd(*words, "--out", tmp_path / "out")
    assert (done.code, done.out) == (1, (tmp_path / "out" / "table.md").read_text())
    assert "the loss became nan" in done.err
    assert "Not finished: distilled, 0 of 2 cells." in done.out


def test_a_cost_has_columns_where_every_card_knows_it(study: Study, finished: Path, tmp_path: Path) -> None:
    cost = {"macs": 2_340_000, "parameters": 41_234}
    shutil.copytree(finished / "cells", tmp_path / "cells")
    for path in (tmp_path / "cells" / "alone").rglob("run.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "cost": cost}))
    result = summarise(study, tmp_path)
    assert result.arms["alone"].cost == cost
    assert " | 2.34 | 41,234 |" in table(result)


def test_a_study_can_choose_among_some_subjects(write_study: WriteStudy, run: RunStudy, tmp_path: Path) -> None:
    among = 'set = ["data.subjects=[1,3,4]", "data.protocol=leave-one-subject-out", "'
    opened = open_study(write_study(ONE_ARM.replace('set = ["', among)), root=None)
    assert [cell.fold for cell in opened.cells] == ["1", "3", "4"]
    run(opened, tmp_path)
    result = report_study(opened, tmp_path)
    assert set(result.arms["alone"].by_subject) == {"1", "3", "4"}
    for row in result.arms["alone"].cells:
        assert sorted([*row.subjects["train"], *row.subjects["test"]]) == ["1", "3", "4"]
        assert row.subjects["test"] == [row.fold]
    text = (tmp_path / "table.md").read_text()
    assert "Among the subjects 1, 3, 4 only." in text
    # One arm is compared with nothing.
    assert result.comparisons == ()
    assert "Differences" not in text
    assert (tmp_path / "differences.png").is_file()


def test_the_members_of_an_ensemble_are_tested_together(
    write_study: WriteStudy, run: RunStudy, finished: Path, tiny_cache: Path, tmp_path: Path
) -> None:
    opened = open_study(write_study(STUDY + ENSEMBLE), root=None)
    shutil.copytree(finished / "cells", tmp_path / "cells")
    run(opened, tmp_path)
    result = summarise(opened, tmp_path)
    assert list(result.teachers) == ["camera"]
    assert list(result.arms) == ["alone", "distilled", "again", "last"]
    cell = opened.cells_of("last")[0]
    networks = [Run.open(tmp_path / "cells" / name, role=None) for name in cell.taught_by]
    card = Run.open(tmp_path / "cells" / cell.name, role="student").card
    assert [known["sha256"] for known in card["teacher"]] == [network.card["weights_sha256"] for network in networks]
    experiment = Experiment.open(cell.config, root=None, cache=tiny_cache, progress=None)
    test = experiment.windows("test")
    logits = [network_predictor(network, experiment).predict(test) for network in networks]
    right = np.mean([softmax(one, axis=1) for one in logits], axis=0).argmax(axis=1) == test.labels
    assert card["teacher_metrics"]["test"]["window"]["all"]["accuracy"] == pytest.approx(right.mean())


def test_the_command_prints_the_table(vskd: Command, write_study: WriteStudy, finished: Path, tiny_cache: Path) -> None:
    path = write_study(STUDY)
    done = vskd("study", path, "--out", finished, "--cache", tiny_cache)
    assert done.code == 0, done.err
    assert done.out == (finished / "table.md").read_text()
    assert "result.json" in done.err
    done = vskd("study", path.with_name("nowhere.toml"), "--out", finished)
    assert (done.code, done.out) == (1, "")
    assert "cannot read the study" in done.err
    assert vskd("study", path).code == 2


# --- committed results, which have the names of commit afaffb3 --------------------------------------------------------


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*/result.json")), ids=lambda path: path.parent.name)
def test_committed_figures_are_found_again(path: Path) -> None:
    """Every committed study: means, spread and intervals from its rows, comparisons from its subjects."""
    document = json.loads(path.read_text())
    for scores in (*document["teachers"].values(), *document["arms"].values()):
        rows = scores["cells"]
        for subject, accuracy in scores["by_subject"].items():
            each = [row["by_subject"][subject] for row in rows if subject in row["by_subject"]]
            assert accuracy == pytest.approx(np.mean(each), rel=1e-14)
        assert scores["accuracy"] == pytest.approx(np.mean([row["accuracy"] for row in rows]), rel=1e-14)
        assert scores["macro_f1"] == pytest.approx(np.mean([row["macro_f1"] for row in rows]), rel=1e-14)
        if "interval_over_people" in scores:
            expected = bca_interval(np.array(list(scores["by_subject"].values())))
            assert scores["interval_over_people"] == (None if expected is None else pytest.approx(expected, abs=1e-12))
    arms = {name: scores["by_subject"] for name, scores in document["arms"].items()}
    committed = document["comparisons"]
    found = compare(arms, [(row["arm"], row["against"]) for row in committed])
    assert [row.p_holm for row in found] == list(holm([row.p for row in found]))
    for row, expected in zip(found, committed, strict=True):
        assert row.by_subject == pytest.approx(expected["by_subject"], abs=1e-12)
        assert (row.p, row.p_holm, row.significant) == tuple(expected[key] for key in ("p", "p_holm", "significant"))
        assert (row.mean, row.low, row.high) == pytest.approx([expected[key] for key in ("mean", "low", "high")])


def test_a_study_without_a_finished_cell_has_no_result(study: Study, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no run"):
        summarise(replace(study), tmp_path)
