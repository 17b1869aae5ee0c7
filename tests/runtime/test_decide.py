"""Decisions against cases worked out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vskd.contract import Contract, GafSpec, WindowSpec
from vskd.decide import NO_SIGNAL, NOT_FINITE, STILL, UNKNOWN, Decider, Event, softmax
from vskd.errors import ContractError
from vskd.stream import Pause, Window
from vskd.stream.window import Defect

LABELS = ("sit", "walk", "wave")


def decider(*, mode: str = "sliding", **rules: object) -> Decider:
    window = WindowSpec(mode=mode, samples=100, rate_hz=50.0, hop_samples=25)
    return Decider(Contract(labels=LABELS, window=window, gaf=GafSpec(size=20)).with_decision(**rules))


def window(index: int = 0, *, after_gap: bool = False) -> Window:
    return Window(np.zeros((3, 100), np.float32), index * 0.5, index * 0.5 + 1.98, after_gap)


def logits_of(*probabilities: float) -> np.ndarray:
    """Logits whose softmax is this."""
    return np.log(np.array(probabilities)).astype(np.float32)


def labels_of(judge: Decider, answers: list[np.ndarray]) -> list[str]:
    return [judge.decide(answer, window(index)).label for index, answer in enumerate(answers)]


SIT, WALK, WAVE = logits_of(0.8, 0.1, 0.1), logits_of(0.1, 0.8, 0.1), logits_of(0.1, 0.1, 0.8)


def test_without_rules_the_largest_logit_decides():
    event = decider().decide(np.array([1.0, 3.0, 2.0], np.float32), window(4))
    assert (event.label, event.reason, event.start_s, event.end_s) == ("walk", "", 2.0, 3.98)
    total = math.exp(-2) + 1 + math.exp(-1)
    assert event.probability == pytest.approx(1 / total)
    np.testing.assert_allclose(event.probabilities, [math.exp(-2) / total, 1 / total, math.exp(-1) / total])


def test_temperature_divides_the_logits():
    event = decider(temperature=2.0).decide(np.array([0.0, 2 * math.log(3), 0.0], np.float32), window())
    np.testing.assert_allclose(event.probabilities, [0.2, 0.6, 0.2], rtol=1e-6)


def test_smoothing_is_an_exponential_average_of_probabilities():
    judge = decider(smoothing=0.25)
    judge.decide(SIT, window(0))
    second = judge.decide(WALK, window(1))
    np.testing.assert_allclose(second.probabilities, [0.75 * 0.8 + 0.25 * 0.1, 0.75 * 0.1 + 0.25 * 0.8, 0.1], rtol=1e-6)
    assert second.label == "sit"
    third = judge.decide(WALK, window(2))  # 0.49375 against 0.40625
    assert third.label == "sit"
    fourth = judge.decide(WALK, window(3))  # 0.3953 against 0.5047
    assert fourth.label == "walk"
    assert fourth.probability == pytest.approx(0.1 + 0.7 * (1 - 0.75**3), rel=1e-6)


def test_an_earlier_event_does_not_change_with_later_windows():
    judge = decider(smoothing=0.5)
    first = judge.decide(SIT, window(0))
    before = first.probabilities.copy()
    judge.decide(WALK, window(1))
    np.testing.assert_array_equal(first.probabilities, before)


def test_a_new_label_is_reported_once_it_has_led_for_long_enough():
    answers = [SIT, WALK, SIT, WALK, WALK, WALK, SIT, WAVE, SIT, SIT, SIT]
    expected = ["sit", "sit", "sit", "sit", "sit", "walk", "walk", "walk", "walk", "walk", "sit"]
    assert labels_of(decider(min_dwell_windows=3), answers) == expected


def test_a_dwell_of_one_follows_every_window():
    assert labels_of(decider(), [SIT, WALK, SIT, WAVE]) == ["sit", "walk", "sit", "wave"]


def test_the_probability_is_that_of_the_reported_label_while_another_waits():
    judge = decider(min_dwell_windows=2)
    judge.decide(SIT, window(0))
    event = judge.decide(WALK, window(1))
    assert (event.label, event.probability) == ("sit", pytest.approx(0.1, rel=1e-6))


def test_below_the_threshold_the_label_is_unknown_and_says_why():
    judge = decider(unknown_below=0.75)
    assert judge.decide(SIT, window(0)).label == "sit"
    event = judge.decide(logits_of(0.1, 0.2, 0.7), window(1))
    assert (event.label, event.reason) == (UNKNOWN, "probability below 0.75")
    assert event.probability == pytest.approx(0.7, rel=1e-6)


def test_a_gap_starts_afresh():
    judge = decider(smoothing=0.1, min_dwell_windows=5)
    assert labels_of(judge, [SIT, SIT]) == ["sit", "sit"]
    event = judge.decide(WALK, window(9, after_gap=True))
    assert event.label == "walk"
    np.testing.assert_allclose(event.probabilities, [0.1, 0.8, 0.1], rtol=1e-6)


def test_the_delay_counts_window_smoothing_and_dwell():
    assert decider().decide(SIT, window()).delay_s == pytest.approx(2.0)
    # Mean age of the average: (1 - 0.25) / 0.25 = 3 hops of 0.5 s; a dwell of 3 waits for 2 more.
    assert decider(smoothing=0.25, min_dwell_windows=3).decide(SIT, window()).delay_s == pytest.approx(2.0 + 1.5 + 1.0)
    assert decider(mode="whole").decide(SIT, window()).delay_s == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_answer_that_is_not_finite_is_unknown_and_forgotten(bad):
    judge = decider(smoothing=0.5)
    judge.decide(SIT, window(0))
    event = judge.decide(np.array([0.0, bad, 0.0], np.float32), window(1))
    assert (event.label, event.reason) == (UNKNOWN, NOT_FINITE)
    np.testing.assert_allclose(event.probabilities, [1 / 3] * 3)
    after = judge.decide(SIT, window(2))
    np.testing.assert_allclose(after.probabilities, [0.8, 0.1, 0.1], rtol=1e-6)


def test_a_gap_before_an_answer_that_is_not_finite_still_starts_afresh():
    judge = decider(smoothing=0.5)
    judge.decide(SIT, window(0))
    judge.decide(np.full(3, math.nan, np.float32), window(5, after_gap=True))
    np.testing.assert_allclose(judge.decide(WALK, window(6)).probabilities, [0.1, 0.8, 0.1], rtol=1e-6)


@pytest.mark.parametrize("shape", [(2,), (4,), (1, 3), ()])
def test_a_model_with_another_number_of_classes_is_refused(shape):
    with pytest.raises(ContractError, match="the contract has 3 labels"):
        decider().decide(np.zeros(shape, np.float32), window())


@settings(max_examples=60)
@given(hnp.arrays(np.float32, (4, 5), elements=st.floats(-(2.0**100), 2.0**100, width=32)), st.floats(0.01, 100))
def test_probabilities_are_probabilities_whatever_the_logits(logits, temperature):
    probabilities = softmax(logits, temperature=temperature)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1)
    assert (probabilities >= 0).all()
    best = np.take_along_axis(probabilities, logits.argmax(axis=-1)[:, np.newaxis], axis=-1)[:, 0]
    np.testing.assert_array_equal(best, probabilities.max(axis=-1))


@settings(max_examples=60)
@given(
    answers=st.lists(st.sampled_from([SIT, WALK, WAVE]), min_size=1, max_size=30),
    smoothing=st.floats(0.05, 1.0),
)
def test_the_average_is_the_weighted_sum_of_the_past(answers, smoothing):
    judge = decider(smoothing=smoothing)
    events = [judge.decide(answer, window(index)) for index, answer in enumerate(answers)]
    ages = np.arange(len(answers))[::-1]
    weights = smoothing * (1 - smoothing) ** ages
    weights[0] = (1 - smoothing) ** ages[0]
    expected = weights @ softmax(np.stack(answers))
    np.testing.assert_allclose(events[-1].probabilities, expected, rtol=1e-9)


def test_an_event_becomes_plain_json():
    defect = Defect("rate", "the sensor runs at 40.0 Hz; the model was trained at 50 Hz")
    event = Event("walk", 0.5, "", 1.0, 2.5, 3.0, np.array([0.2, 0.5, 0.3]), (defect,))
    text = json.dumps(event.to_mapping(LABELS), allow_nan=False)
    assert json.loads(text) == {
        "start_s": 1.0,
        "end_s": 2.5,
        "label": "walk",
        "probability": 0.5,
        "reason": "",
        "delay_s": 3.0,
        "probabilities": {"sit": 0.2, "walk": 0.5, "wave": 0.3},
        "defects": ["the sensor runs at 40.0 Hz; the model was trained at 50 Hz"],
    }


# --- hysteresis, no signal, still: against plain Python


def plain_labels(answers: list[np.ndarray], rules: dict[str, object]) -> list[str]:
    """What the contract's words say, window by window from all of them."""
    average = None
    reported = challenger = -1
    led_for = 0
    labels = []
    for answer in answers:
        newest = softmax(answer)
        average = newest if average is None else rules["smoothing"] * newest + (1 - rules["smoothing"]) * average
        leading = int(np.argmax(average))
        reported = leading if reported < 0 else reported
        lead = average[leading] - average[reported]
        enough = lead > 0 and lead >= float(rules["min_lead"])
        led_for = (led_for + 1 if leading == challenger else 1) if enough else 0
        challenger = leading
        reported = leading if led_for >= int(rules["min_dwell_windows"]) else reported
        labels.append(LABELS[reported])
    return labels


