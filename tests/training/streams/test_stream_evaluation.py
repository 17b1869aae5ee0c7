"""A model on streams: the runtime decides, and what it decided is judged; an engine in numpy stands for the model."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from vskd.contract import Contract, DecisionSpec, RawSpec, WindowSpec
from vskd.errors import ConfigError, DataError
from vskd_training.datasets.recording import Span
from vskd_training.streams.evaluate import Model, TrueStream, decide, evaluate_streams
from vskd_training.streams.tables import stream_sentences, stream_tables

RATE_HZ = 20.0
LABELS = ("x", "y", "z")


class LargestAxis:
    """The axis that gravity is along; logits are the means of the axes, times a gain."""

    name = "mean"
    version = "1"

    def infer(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(window.mean(axis=1) * np.float32(8))


def model(**decision: Any) -> Model:
    window = WindowSpec(samples=20, rate_hz=RATE_HZ, hop_samples=10)
    contract = Contract(labels=LABELS, window=window, gaf=None, raw=RawSpec(), decision=DecisionSpec(**decision))
    return Model("m.onnx", "mean", "0" * 64, contract, LargestAxis())


def turning(*axes: str, each_s: float = 10.0, shake_g: float = 0.0) -> TrueStream:
    """Gravity along one axis after the other; ``-`` is rest, along all of them. Its windows are never equal."""
    count = round(each_s * RATE_HZ)
    rows = [np.eye(3)[LABELS.index(axis)] if axis in LABELS else np.full(3, 3**-0.5) for axis in axes]
    xyz = np.repeat(rows, count, axis=0)
    xyz[::2] *= 1 + shake_g
    spans = (Span(i * each_s, (i + 1) * each_s - 0.01, axis) for i, axis in enumerate(axes) if axis != "-")
    return TrueStream("s", np.arange(len(xyz)) / RATE_HZ, xyz, tuple(spans))


def test_found_with_the_delay_of_half_a_window_and_right_in_every_window() -> None:
    result = evaluate_streams(model(), [turning("x", "y", "z")], allowance_s=2)
    (stream,) = result.streams
    # Windows end at 0.95, 1.45, ...; a change at 10 s is seen once most of a window lies after it, at 10.95 at the
    # latest: the window that ends at 10.45 is half old and half new.
    assert stream.events.found == stream.events.activities == 3
    first, *others = stream.events.delays_s
    assert first == pytest.approx(0.95)
    assert all(0.4 < delay_s < 1.0 for delay_s in others)
    assert stream.windows.summary()["accuracy_network"] == stream.windows.summary()["accuracy_reported"] == 1.0
    assert stream.duration_s == pytest.approx(29.95)


def test_smoothing_delays_the_report_and_not_the_network() -> None:
    sharp, smooth = (evaluate_streams(model(smoothing=rate), [turning("x", "y")], allowance_s=2) for rate in (1.0, 0.1))
    assert smooth.total.windows.summary()["accuracy_network"] == 1.0
    assert smooth.total.windows.summary()["accuracy_reported"] < 0.9
    assert smooth.total.events.delays_s[1] > sharp.total.events.delays_s[1] + 1


def test_the_gate_of_a_still_wrist_ends_events_and_is_no_decision() -> None:
    """x is shaken, the rest is not; without the gate the rest is reported as x, too."""
    shaken, rest = turning("x", shake_g=0.5), turning("-")
    xyz = np.concatenate([shaken.xyz, rest.xyz])
    stream = TrueStream("s", np.arange(len(xyz)) / RATE_HZ, xyz, shaken.truth)
    gated = decide(model(still_below_g=0.05), stream)
    assert [one.label for one in gated if one.start_s > 10.5] == ["still"] * 17
    assert {one.by_network for one in gated if one.start_s > 10.5} == {"still"}
    assert not any(one.is_activity for one in gated if one.start_s > 10.5)
    found = evaluate_streams(model(still_below_g=0.05), [stream], allowance_s=1).total.events
    assert found.shown_in_pauses_s < 1.0
    open_end = evaluate_streams(model(), [stream], allowance_s=1).total.events
    assert open_end.shown_in_pauses_s == pytest.approx(8.95, abs=0.1)
    still_activity = dataclasses.replace(stream, truth=(Span(0, 9.9, "x"), Span(10, 19, "still")))
    assert evaluate_streams(model(), [still_activity], allowance_s=1).other_movements == ()


def test_unknown_is_no_event_and_a_wrong_window() -> None:
    strict = evaluate_streams(model(unknown_below=0.9999), [turning("x", "y")], allowance_s=2).total
    assert strict.events.found == 0
    assert strict.windows.summary()["accuracy_network"] == 1.0
    assert strict.windows.summary()["accuracy_reported"] == 0.0


def test_units_axes_and_clocks_are_those_of_the_stream() -> None:
    plain = turning("x", "y", "z")
    time_ms = np.round(plain.time * 1000).astype(np.int64)
    other = dataclasses.replace(
        plain, time=time_ms, xyz=plain.xyz[:, [1, 0, 2]] * 9.80665, unit="m/s^2", axes="y,x,z", time_unit="ms"
    )
    one, two = (evaluate_streams(model(), [stream], allowance_s=2).total for stream in (plain, other))
    assert two.events.delays_s == pytest.approx(one.events.delays_s)
    assert two.windows == one.windows
    assert two.duration_s == pytest.approx(one.duration_s) == pytest.approx(29.95)


def test_the_total_is_over_all_streams_and_the_document_is_plain() -> None:
    streams = [turning("x", "-", "y"), dataclasses.replace(turning("z", "cook"), name="t")]
    calls: list[tuple[int, int]] = []
    result = evaluate_streams(
        model(), streams, allowance_s=2, made_of={"seed": 3}, progress=lambda *done: calls.append(done)
    )
    assert result.total.events.activities == 3
    assert result.total.events.others == 1
    assert result.other_movements == ("cook",)
    assert calls[-1] == (1000, 1000)
    assert result.total.duration_s == pytest.approx(29.95 + 19.95)
    document = result.document()
    assert [one["name"] for one in document["streams"]] == ["s", "t"]
    assert document["total"]["name"] == "all"
    assert document["decision"]["smoothing"] == 1.0
    assert (document["window_s"], document["allowance_s"], document["joined"]) == (1.0, 2, {"seed": 3})


def test_tables_and_sentences_say_what_was_found() -> None:
    cooking = dataclasses.replace(turning("z", "x"), name="t", truth=(Span(0, 9.9, "z"), Span(10, 19.9, "cook")))
    streams = [turning("x", "-", "y"), cooking]
    result = evaluate_streams(model(), streams, allowance_s=2, leaky=True, made_of={"seed": 3})
    console = Console(record=True, width=80)
    for table in stream_tables("title", result):
        console.print(table)
    text = console.export_text()
    assert "3       1.000" in text  # all activities, and the share found
    assert "(cook)" in text
    assert "…" not in text
    said = " ".join(stream_sentences(result))
    assert "LEAKY" in said
    assert "other movements: cook" in said
    assert "joined by still pauses" in said
    assert "before 2 s after its end" in said


def test_what_cannot_be_evaluated_is_refused() -> None:
    whole = dataclasses.replace(model().contract, window=WindowSpec(mode="whole", samples=32))
    with pytest.raises(ConfigError, match=r"m\.onnx decides on whole recordings"):
        evaluate_streams(dataclasses.replace(model(), contract=whole), [turning("x")], allowance_s=2)
    with pytest.raises(DataError, match="s holds none of the model's activities, but cook"):
        evaluate_streams(model(), [turning("cook")], allowance_s=2)
    short = TrueStream("s", np.array([0.0, np.nan]), np.zeros((2, 3)), (Span(0, 1, "x"),))
    with pytest.raises(DataError, match="s holds fewer than two samples"):
        evaluate_streams(model(), [short], allowance_s=2)


def test_a_stream_shorter_than_a_window_finds_nothing() -> None:
    found = evaluate_streams(model(), [turning("x", each_s=0.5)], allowance_s=2).total
    assert (found.events.activities, found.events.found) == (1, 0)
    assert found.windows.summary()["accuracy_reported"] is None
