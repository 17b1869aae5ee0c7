"""A window that cannot be known gets no activity: each rule through the stream, and however the stream is cut."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.mean_engine import MeanEngine
from vskd import Classifier, Contract, Event
from vskd.contract import STANDARD_GRAVITY_M_S2, GafSpec, RecordingSpec, SensorSpec, SignalSpec, WindowSpec
from vskd.errors import ConfigError, ContractError, StreamError
from vskd.stream import Stream, Window, whole_window
from vskd.stream.judge import DIRECTION_S, opposite_axes
from vskd.stream.signal_checks import held_share, zero_share

UP = np.array([0.3, -0.62, 0.72]) / np.linalg.norm([0.3, -0.62, 0.72])
SIGNAL = SignalSpec(
    min_rate_hz=30.0, largest_mean_g=1.5, largest_rms_g=3.0, gravity_direction=tuple(UP), gravity_within_deg=60.0
)
LABELS = ("x up", "y up", "z up")


def contract_of(
    *, samples: int = 128, hop: int = 32, gravity: str = "included", mode: str = "sliding", **signal: object
) -> Contract:
    return Contract(
        labels=LABELS,
        window=WindowSpec(mode=mode, samples=samples, hop_samples=hop),
        gaf=GafSpec(size=8),
        sensor=SensorSpec(gravity=gravity),
        signal=dataclasses.replace(SIGNAL, **signal),
    )


def wrist(seconds: float = 20.0, *, rate_hz: float = 50.0, swing_g: float = 0.0, seed: int = 0) -> np.ndarray:
    """(samples, 3), g: a wrist whose forearm points along ``UP``, with a sensor's noise and a swing of 1.3 Hz."""
    count = round(seconds * rate_hz)
    swing = swing_g * np.sin(2 * np.pi * 1.3 * np.arange(count) / rate_hz)
    noise = np.random.default_rng(seed).normal(0, 0.02, (count, 3))
    return UP + noise + swing[:, None] * np.array([0.8, 0.5, 0.3])


def events_of(contract: Contract, xyz: np.ndarray, *, rate_hz: float = 50.0, size: int = 100, **options: str):
    engine = MeanEngine()
    classifier = Classifier(contract, engine, **options)
    time_s = np.arange(len(xyz)) / rate_hz
    events: list[Event] = []
    for start in range(0, len(xyz), size):
        events += classifier.push(time_s[start : start + size], xyz[start : start + size])
    assert len(engine.windows) == sum(not any(defect.label for defect in event.defects) for event in events)
    assert classifier.health.windows == len(engine.windows)
    assert classifier.health.without_activity == len(events) - len(engine.windows)
    return events, classifier


def kinds(events: list[Event]) -> set[tuple[str, str]]:
    return {(event.label, defect.kind) for event in events for defect in event.defects}


def with_rows(rows: slice, values: object, **of: float) -> np.ndarray:
    xyz = wrist(**of)
    xyz[rows] = values
    return xyz


MIDDLE = slice(300, 700)


@pytest.mark.parametrize("swing_g", [0.0, 0.4, 1.5])
@pytest.mark.parametrize("scale", [0.9, 1.1])
def test_a_wrist_as_in_training_has_no_defect(swing_g, scale):
    events, _ = events_of(contract_of(), scale * wrist(60, swing_g=swing_g))
    assert [event.defects for event in events] == [()] * len(events)
    assert {event.label for event in events} == {"z up"}


