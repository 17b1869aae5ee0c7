from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from pyts.image import GramianAngularField

from vskd.checks.golden import encoder_tolerance
from vskd.contract import Contract, Field, GafSpec, Scaling, WindowSpec
from vskd.encoders.gaf import GafEncoder
from vskd_export.judge import evidence as module
from vskd_export.judge.evidence import NO_LABEL, Evidence, adversarial_windows, example_rows, gather_evidence
from vskd_export.judge.float64_encoders import reference_encoded

from ..conftest import Trained, synthetic_windows


@pytest.mark.parametrize(("field", "method"), [("gasf", "summation"), ("gadf", "difference")])
@pytest.mark.parametrize("samples", [64, 100])
def test_the_reference_is_that_of_pyts(field: Field, method: str, samples: int) -> None:
    spec = GafSpec(fields=(field,), scaling="minmax", size=32)
    contract = Contract(labels=("a", "b"), window=WindowSpec(samples=samples), gaf=spec)
    windows = synthetic_windows(3, subjects=("anna",), seed=3, samples=samples).windows

    images = reference_encoded(windows, contract)

    oracle = GramianAngularField(image_size=32, method=method)
    for window, image in zip(windows, images, strict=True):
        np.testing.assert_allclose(image, oracle.fit_transform(window.astype(np.float64)), atol=1e-7)


@pytest.mark.parametrize("scaling", ["tanh", "range"])
def test_the_runtime_encoder_draws_the_reference_on_every_window(scaling: Scaling, contract: Contract) -> None:
    spec = GafSpec(fields=("gasf", "gadf"), scaling=scaling, size=32)
    changed = dataclasses.replace(contract, gaf=spec)
    real = synthetic_windows(64, subjects=("anna",), seed=4).windows
    windows = np.concatenate([real, np.stack(list(adversarial_windows(changed, real[0]).values()))])

    difference = np.abs(GafEncoder(spec, 64)(windows) - reference_encoded(windows, changed))

    assert difference.max() <= (encoder_tolerance(changed) or 0)


def test_a_flat_axis_under_minmax_draws_zeros_in_the_reference_too(contract: Contract) -> None:
    spec = GafSpec(fields=("gasf", "gadf"), scaling="minmax", size=32)
    window = synthetic_windows(1, subjects=("anna",), seed=6).windows
    window[0, 1] = 0.7

    image = reference_encoded(window, dataclasses.replace(contract, gaf=spec))[0]

    assert not image[[1, 4]].any()
    assert image[[0, 2, 3, 5]].any(axis=(1, 2)).all()


def test_adversarial_windows_are_what_their_names_say(contract: Contract) -> None:
    recorded = synthetic_windows(1, subjects=("anna",), seed=5).windows[0]
    windows = adversarial_windows(contract, recorded)

    assert all(window.shape == (3, 64) and window.dtype == np.float32 for window in windows.values())
    assert all(np.isfinite(window).all() for window in windows.values())
    assert np.ptp(windows["flat"], axis=1).max() == 0
    assert np.abs(windows["saturated"]).min() == contract.sensor.range_g
    assert np.abs(windows["enormous"]).max() == pytest.approx(1e30)
    assert 0 < np.abs(windows["tiny"]).max() < 0.01
    assert 0 < np.abs(windows["denormal"]).max() < np.finfo(np.float32).tiny
    for axis, name in enumerate("xyz"):
        assert np.flatnonzero(~windows[f"dead axis {name}"].any(axis=1)).tolist() == [axis]


def test_evidence_holds_real_windows_with_their_truth_and_adversarial_ones_without(
    evidence: Evidence, trained: Trained
) -> None:
    assert evidence.recorded_ids == trained.held_out.ids
    assert evidence.is_recorded.sum() == len(trained.held_out)
    assert evidence.labels[evidence.is_recorded].tolist() == trained.held_out.labels.tolist()
    assert set(evidence.labels[~evidence.is_recorded]) == {NO_LABEL}
    assert len(set(evidence.names)) == len(evidence.names) == len(evidence.windows) == len(evidence.logits)


def test_every_held_out_window_is_judged_up_to_a_limit(
    evidence: Evidence, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.testing.assert_array_equal(evidence.windows[evidence.is_recorded], trained.held_out.windows)

    monkeypatch.setattr(module, "MAX_JUDGED_WINDOWS", 10)
    few = gather_evidence(trained.student, trained.contract, trained.held_out, trained.calibration)
    assert few.is_recorded.sum() == 10
    assert (few.names[0], few.names[9]) == (evidence.names[0], evidence.names[len(trained.held_out) - 1])


@pytest.mark.parametrize(("counts", "sets"), [((9, 30, 8), 8), ((3, 30, 8), 3), ((1, 1), 1)])
def test_every_set_of_examples_has_one_window_of_each_class(counts: tuple[int, ...], sets: int) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    rows = example_rows(labels)
    assert rows.shape == (sets, len(counts))
    assert len(np.unique(rows)) == rows.size
    for row in labels[rows]:
        np.testing.assert_array_equal(row, np.arange(len(counts)))
