"""The golden stream: it holds the faults that it promises, and its replay notices what differs."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from vskd.bundle import Bundle, write_bundle
from vskd.bundle_files import GOLDEN_EVENTS
from vskd.checks.golden_stream import GoldenEvent, StreamCase, compare, read_golden_stream
from vskd.classifier import Classifier
from vskd.commands.verify import verify
from vskd.contract import Contract, GafSpec, WindowSpec
from vskd.errors import BundleError
from vskd_export.convert.graph import frozen_copy
from vskd_export.judge.evidence import gather_evidence
from vskd_export.package.golden_stream import make_golden_stream
from vskd_export.quantize.recipes import MODELS
from vskd_training.models.student import gaf_resnet

from ..conftest import LABELS, synthetic_windows


def numbers(bundle: Bundle, name: str) -> tuple[list[str], np.ndarray]:
    with bundle.checked_path(name).open(newline="") as stream:
        header, *rows = csv.reader(stream)
    return header, np.array(rows, dtype=float)


def test_the_stream_holds_jitter_a_gap_a_nan_a_repeated_and_a_backward_time(bundle: Bundle) -> None:
    header, rows = numbers(bundle, "golden/stream.csv")
    steps = np.diff(rows[:, 0])
    limit = bundle.contract.resampling.max_gap_s

    assert header == ["time_s", "ax", "ay", "az"]
    assert (steps == 0).sum() == 1
    assert ((steps < 0) & (steps > -limit)).sum() == 1
    assert (steps > limit).sum() == 1
    assert np.isnan(rows[:, 1:]).sum() == 1
    regular = steps[(steps > 0) & (steps < limit)] * bundle.contract.window.rate_hz
    assert regular.std() > 0.1


def test_the_second_file_is_the_same_signal_in_another_unit_time_and_frame(bundle: Bundle) -> None:
    _, plain = numbers(bundle, "golden/stream.csv")
    header, turned = numbers(bundle, "golden/stream_turned.csv")

    assert header == ["time_ns", "ax", "ay", "az"]
    np.testing.assert_allclose(turned[:, 0] / 1e9, plain[:, 0], atol=1e-9)
    x, y, z = plain[:, 1:].T
    np.testing.assert_allclose(turned[:, 1:] / 9.80665, np.stack([y, -x, z], axis=1), atol=1e-6)


def test_the_events_are_those_of_the_fault_free_path_and_equal_in_both_cases(bundle: Bundle) -> None:
    plain, turned = read_golden_stream(bundle).cases
    window, count = bundle.contract.window, 6 * 64

    assert plain.health == {"samples": count + 2, "out_of_order": 2, "not_finite": 1, "gaps": 1, "saturated": 0}
    assert turned.health == plain.health
    # 256 samples before the gap and 128 behind it; jitter takes at most one of each.
    before, behind = ((samples - 1 - window.samples) // window.hop_samples + 1 for samples in (256, 128))
    assert before + behind <= len(plain.events) <= before + behind + 2
    assert [event.label for event in turned.events] == [event.label for event in plain.events]
    assert len({event.label for event in plain.events}) >= 3
    np.testing.assert_allclose([e.start_s for e in turned.events], [e.start_s for e in plain.events], atol=1e-6)
    assert set(plain.model_events) == {model.file for model in MODELS if model.recipe != "fp32"}


def test_a_classifier_of_its_own_gives_these_events(bundle: Bundle) -> None:
    """By the public way that a user takes, without the replay."""
    case = read_golden_stream(bundle).cases[0]
    _, rows = numbers(bundle, case.file)
    classifier = Classifier.open(bundle.path, engine="onnxruntime", recipe="fp32")
    events = [event for row in rows for event in classifier.push(row[:1], row[None, 1:])]

    assert [(e.start_s, e.end_s, e.label) for e in events] == [(e.start_s, e.end_s, e.label) for e in case.events]
    np.testing.assert_allclose([e.probabilities for e in events], [e.probabilities for e in case.events], atol=1e-4)


def test_verify_replays_the_stream_in_every_engine(bundle: Bundle) -> None:
    done = CliRunner().invoke(verify, [str(bundle.path), "--engine", "onnxruntime"])

    assert done.exit_code == 0, done.output
    lines = [line.split()[:3] for line in done.output.splitlines()]
    for file in ("model.fp32.onnx", "model.w8a8-static-pc.onnx"):
        assert ["ok", "stream", file] in lines


def rewritten(bundle: Bundle, folder: Path, change: dict[str, bytes]) -> Bundle:
    names = [name for name in bundle.files if name != "contract.json"]
    content = {name: (bundle.path / name).read_bytes() for name in names} | change
    return Bundle.open(write_bundle(folder, contract=bundle.contract, models=bundle.models, files=content))


def test_verify_fails_on_samples_that_give_other_events(bundle: Bundle, tmp_path: Path) -> None:
    lines = bundle.checked_path("golden/stream.csv").read_text().splitlines()
    del lines[40]
    changed = rewritten(bundle, tmp_path / "x.bundle", {"golden/stream.csv": "\n".join(lines).encode()})

    done = CliRunner().invoke(verify, [str(changed.path), "--engine", "onnxruntime"])
    assert isinstance(done.exception, BundleError)
    assert "2 of 12 checks failed on this machine" in str(done.exception)
    assert done.output.count("g, seconds: the stream counted") == 2


@pytest.mark.parametrize("content", [b"", b"[]", b'{"cases": [', b'{"cases": [{"name": 3}]}', b'{"cases": [], "x": 1}'])
def test_events_that_are_none_are_refused(bundle: Bundle, tmp_path: Path, content: bytes) -> None:
    changed = rewritten(bundle, tmp_path / "x.bundle", {GOLDEN_EVENTS: content})
    with pytest.raises(BundleError, match=r"events\.json holds no golden events.*Export the run again"):
        read_golden_stream(changed)


# --- the comparison, by hand

CONTRACT = Contract(labels=("a", "b"))
EVENT = GoldenEvent(0.0, 2.0, "a", 0.75, (0.75, 0.25))
CASE = StreamCase("case", "x.csv", "g", "x,y,z", {"samples": 9}, (EVENT,), {})
FLOAT = MODELS[0]
INTEGER = MODELS[1]


def judged(entry: Any = FLOAT, case: StreamCase = CASE, *, health: int = 9, **changes: Any) -> str:
    found = dataclasses.replace(EVENT, **changes)
    return compare(CONTRACT, entry, case, [found], {"samples": health})[1]


def test_times_and_counts_are_exact() -> None:
    assert judged() == ""
    assert judged(start_s=1e-12) == "1 events at other times than the 1 expected"
    assert judged(end_s=2.0000001) == "1 events at other times than the 1 expected"
    assert compare(CONTRACT, FLOAT, CASE, [], {"samples": 9})[1] == "0 events at other times than the 1 expected"
    assert judged(health=8) == "the stream counted {'samples': 8}, expected {'samples': 9}"


def test_probabilities_lie_within_the_logits_tolerance_or_a_flips_margin() -> None:
    near, far = (0.74991, 0.25009), (0.7, 0.3)
    assert judged(probabilities=near) == ""
    assert "has probabilities 5.0e-02 off, above 1e-04" in judged(probabilities=far)
    assert judged(INTEGER, probabilities=far) == ""
    assert "above 2e-01" in judged(INTEGER, probabilities=(0.5, 0.5))
    assert "probabilities nan off" in judged(probabilities=(float("nan"), 0.5))


def test_a_label_may_differ_only_where_the_tolerance_decides_it() -> None:
    assert judged(label="b") == "the event at 2.000 s is 'b', expected 'a'"
    tie = dataclasses.replace(EVENT, probability=0.50005, probabilities=(0.50005, 0.49995))
    assert judged(FLOAT, dataclasses.replace(CASE, events=(tie,)), label="b", probabilities=(0.49997, 0.50003)) == ""
    assert judged(INTEGER, dataclasses.replace(CASE, events=(tie,)), label="b", probabilities=(0.4, 0.6)) == ""


def test_an_integer_model_is_compared_with_its_own_events() -> None:
    own = dataclasses.replace(EVENT, label="b", probability=0.9, probabilities=(0.1, 0.9))
    case = dataclasses.replace(CASE, model_events={INTEGER.file: (own,)})
    assert judged(INTEGER, case, label="b", probabilities=(0.1, 0.9)) == ""
    assert "has probabilities 6.5e-01 off" in judged(INTEGER, case)


# --- whole recordings


def test_whole_recordings_get_a_recording_in_both_forms(files: dict[str, bytes]) -> None:
    contract = Contract(labels=LABELS, window=WindowSpec(mode="whole", samples=64), gaf=GafSpec(size=32))
    student = frozen_copy(gaf_resnet(contract, width=0.125))
    windows = synthetic_windows(16, subjects=("cara",), seed=2)
    evidence = gather_evidence(student, contract, windows, windows)

    made = make_golden_stream(student, contract, evidence, files, MODELS)
    again = make_golden_stream(student, contract, evidence, files, MODELS)

    assert made == again
    plain, turned = json.loads(made[GOLDEN_EVENTS])["cases"]
    assert len(plain["events"]) == len(turned["events"]) == 1
    assert plain["health"] == {}
    np.testing.assert_allclose(plain["events"][0]["probabilities"], turned["events"][0]["probabilities"], atol=1e-4)
    times = np.loadtxt(made["golden/stream.csv"].decode().splitlines(), delimiter=",", skiprows=1)[:, 0]
    assert len(times) == 64
    assert (np.diff(times) > 0).all()
