"""A run's accuracy on its test subjects with 0, 1, 2 and 3 of their own examples of each activity.

The last repetition of an activity is tested, the others enrol in turn, and a subject's accuracy is the mean over turns.
With activities that the network does not know (``data.unknown_labels``) it also tells how often they are found once
they are enrolled, what that costs the known ones, and how well the distance to the nearest example and the probability
tell them from known ones while they are not.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vskd.closed import to_mapping
from vskd.contract import Contract, ExamplesSpec
from vskd.errors import ConfigError
from vskd_training.data.experiment import Experiment, Part
from vskd_training.evaluation.example_choice import COUNTS, Choice, choose
from vskd_training.evaluation.examples import Decisions, Outputs, Round, decide, each_tested, last_tested
from vskd_training.evaluation.unknown import COVERAGE, rounded_down, separate, threshold_that_keeps
from vskd_training.runs.predict import predict_windows
from vskd_training.runs.run import Run
from vskd_training.runs.trained import trained_student
from vskd_training.wearers.controls import control_features, nearest

#: Of the network's rows in a result; the others are ``controls.CONTROLS``.
NETWORK = "network"

Levels = dict[str, float]


@dataclass(frozen=True)
class OfSubject:
    """One test subject.

    Attributes
    ----------
    subject : who
    accuracy : ``network`` or control -> number of examples -> accuracy per ``window`` and per ``recording``
    new : of activities that the network does not know, see ``_new``; empty without any
    """

    subject: str
    accuracy: dict[str, dict[str, Levels]]
    new: dict[str, dict[str, Levels]]


@dataclass(frozen=True)
class OfRun:
    """What an evaluation found.

    Attributes
    ----------
    arm : name of the run's configuration
    run, weights_sha256 : which
    spec : how examples counted
    chosen_on : subjects on whom that was chosen, none of them tested
    enrols : group and value of the recordings that enrolled; empty where the last repetition was tested
    subjects : the test subjects
    unknown : number of examples -> score -> AUROC and FPR95 of known against unknown test windows; empty without any
    cosine : that keeps 95 % of the validation windows, for ``decision.unknown_below_cosine``; None without these
    """

    arm: str
    run: str
    weights_sha256: str
    spec: ExamplesSpec
    chosen_on: tuple[str, ...]
    enrols: tuple[str, ...]
    subjects: tuple[OfSubject, ...]
    unknown: dict[str, dict[str, Levels]]
    cosine: float | None


def outputs_of(run: Run, experiment: Experiment, part: Part) -> Outputs:
    """What the run's student gives for the windows of one side of the split."""
    table = experiment.windows(part)
    return Outputs.of(experiment, table, predict_windows(trained_student(run), table))


def chosen(run: Run, experiment: Experiment) -> Choice:
    """How examples count, chosen on the run's validation subjects.

    Raises
    ------
    ConfigError : it has none, or they repeat no activity
    """
    found = None
    if experiment.split.validation:
        found = choose([(run.contract, outputs_of(run, experiment, "validation"))])
    if found is None:
        raise ConfigError(
            f"{run.path} has no validation subjects with repetitions, on whom to choose how much examples count",
            hint="Give --rule with what --choose wrote for runs that test others, as those of a study's other folds",
        )
    return found


def evaluate_examples(
    run: Run,
    experiment: Experiment,
    *,
    arm: str,
    name: str,
    given: Choice | None,
    enrols: tuple[str, str] | None = None,
) -> OfRun:
    """Test a student with its test subjects' own examples.

    Parameters
    ----------
    run, experiment : what is tested, and its data
    arm, name : of the run's configuration, and of the run
    given : how examples count; None: as chosen on the run's validation subjects
    enrols : (group, value) of the recordings that enrol, the others are tested, e.g. ``("side", "left")``; None: the
        last repetition is tested, the others enrol

    Raises
    ------
    ConfigError : as of ``chosen``; what is given was chosen on a subject who is tested
    """
    choice = given or chosen(run, experiment)
    if both_sides := set(choice.subjects) & set(experiment.split.test_subjects):
        raise ConfigError(
            f"the rule was chosen on {', '.join(sorted(both_sides))}, whom {run.path} tests",
            hint="Choose it on others: vskd examples OTHER-RUNS --choose RULE",
        )
    contract = dataclasses.replace(run.contract, examples=choice.spec)
    test = outputs_of(run, experiment, "test")
    unknown = outputs_of(run, experiment, "unknown") if experiment.sides.unknown else None
    both = test.joined(unknown) if unknown else test
    controls = control_features(test)
    validation = outputs_of(run, experiment, "validation") if experiment.split.validation else None
    return OfRun(
        arm=arm,
        run=name,
        weights_sha256=run.card["weights_sha256"],
        spec=choice.spec,
        chosen_on=choice.subjects,
        enrols=enrols or (),
        subjects=tuple(
            OfSubject(
                subject,
                _accuracy(contract, test, controls, subject, enrols),
                _new(contract, both, subject, enrols) if unknown else {},
            )
            for subject in sorted(set(test.subjects.values()))
        ),
        unknown=_unknown(contract, both, enrols) if unknown else {},
        cosine=None if validation is None else _cosine(contract, validation),
    )


