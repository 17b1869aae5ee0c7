"""Scores and decisions of examples against float64 numpy, by the definitions; and what must not change without any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd.closed import to_mapping
from vskd.contract import Contract, ExamplesSpec, ExampleWeights
from vskd.decide import NOT_FINITE, Decider, softmax
from vskd.errors import ConfigError, ContractError, ProfileError
from vskd.stream import Window
from vskd.wearer.rule import FULL, ExampleRule, contradiction, example_of, left_out, rounded

LABELS = ("walk", "wave", "sit")
WEIGHTS = (ExampleWeights(0.5, 10, 0.6), ExampleWeights(0.25, 20, 0.5))
FEATURES = 24


def contract_of(score="nearest", *, temperature=1.5, **changes):
    made = Contract(labels=LABELS, examples=ExamplesSpec(score, WEIGHTS, **changes))
    return made.with_decision(temperature=temperature)


def window(*, after_gap=False):
    return Window(np.zeros((3, 128), np.float32), 0.0, 1.0, after_gap)


def random_examples(rng, count):
    return np.stack([example_of(np.maximum(rng.normal(size=(1, FEATURES)), 0)) for _ in range(count)])


def unit(rows):
    rows = np.asarray(rows, dtype=np.float64)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def scores_by_definition(score, labels, examples, embedding, ridge):
    """Label -> score, one label at a time."""
    rows, x = unit(examples), unit(embedding)
    names = sorted(set(labels))
    found = {}
    for name in names:
        own = np.array([label == name for label in labels])
        if score == "nearest":
            found[name] = max(float(row @ x) for row in rows[own])
        elif score == "means":
            found[name] = float(unit(rows[own].mean(axis=0)) @ x)
        else:  # the primal form: (X'X + ridge I)^-1 X'y
            weights = np.linalg.solve(rows.T @ rows + ridge * np.eye(FEATURES), rows.T @ own.astype(float))
            found[name] = float(weights @ x)
    return found


@pytest.mark.parametrize("score", ["nearest", "means", "ridge"])
@given(seed=st.integers(0, 10_000), count=st.integers(1, 9))
def test_the_decision_is_that_of_the_formula(score, seed, count):
    rng = np.random.default_rng(seed)
    labels = rng.choice(["walk", "wave", "sit", "drum", "bow"], count).tolist()
    examples = random_examples(rng, count)
    contract = contract_of(score, ridge=0.3)
    rule = ExampleRule.of(contract, labels, examples)
    logits, embedding = rng.normal(size=3), np.maximum(rng.normal(size=FEATURES), 0).astype(np.float32)
    mixed, nearest = rule.mixed(logits.tolist(), embedding)

    x = np.rint(embedding * (np.float32(FULL) / embedding.max()))  # in float32, as the definition says
    expected = scores_by_definition(score, labels, examples, x, 0.3)
    assert rule.labels[:3] == LABELS
    assert set(rule.labels[3:]) == set(labels) - set(LABELS)
    top = logits.max() / 1.5
    for place, name in enumerate(rule.labels):
        own = logits[place] / 1.5 if place < 3 else top
        if name in labels:
            weights = WEIGHTS[min(labels.count(name), 2) - 1]
            own = top + weights.logits * (own - top) + weights.examples * (expected[name] - weights.neutral)
        assert mixed[place] == pytest.approx(own, abs=1e-9)
    assert nearest == pytest.approx(max(float(row @ unit(x)) for row in unit(examples)), abs=1e-12)


@given(seed=st.integers(0, 10_000))
def test_a_cosine_is_made_of_integers_and_does_not_depend_on_the_order_of_summing(seed):
    rng = np.random.default_rng(seed)
    examples, shuffled = random_examples(rng, 5), rng.permutation(FEATURES)
    embedding = np.maximum(rng.normal(size=FEATURES), 0).astype(np.float32)
    one = ExampleRule.of(contract_of(), ["walk"] * 5, examples)
    other = ExampleRule.of(contract_of(), ["walk"] * 5, examples[:, shuffled])
    found = one.cosines(rounded(embedding))
    assert found.tobytes() == other.cosines(rounded(embedding[shuffled])).tobytes()
    assert found.tobytes() == one.cosines(np.stack([rounded(embedding)] * 3))[1].tobytes()


@given(seed=st.integers(0, 10_000))
def test_without_an_example_the_answer_is_bit_for_bit_that_of_before(seed):
    logits = np.random.default_rng(seed).normal(0, 5, 3).astype(np.float32)
    contract = contract_of(temperature=0.7)
    before = Decider(Contract(labels=LABELS).with_decision(temperature=0.7)).decide(logits, window())
    after = Decider(contract).decide(logits, window())
    assert after.probabilities.tobytes() == before.probabilities.tobytes()
    assert (after.label, after.probability) == (before.label, before.probability)


def test_an_activity_without_examples_keeps_its_logit():
    rule = ExampleRule.of(contract_of(), ["wave"], random_examples(np.random.default_rng(1), 1))
    mixed, _ = rule.mixed([1.0, 2.0, -3.0], np.ones(FEATURES, np.float32))
    assert (mixed[0], mixed[2]) == (1.0 / 1.5, -3.0 / 1.5)


def test_a_new_activity_wins_by_its_examples_alone():
    examples = random_examples(np.random.default_rng(2), 1)
    decider = Decider(contract_of(), ExampleRule.of(contract_of(), ["drum"], examples))
    near, far = examples[0].astype(np.float32), np.eye(FEATURES, dtype=np.float32)[int(examples[0].argmin())]
    logits = np.array([9, 0, 0], np.float32)
    assert decider.decide(logits, window(after_gap=True), near).label == "drum"
    event = decider.decide(logits, window(after_gap=True), far)
    assert (event.label, len(event.probabilities)) == ("walk", 4)
    assert set(event.to_mapping(decider.labels)["probabilities"]) == {*LABELS, "drum"}


def test_what_has_examples_is_unknown_where_none_of_them_is_near():
    examples = np.full((1, FEATURES), FULL, np.int8)
    contract = contract_of().with_decision(unknown_below_cosine=0.5)
    decider = Decider(contract, ExampleRule.of(contract, ["walk"], examples))
    far = np.eye(FEATURES, dtype=np.float32)[0]
    event = decider.decide(np.array([90, 0, 0], np.float32), window(after_gap=True), far)
    assert (event.label, event.reason) == ("unknown", "cosine to the nearest example below 0.5")
    assert decider.decide(np.array([0, 90, 0], np.float32), window(after_gap=True), far).label == "wave"
    assert decider.decide(np.array([90, 0, 0], np.float32), window(after_gap=True), far + 1).label == "walk"


def test_probabilities_and_the_cosine_are_smoothed_alike():
    rng = np.random.default_rng(3)
    examples = random_examples(rng, 4)
    contract = contract_of().with_decision(smoothing=0.25, temperature=1.0)
    rule = ExampleRule.of(contract, ["walk", "wave", "drum", "drum"], examples)
    decider, average = Decider(contract, rule), None
    for _ in range(5):
        logits, embedding = rng.normal(size=3).astype(np.float32), np.maximum(rng.normal(size=FEATURES), 0)
        mixed, _ = rule.mixed(logits.tolist(), embedding.astype(np.float32))
        new = softmax(np.array(mixed))
        average = new if average is None else 0.25 * new + 0.75 * average
        event = decider.decide(logits, window(), embedding.astype(np.float32))
        np.testing.assert_allclose(event.probabilities, average, rtol=1e-12)


def test_an_embedding_that_says_nothing_is_near_to_nothing_and_one_that_is_not_finite_is_unknown():
    contract = contract_of()
    rule = ExampleRule.of(contract, ["walk"], random_examples(np.random.default_rng(4), 1))
    assert rule.mixed([0.0, 0.0, 0.0], np.zeros(FEATURES, np.float32))[1] == 0
    logits, broken = np.zeros(3, np.float32), np.full(FEATURES, np.nan, np.float32)
    assert Decider(contract, rule).decide(logits, window(), broken).reason == NOT_FINITE
    with pytest.raises(ContractError, match="needs the model's embedding"):
        Decider(contract, rule).decide(logits, window())
    with pytest.raises(ContractError, match=r"shape \(7,\), and the profile's examples have 24 features"):
        Decider(contract, rule).decide(logits, window(), np.ones(7, np.float32))


def test_a_contract_that_does_not_say_how_examples_count_takes_none():
    with pytest.raises(ContractError, match=r"cannot use a profile.*Train it with validation subjects"):
        ExampleRule.of(Contract(labels=LABELS), ["walk"], np.full((1, 4), FULL, np.int8))
    with pytest.raises(ConfigError, match=r"examples.weights must hold 1 to 16 entries, got 0"):
        ExamplesSpec("nearest", ())
    assert Contract.from_json(contract_of().to_json()) == contract_of()
    mapping = to_mapping(contract_of())
    del mapping["examples"]["weights"][0]["neutral"]
    with pytest.raises(ContractError, match=r"contract.examples.weights\[0\] lacks the key 'neutral'"):
        Contract.from_mapping(mapping)


def test_an_example_counts_once_however_many_windows_it_has():
    rng = np.random.default_rng(5)
    windows = np.maximum(rng.normal(size=(7, FEATURES)), 0)
    expected = unit(unit(windows).mean(axis=0))
    np.testing.assert_allclose(unit(example_of(windows)), expected, atol=0.01)
    loud = windows * rng.uniform(0.1, 10, (7, 1))
    assert (example_of(loud) == example_of(windows)).all()
    with pytest.raises(ProfileError, match="sees nothing in this recording"):
        example_of(np.zeros((2, 4)))
    with pytest.raises(ProfileError, match="at most 2048 features, and this model's has 3000"):
        example_of(np.ones((1, 3000)))


def test_an_example_that_is_nearer_to_another_label_contradicts_its_own():
    examples = np.array([[127, 0, 0], [0, 127, 0]], np.int8)
    labels = ["wave", "walk"]
    assert contradiction(labels, examples, "wave", np.array([127, 20, 0], np.int8)) == ""
    assert contradiction(labels, examples, "drum", np.array([0, 127, 0], np.int8)) == ""
    doubt = contradiction(labels, examples, "wave", np.array([20, 127, 0], np.int8))
    assert doubt.startswith("it is nearer to an example of 'walk' (cosine 0.988) than to those of 'wave' (0.156)")


@pytest.mark.parametrize("score", ["nearest", "means", "ridge"])
def test_each_example_is_judged_by_the_others(score):
    examples = np.array([[127, 5, 0], [127, 0, 9], [0, 127, 0], [9, 127, 0], [9, 120, 127], [60, 127, 0]], np.int8)
    labels = ["wave", "wave", "walk", "walk", "drum", "wave"]
    assert left_out(contract_of(score), labels, examples) == ("wave", "wave", "walk", "walk", None, "walk")
