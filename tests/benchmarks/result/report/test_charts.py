"""The plots: what they draw is what was measured, and nothing that was not."""

from __future__ import annotations

import io
import itertools
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from vskd_benchmarks.report import pareto
from vskd_benchmarks.report.charts import _course, _ecdf, charts
from vskd_benchmarks.report.pareto import accuracy_plots, pareto_front
from vskd_benchmarks.report.plotting import Numbered, plain_log_ticks
from vskd_benchmarks.report.tables import held_out
from vskd_benchmarks.result.folder import read_raw, read_result
from vskd_benchmarks.result.records.case import Soak

RESULTS = Path(__file__).parents[4] / "benchmarks" / "results"


def drawn(folder, **changes):
    result = replace(read_result(folder), **changes)
    return charts(result, {case.id: read_raw(folder, case.id) for case in result.cases})


def words(chart):
    return " ".join(text for text in ET.fromstring(chart.svg).itertext() if text.strip())


def test_every_section_has_its_plots_and_axes_have_units(reported):
    found = drawn(reported)
    assert Image.open(io.BytesIO(found["time"][0].png)).width > 600
    names = {section: [chart.name for chart in some] for section, some in found.items()}
    assert names == {
        "pareto": ["accuracy-latency", "accuracy-size"],
        "distribution": ["distribution-1", "distribution-2", "distribution-3"],
        "time": ["over-time-1", "over-time-2", "over-time-3"],
    }
    for word, chart in (
        ("sensor to label, p50, ms", found["pareto"][0]),
        ("held-out macro-F1, %", found["pareto"][0]),
        ("model file, MB", found["pareto"][1]),
        ("windows at or below, %", found["distribution"][0]),
        ("since the start of the run, s", found["time"][0]),
        ("hottest, °C", found["time"][0]),
        ("clock, MHz", found["time"][0]),
    ):
        assert word in words(chart)
    for bundle in ("wide", "narrow"):
        assert words(found["pareto"][0]).split().count(bundle) == 1


def test_without_an_accuracy_there_is_no_plot_of_it(single):
    assert drawn(single, bundles=[untold(read_result(single).bundles[0], None)])["pareto"] == []


def untold(bundle, accuracy):
    """A bundle whose report tells nothing of its models, and this of its network."""
    return replace(bundle, accuracy=accuracy, models=tuple(replace(model, accuracy={}) for model in bundle.models))


def test_each_model_is_drawn_with_its_own_accuracy_or_the_caption_says_whose_it_is(reported):
    result = read_result(reported)
    cases = [Numbered(number, case) for number, case in enumerate(result.cases, start=1)]
    lost = {
        case.recipe: held_out(result, case) for case in result.cases if case.kind == "bundle" and case.bundle == "wide"
    }
    assert lost["fp32"] == ("macro-F1", pytest.approx(0.83), True)
    assert lost["w8a8-static-pc"] == ("macro-F1", pytest.approx(0.81), True)
    own, *_ = accuracy_plots(cases, result)
    assert "the trained network's is known" not in own.caption
    older = replace(result, bundles=tuple(untold(one, {"macro_f1": 0.7}) for one in result.bundles))
    shared, *_ = accuracy_plots(cases, older)
    assert "Of narrow, wide only the trained network's is known, which all recipes share." in shared.caption


def test_without_readings_the_caption_says_so_and_nothing_is_drawn(single):
    environment = read_result(single).environment
    silent = tuple(replace(reading, temperature_c=None, frequency_khz=None) for reading in environment.readings)
    chart = drawn(single, environment=replace(environment, readings=silent))["time"][0]
    assert "neither temperature nor clock" in chart.caption
    assert "hottest" not in words(chart)


def test_a_soak_shows_its_memory(single):
    soak = Soak(resident_bytes=(80_000_000, 81_000_000), at_s=(1.0, 2.0), limit_bytes=0, growth_bytes=1_000_000)
    found = drawn(single, cases=[replace(read_result(single).cases[0], soak=soak)])["time"]
    assert [chart.name for chart in found] == ["over-time-1", "memory-1"]
    assert "resident memory, MB" in words(found[1])