@pytest.mark.parametrize(
    ("xyz", "label", "kind"),
    [
        (with_rows(MIDDLE, 0.0, swing_g=0.4), "no signal", "zeros"),
        (with_rows(MIDDLE, 0.0, swing_g=0.4), "no signal", "frozen"),
        (with_rows(MIDDLE, [0.1, 0.2, 0.95], swing_g=0.4), "no signal", "frozen"),
        (wrist() * 0.01, "no signal", "no gravity"),
        (np.repeat(wrist(swing_g=1.0)[:, :1] * 2, 3, axis=1), "unknown", "equal axes"),
        (wrist(swing_g=1.0)[:, [0, 1, 1]] * 1.2, "unknown", "equal axes"),
        (np.concatenate([wrist(5), np.clip(wrist(swing_g=12.0), -8, 8)]), "unknown", "saturated"),
        (np.clip(wrist(swing_g=1.0), -0.8, 0.8), "unknown", "cut off"),
        (np.clip(wrist(swing_g=3.0), -2, 2), "unknown", "cut off"),
        (wrist() * 0.5, "unknown", "gravity"),
        (wrist(swing_g=0.3) * 0.5, "unknown", "gravity"),
        (wrist(swing_g=0.3) * 2, "unknown", "gravity"),
        (wrist() * 2, "unknown", "gravity"),
        (wrist(swing_g=2.0) - UP, "unknown", "gravity"),
        ((wrist(swing_g=0.3) - UP) * STANDARD_GRAVITY_M_S2, "unknown", "gravity"),
    ],
)  # fmt: skip
def test_an_impossible_window_gets_no_activity_and_says_why(xyz, label, kind):
    events, _ = events_of(contract_of(), xyz)
    assert (label, kind) in kinds(events)
    for event in events:
        if event.label == label:
            assert event.reason in [defect.text for defect in event.defects]
            assert event.probability == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("scale", "says"), [(0.5, "half of the right"), (2.0, "twice the right"), (0.1, "gravity alone makes it 1 g")]
)
def test_a_wrong_scale_is_named_in_every_window(scale, says):
    events, _ = events_of(contract_of(), wrist(swing_g=0.2) * scale)
    assert all(event.label in ("unknown", "no signal") for event in events)
    assert all(says in event.reason for event in events)


def test_a_scale_that_rest_showed_to_be_wrong_lasts_until_rest_shows_it_right():
    # The movement alone cannot tell: nothing limits its mean here.
    contract = contract_of(largest_mean_g=0.0, largest_rms_g=0.0)
    moving = wrist(10, swing_g=0.8)
    wrong, _ = events_of(contract, np.concatenate([2 * wrist(10), 2 * moving, wrist(10), moving]))
    labels = [event.label for event in wrong]
    assert set(labels[:28]) == {"unknown"}  # at rest, then moving
    assert set(labels[-12:]) == {"z up"}
    alone, _ = events_of(contract, 2 * moving)
    assert "unknown" not in {event.label for event in alone}


def test_readings_that_are_cut_off_are_counted_and_a_coarse_sensor_at_rest_is_believed():
    both_ends = np.clip(wrist(10, swing_g=1.0), -0.8, 0.8)
    one_end = np.minimum(wrist(10) + 0.4 * np.sin(np.arange(500) / 6)[:, None] * [0, 0, 1], 0.8)
    of_both, of_more = (
        events_of(contract_of(), np.concatenate([wrist(10), *parts]))[1].health.cut_off
        for parts in ([both_ends], [both_ends, one_end])
    )
    assert of_both >= 13
    assert of_more >= of_both + 13  # the end is known by then
    assert events_of(contract_of(), one_end)[1].health.cut_off == 0  # it may be how the wrist was held
    for still in (wrist().round(1), -wrist().round(1)):
        assert events_of(contract_of(gravity_within_deg=180.0), still)[1].health.cut_off == 0


@pytest.mark.parametrize("size", [1, 50, 1000])
def test_the_rate_of_a_regular_stream_is_exact(size):
    for samples in (128, 160, 1000):  # the first window, the second, the last
        _, classifier = events_of(contract_of(), wrist(samples / 50), size=size)
        assert classifier.health.recent_rate_hz == 50.0


@pytest.mark.parametrize(("rate_hz", "label"), [(20.0, "unknown"), (29.0, "unknown"), (33.0, "z up"), (104.0, "z up")])
def test_a_rate_below_need_is_unknown_and_one_that_is_off_is_named(rate_hz, label):
    events, _ = events_of(contract_of(), wrist(20, rate_hz=rate_hz), rate_hz=rate_hz)
    assert kinds(events) == {(label, "rate")}
    said = [float(event.defects[0].text.split()[4]) for event in events]
    assert said == pytest.approx([rate_hz] * len(said), rel=0.03)


def test_the_rate_is_that_of_the_last_seconds():
    time_s = np.concatenate([np.arange(6000) / 50, 120 + np.arange(200) / 10, 140 + np.arange(1000) / 50])
    classifier = Classifier(contract_of(), MeanEngine())
    events = classifier.push(time_s, wrist(len(time_s) / 50))
    slow = [event for event in events if event.label == "unknown"]
    assert 121 < slow[0].end_s < 123
    assert 140.5 < slow[-1].end_s < 143
    assert all("rate" in {defect.kind for defect in event.defects} for event in slow)
    assert classifier.health.rate_hz == pytest.approx(50)
    assert classifier.health.mean_rate_hz == pytest.approx(7200 / 160, rel=1e-3)