@settings(max_examples=150)
@given(
    answers=st.lists(
        st.sampled_from([SIT, WALK, WAVE, logits_of(0.5, 0.3, 0.2), logits_of(0.3, 0.5, 0.2)]), max_size=40
    ),
    smoothing=st.floats(0.05, 1.0),
    min_lead=st.sampled_from([0.0, 0.05, 0.2, 1 / 3, 0.5]),
    dwell=st.integers(1, 4),
)
def test_every_rule_together_does_what_its_words_say(answers, smoothing, min_lead, dwell):
    rules = {"smoothing": smoothing, "min_lead": min_lead, "min_dwell_windows": dwell}
    assert labels_of(decider(**rules), answers) == plain_labels(answers, rules)


def test_a_challenger_without_the_lead_does_not_take_over():
    near, clear = logits_of(0.40, 0.45, 0.15), logits_of(0.30, 0.60, 0.10)
    assert labels_of(decider(min_lead=0.1), [SIT, near, near, clear, near]) == ["sit", "sit", "sit", "walk", "walk"]
    # The dwell counts only windows in which the lead was large enough.
    judge = decider(min_lead=0.1, min_dwell_windows=2)
    assert labels_of(judge, [SIT, near, clear, near, clear, clear]) == ["sit"] * 5 + ["walk"]


