"""Which models in which engines, and for how long."""

from __future__ import annotations

from pathlib import Path

import pytest

from vskd.bundle import Bundle, FileEntry, ModelEntry
from vskd.contract import Contract
from vskd.errors import ConfigError, MissingExtraError
from vskd.manifest import Manifest
from vskd_benchmarks.measure import plan
from vskd_benchmarks.measure.plan import PROCESS_BYTES, PlannedCase, choose, groups, identify, plan_bundles
from vskd_benchmarks.measure.settings import FULL, QUICK, Settings

MODELS = tuple(
    ModelEntry(f"model.{recipe}.{kind}", kind, recipe)
    for kind in ("onnx", "tflite")
    for recipe in ("fp32", "w8a8-static-pc")
)
FOUR_MANIFEST = Manifest(1, MODELS, {})
FOUR = Bundle(Path("four.bundle"), Contract(labels=("a", "b")), FOUR_MANIFEST)


@pytest.fixture
def installed(monkeypatch):
    """Name the engines that are installed."""

    def only(*names: str) -> None:
        monkeypatch.setattr(plan, "is_installed", lambda name: name in names)
        monkeypatch.setattr("vskd.bundle.installed_engines", lambda: names)

    return only


def chosen(**settings):
    pairs, skipped = choose(FOUR, Settings((FOUR.path,), **settings))
    return [(engine, entry.recipe) for engine, entry in pairs], dict(skipped)


def test_everything_installed_is_measured_and_the_rest_is_skipped(installed):
    installed("litert", "onnxruntime", "tensorflow")
    pairs, skipped = chosen()
    both = ("fp32", "w8a8-static-pc")
    assert pairs == [(engine, recipe) for engine in ("litert", "onnxruntime", "tensorflow") for recipe in both]
    assert set(skipped) == {f"tflite-runtime {recipe}" for recipe in both}
    assert skipped["tflite-runtime fp32"] == "tflite_runtime is not installed; pip install 'vskd[tflite-runtime]'"


def test_quick_measures_one_engine_per_format(installed):
    installed("litert", "onnxruntime", "tensorflow")
    pairs, skipped = chosen(quick=True)
    assert {engine for engine, _ in pairs} == {"litert", "onnxruntime"}
    assert skipped["tensorflow fp32"] == "--quick measures litert for .tflite; name it with --engine"


def test_a_named_engine_and_recipe_are_measured_even_when_quick(installed):
    installed("litert", "onnxruntime", "tensorflow")
    pairs, skipped = chosen(quick=True, engines=("tensorflow",), recipes=("fp32",))
    assert pairs == [("tensorflow", "fp32")]
    assert skipped == {}


def test_an_engine_that_does_not_exist(installed):
    installed("litert")
    with pytest.raises(ConfigError, match=r"no engine 'litrt'. Did you mean 'litert'\?"):
        chosen(engines=("litrt",))


def test_a_named_engine_that_is_not_installed(installed):
    installed("litert")
    with pytest.raises(
        MissingExtraError, match=r"the engine onnxruntime needs onnxruntime.*pip install 'vskd\[onnx\]'"
    ):
        chosen(engines=("onnxruntime",))


def test_int8_means_the_recipe_that_users_call_so(installed):
    installed("litert")
    pairs, _ = chosen(recipes=("int8",), engines=("litert",))
    assert pairs == [("litert", "w8a8-static-pc")]


@pytest.mark.parametrize("engines", [(), ("litert",)])
def test_a_recipe_that_the_bundle_does_not_hold(installed, engines):
    installed("litert")
    with pytest.raises(
        ConfigError, match=r"four.bundle has no model of recipe fp16 for litert. It holds: model.fp32.onnx"
    ):
        chosen(engines=engines, recipes=("fp16",))


def test_no_engine_at_all(installed):
    installed()
    with pytest.raises(MissingExtraError, match=r"measuring this bundle needs an engine, which is not installed"):
        chosen()


@pytest.mark.parametrize(
    ("effort", "call_s", "windows"),
    [
        (FULL, 1e-4, 2000),
        (FULL, 1.0, 662),
        (FULL, 0.02, 1000),
        (QUICK, 1e-4, 662),
        (QUICK, 0.05, 130),
        (QUICK, 0.01, 150),
    ],
)
def test_calls_lie_between_what_a_percentile_needs_and_the_budget(effort, call_s, windows):
    calls = effort.calls_per_round(call_s) * effort.rounds
    assert windows <= calls < windows + effort.rounds


