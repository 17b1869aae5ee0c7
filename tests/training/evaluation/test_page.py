"""``report.html`` of an evaluation: who and what is recognised worst comes first, with the figures of the document."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser import CHROMIUM, seen
from vskd.closed import to_mapping
from vskd_training.evaluation.calibration import calibrate
from vskd_training.evaluation.evaluate import Evaluation
from vskd_training.evaluation.metrics import Confusion, by_class, confusion_matrix, measure
from vskd_training.evaluation.page import page

LABELS = ("walk", "<jog>", "a_very_long_name_of_an_activity", "wave")


@pytest.fixture(scope="module")
def result() -> Evaluation:
    """Of drawn decisions: two thirds are right, and the first subject's fewer."""
    generator = np.random.default_rng(3)
    truth = np.arange(240) % len(LABELS)
    subjects = [f"subject {number}" for number in np.arange(240) // 60]
    wrong = generator.random(240) < np.where(np.arange(240) < 60, 0.6, 0.2)
    decided = np.where(wrong, (truth + 1) % len(LABELS), truth)
    logits = 2.0 * np.eye(len(LABELS))[decided] + generator.normal(0, 0.3, (240, len(LABELS)))
    decided = logits.argmax(axis=1)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    scores = {"all": to_mapping(measure(truth, decided, subjects)) | {"of_classes": len(LABELS)}}
    classes = [to_mapping(row) for row in by_class(truth, decided, LABELS)]
    found = to_mapping(calibrate(logs, truth))
    matrix = confusion_matrix(truth, decided, len(LABELS)).tolist()
    metrics: dict[str, Any] = {
        "window": scores, "recording": scores, "confusion": matrix, "confusion_window": matrix,
        "recordings_too_short": 0, "by_class": {"window": classes, "recording": classes},
        "calibration": {
            "temperature": {"value": 0.8, "source": "validation subjects", "at_bound": False},
            "before": {"window": found, "recording": found}, "after": {"window": found, "recording": found},
        },
    }  # fmt: skip
    return Evaluation("torch", "model.safetensors", "0" * 64, LABELS, False, metrics, None)


def test_the_worst_come_first_and_the_figures_are_the_documents(result: Evaluation) -> None:
    text = page(result, title="student <x>").decode()
    scores = result.metrics["recording"]["all"]
    for figure in (f"{100 * scores['accuracy']:.1f} %", f"{100 * scores['macro_f1']:.1f} %", "student &lt;x&gt;"):
        assert figure in text
    shown = re.findall(r'<span>(subject \d)</span>.*?style="width:([\d.]+)%', text)
    assert dict(shown) == {name: f"{100 * share:.1f}" for name, share in scores["by_subject"].items()}
    assert [float(width) for _, width in shown] == sorted(float(width) for _, width in shown)
    classes = text.partition("Each activity, the worst first")[2].partition("</table>")[0]
    recalls = {row["label"]: row["recall"] for row in result.metrics["by_class"]["recording"]}
    order = [unescape(name) for name in re.findall(r'<th scope="row">(.*?)</th>', classes)]
    assert order == sorted(recalls, key=lambda name: recalls[name])
    assert text.count("<svg") == 2
    assert "LEAKY" not in text
    assert "LEAKY" in page(replace(result, leaky=True), title="x").decode()


def test_one_subject_is_not_the_worst_of_several(result: Evaluation) -> None:
    scores = result.metrics["recording"]["all"]
    one = {"all": scores | {"count": 1, "by_subject": {"ann": 1.0}, "worst_subject": "ann"}}
    text = page(replace(result, metrics={**result.metrics, "recording": one, "window": one}), title="x").decode()
    assert "accuracy of 1 recording<" in text
    assert "accuracy of subject" not in text
    assert "accuracy of subject" in page(result, title="x").decode()


def test_mistakes_are_counted_once_each_the_most_frequent_first() -> None:
    confusion = Confusion(("a", "b", "c"), np.array([[5, 3, 0], [1, 7, 2], [0, 0, 4]]))
    assert confusion.pairs(9) == [("a", "b", 3, 3 / 8), ("b", "c", 2, 0.2), ("b", "a", 1, 0.1)]
    assert len(confusion.pairs(2)) == 2
    assert Confusion(("a",), np.array([[3]])).pairs(9) == []


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
def test_the_page_fits_a_phone_and_a_desk(result: Evaluation, tmp_path: Path) -> None:
    frames, console = seen(tmp_path, page(result, title="student").decode())
    assert console == []
    assert [(frame["scroll"] <= frame["width"], frame["beyond"]) for frame in frames] == [(True, [])] * 2
