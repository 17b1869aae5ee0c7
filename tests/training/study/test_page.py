"""`report.html` of a study: everything is in it, from the cards, and nothing is fetched."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vskd_training.evaluation.metrics import Confusion
from vskd_training.study.page import _apart, _confusion, page
from vskd_training.study.plan import Study
from vskd_training.study.report import report_study
from vskd_training.study.result import summarise


@given(st.lists(st.tuples(st.sampled_from([6.0, 30.0, 50.0, 94.0]), st.floats(6, 94)), max_size=12))
def test_no_mark_hides_another_and_none_leaves_the_plot(places: list[tuple[float, float]]) -> None:
    shown = _apart(places)
    assert [height for _, height in shown] == [height for _, height in places]
    assert all(0 <= x <= 100 for x, _ in shown)
    pairs = list(itertools.combinations(shown, 2))
    assert all(abs(one[0] - other[0]) >= 7 - 1e-9 or abs(one[1] - other[1]) >= 9 for one, other in pairs)


def test_the_page_shows_every_arm_difference_and_class(study: Study, finished: Path) -> None:
    text = (finished / "report.html").read_text()
    for name in ("teacher camera", "1 alone", "2 distilled", "3 again"):
        assert f'<th scope="row">{name}</th>' in text
    assert text.count('class="dot"') == 2 * 2  # comparisons times subjects
    assert text.count('class="mean"') == 2
    assert text.count("<details><summary>") + text.count("<details open><summary>") == 3
    scatter = text.partition('class="scatter"')[2].partition("</div>")[0]
    assert len(re.findall(r"<span style=", scatter)) == 3
    assert "://" not in text
    assert 'content="width=device-width' in text
    assert "prefers-color-scheme: dark" in text
    assert page(study, summarise(study, finished), finished).decode() == text


def test_confusions_are_summed_over_cells(study: Study, finished: Path) -> None:
    found = _confusion(study, "alone", finished)
    cards = [json.loads(path.read_text()) for path in (finished / "cells" / "alone").rglob("run.json")]
    assert len(cards) == 2
    expected = sum(np.array(card["metrics"]["test"]["confusion"]) for card in cards)
    assert found.matrix.tolist() == np.asarray(expected).tolist()
    assert list(found.labels) == cards[0]["contract"]["labels"]


def test_the_worst_classes_are_those_of_which_least_is_found() -> None:
    confusion = Confusion(("a", "b", "c", "never"), np.array([[9, 1, 0, 0], [2, 4, 4, 0], [0, 0, 7, 0], [0, 0, 0, 0]]))
    assert list(confusion.worst()) == [
        ("b", 0.4, 10, "c (4)"), ("a", 0.9, 10, "b (1)"), ("c", 1.0, 7, "nothing else"),
    ]  # fmt: skip
    assert confusion.shares()[0] == [(9, 90), (1, 10), (0, 0), (0, 0)]


def test_names_are_escaped_and_warnings_stand_on_top(study: Study, finished: Path) -> None:
    result = replace(
        summarise(study, finished), leaky=True, subjects=("<b>",), unfinished={"late": "0 of 2 cells"},
        failed={"late/all/seed-0": "no <i>\nat all"},
    )  # fmt: skip
    text = page(study, result, finished).decode()
    assert "&lt;b&gt;" in text
    assert "<strong>LEAKY.</strong>" in text
    assert "<strong>Not finished:</strong> late, 0 of 2 cells." in text
    assert "<strong>Failed:</strong> late/all/seed-0: no &lt;i&gt; at all." in text


def test_a_study_without_costs_or_comparisons_has_a_page(study: Study, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "cells", tmp_path / "cells")
    for path in tmp_path.rglob("run.json"):
        card = json.loads(path.read_text())
        card.pop("cost", None)
        path.write_text(json.dumps(card))
    one = replace(study, spec=replace(study.spec, arm=study.spec.arm[:1]), cells=study.cells_of("alone"))
    one = replace(one, spec=replace(one.spec, teacher=()))
    report_study(one, tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert "Cost and accuracy" not in text
    assert "Differences" not in text