def test_bundles_are_named_after_their_folders_and_numbered_where_alike():
    paths = ["a/Wrist one.bundle", "b/wrist-one.bundle", "wrist-one", "?.bundle"]
    bundles = [Bundle(Path(path), FOUR.contract, FOUR_MANIFEST) for path in paths]
    assert list(identify(bundles)) == ["wrist-one", "wrist-one-2", "wrist-one-3", "bundle"]


@pytest.mark.parametrize(
    ("settings", "call_s", "expected"),
    [
        ({}, 0.01, (8, 250)),
        ({"mode": "paced"}, 0.01, (7, 10)),
        ({"mode": "paced", "duration_s": 3.0, "rate_hz": 4.0}, 0.01, (1, 12)),
        ({"mode": "paced", "duration_s": 1.0, "rate_hz": 0.1}, 0.01, (1, 1)),
        ({"mode": "soak", "duration_s": 10.0}, 0.002, (10, 500)),
        ({"mode": "soak", "duration_s": 10.0, "rate_hz": 2.0}, 0.002, (10, 2)),
    ],
)
def test_rounds_and_calls_make_the_time_that_was_asked_for(settings, call_s, expected):
    assert Settings((FOUR.path,), **settings).rounds_and_calls(call_s) == expected


CONTRACTS = {name: {"contract.json": FileEntry(digit * 64, 1)} for name, digit in (("a", "0"), ("b", "1"))}


def case(contract: str, number: int) -> PlannedCase:
    bundle = Bundle(Path(f"{contract}.bundle"), FOUR.contract, Manifest(1, MODELS, CONTRACTS[contract]))
    return PlannedCase(
        id=f"{contract}{number}", name="", kind="bundle", bundle=bundle, bundle_id=contract, engine="litert",
        recipe="fp32", threads=1, job={}, network="", weights="trained", encoder="graph",
    )  # fmt: skip


CASES = [case(contract, number) for contract in "ab" for number in range(4)]


def ids(found):
    return [[each.id for each in group] for group in found]


def test_the_order_of_cases_is_drawn_and_always_the_same():
    first, again = (ids(groups(CASES, Settings(()), None)) for _ in range(2))
    assert first == again != [[each.id for each in CASES]]
    assert sorted(name for group in first for name in group) == [each.id for each in CASES]


def test_cases_measured_in_turns_fit_into_half_of_the_memory():
    found = ids(groups(CASES, Settings(()), 8 * PROCESS_BYTES))
    assert [len(group) for group in found] == [4, 4]
    assert [{name[0] for name in group} for group in found] == [{"a"}, {"b"}]
    assert len(groups(CASES, Settings(()), 1)) == len(CASES)


@pytest.mark.parametrize("mode", ["paced", "soak"])
def test_a_case_that_idles_or_grows_is_alone(mode):
    assert {len(group) for group in groups(CASES, Settings((), mode=mode), None)} == {1}


def test_every_case_of_a_bundle_loads_its_own_file_in_its_own_engine_with_its_threads(installed):
    installed("litert", "onnxruntime")
    files = {"contract.json": FileEntry("0" * 64, 1)} | {model.file: FileEntry("1" * 64, 5) for model in MODELS}
    bundle = Bundle(Path("four.bundle"), FOUR.contract, Manifest(1, MODELS, files))
    plan = plan_bundles({"four": bundle}, Settings((), threads=3))
    assert [case.threads for case in plan.cases] == [3] * 4
    assert len({case.id for case in plan.cases}) == len({case.name for case in plan.cases}) == 4
    for case in plan.cases:
        assert case.job == {
            "kind": "model", "bundle": "four.bundle", "file": case.entry.file, "engine": case.engine,
            "threads": case.threads,
        }  # fmt: skip
        assert (case.recipe, case.model["file"]) == (case.entry.recipe, case.entry.file)
        assert case.entry.format == ("tflite" if case.engine == "litert" else "onnx")
    assert {each.name for each in plan.skipped} == {
        f"{engine} {recipe}" for engine in ("tflite-runtime", "tensorflow") for recipe in ("fp32", "w8a8-static-pc")
    }