def test_a_name_with_signs_of_its_own_is_drawn_as_it_is(single):
    cases = [replace(read_result(single).cases[0], name='odd <b>$x_1$</b> & "name"')]
    assert '#1 odd <b>$x_1$</b> & "name"' in words(drawn(single, cases=cases)["distribution"][0])


points = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12)


@given(points)
def test_the_front_holds_exactly_the_points_that_no_other_beats(some):
    def beaten(point):
        return any(
            other[0] <= point[0] and other[1] >= point[1] and other != point for other in some
        )  # fmt: skip

    assert pareto_front(some) == sorted({point for point in some if not beaten(point)})


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=800))
def test_the_curve_ends_at_the_slowest_reading_and_says_the_true_shares(readings):
    values = np.array(readings).reshape(1, -1)
    latency_ms, share = _ecdf(values)
    assert (latency_ms[0], latency_ms[-1], share[-1]) == (values.min() / 1e6, values.max() / 1e6, 100)
    for latency, percent in zip(latency_ms, share, strict=True):
        # Of equal readings the curve shows some rank; the true share lies at their last.
        assert 100 * (values / 1e6 < latency).mean() < percent <= 100 * (values / 1e6 <= latency).mean() + 1e-9


def test_the_course_keeps_the_extremes_of_all_readings():
    latency = np.random.default_rng(0).integers(1000, 9000, size=(8, 100))
    started = np.arange(800).reshape(8, 100) * 10_000
    at_s, low, middle, high = zip(*_course({"sensor_to_label": latency, "started": started}), strict=True)
    assert (min(low), max(high)) == (latency.min() / 1e6, latency.max() / 1e6)
    assert len(at_s) == 8 * 4
    assert list(at_s) == sorted(at_s)
    assert middle[0] == pytest.approx(np.median(latency[0, :25]) / 1e6)


def test_macro_f1_comes_before_accuracy(single):
    result = read_result(single)

    def found(accuracy):
        return held_out(replace(result, bundles=(untold(result.bundles[0], accuracy),)), result.cases[0])

    assert found({"accuracy": 0.8, "macro_f1": 0.7}) == ("macro-F1", 0.7, False)
    assert found({"accuracy": 0.8}) == ("accuracy", 0.8, False)
    assert found(None) is None


def test_an_engine_that_the_export_did_not_run_shows_what_another_found_of_the_same_file(single):
    (bundle,) = read_result(single).bundles
    file = "model.w8a8-static-pc.tflite"
    assert bundle.accuracy_of(file, "tflite-runtime") == bundle.accuracy_of(file, "litert") != {}
    assert bundle.accuracy_of("resnet18.fp32.onnx", "onnxruntime") == {}


@pytest.mark.parametrize(("low", "high"), [(0.15, 0.45), (0.05, 0.3), (0.001, 2000), (9, 11), (1, 1000)])
def test_ticks_of_a_logarithmic_axis_are_few_and_lie_within_it(low, high):
    axes = Figure().subplots()
    axes.set(xscale="log", xlim=(low, high))
    plain_log_ticks(axes, "x")
    ticks = axes.get_xticks()
    assert 2 <= len(ticks) <= 9
    assert low <= min(ticks) <= max(ticks) <= high


def test_names_of_bundles_overlap_neither_each_other_nor_the_axes(monkeypatch):
    drawn_figures = []
    monkeypatch.setattr(pareto, "render", lambda *words: drawn_figures.append(words[-1]))
    for folder in sorted(RESULTS.glob("*/*/result.json")):
        result = read_result(folder.parent)
        list(accuracy_plots([Numbered(number, case) for number, case in enumerate(result.cases, 1)], result))
    assert len(drawn_figures) >= 8
    for figure in drawn_figures:
        (axes,) = figure.axes
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in axes.texts]
        for box in boxes:
            assert axes.bbox.x0 <= box.x0 < box.x1 <= axes.bbox.x1
            assert axes.bbox.y0 <= box.y0 < box.y1 <= axes.bbox.y1
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