def test_leading_zeros_are_counted_and_the_first_other_sample_starts_a_segment():
    for zeros in (1, 60, 400):
        xyz = np.concatenate([np.zeros((zeros, 3)), wrist(10, swing_g=0.3)])
        events, classifier = events_of(contract_of(), xyz)
        assert classifier.health.leading_zeros == zeros
        live = [event for event in events if event.label != "no signal"]
        assert live[0].start_s == zeros / 50
        assert len(live) == 1 + (500 - 128) // 32
        assert (len(events) > len(live)) == (zeros >= 128)
        assert classifier.health.gaps == 0


@pytest.mark.parametrize("size", [1, 7, 500])
def test_windows_of_leading_zeros_come_out_before_the_unit_is_judged(size):
    xyz = np.concatenate([np.zeros((300, 3)), wrist(0.5)])
    events, _ = events_of(contract_of(), xyz, size=size)
    assert [event.label for event in events] == ["no signal"] * (1 + (300 - 128) // 32)


def test_leading_zeros_do_not_hide_a_wrong_unit():
    xyz = np.concatenate([np.zeros((100, 3)), wrist(4) * STANDARD_GRAVITY_M_S2])
    with pytest.raises(StreamError, match=r"It looks like m/s\^2: use"):
        events_of(contract_of(), xyz)


def test_a_run_of_zeros_is_no_signal_and_no_error():
    for gravity in ("included", "removed"):
        events, classifier = events_of(contract_of(gravity=gravity, gravity_direction=()), np.zeros((1000, 3)))
        assert {event.label for event in events} == {"no signal"}
        assert classifier.health.leading_zeros == 1000


@pytest.mark.parametrize("xyz", [wrist(swing_g=0.5), 0.3 * wrist(), STANDARD_GRAVITY_M_S2 * wrist(swing_g=0.3)])
def test_a_contract_without_gravity_tells_gravity(xyz):
    contract = contract_of(gravity="removed", gravity_direction=(), largest_mean_g=0.0, largest_rms_g=0.0)
    events, _ = events_of(contract, xyz)
    assert {(event.label, event.defects[-1].kind) for event in events} == {("unknown", "gravity")}
    free, _ = events_of(contract, wrist(swing_g=0.5) - UP)
    assert kinds(free) == set()


def test_gravity_of_the_other_sign_is_named_with_the_axes_that_mend_it():
    events, _ = events_of(contract_of(), -wrist(60, swing_g=0.3))
    assert kinds(events) == {(LABELS[events[-1].probabilities.argmax()], "direction")}
    assert events[-1].defects[0].text.endswith("all axes seem opposite: try --axes=-x,-y,-z")
    assert not events[0].defects
    assert next(event.end_s for event in events if event.defects) < DIRECTION_S + 3
    turned, _ = events_of(contract_of(), -wrist(60, swing_g=0.3), axes="-x,-y,-z")
    assert kinds(turned) == set()
    mapped, _ = events_of(contract_of(), wrist(60)[:, [1, 0, 2]] * [1, 1, -1], axes="-y,-x,z")
    assert mapped[-1].defects[0].text.endswith("try --axes=y,x,-z")
    aside, _ = events_of(contract_of(), wrist(60)[:, [0, 2, 1]] * [1, 1, -1])
    assert aside[-1].defects[0].text.endswith("check --axes and the wrist that wears it")
    for angle, way_out in ((110.0, "check --axes and the wrist that wears it"), (130.0, "--axes=-x,-y,-z")):
        across = np.cross(UP, [0, 0, 1]) / np.linalg.norm(np.cross(UP, [0, 0, 1]))
        up = UP * np.cos(np.radians(angle)) + across * np.sin(np.radians(angle))
        events, _ = events_of(contract_of(gravity_within_deg=100.0), wrist(30) - UP + up)
        assert events[-1].defects[0].text.endswith(way_out)


@given(st.permutations("xyz"), st.tuples(*[st.sampled_from(["", "-", "+"])] * 3))
def test_the_opposite_map_is_opposite(order, signs):
    from vskd.stream import AxisMap

    axes = ",".join(f"{sign}{name}" for sign, name in zip(signs, order, strict=True))
    xyz = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(AxisMap.parse(opposite_axes(axes))(xyz), -AxisMap.parse(axes)(xyz))


def test_one_dead_axis_is_named_while_it_is_dead():
    xyz = wrist(20, swing_g=0.3)
    xyz[500:, 1] = -0.6
    events, classifier = events_of(contract_of(), xyz)
    named = [event for event in events if event.defects]
    assert {defect.kind for event in named for defect in event.defects} == {"dead axis y"}
    assert named[0].end_s > 12.4
    assert classifier.health.flat == [0, len(named), 0]


def test_after_a_mean_too_short_for_gravity_no_window_is_answered_until_one_is_as_long():
    """Without gravity some windows have a mean of their own by chance: a third of a g, a tenth of their movement."""
    moving = wrist(30, swing_g=3.0) - UP
    moving[700:900] += 0.4 * UP
    events, _ = events_of(contract_of(), moving)
    assert {event.label for event in events} == {"unknown"}
    circled = np.concatenate([wrist(6), wrist(6, swing_g=2.0) - UP, wrist(6, swing_g=0.4)])
    labels = [event.label for event in events_of(contract_of(), circled)[0]]
    assert (labels[0], labels[14], labels[-1]) == ("z up", "unknown", "z up")


@pytest.mark.parametrize("silence", ["zeros", "gap"])
def test_what_came_before_a_silence_tells_nothing_of_short_windows_after_it(silence):
    """The wrist may have turned meanwhile: the mean of both would be as short as without gravity."""
    between = np.zeros((200, 3)) if silence == "zeros" else np.empty((0, 3))
    xyz = np.concatenate([wrist(4), between, -wrist(4)])
    time_s = np.arange(len(xyz)) / 50
    if silence == "gap":
        time_s[200:] += 4
    contract = contract_of(samples=32, hop=32, gravity_direction=())
    found = kinds(Classifier(contract, MeanEngine()).push(time_s, xyz))
    assert "gravity" not in {kind for _, kind in found}
    without = np.concatenate([wrist(1), -wrist(1)] * 4)
    assert ("unknown", "gravity") in kinds(Classifier(contract, MeanEngine()).push(np.arange(400) / 50, without))


@pytest.mark.parametrize(("step", "label"), [(25, "z up"), (6, "unknown")])
def test_a_few_saturated_samples_are_named_and_many_are_unknown(step, label):
    xyz = wrist(20)
    xyz[64::step, 0] = 8.5
    events, classifier = events_of(contract_of(largest_mean_g=0.0, largest_rms_g=0.0), xyz)
    assert {(event.label, event.defects[0].kind) for event in events[4:]} == {(label, "saturated")}
    assert classifier.health.saturated == len(xyz[64::step])


# --- however it is cut, and against the plain rules


@st.composite
def broken_streams(draw) -> tuple[np.ndarray, np.ndarray]:
    """Time and samples with stretches of zeros, held values, other scales, other rates and gaps."""
    parts, times, now_s = [], [], 0.0
    for index in range(draw(st.integers(1, 5))):
        xyz = wrist(draw(st.sampled_from([0.3, 2.0, 4.0])), swing_g=draw(st.sampled_from([0.0, 0.5])), seed=index)
        fate = draw(st.sampled_from(["good", "zeros", "held", "half", "equal", "negative", "slow", "pause"]))
        if fate in ("zeros", "held"):
            xyz[:] = 0.0 if fate == "zeros" else xyz[0]
        xyz *= {"half": 0.5, "negative": -1.0}.get(fate, 1.0)
        if fate == "equal":
            xyz = np.repeat(xyz[:, :1] * 3, 3, axis=1)
        step_s = 0.1 if fate == "slow" else 0.02
        now_s += 2.0 if fate == "pause" else 0.0
        times.append(now_s + step_s * np.arange(len(xyz)))
        now_s = float(times[-1][-1]) + step_s
        parts.append(xyz)
    return np.concatenate(times), np.concatenate(parts)


def plain(event: Event) -> tuple[object, ...]:
    return event.label, event.reason, event.start_s, event.end_s, event.probability, event.defects


@settings(deadline=None, max_examples=40)
@given(broken_streams(), st.lists(st.integers(0, 400), max_size=8), st.sampled_from([(128, 32), (32, 32), (16, 5)]))
def test_any_cutting_gives_the_same_events_and_defects(stream, cuts, window):
    time_s, xyz = stream
    contract = contract_of(samples=window[0], hop=window[1])
    whole = Classifier(contract, MeanEngine()).push(time_s, xyz)
    classifier = Classifier(contract, MeanEngine())
    borders = [0, *sorted(min(cut, len(time_s)) for cut in cuts), len(time_s)]
    parts = [classifier.push(time_s[a:b], xyz[a:b]) for a, b in itertools.pairwise(borders)]
    assert [plain(event) for part in parts for event in part] == [plain(event) for event in whole]


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from([8, 9, 19, 20, 31, 64, 100, 128, 250]), st.floats(0, 1), st.floats(0, 1), st.booleans(), st.data()
)
def test_the_quick_look_misses_no_stretch(samples, begin, share, is_zero, data):
    contract = contract_of(samples=samples, hop=samples)
    xyz = wrist(samples / 50, swing_g=0.5, seed=data.draw(st.integers(0, 99)))
    start, length = int(begin * samples), round(share * samples)
    xyz[start : start + length] = 0.0 if is_zero else xyz[start - 1]
    (window,) = Stream(contract).push(np.arange(samples) / 50, np.vstack([[[0.1, 0.2, 0.9]], xyz[1:]]))
    expected = held_share(window.samples) > 0.5 or zero_share(window.samples) > 0.2
    assert (window.obstacle is not None and window.obstacle.kind in ("frozen", "zeros")) == expected


