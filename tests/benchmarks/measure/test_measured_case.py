"""The raw arrays of a case, and the load that is noted."""

from __future__ import annotations

import numpy as np
import pytest

from vskd.bundle import Bundle, ModelEntry
from vskd.checks.golden import golden_to_bytes, read_golden
from vskd_benchmarks.measure.measured_case import MeasuredCase, note_load, raw_arrays
from vskd_benchmarks.measure.plan import PlannedCase, bundle_case

from ..conftest import golden_file

EPOCH_NS = 1_000


@pytest.fixture
def case(make_bundle, make_model, tmp_path) -> MeasuredCase:
    """The second of two models, of which each has golden logits of its own."""
    path = make_bundle(tmp_path / "one.bundle", files={"golden/vectors.npz": golden_file()})
    golden = read_golden(Bundle.open(path))
    golden.model_logits["model.int8.onnx"] = golden.logits + 7
    path = make_bundle(
        tmp_path / "two.bundle",
        files={"golden/vectors.npz": golden_to_bytes(golden), "model.int8.onnx": make_model()},
        models=(ModelEntry("model.int8.onnx", "onnx", "w8a8-static-pc"),),
    )
    bundle = Bundle.open(path)
    case = MeasuredCase(bundle_case("two", bundle, "onnxruntime", bundle.models[1], 1), group=0)
    case.repeat = {"varied_ns": [[5, 6]], "repeated_ns": [[7, 8]]}
    case.outputs = {"outputs": [[1.0, 2.0, 3.0]], "golden": golden.logits.tolist()}
    for start in (2_000, 3_000):
        reply = {
            "latency_ns": {"sensor_to_label": [start, start + 1]}, "started_ns": [start, start + 10],
            "yardstick_ns": [start + 7, start + 9],
            "interval_ns": [start - 5, start + 50], "sampled": [[0, [1.0, 2.0, 3.0]]], "own_ns": 0,
        }  # fmt: skip
        case.add_block(reply, machine_ns=0, parent_ns=0, elapsed_ns=1)
    return case


def test_times_are_since_the_start_of_the_run(case):
    arrays = raw_arrays(case, EPOCH_NS)
    assert arrays["started"].tolist() == [[1_000, 1_010], [2_000, 2_010]]
    assert arrays["interval"].tolist() == [[995, 1_050], [1_995, 2_050]]
    assert arrays["sensor_to_label"].tolist() == [[2_000, 2_001], [3_000, 3_001]]


def test_each_array_is_what_it_is_named_after(case):
    arrays = raw_arrays(case, EPOCH_NS)
    assert (arrays["audit_varied"].tolist(), arrays["audit_repeated"].tolist()) == ([[5, 6]], [[7, 8]])
    assert arrays["yardstick"].tolist() == [[2_007, 2_009], [3_007, 3_009]]
    assert arrays["sampled_index"].tolist() == [0, 0]
    assert arrays["sampled_logits"].tolist() == [[1, 2, 3]] * 2
    assert arrays["accuracy_logits"].tolist() == [[1, 2, 3]]
    np.testing.assert_array_equal(arrays["golden_recorded"], arrays["golden_network"] + 7)
    np.testing.assert_array_equal(arrays["golden_logits"], arrays["golden_network"])


def measured(threads=1):
    case = PlannedCase(
        id="x", name="x", kind="bundle", bundle=None, bundle_id="b", engine="litert", recipe="fp32", threads=threads,
        job={}, network="", weights="trained", encoder="graph",
    )  # fmt: skip
    return MeasuredCase(case, 0)


ANSWER = {"latency_ns": {"sensor_to_label": [1]}, "started_ns": [1], "own_ns": 400_000_000}


def test_load_is_what_neither_the_case_nor_its_parent_computed():
    case = measured()
    case.add_block(ANSWER, machine_ns=1_500_000_000, parent_ns=100_000_000, elapsed_ns=1_000_000_000)
    note_load([case])
    assert case.load == {"other_cores": 1.0, "load_source": "case"}


def test_a_case_too_short_for_the_counters_of_the_system_takes_its_groups_load():
    short, long = measured(), measured()
    short.add_block({**ANSWER, "own_ns": 0}, machine_ns=0, parent_ns=0, elapsed_ns=100_000_000)
    long.add_block({**ANSWER, "own_ns": 0}, machine_ns=550_000_000, parent_ns=0, elapsed_ns=1_000_000_000)
    note_load([short, long])
    assert short.load == {"other_cores": 0.5, "load_source": "group"}
    assert long.load == {"other_cores": 0.55, "load_source": "case"}
    note_load([short])
    assert short.load == {"other_cores": None, "load_source": "none"}


def test_where_the_counters_are_closed_nothing_is_known_of_the_load():
    case = measured()
    case.add_block(ANSWER, machine_ns=None, parent_ns=0, elapsed_ns=10**9)
    case.add_block(ANSWER, machine_ns=5, parent_ns=0, elapsed_ns=10**9)
    note_load([case])
    assert case.load == {"other_cores": None, "load_source": "none"}
