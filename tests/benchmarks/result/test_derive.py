"""What follows from facts and raw numbers: ratios, goals, and each figure from the arrays of its own case."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from vskd.closed import from_mapping
from vskd_benchmarks.result.derive import derive
from vskd_benchmarks.result.folder import read_raw, read_result
from vskd_benchmarks.result.judgement import judge
from vskd_benchmarks.result.records.result import Facts

INT8 = "wide.litert.w8a8-static-pc.t1"


@pytest.fixture(scope="module")
def made(make_result, tmp_path_factory):
    """A made folder of two bundles."""
    return make_result(tmp_path_factory.mktemp("made") / "result", bundles=("wide", "narrow"))


@pytest.fixture
def derived_again(made):
    """Its result with raw arrays of a case replaced."""

    def again(case_id, **arrays):
        result = read_result(made)
        raws = raws_of(made)
        raws[case_id] |= arrays
        return derive(result, raws)

    return again


def case_of(result, case_id):
    return next(case for case in result.cases if case.id == case_id)


@pytest.fixture
def few(made):
    """Cases of few readings: (name, kind, latencies, changes) each -> the result and its arrays."""

    def make(*cases, side=64):
        template = case_of(read_result(made), INT8)
        facts = read_result(made)
        wide, narrow = facts.bundles
        one = replace(wide, id="one", encoded_shape=(3, side, side))
        bundles = (one, replace(narrow, id="two"), replace(wide, id="three", contract_sha256="b"))
        raws, planned = {}, []
        for name, kind, latency_ns, changes in cases:
            latency = np.array(latency_ns)
            raws[name] = {"sensor_to_label": latency, "audit_varied": latency, "audit_repeated": latency}
            raws[name]["interval"] = np.zeros((len(latency), 2), np.int64)
            fields = {"id": name, "kind": kind, "bundle": "one", "raw": f"raw/{name}.npz", **changes}
            planned.append(replace(template, **fields))
        return derive(replace(facts, bundles=bundles, cases=tuple(planned)), raws), raws

    return make


def test_ratios_pair_a_bundles_model_with_what_was_measured_in_turns_on_the_same_windows(few):
    result, raws = few(
        ("own", "bundle", [[10, 10], [20, 20]], {}),
        ("usual", "usual-pipeline", [[100, 100], [400, 400]], {}),
        ("sibling", "bundle", [[5, 5], [5, 5]], {"bundle": "two"}),
        ("image", "image-input", [[11, 11], [22, 22]], {}),
        ("alone", "usual-pipeline", [[7, 7]], {"group": 1}),
        ("foreign", "student", [[7, 7]], {"bundle": "three"}),
        ("wide", "student", [[7, 7]], {"threads": 2}),
    )
    ratios = {(ratio.case, ratio.against): ratio for ratio in result.ratios}
    assert set(ratios) == {("own", "usual"), ("own", "image"), ("sibling", "usual")}
    usual = ratios["own", "usual"]
    assert (usual.ratio, usual.lowest, usual.highest, usual.rounds) == (15.0, 10.0, 20.0, 2)
    assert ratios["own", "image"].ratio == 1.1
    assert derive(result, raws) == result


def test_each_statistic_is_of_its_own_array_and_rank(derived_again):
    shape = (8, 100)
    ramp = np.arange(1, 801).reshape(shape) * 1000
    arrays = {
        "sensor_to_label": ramp + 7,
        "bare_call": ramp,
        "model_only": ramp * 2,
        "infer": ramp * 3,
        "decide": ramp * 4,
    }
    case = case_of(derived_again(INT8, **arrays), INT8)
    path = case.scopes["sensor_to_label"]
    assert (path.windows, path.p50_ns, path.p90_ns, path.p95_ns, path.p99_ns, path.p99_9_ns) == (
        800, 400_007, 720_007, 760_007, 792_007, None,
    )  # fmt: skip
    assert (path.min_ns, path.max_ns, path.mean_ns) == (1007, 800_007, 400_507)
    assert (case.scopes["bare_call"].p50_ns, case.scopes["model_only"].p50_ns) == (400_000, 800_000)
    assert (case.stages["infer"].p50_ns, case.stages["decide"].p50_ns) == (1_200_000, 1_600_000)
    assert case.stages["encode"] is None
    # Every pair differs by 7 ns, so the median and both ends of its interval do.
    assert (case.overhead.p50_ns, case.overhead.low_ns, case.overhead.high_ns) == (7, 7, 7)


def test_the_overheads_interval_has_the_ranks_of_a_binomial_of_95_percent(derived_again):
    noise = np.random.default_rng(0).permutation(800).reshape(8, 100)
    case = case_of(derived_again(INT8, bare_call=np.zeros((8, 100), int), sensor_to_label=noise), INT8)
    # 800 / 2 -+ 0.98 sqrt(800), outwards.
    assert (case.overhead.low_ns, case.overhead.p50_ns, case.overhead.high_ns) == (372, 399, 428)


def facts_of(folder):
    """The facts of a made folder as a mapping, with everything derived left out."""
    mapping = json.loads((folder / "result.json").read_text())
    for key in ("ratios", "goals", "validity"):
        del mapping[key]
    mapping["yardstick"]["best_ns"] = None
    for case in mapping["cases"]:
        for key in ("scopes", "stages", "overhead", "audits", "energy", "battery", "yardstick", "validity"):
            del case[key]
    return mapping


def test_facts_alone_give_the_whole_result_again(made):
    facts = from_mapping(Facts, facts_of(made), where="facts")
    raws = {case.id: read_raw(made, case.id) for case in facts.cases}
    assert derive(facts, raws) == read_result(made)


FULL = "int8 at full width at least 25 times faster than pyts + eager torch"
QUARTER = "int8 at quarter width at least 150 times"
OVERHEAD = "own overhead at most 20 us a window"
WATCH = (
    "`watch` student int8, sensor -> label, at most 50 us (p50) in the better engine",
    "the same at least 20 times faster than the full-width image student int8",
    "the same at least 300 times faster than pyts + eager torch",
)
SHARE = "own overhead at most 5 % of the full-width int8 call"
IMPORT = "`import vskd` at most 30 ms over numpy"
SIZE = "int8 at least 3.9 times smaller"


def raws_of(folder):
    return {case.id: read_raw(folder, case.id) for case in read_result(folder).cases}


def goals_of(result):
    return {goal.goal: goal for goal in result.goals}


def test_the_goals_of_a_made_result_by_hand(made):
    goals = goals_of(read_result(made))
    assert {words: (goal.limit, goal.met) for words, goal in goals.items()} == {
        FULL: (">= 25", False),
        QUARTER: (">= 150", None),
        WATCH[0]: ("<= 50", None),
        WATCH[1]: (">= 20", None),
        WATCH[2]: (">= 300", None),
        OVERHEAD: ("<= 20", False),
        SHARE: ("<= 5", False),
        IMPORT: ("<= 30", True),
        SIZE: (">= 3.9", True),
    }
    # 18 ms over 1.15 ms, the slower of the two int8 models of the wide bundle.
    assert goals[FULL].worst == pytest.approx(15.65, rel=0.02)
    # By the goals of committed results, which hold a case of the encoders: 17 to 1.
    (encoder,) = [goal for goal in judge(read_result(made), raws_of(made), 1) if "encoder" in goal.goal]
    assert (encoder.worst, encoder.met) == (pytest.approx(17, rel=0.02), True)
    assert goals[IMPORT].worst == 20.0
    assert goals[SIZE].worst == pytest.approx(45_374_688 / 11_515_168, abs=0.005)


def test_the_worst_case_decides_and_the_width_chooses_the_goal(made):
    result = read_result(made)
    raws = raws_of(made)
    small = replace(case_of(result, INT8).model, size_bytes=830_000)
    cases = tuple(replace(case, model=small) if case.id == INT8 else case for case in result.cases)
    goals = goals_of(derive(replace(result, cases=cases), raws))
    assert (goals[QUARTER].met, goals[QUARTER].worst) == (False, pytest.approx(15.65, rel=0.02))
    assert goals[FULL].worst == pytest.approx(18 / 1.1, rel=0.02)


def test_the_overheads_goals_are_held_at_their_limits_by_the_worst_case(made):
    result = read_result(made)
    raws = raws_of(made)
    for case in result.cases:
        if case.kind == "bundle":
            raws[case.id] |= {"bare_call": np.full((8, 100), 400_000), "sensor_to_label": np.full((8, 100), 415_000)}
    for overhead_ns, met in ((20_000, True), (20_001, False)):
        raws[INT8] |= {"sensor_to_label": np.full((8, 100), 400_000 + overhead_ns)}
        goals = goals_of(derive(result, raws))
        assert (goals[OVERHEAD].worst, goals[OVERHEAD].met) == (20.0, met)
    assert (goals[SHARE].worst, goals[SHARE].met) == (5.0, False)
    raws[INT8] |= {"sensor_to_label": np.full((8, 100), 415_000)}
    assert goals_of(derive(result, raws))[SHARE].met is True


TORCH = ("torch", "usual-pipeline", [[100, 100]], {"engine": "torch"})


@pytest.mark.parametrize(
    ("changes", "side", "worst"),
    [({}, 64, 10.0), ({"threads": 2}, 64, None), ({}, 96, None), ({"recipe": "fp32"}, 64, None)],
)
def test_the_speed_up_is_of_int8_at_64_px_on_one_thread_over_eager_torch(few, changes, side, worst):
    usual = ("ort", "usual-pipeline", [[20, 20]], {"engine": "onnxruntime"})
    cases = [(name, kind, latency, {**own, **changes}) for name, kind, latency, own in (TORCH, usual)]
    result, _ = few(("own", "bundle", [[10, 10]], changes), *cases, side=side)
    assert {ratio.against: ratio.ratio for ratio in result.ratios} == {"torch": 10.0, "ort": 2.0}
    assert goals_of(result)[FULL].worst == worst


RAW = {"encoded_shape": (6, 96), "scaling": None, "transforms": ("tanh", "centred"), "contract_sha256": "raw"}


@pytest.fixture
def beside(few):
    """A raw bundle of ``macs`` beside the image bundle ``one`` of full width, each in two engines, and pyts + torch."""

    def make(macs=2_900_000, fp32_recipe="w8a8-static-pc", **changes):
        result, raws = few(
            ("own", "bundle", [[10_000] * 11], {}),
            ("own-slow", "bundle", [[20_000] * 11], {"engine": "onnxruntime"}),
            ("image", "bundle", [[500_000] * 11], {"bundle": "two", "recipe": fp32_recipe}),
            ("image-slow", "bundle", [[900_000] * 11], {"bundle": "two", "engine": "onnxruntime"}),
            ("torch", "usual-pipeline", [[4_000_000] * 11], {"bundle": "two", "engine": "torch"}),
            ("student", "student", [[7] * 11], {"bundle": "two"}),
        )
        raw = replace(result.bundles[0], **{**RAW, **changes})
        model = replace(result.cases[0].model, size_bytes=200_000, macs=macs)
        cases = tuple(replace(case, model=model) if case.bundle == "one" else case for case in result.cases)
        return derive(replace(result, bundles=(raw, *result.bundles[1:]), cases=cases), raws)

    return make


def test_a_raw_bundle_is_compared_with_the_image_bundle_and_the_usual_pipeline_of_its_task(beside):
    result = beside()
    ratios = {(ratio.case, ratio.against): ratio.ratio for ratio in result.ratios}
    assert {pair for pair in ratios if pair[0].startswith("own")} == {
        (own, other) for own in ("own", "own-slow") for other in ("image", "image-slow", "torch")
    }
    assert (ratios["own", "image"], ratios["own", "torch"]) == (50, 400)
    # Another recipe, and another task, are not compared.
    assert ("own", "image") not in {(ratio.case, ratio.against) for ratio in beside(fp32_recipe="fp32").ratios}
    assert not [ratio for ratio in beside(classes=7).ratios if ratio.case.startswith("own")]


def test_the_goals_of_the_watch_student_are_judged_in_its_better_engine(beside):
    goals = goals_of(beside())
    # Against the quicker of the image's engines, too.
    assert [(goals[words].worst, goals[words].met) for words in WATCH] == [(10.0, True), (50.0, True), (400.0, True)]
    assert goals[QUARTER].worst is None  # a raw network has no width


@pytest.mark.parametrize(
    ("macs", "judged"), [(1_000_000, False), (1_000_001, True), (3_000_000, True), (3_000_001, False)]
)
def test_a_raw_network_of_one_to_three_million_is_a_watch_student(beside, macs, judged):
    goals = goals_of(beside(macs=macs))
    assert [goals[words].worst is not None for words in WATCH] == [judged] * 3


def test_the_yardstick_of_a_case_by_hand(derived_again):
    rounds_ns = np.array([300, 310, 290, 320, 300, 305, 295, 330]) * 1000
    slower = (rounds_ns / 300_000)[:, np.newaxis]
    again = derived_again(INT8, yardstick=np.repeat(rounds_ns[:, np.newaxis], 16, axis=1),
                          sensor_to_label=np.full((8, 100), 1_200_000) * slower)  # fmt: skip
    own = case_of(again, INT8).yardstick
    assert own.round_p50_ns == tuple(rounds_ns)
    assert own.median_ns == 302_500
    assert own.variation == pytest.approx(np.std(rounds_ns, ddof=1) / np.mean(rounds_ns), abs=1e-4)
    assert own.sensor_to_label == 4.0  # the machine's changes of speed cancel out
    assert (again.yardstick.best_ns, again.yardstick.reference_ns) == (290_000, 290_000)


def test_a_ratio_in_yardsticks_leaves_out_that_one_of_two_ran_in_a_slow_mode(derived_again, made):
    slow = read_raw(made, "wide.resnet18.torch.fp32.t1")
    slow = {name: slow[name] * 2 for name in ("sensor_to_label", "yardstick")}
    before = {(each.case, each.against): each for each in read_result(made).ratios}
    after = {(each.case, each.against): each for each in derived_again("wide.resnet18.torch.fp32.t1", **slow).ratios}
    pair = INT8, "wide.resnet18.torch.fp32.t1"
    assert after[pair].ratio == pytest.approx(2 * before[pair].ratio, abs=0.02)
    assert after[pair].in_yardsticks == before[pair].in_yardsticks == pytest.approx(before[pair].ratio, abs=0.02)


def test_goals_of_today_carry_the_status_of_the_run_and_older_ones_do_not(made):
    result = read_result(made)
    doubtful = replace(result, validity=replace(result.validity, status="degraded"))
    assert {goal.status for goal in judge(doubtful, raws_of(made), 3)} == {"degraded"}
    assert {goal.status for goal in judge(doubtful, raws_of(made), 2)} == {None}