def test_a_contract_from_before_these_rules_asks_the_network_of_every_window():
    contract = dataclasses.replace(contract_of(), signal=None)
    assert "signal" not in contract_json_from_before()
    assert Contract.from_mapping(contract_json_from_before()).signal is None
    xyz = with_rows(MIDDLE, 0.0)
    engine = MeanEngine()
    events = Classifier(contract, engine).push(np.arange(len(xyz)) / 50, xyz)
    assert len(engine.windows) == len(events) == 1 + (1000 - 128) // 32
    assert not any(event.defects for event in events)
    with pytest.raises(StreamError, match="without gravity"):
        Stream(contract).push(np.arange(100) / 50, np.zeros((100, 3)))


def contract_json_from_before() -> dict[str, object]:
    return {"labels": list(LABELS), "gaf": {"size": 8}, "schema_version": 1}


# --- whole recordings


RECORDING = RecordingSpec(shortest_s=1.0, longest_s=30.0, lowest_rate_hz=30.0, largest_gap_s=0.5)


def classified(xyz: np.ndarray, time_s: np.ndarray | None = None, **signal: object) -> Event:
    contract = dataclasses.replace(contract_of(mode="whole", **signal), recording=RECORDING)
    engine = MeanEngine()
    event = Classifier(contract, engine).classify(np.arange(len(xyz)) / 50 if time_s is None else time_s, xyz)
    assert len(engine.windows) == (not any(defect.label for defect in event.defects))
    return event


