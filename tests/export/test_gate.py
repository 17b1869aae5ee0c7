from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from vskd.contract import Contract
from vskd.errors import GateError
from vskd_export.evidence import NO_LABEL, Evidence
from vskd_export.gate import IntegerParity, check_encoder, check_float, measure_integer, refuse_broken

from .conftest import Workshop


def evidence(logits: list[list[float]], labels: list[int]) -> Evidence:
    count = len(logits)
    return Evidence(
        names=tuple(f"window {index}" for index in range(count)),
        windows=np.zeros((count, 3, 64), np.float32),
        labels=np.array(labels),
        logits=np.array(logits, np.float32),
    )


def two_classes() -> Contract:
    return Contract(labels=("a", "b"))


def check(logits: NDArray[np.float32], seen: Evidence) -> float:
    checked = check_float(
        logits, engine="engine", version="1.2", file="model.onnx", contract=two_classes(), evidence=seen
    )
    return checked.largest_difference


def test_logits_within_the_tolerance_pass_and_the_largest_difference_is_told() -> None:
    seen = evidence([[0.0, 1.0], [2.0, 3.0]], [1, NO_LABEL])
    assert check(seen.logits + np.array([[0, 0], [0, 8e-5]], np.float32), seen) == pytest.approx(8e-5, rel=1e-2)


@pytest.mark.parametrize("wrong", [2e-4, np.nan, np.inf])
def test_a_wrong_logit_is_refused_by_engine_file_window_and_difference(wrong: float) -> None:
    seen = evidence([[0.0, 1.0], [2.0, 3.0], [0.5, 0.5]], [1, NO_LABEL, 0])
    logits = seen.logits.copy()
    logits[1, 0] += wrong

    with pytest.raises(
        GateError, match=r"engine 1\.2 disagrees with torch on model\.onnx: window 'window 1', .* 1e-04"
    ):
        check(logits, seen)


def measure(logits: list[list[float]], seen: Evidence, *, size_ratio: float = 4.0) -> IntegerParity:
    return measure_integer(
        np.array(logits, np.float32),
        engine="engine",
        version="1.2",
        file="model.onnx",
        size_ratio=size_ratio,
        contract=two_classes(),
        evidence=seen,
    )


def test_an_integer_model_is_measured_on_recorded_windows_only() -> None:
    # Four recorded windows, torch right on three; the integer model flips the third, and is wrong there.
    seen = evidence([[1, 0], [1, 0], [0, 1], [1, 0], [9, 0]], [0, 0, 1, 1, NO_LABEL])
    measured = measure([[1, 0], [1, 0], [0.1, 0], [1, 0], [0, 9]], seen)

    assert (measured.flips, measured.flip_rate) == (1, 0.25)
    # softmax(0, 1): the margin is tanh(1/2).
    assert measured.largest_flipped_margin == pytest.approx(np.tanh(0.5), abs=1e-6)
    assert measured.accuracy == 0.5
    # torch: F1 of a = 4/5, of b = 2/3. integer: a is chosen four times, 2*2/(2+4), b never.
    assert measured.macro_f1 == pytest.approx((2 / 3 + 0) / 2)
    assert measured.macro_f1_loss == pytest.approx((4 / 5 + 2 / 3) / 2 - 1 / 3)
    assert measured.largest_difference == pytest.approx(1.0)


SOUND = IntegerParity(
    engine="litert",
    version="2.3",
    file="model.tflite",
    largest_difference=0.1,
    flips=1,
    flip_rate=0.10,
    largest_flipped_margin=0.1,
    accuracy=0.9,
    macro_f1=0.9,
    macro_f1_loss=0.05,
    size_ratio=2.0,
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"macro_f1_loss": 0.06}, r"model\.tflite in litert 2\.3 loses macro-F1 of 0\.060, the limit is 0\.05"),
        ({"flip_rate": 0.11}, r"flips a share of labels of 0\.110, the limit is 0\.1"),
        ({"size_ratio": 1.0}, r"is smaller by a factor of 1\.000, the limit is 2\.0"),
    ],
)
def test_a_broken_integer_model_is_refused(change: dict[str, float], message: str) -> None:
    refuse_broken(SOUND)
    with pytest.raises(GateError, match=message):
        refuse_broken(dataclasses.replace(SOUND, **change))


def test_an_encoder_that_does_not_draw_the_contracts_image_is_refused(workshop: Workshop) -> None:
    gaf = dataclasses.replace(workshop.contract.gaf, scale_g=2.001)
    other = dataclasses.replace(workshop.contract, gaf=gaf)
    seen = dataclasses.replace(evidence([[0.0, 1.0]], [0]), windows=workshop.held_out.windows[:1])

    assert check_encoder(workshop.student, workshop.contract, seen)["torch"] <= 2e-6
    with pytest.raises(GateError, match="the torch encoder's image of window 'window 0' differs from float64"):
        check_encoder(workshop.student, other, seen)
