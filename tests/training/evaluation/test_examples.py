"""Which repetitions enrol and which are tested; and how much examples count, chosen where the answer is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd.contract import Contract, ExamplesSpec, ExampleWeights, GafSpec, WindowSpec
from vskd.decide import softmax
from vskd_training.evaluation import example_choice
from vskd_training.evaluation.example_choice import choose
from vskd_training.evaluation.examples import Decisions, Outputs, decide, each_tested, last_tested, rule_of

LABELS = ("bow", "drum", "sit", "walk", "wave")
CONTRACT = Contract(labels=LABELS, window=WindowSpec(mode="whole", samples=32), gaf=GafSpec(size=16))


def outputs_of(logits, embeddings, *, repetitions=4, subjects=("ann", "bo"), windows=1):
    """Each subject's repetitions of each activity, whose outputs the functions give: (label index, rng) -> row."""
    rng = np.random.default_rng(0)
    keys = [(who, label, turn) for who in subjects for label in range(len(LABELS)) for turn in range(repetitions)]
    rows = [key for key in enumerate(keys) for _ in range(windows)]
    return Outputs(
        samples=rng.normal(size=(len(rows), 3, 32)).astype(np.float32),
        logits=np.stack([logits(label, rng) for _, (_, label, _) in rows]).astype(np.float32),
        embeddings=np.stack([embeddings(label, rng) for _, (_, label, _) in rows]).astype(np.float32),
        recordings=np.array([index for index, _ in rows]),
        labels={index: LABELS[label] for index, (_, label, _) in enumerate(keys)},
        subjects={index: who for index, (who, _, _) in enumerate(keys)},
        orders={index: (turn, f"{who}{label}") for index, (who, label, turn) in enumerate(keys)},
        groups={index: {"side": "left" if turn % 2 else "right"} for index, (_, _, turn) in enumerate(keys)},
    )


def telling(label, rng):
    """A row that tells the activity, with some noise."""
    return np.maximum(6 * np.eye(len(LABELS))[label] + rng.normal(0, 0.3, len(LABELS)), 0)


def empty(_, rng):
    """A row that tells nothing."""
    return np.abs(rng.normal(0, 1, len(LABELS)))


REPETITIONS = st.dictionaries(st.sampled_from(LABELS), st.integers(1, 6), min_size=1).map(
    lambda counts: {
        label: tuple(range(100 * place, 100 * place + count)) for place, (label, count) in enumerate(counts.items())
    }
)


@given(repetitions=REPETITIONS, count=st.integers(0, 4))
def test_no_recording_enrols_and_is_tested(repetitions, count):
    owners = {row: label for label, rows in repetitions.items() for row in rows}
    for made in (last_tested(repetitions, count), each_tested(repetitions, count)):
        for one in made:
            assert not set(one.enrolled) & set(one.tested)
            assert len(set(one.enrolled)) == len(one.enrolled)
            assert sorted(owners[row] for row in one.tested) == sorted(repetitions)
            for label, rows in repetitions.items():
                assert sum(owners[row] == label for row in one.enrolled) == min(count, len(rows) - 1)


def test_the_last_repetition_is_tested_and_the_others_enrol_in_turn():
    repetitions = {"wave": (0, 1, 2, 3)}
    assert [one.enrolled for one in last_tested(repetitions, 0)] == [()]
    assert [one.enrolled for one in last_tested(repetitions, 1)] == [(0,), (1,), (2,)]
    assert [one.enrolled for one in last_tested(repetitions, 2)] == [(0, 1), (1, 2), (2, 0)]
    assert [one.enrolled for one in last_tested(repetitions, 3)] == [(0, 1, 2)]
    assert {one.tested for count in range(4) for one in last_tested(repetitions, count)} == {(3,)}
    sided = last_tested(repetitions, 1, enrols=frozenset({1, 3}))
    assert [(one.enrolled, one.tested) for one in sided] == [((1,), (2,)), ((3,), (2,))]
    assert [one.tested for one in each_tested(repetitions, 1)] == [(0,), (1,), (2,), (3,)]


