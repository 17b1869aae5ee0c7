"""A study as a whole: paired, resumable, finished cells left alone, and refused where it contradicts itself."""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax

from vskd.cli import main
from vskd.errors import ConfigError, DataError
from vskd_training.data.experiment import Experiment
from vskd_training.evaluation.evaluate import own_network
from vskd_training.loop import fit as fit_module
from vskd_training.loop.run import Run
from vskd_training.study import study as study_module
from vskd_training.study.report import report_study, summarise_study, table
from vskd_training.study.statistics import bca_interval
from vskd_training.study.study import Study, is_finished, open_study, run_cell, run_study

STUDIES = Path(__file__).parents[3] / "training" / "studies"

STUDY = """
name = "tiny"
config = "tiny.toml"
seeds = [0, 1]
set = ["data.train_on_validation=true", "student_training.steps=2", "teacher_training.steps=2"]

[[teacher]]
name = "camera"
seeds = [5]

[[arm]]
name = "alone"

[[arm]]
name = "distilled"
teacher = "camera"

[[arm]]
name = "again"
teacher = "alone"
"""


@pytest.fixture(scope="module")
def study_file(tiny_config_file: Path) -> Path:
    path = tiny_config_file.with_name("study.toml")
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def study(study_file: Path) -> Study:
    return open_study(study_file, root=None)


def run(study: Study, out: Path, cache: Path, *, jobs: int = 1) -> list[str]:
    names: list[str] = []
    run_study(study, out, root=None, cache=cache, jobs=jobs, progress=lambda done, total, name: names.append(name))
    return names[1:]


def contents(out: Path) -> dict[str, bytes]:
    """Cards and weights of every cell; the logs hold seconds, which differ."""
    kept = ("run.json", "model.safetensors", "config.json")
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.name in kept}