def pause(seconds: float) -> np.ndarray:
    time_s = np.arange(200) / 50
    time_s[100:] += seconds
    return time_s


@pytest.mark.parametrize(
    ("xyz", "time_s", "says"),
    [
        (wrist(4), None, ""),
        (wrist(0.5), None, "lasts 0.48 s; the model decides on 1 to 30 s"),
        (wrist(40), None, "lasts 39.98 s; the model decides on 1 to 30 s"),
        (wrist(4), np.arange(200) / 20, "has 20 samples a second; the model needs 30"),
        (wrist(4), np.arange(200) * 54.0, "lasts 10746 s"),
        (wrist(4), pause(600), "lasts 603.98 s"),
        (wrist(4), pause(0.7), "has a gap of 0.72 s; the model allows 0.5 s"),
        (np.zeros((200, 3)), None, "no axis changes for 100%"),
        (with_rows(slice(60, 200), 0.0, seconds=4.0), None, "no axis changes for 70%"),
        (wrist(4) * 0.5, None, "half of the right one"),
        (wrist(4, swing_g=2.0) - UP, None, "as without gravity"),
    ],
)  # fmt: skip
def test_a_whole_recording_outside_the_trainings_gets_no_activity(xyz, time_s, says):
    event = classified(xyz, time_s)
    assert says in event.reason
    assert (event.label == "z up") == (not says)