def _enrolling(outputs: Outputs, enrols: tuple[str, str] | None) -> frozenset[int] | None:
    if enrols is None:
        return None
    group, value = enrols
    return frozenset(row for row, groups in outputs.groups.items() if groups.get(group) == value)


def _accuracy(
    contract: Contract,
    outputs: Outputs,
    controls: dict[str, NDArray[np.float64]],
    subject: str,
    enrols: tuple[str, str] | None,
) -> dict[str, dict[str, Levels]]:
    """Of network and controls with each number of examples that the subject has."""
    found: dict[str, dict[str, Levels]] = {name: {} for name in (NETWORK, *controls)}
    repetitions, enrolling = outputs.repetitions(subject), _enrolling(outputs, enrols)
    for count in (0, *COUNTS):
        rounds = last_tested(repetitions, count, enrols=enrolling)
        given = Counter(outputs.labels[row] for row in rounds[0].enrolled)
        if max(given.values(), default=0) < count:
            break  # nobody has so many
        key = str(count)
        found[NETWORK][key] = _mean(decide(contract, outputs, one.enrolled, one.tested) for one in rounds)
        for name, features in controls.items() if count else ():
            found[name][key] = _mean(nearest(features, outputs, one.enrolled, one.tested) for one in rounds)
    return found


def _mean(made: Iterable[Decisions], *, of: Callable[[str], bool] = lambda _: True) -> Levels:
    """Mean accuracy over rounds, of the windows and recordings whose truth ``of`` takes."""
    levels: dict[str, list[float]] = {"window": [], "recording": []}
    for one in made:
        _, first = np.unique(one.recordings, return_index=True)
        truth = {"window": np.array(one.truth), "recording": np.array(one.truth)[first]}
        for level, right in one.right().items():
            levels[level].append(float(right[[of(label) for label in truth[level]]].mean()))
    return {level: float(np.mean(values)) for level, values in levels.items()}


def _new(
    contract: Contract, outputs: Outputs, subject: str, enrols: tuple[str, str] | None
) -> dict[str, dict[str, Levels]]:
    """Enrolled ``alone`` or beside ``all`` others: ``recall N`` of the new activities and accuracy of the known ones,
    ``known N``, with N examples; ``known before`` is the latter without the new ones.
    """
    repetitions, enrolling = outputs.repetitions(subject), _enrolling(outputs, enrols)
    found: dict[str, dict[str, Levels]] = {"alone": {}, "all": {}}

    def is_known(label: str) -> bool:
        return label in contract.labels

    if all(map(is_known, repetitions)):
        return {}
    for count in COUNTS:
        for name, made in found.items():
            with_new, before = [], []
            for one in last_tested(repetitions, count, enrols=enrolling):
                known = tuple(row for row in one.enrolled if is_known(outputs.labels[row])) if name == "all" else ()
                new = tuple(row for row in one.enrolled if not is_known(outputs.labels[row]))
                if not new:
                    continue
                with_new.append(decide(contract, outputs, known + new, one.tested))
                before.append(decide(contract, outputs, known, one.tested))
            if with_new:
                made[f"recall {count}"] = _mean(with_new, of=lambda label: not is_known(label))
                made[f"known {count}"] = _mean(with_new, of=is_known)
                made[f"known before {count}"] = _mean(before, of=is_known)
    return found


def _unknown(contract: Contract, outputs: Outputs, enrols: tuple[str, str] | None) -> dict[str, dict[str, Levels]]:
    """How known activities, each of which has examples, are told from those that nobody enrolled."""
    enrolling, found = _enrolling(outputs, enrols), {}
    for count in (0, *COUNTS):
        scores: dict[str, dict[bool, list[float]]] = {"max_probability": {}, "cosine": {}}
        for subject in sorted(set(outputs.subjects.values())):
            for one in last_tested(outputs.repetitions(subject), count, enrols=enrolling):
                known = tuple(row for row in one.enrolled if outputs.labels[row] in contract.labels)
                made = decide(contract, outputs, known, one.tested)
                values = {"max_probability": made.scores.max(axis=1), "cosine": made.cosines}
                for name, each in values.items():
                    for label, value in zip(made.truth, each.tolist(), strict=True):
                        scores[name].setdefault(label in contract.labels, []).append(value)
        kept = scores if count else {"max_probability": scores["max_probability"]}
        found[str(count)] = {
            name: to_mapping(separate(np.array(sides[True]), np.array(sides[False]))) for name, sides in kept.items()
        }
    return found


def _cosine(contract: Contract, validation: Outputs) -> float | None:
    """With one example of each activity, the cosine that ``COVERAGE`` of the validation windows reach."""
    rounds: list[Round] = [
        one
        for subject in sorted(set(validation.subjects.values()))
        for one in each_tested(validation.repetitions(subject), 1)
        if one.enrolled
    ]
    if not rounds:
        return None
    cosines = [decide(contract, validation, one.enrolled, one.tested).cosines for one in rounds]
    return rounded_down(threshold_that_keeps(np.concatenate(cosines), COVERAGE))