def test_a_pause_beyond_the_limit_is_no_signal_and_starts_afresh():
    judge = decider(smoothing=0.1, no_signal_after_s=2.0)
    judge.decide(SIT, window(0))
    assert judge.no_signal(Pause(1.98, 3.98)) is None
    event = judge.no_signal(Pause(1.98, 4.48))
    assert (event.label, event.reason, event.start_s, event.end_s) == (NO_SIGNAL, "no samples for 2.500 s", 1.98, 4.48)
    assert event.delay_s == pytest.approx(2.5)
    np.testing.assert_allclose(event.probabilities, [1 / 3] * 3)
    np.testing.assert_allclose(judge.decide(WALK, window(9)).probabilities, [0.1, 0.8, 0.1], rtol=1e-6)


def test_no_pause_is_an_event_unless_the_contract_says_after_how_long():
    assert decider().no_signal(Pause(0.0, 1e6)) is None


def test_a_still_window_says_by_how_much_and_starts_afresh():
    judge = decider(smoothing=0.1, still_below_g=0.05)
    judge.decide(SIT, window(0))
    event = judge.still(window(1), 0.0123)
    assert (event.label, event.reason) == (STILL, "|a| varies by 0.0123 g, below 0.05")
    assert (event.start_s, event.end_s, event.delay_s) == (0.5, 2.48, 2.0)
    assert judge.decide(WALK, window(2)).label == "walk"


def test_the_even_probabilities_of_an_event_without_knowledge_cannot_be_written_over():
    event = decider(still_below_g=0.05).still(window(), 0.0)
    with pytest.raises(ValueError, match="read-only"):
        event.probabilities[0] = 1.0