@pytest.mark.parametrize("unit", ["s", "ns"])
@pytest.mark.parametrize("bad", ["nan", "repeated", "backward"])
def test_a_few_bad_samples_of_a_whole_recording_are_dropped_and_counted(bad, unit):
    expected_s, expected = 1e6 + np.arange(200) / 50, wrist(4)
    copied = {"nan": 60, "repeated": 59, "backward": 40}[bad]
    time_s, xyz = np.insert(expected_s, 60, expected_s[copied]), np.insert(expected, 60, expected[copied], axis=0)
    if bad == "nan":
        xyz[60] = np.nan
    contract = dataclasses.replace(contract_of(mode="whole"), recording=RECORDING)
    engine, times = MeanEngine(), time_s if unit == "s" else np.round(time_s * 1e9).astype(np.int64)
    event = Classifier(contract, engine, time_unit=unit).classify(times, xyz)
    assert [defect.kind for defect in event.defects] == ["dropped samples"]
    assert event.defects[0].text.startswith("1 of 201 samples are dropped")
    window = whole_window(contract, expected_s, expected)
    np.testing.assert_allclose(engine.windows[0], window.samples, atol=1e-6)
    assert (event.label, event.start_s) == ("z up", pytest.approx(1e6))
    with pytest.raises(StreamError, match=r"NaN or infinity|time does not increase"):
        Classifier(dataclasses.replace(contract, signal=None), engine, time_unit=unit).classify(times, xyz)


def test_zeros_do_not_hide_a_whole_recordings_wrong_unit():
    with pytest.raises(StreamError, match=r"looks like m/s\^2"):
        classified(np.concatenate([np.zeros((120, 3)), wrist(1.6) * STANDARD_GRAVITY_M_S2]))


def test_a_whole_recording_that_loses_many_samples_gets_no_activity():
    xyz = wrist(4)
    xyz[50:80] = np.nan
    assert classified(xyz).reason.startswith("30 of 200 samples are dropped: 30 not finite")
    with pytest.raises(StreamError, match="the recording's clock is set back at sample 100"):
        classified(wrist(4), np.concatenate([np.arange(100), np.arange(100)]) / 50)
    with pytest.raises(StreamError, match="two samples or more"):
        classified(np.full((4, 3), np.nan))


def test_the_direction_of_a_whole_recording_is_named_at_once():
    assert "try --axes=-x,-y,-z" in classified(-wrist(4)).defects[0].text
    assert classified(-wrist(4), gravity_direction=()).defects == ()


# --- the contract


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"least_mean_share": 2.0}, "signal.least_mean_share .* 2"),
        ({"frozen_share": 0.4}, "signal.frozen_share .* 0.4"),
        ({"zero_share": 1.5}, "signal.zero_share .* 1.5"),
        ({"saturated_share": -1.0}, "signal.saturated_share .* -1"),
        ({"min_rate_hz": float("nan")}, "signal.min_rate_hz .* nan"),
        ({"largest_mean_g": -1.0}, "signal.largest_mean_g .* -1"),
        ({"gravity_direction": (1.0, 1.0, 0.0)}, "signal.gravity_direction must be a unit vector"),
        ({"gravity_direction": (1.0,)}, "signal.gravity_direction must be a unit vector"),
        ({"gravity_within_deg": 200.0}, "signal.gravity_within_deg .* 200"),
    ],
)
def test_limits_that_cannot_be_are_refused(change, says):
    with pytest.raises(ConfigError, match=says):
        SignalSpec(**change)


def test_limits_of_recordings_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match=r"recording\.shortest_s must be at most longest_s, got 3\.0 and 2\.0"):
        RecordingSpec(3.0, 2.0, 30.0, 1.0)
    with pytest.raises(ConfigError, match=r"recording\.largest_gap_s"):
        RecordingSpec(1.0, 2.0, 30.0, 0.0)


def test_a_contract_with_limits_survives_its_json():
    contract = dataclasses.replace(contract_of(mode="whole"), recording=RECORDING)
    assert Contract.from_json(contract.to_json()) == contract
    with pytest.raises(ContractError, match="gravity_direction"):
        Contract.from_json(contract.to_json().replace('"gravity_direction": [', '"gravity_direction": [1.0,'))


def test_a_window_without_defects_has_no_obstacle():
    assert Window(np.zeros((3, 8), dtype=np.float32), 0.0, 1.0, False).obstacle is None