@pytest.fixture(scope="module")
def finished(study: Study, tiny_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "out"
    names = run(study, out, tiny_cache)
    assert sorted(names) == sorted(cell.name for cell in study.cells)
    report_study(study, out)
    return out


def test_cells_are_teachers_first_and_know_who_teaches_them(study: Study) -> None:
    taught = {cell.name: cell.taught_by for cell in study.cells}
    assert next(iter(taught)) == "camera/all/seed-5"
    assert taught["alone/all/seed-1"] == ()
    assert taught["distilled/all/seed-1"] == ("camera/all/seed-5",)
    assert taught["again/all/seed-1"] == ("alone/all/seed-1",)
    assert len(study.cells) == 7


def test_the_report_averages_seeds_within_each_person(study: Study, finished: Path) -> None:
    document = json.loads((finished / "result.json").read_text())
    cells = document["arms"]["distilled"]["cells"]
    assert [cell["seed"] for cell in cells] == [0, 1]
    for person in ("2", "4"):
        each = [cell["by_subject"][person] for cell in cells]
        assert document["arms"]["distilled"]["by_subject"][person] == pytest.approx(np.mean(each))
    # One network speaks alone: what the student hears of unseen people is as right as the network itself.
    heard = document["arms"]["distilled"]["heard_accuracy"]
    assert heard == document["teachers"]["camera"]["accuracy"] > 0
    assert document["arms"]["alone"]["heard_accuracy"] is None
    assert document["arms"]["alone"]["interval_over_people"] is None  # two people are too few
    first = document["comparisons"][0]
    assert (first["arm"], first["against"]) == ("distilled", "alone")
    alone = document["arms"]["alone"]["by_subject"]["4"]
    assert first["by_subject"]["4"] == pytest.approx(document["arms"]["distilled"]["by_subject"]["4"] - alone)
    text = (finished / "table.md").read_text()
    assert "With 2 people no p is below 0.5" in text
    assert text.count("not significant") == 2
    assert (finished / "differences.png").read_bytes().startswith(b"\x89PNG")
    assert document == report_study(study, finished)


def test_a_study_can_count_windows(study_file: Path, finished: Path, tmp_path: Path) -> None:
    path = study_file.with_name("windows.toml")
    path.write_text(STUDY.replace("seeds = [0, 1]", 'decisions = "window"\nseeds = [0, 1]', 1))
    shutil.copytree(finished / "cells", tmp_path / "cells")
    for card_file in tmp_path.rglob("run.json"):
        card = json.loads(card_file.read_text())
        tested = card["metrics"]["test"]["window"]["all"]
        tested["accuracy"], tested["by_subject"]["4"] = 0.75, 0.875
        card_file.write_text(json.dumps(card))
    document = summarise_study(open_study(path, root=None), tmp_path)
    assert document["arms"]["alone"]["accuracy"] == document["teachers"]["camera"]["accuracy"] == 0.75
    assert document["arms"]["alone"]["window_accuracy"] == 0.75
    assert document["arms"]["distilled"]["by_subject"]["4"] == 0.875
    assert "decisions per window" in table(document)


def test_the_interval_of_an_arm_is_over_people_and_not_over_seeds(study: Study, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "cells", tmp_path / "cells")
    people = {"2": 0.5, "4": 0.7, "6": 0.9, "8": 0.8}
    for seed, sign in ((0, -1), (1, 1)):
        card_file = tmp_path / f"cells/alone/all/seed-{seed}/run.json"
        card = json.loads(card_file.read_text())
        card["metrics"]["test"]["recording"]["all"]["by_subject"] = {
            person: value + sign * 0.05 for person, value in people.items()
        }
        card_file.write_text(json.dumps(card))
    other = {arm.name: arm for arm in study.spec.arm}
    alone_only = replace(study, spec=replace(study.spec, arm=(other["alone"],), compare=(), teacher=()))
    document = summarise_study(alone_only, tmp_path)
    expected = bca_interval(np.array(list(people.values())))
    assert expected is not None
    assert document["arms"]["alone"]["interval_over_people"] == pytest.approx(expected)
    assert f"{expected[0]:.3f} to {expected[1]:.3f}" in table(document)


def test_arms_of_one_seed_start_alike_and_see_alike(
    study: Study, tiny_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Initial weights and the augmented windows of every batch, arm by arm."""
    seen: list[tuple[list[torch.Tensor], list[torch.Tensor]]] = []
    real = fit_module.fit

    def recording(model: Any, task: Any, how: Any, **options: Any) -> None:
        start = [value.clone() for value in model.state_dict().values()]
        windows = [batch.windows for batch in task.batches(0, how.batch)] if hasattr(task, "_windows") else []
        seen.append((start, windows))
        real(model, task, how, **options)

    monkeypatch.setattr("vskd_training.loop.train.fit", recording)
    run(study, tmp_path / "out", tiny_cache)
    students = [entry for entry in seen if entry[1]]
    # In the order of cells: alone 0, alone 1, distilled 0, distilled 1, again 0, again 1.
    for one, other, equal in ((0, 2, True), (2, 4, True), (0, 1, False)):
        for left, right in zip(students[one], students[other], strict=True):
            assert all(torch.equal(a, b) for a, b in zip(left, right, strict=True)) == equal


def test_what_is_finished_is_not_touched(study: Study, finished: Path, tiny_cache: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished / "cells").rglob("*")}
    assert run(study, finished, tiny_cache) == []
    assert {path: path.stat().st_mtime_ns for path in (finished / "cells").rglob("*")} == before


def test_a_kill_at_any_moment_changes_nothing(
    study: Study, study_file: Path, finished: Path, tiny_cache: Path, tmp_path: Path
) -> None:
    """SIGKILL once a cell is finished and the next is at work; the same command ends with the same bytes."""
    out = tmp_path / "out"
    command = [sys.executable, "-c", "from vskd.cli import main; main()", "study", str(study_file)]
    words = [*command, "--out", str(out), "--cache", str(tiny_cache)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not (any(out.glob("cells/*/*/*/run.json")) and any(out.glob("unfinished/*/*/*/config.json"))):
            assert process.poll() is None, "the study ended before it could be killed"
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    kept = {path: path.stat().st_mtime_ns for path in out.glob("cells/*/*/*/*")}
    assert kept
    names = run(study, out, tiny_cache)
    assert len(names) < len(study.cells)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert contents(out) == contents(finished)


def test_a_kill_within_a_cell_resumes_it(
    study: Study, finished: Path, tiny_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first epoch's file, and between the card and the rename."""

    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    cell, out = study.cells[1], tmp_path / "out"
    for where in ("vskd_training.loop.train.finish_run", "pathlib.Path.rename"):
        with monkeypatch.context() as patch:
            patch.setattr(where, killed)
            with pytest.raises(Killed):
                run_cell(cell, out, root=None, cache=tiny_cache)
        assert not is_finished(out, cell)
        assert (out / "unfinished" / cell.name / "config.json").is_file()
    assert run_cell(cell, out, root=None, cache=tiny_cache) == cell.name
    assert is_finished(out, cell)
    for name in ("run.json", "model.safetensors"):
        assert (out / "cells" / cell.name / name).read_bytes() == (finished / "cells" / cell.name / name).read_bytes()


def test_a_cell_that_is_asked_for_again_is_not_trained_again(study: Study, finished: Path, tiny_cache: Path) -> None:
    """A cluster repeats a task whose worker died with the result on its way."""
    before = contents(finished)
    for cell in study.cells:
        assert run_cell(cell, finished, root=None, cache=tiny_cache) == cell.name
    assert contents(finished) == before


def test_several_processes_give_the_same_bytes(
    study_file: Path, finished: Path, tiny_cache: Path, tmp_path: Path
) -> None:
    path = study_file.with_name("fewer.toml")
    path.write_text(STUDY.rpartition("[[arm]]")[0].replace("seeds = [0, 1]", "seeds = [1]"))
    run(open_study(path, root=None), tmp_path / "out", tiny_cache, jobs=2)
    made = contents(tmp_path / "out")
    assert len(made) == 3 * 3
    assert made == {name: content for name, content in contents(finished).items() if name in made}


def test_a_study_that_changed_after_it_ran_is_refused(study_file: Path, finished: Path, tiny_cache: Path) -> None:
    changed = study_file.with_name("changed.toml")
    changed.write_text(STUDY.replace("student_training.steps=2", "student_training.steps=3"))
    with pytest.raises(DataError, match=r"made with another config.*frozen once it runs"):
        run(open_study(changed, root=None), finished, tiny_cache)


def test_one_study_at_a_time(study: Study, tiny_cache: Path, tmp_path: Path) -> None:
    with study_module._alone(tmp_path), pytest.raises(DataError, match="another process runs a study"):
        run(study, tmp_path, tiny_cache)


def test_folds_are_the_protocols(study_file: Path) -> None:
    path = study_file.with_name("folds.toml")
    path.write_text(STUDY.replace('set = ["', 'set = ["data.protocol=leave-one-subject-out", "labels.count=1", "'))
    opened = open_study(path, root=None)
    assert len(opened.cells) == 4 * 7
    assert {cell.config.data.fold for cell in opened.cells} == set("1234")
    assert opened.cells[-1].taught_by == ("alone/fold-4/seed-1",)


def test_a_study_can_choose_among_some_people(study_file: Path, tiny_cache: Path, tmp_path: Path) -> None:
    path = study_file.with_name("choice.toml")
    among = 'set = ["data.people=[1,3,4]", "data.protocol=leave-one-subject-out", "'
    text = STUDY.partition("[[teacher]]")[0].replace("seeds = [0, 1]", "seeds = [1]")
    path.write_text(text.replace('set = ["', among) + '[[arm]]\nname = "alone"\n')
    opened = open_study(path, root=None)
    assert [cell.fold for cell in opened.cells] == ["1", "3", "4"]
    run(opened, tmp_path, tiny_cache)
    document = report_study(opened, tmp_path)
    assert set(document["arms"]["alone"]["by_subject"]) == {"1", "3", "4"}
    for row in document["arms"]["alone"]["cells"]:
        assert sorted(row["people"]["train"] + row["people"]["test"]) == ["1", "3", "4"]
    assert "Among people 1, 3, 4 only." in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = [0, 1]", "seeds = []", r"needs at least one seed and one \[\[arm\]\]"),
        ("seeds = [0, 1]", "seeds = [1, 1]", r"must differ and not be negative, got \[1, 1\]"),
        ('name = "again"', 'name = "alone"', "are called 'alone'"),
        ('name = "again"', 'name = "../again"', r"small letters, digits and hyphens, got '\.\./again'"),
        ('teacher = "camera"', 'teacher = "camrea"', r"'camrea', which is no teacher and no arm before it.*'camera'"),
        ('teacher = "camera"', 'teacher = "again"', "'again', which is no teacher and no arm before it"),
        ("[[teacher]]", '[[compare]]\narm = "x"\nagainst = "alone"\n[[teacher]]', "names 'x', which is no arm"),
        ("[[teacher]]", "[[teachers]]", r"unknown key 'teachers' in bad.toml. Did you mean 'teacher'\?"),
        ("student_training.steps", "student_training.stops", "unknown key 'stops'"),
        ("name = ", "name = = ", "bad.toml is not TOML"),
    ],
)
def test_a_study_file_with_a_mistake_is_refused(study_file: Path, old: str, new: str, message: str) -> None:
    path = study_file.with_name("bad.toml")
    path.write_text(STUDY.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        open_study(path, root=None)


def test_the_command_prints_the_table(
    study_file: Path, finished: Path, tiny_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vskd", "study", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    code, out, err = call(study_file, "--out", finished, "--cache", tiny_cache)
    assert code == 0, err
    assert out == (finished / "table.md").read_text()
    assert "result.json" in err
    code, out, err = call(study_file.with_name("nowhere.toml"), "--out", finished)
    assert (code, out) == (1, "")
    assert "cannot read the study" in err
    assert call(study_file)[0] == 2


@pytest.mark.data
@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.toml")), ids=lambda path: path.stem)
def test_committed_studies_open(path: Path, utd_mhad_root: Path) -> None:
    of_package = path.stem.startswith("shoulder-watch")
    if of_package and importlib.util.find_spec("seglearn") is None:
        pytest.skip("install the extra shoulder-watch to run this test")
    opened = open_study(path, root=None if of_package else utd_mhad_root)
    teachers = {cell.name: cell.config for cell in opened.cells if cell.role == "teacher"}
    for cell in opened.cells:
        assert cell.config.data.train_on_validation
        for name in set(cell.taught_by) & set(teachers):
            assert (teachers[name].data, teachers[name].labels) == (cell.config.data, cell.config.labels)


TOGETHER = """
[[teacher]]
name = "both"
of = ["camera", "alone"]

[[arm]]
name = "last"
teacher = "both"
"""


def test_networks_of_teachers_and_arms_can_teach_together(study_file: Path, tiny_cache: Path, tmp_path: Path) -> None:
    path = study_file.with_name("together.toml")
    path.write_text(STUDY + TOGETHER)
    opened = open_study(path, root=None)
    teachers = ("camera/all/seed-5", "alone/all/seed-0", "alone/all/seed-1")
    assert {cell.seed: cell.taught_by for cell in opened.cells if cell.item == "last"} == {0: teachers, 1: teachers}
    run(opened, tmp_path, tiny_cache)
    document = report_study(opened, tmp_path)
    assert list(document["teachers"]) == ["camera"]
    assert list(document["arms"]) == ["alone", "distilled", "again", "last"]
    card = json.loads((tmp_path / "cells/last/all/seed-0/run.json").read_text())
    hashes = [json.loads((tmp_path / "cells" / name / "run.json").read_text())["weights_sha256"] for name in teachers]
    assert [known["sha256"] for known in card["teacher"]] == hashes
    cell = next(cell for cell in opened.cells if cell.name == "last/all/seed-0")
    experiment = Experiment.open(cell.config, root=None, cache=tiny_cache, progress=None)
    test = experiment.windows("test")
    networks = [Run.open(tmp_path / "cells" / name, role=None) for name in teachers]
    said = [softmax(own_network(network, experiment).answer(test), axis=1) for network in networks]
    right = np.mean(said, axis=0).argmax(axis=1) == test.labels
    assert card["heard"]["test"]["window"]["all"]["accuracy"] == pytest.approx(right.mean())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'of = ["camera", "alone"]',
            'of = ["camera", "alnoe"]',
            r"'both' consists of 'alnoe', which is no arm.*'alone'",
        ),
        (
            'of = ["camera", "alone"]',
            'of = ["both"]',
            "'both' consists of 'both', which is no arm, and no teacher that",
        ),
        (
            'of = ["camera", "alone"]',
            'of = ["last"]',
            "'last' is taught by 'both'.* consists of an arm that is not before",
        ),
        ('of = ["camera", "alone"]', 'of = ["alone"]\nseeds = [0, 1]', "'both' consists of others, so it has no seeds"),
        ("seeds = [5]", "seeds = [5]\ncross_fitted = true", "unknown key 'cross_fitted' in .* It was removed"),
    ],
)
def test_a_teacher_of_others_that_cannot_be_is_refused(study_file: Path, old: str, new: str, message: str) -> None:
    path = study_file.with_name("bad.toml")
    path.write_text((STUDY + TOGETHER).replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        open_study(path, root=None)


def test_a_study_of_one_arm_compares_nothing(study_file: Path, tiny_cache: Path, tmp_path: Path) -> None:
    path = study_file.with_name("one.toml")
    path.write_text(
        STUDY.partition("[[teacher]]")[0].replace("seeds = [0, 1]", "seeds = [1]") + '[[arm]]\nname = "alone"\n'
    )
    opened = open_study(path, root=None)
    run(opened, tmp_path, tiny_cache)
    document = report_study(opened, tmp_path)
    assert document["comparisons"] == []
    assert "Differences" not in (tmp_path / "table.md").read_text()
    assert (tmp_path / "differences.png").is_file()