def test_recordings_are_decided_by_the_mean_of_their_windows():
    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.6, 0.4]])
    right = Decisions(("a", "b"), scores, ("a", "a", "b", "b"), np.array([7, 7, 9, 9]), np.zeros(4)).right()
    assert right["window"].tolist() == [True, False, True, False]
    assert right["recording"].tolist() == [True, True]


@pytest.mark.parametrize("spectrum", [0.0, 0.5])
@pytest.mark.parametrize("score", ["nearest", "means", "ridge"])
def test_what_is_fitted_is_what_a_device_computes(score, spectrum):
    outputs = outputs_of(telling, empty, windows=2)
    weights = ExampleWeights(0.25, 8.0, 0.6)
    spec = ExamplesSpec(score, (weights,), 0.3, spectrum)
    trying = dataclasses.replace(CONTRACT, examples=spec).with_decision(temperature=1.7)
    all_enrolled, half, new = list(example_choice._cases(trying, outputs, "ann", 1))[:3]
    one = each_tested(outputs.repetitions("ann"), 1)[0]
    for case, enrolled in ((all_enrolled, one.enrolled), (half, one.enrolled[::2])):
        made = decide(trying, outputs, enrolled, one.tested)
        truth = [made.labels.index(label) for label in made.truth]
        expected = -np.log(made.scores[np.arange(len(truth)), truth]).sum() * case.weight[0]
        assert case.loss(weights) == pytest.approx(expected, rel=1e-9)

    # Of every fourth activity the network knows nothing: as if it had been trained on the others alone.
    known = [place for place in range(len(LABELS)) if place % 4]
    fewer = dataclasses.replace(trying, labels=tuple(LABELS[place] for place in known))
    rule = rule_of(fewer, outputs, one.enrolled)
    losses = []
    for row in outputs.rows(one.tested):
        mixed, _ = rule.mixed(outputs.logits[row][known].tolist(), outputs.features(spectrum)[row])
        probability = softmax(np.array(mixed))[rule.labels.index(outputs.labels[outputs.recordings[row]])]
        losses.append(-np.log(probability))
    assert new.loss(weights) == pytest.approx(np.sum(losses) * new.weight[0], rel=1e-9)


def test_the_network_is_left_out_where_it_tells_nothing_and_the_examples_where_they_do_not():
    by_examples = choose([(CONTRACT, outputs_of(lambda label, rng: 3 * empty(label, rng), telling))])
    assert by_examples.spec.weights[-1].logits == 0
    assert by_examples.subjects == ("ann", "bo")
    assert len(by_examples.spec.weights) == 3
    by_network = choose([(CONTRACT, outputs_of(telling, empty))])
    assert by_network.spec.weights[0].logits == 1
    assert by_network.spec.weights[0].examples == min(example_choice.EXAMPLES)
    scores, spectra = ("nearest", "means", "ridge"), ("0", "0.5", "0.7")
    assert set(by_network.nll) == {f"{score}, spectrum {share}" for score in scores for share in spectra}
    assert by_examples.spec.spectrum == 0  # of noise


def test_networks_are_pooled_and_repetitions_are_needed():
    outputs = outputs_of(telling, telling)
    assert choose([(CONTRACT, outputs), (CONTRACT, outputs)]).spec == choose([(CONTRACT, outputs)]).spec
    assert len(choose([(CONTRACT, outputs_of(telling, telling, repetitions=2))]).spec.weights) == 1
    assert choose([(CONTRACT, outputs_of(telling, telling, repetitions=1))]) is None


def test_a_recording_in_which_the_network_sees_nothing_enrols_nothing():
    outputs = outputs_of(telling, lambda label, rng: np.zeros(5))
    contract = dataclasses.replace(CONTRACT, examples=ExamplesSpec("nearest", (ExampleWeights(0, 8, 0.5),)))
    assert rule_of(contract, outputs, (0, 1)) is None
    assert choose([(CONTRACT, outputs)]) is not None
    made = decide(contract, outputs, (0,), (1,))
    np.testing.assert_allclose(made.scores, softmax(outputs.logits[outputs.rows((1,))]))
