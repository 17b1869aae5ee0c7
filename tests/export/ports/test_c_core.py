"""The C core decides what the Python runtime decides, sample by sample, whatever the stream and the contract."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vskd.contract import (
    Contract,
    DecisionSpec,
    ExamplesSpec,
    ExampleWeights,
    LowPassSpec,
    RawSpec,
    ResamplingSpec,
    SensorSpec,
    SignalSpec,
    WindowSpec,
)
from vskd.errors import ContractError, ProfileError, StreamError
from vskd.wearer.features import joined
from vskd.wearer.recording import LONGEST_S, Samples, example_windows
from vskd.wearer.rule import example_of
from vskd_export.ports.c.core import rule_macros
from vskd_export.ports.rules import rules_of

from .adversary import PER_SECOND, Recipe, Stream, made, recipes
from .native import EMBEDDING, WARNINGS, Core, Plain, Runtime, StandIn, compiled, sanitizer_runtime, write_core

LOW_PASS = LowPassSpec(taps=(0.6, 0.5, 0.3, 0.1, -0.05, -0.06, -0.02, 0.0, 0.0), taps_per_period=4)
SORTED = ResamplingSpec(reorder_s=0.2, low_pass=LOW_PASS, batch_s=2.0)
USUAL = Contract(
    labels=("a", "b", "c"),
    gaf=None,
    raw=RawSpec(),
    window=WindowSpec(samples=64, hop_samples=16, rate_hz=50.0),
    resampling=SORTED,
    signal=SignalSpec(gravity_direction=(0.0, 0.0, 1.0), gravity_within_deg=60.0, min_rate_hz=30.0),
    decision=DecisionSpec(smoothing=0.5, no_signal_after_s=1.0, unknown_below=0.45, temperature=0.8),
)
WEIGHTS = (ExampleWeights(0.5, 8.0, 0.9), ExampleWeights(0.25, 16.0, 0.8))


def _with(window: WindowSpec = USUAL.window, **changes: object) -> Contract:
    return dataclasses.replace(USUAL, window=window, **changes)


CONTRACTS = {
    "usual": USUAL,
    "long windows": _with(
        WindowSpec(samples=128, hop_samples=32, rate_hz=50.0),
        signal=SignalSpec(largest_mean_g=1.6, largest_rms_g=2.5, gravity_direction=(0.0, 1.0, 0.0)),
        decision=DecisionSpec(min_dwell_windows=2, min_lead=0.05, still_below_g=0.02),
    ),
    "each sample": _with(
        WindowSpec(samples=20, hop_samples=1, rate_hz=25.0), decision=DecisionSpec(smoothing=0.2, min_dwell_windows=3)
    ),
    "as they come": _with(
        WindowSpec(samples=40, hop_samples=40, rate_hz=40.0),
        resampling=ResamplingSpec(max_gap_s=0.5),
        decision=DecisionSpec(no_signal_after_s=0.5, still_below_g=0.3),
    ),
    "not judged": _with(resampling=ResamplingSpec(max_gap_s=10.0), signal=None, decision=DecisionSpec()),
    "not judged, in order": _with(WindowSpec(samples=16, hop_samples=3, rate_hz=20.0), signal=None),
    "without gravity": _with(sensor=SensorSpec(gravity="removed", range_g=4.0)),
    "nearest": _with(examples=ExamplesSpec("nearest", WEIGHTS)),
    "means": _with(
        examples=ExamplesSpec("means", WEIGHTS, spectrum=0.7),
        decision=DecisionSpec(smoothing=0.5, unknown_below_cosine=0.6, no_signal_after_s=1.0),
    ),
    "ridge": _with(examples=ExamplesSpec("ridge", WEIGHTS, ridge=0.05)),
}
EXAMPLES = 5
BuildCore = Callable[[str], Core]


@pytest.fixture(scope="module")
def core_of(tmp_path_factory: pytest.TempPathFactory) -> BuildCore:
    """The compiled core of one of ``CONTRACTS``, by its name."""
    if shutil.which("gcc") is None:
        pytest.skip("the C core is compiled by gcc: apt-get install gcc")
    built: dict[str, Core] = {}

    def build(name: str) -> Core:
        if name not in built:
            folder = tmp_path_factory.mktemp("core")
            contract = CONTRACTS[name]
            write_core(folder, contract, examples=EXAMPLES if contract.examples else 0)
            built[name] = Core(compiled(folder))
        return built[name]

    return build


def examples_of(contract: Contract, seed: int) -> list[tuple[int, bytes]]:
    """Some examples: labels, also of activities that only they know, and features."""
    if contract.examples is None:
        return []
    generator = np.random.default_rng(seed)
    width, found, most = rules_of(contract).features(EMBEDDING), [], len(contract.labels)
    for _ in range(generator.integers(0, EXAMPLES + 1)):
        label = int(generator.integers(0, most + 1))
        most = max(most, label + 1)
        feature = generator.integers(-126, 127, width).astype(np.int8)
        feature[generator.integers(width)] = 127
        found.append((label, feature.tobytes()))
    return found


def assert_equal_events(found: list[Plain], expected: list[Plain]) -> None:
    assert [dataclasses.replace(one, probability=0.0, probabilities=()) for one in found] == [
        dataclasses.replace(one, probability=0.0, probabilities=()) for one in expected
    ]
    for one, other in zip(found, expected, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=1e-12, rel=0)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-12, rel=0)


def replay(core: Core, name: str, recipe: Recipe, stream: Stream) -> None:
    """Give both the same pushes, silences and deliveries, and compare after each."""
    contract, generator = CONTRACTS[name], np.random.default_rng(recipe.seed)
    examples = examples_of(contract, recipe.seed)
    names = [*contract.labels, *(f"own {number}" for number in range(EXAMPLES))]
    core.begin(recipe.unit, recipe.axes, recipe.time_unit, examples)
    own = [(names[label], feature) for label, feature in examples]
    runtime = Runtime(contract, recipe.unit, recipe.axes, recipe.time_unit, own)
    clock_s = 0.0
    for part in stream.pushes:
        clock_s += float(generator.choice([0.0, 0.02, 1.0]))
        pushed = (stream.times[part], stream.xyz[part], clock_s)
        is_believed = runtime.push(*pushed)
        assert core.push(*pushed) == is_believed
        if is_believed and generator.random() < 0.1:
            for_s = float(generator.uniform(0, 5))
            core.silence(for_s)
            runtime.silence(for_s)
        if is_believed and (part is stream.pushes[-1] or generator.random() < 0.02):
            is_believed = runtime.finish()
            assert core.finish() == is_believed
        if not is_believed:  # what the last call completed is lost with Python's error
            assert_equal_events(core.events[: len(runtime.events)], runtime.events)
            return
    assert_equal_events(core.events, runtime.events)
    found, expected = core.health(), runtime.health()
    assert found.pop("recent_rate_hz") == pytest.approx(expected.pop("recent_rate_hz"), rel=1e-12)
    assert found == expected


def example_of_recording(contract: Contract, recipe: Recipe, stream: Stream) -> bytes | None:
    """The rounded feature of a whole stream, as ``vskd enroll`` makes it; None where it is no example."""
    assert contract.examples is not None
    samples = Samples(stream.times, stream.xyz, recipe.unit, recipe.axes, recipe.time_unit)
    engine, share = StandIn(len(contract.labels)), contract.examples.spectrum
    try:
        windows = example_windows(contract, samples)
        features = [joined(engine.infer_both(one.samples)[1], one.samples, share) for one in windows]
        return example_of(np.stack(features)).tobytes()
    except ProfileError:
        return None


@pytest.mark.parametrize("name", ["nearest", "means"])
@given(recipe=recipes)
@settings(max_examples=60)
def test_the_example_of_a_recording_is_the_runtime_s_to_the_bit(core_of: BuildCore, name: str, recipe: Recipe) -> None:
    stream, contract = made(recipe), CONTRACTS[name]
    assume(abs(float(stream.times[-1] - stream.times[0])) / PER_SECOND[recipe.time_unit] < LONGEST_S)
    core = core_of(name).begin(recipe.unit, recipe.axes, recipe.time_unit, [])
    is_believed = core.push(stream.times, stream.xyz, 0.0) and core.finish()
    try:
        expected = example_of_recording(contract, recipe, stream)
    except StreamError:
        assert not is_believed
    else:
        assert core.example(rules_of(contract).features(EMBEDDING)) == expected


@pytest.mark.parametrize("name", CONTRACTS)
@given(recipe=recipes)
@settings(max_examples=40)
def test_events_and_health_are_the_runtime_s(core_of: BuildCore, name: str, recipe: Recipe) -> None:
    replay(core_of(name), name, recipe, made(recipe))


@pytest.mark.parametrize("name", ["nearest", "means"])
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes_g=st.lists(st.sampled_from([1e-30, 0.01, 1.0, 8.0, 1e30]), min_size=1, max_size=9),
)
@settings(max_examples=60)
def test_windows_of_any_size_are_one_example_as_in_python(
    core_of: BuildCore, name: str, seed: int, sizes_g: list[float]
) -> None:
    contract, generator = CONTRACTS[name], np.random.default_rng(seed)
    assert contract.examples is not None
    windows = [generator.normal(0, size_g, contract.window_shape).astype(np.float32) for size_g in sizes_g]
    engine, share = StandIn(len(contract.labels)), contract.examples.spectrum
    expected = example_of(np.stack([joined(engine.infer_both(one)[1], one, share) for one in windows]))
    core = core_of(name).begin("g", "x,y,z", "s", [])
    for window in windows:
        core.add_window(window)
    assert core.example(len(expected)) == expected.tobytes()


def test_a_call_that_cannot_be_is_refused(core_of: BuildCore) -> None:
    core = core_of("means").begin("g", "x,y,z", "ns", [])
    library, at = core.library, core.at
    one = (ctypes.c_int8 * rules_of(CONTRACTS["means"]).features(EMBEDDING))(*[127])
    wrong = 2
    assert library.vskd_push_seconds(at, ctypes.c_double(0), *[ctypes.c_float(0)] * 3) == wrong
    for label in (-1, 4):  # three activities, and the next new one is 3
        assert library.vskd_profile_add(at, ctypes.c_int16(label), one) == 1
    assert library.vskd_profile_add(at, ctypes.c_int16(0), type(one)()) == 1  # says nothing
    for label in range(3, 3 + EXAMPLES):
        assert library.vskd_profile_add(at, ctypes.c_int16(label), one) == 0
    assert library.vskd_profile_add(at, ctypes.c_int16(0), one) == 4
    library.vskd_profile_clear(at)
    assert library.vskd_profile_add(at, ctypes.c_int16(0), one) == 0
    for axes in ((1, 2, 2), (1, 2, 4), (0, 1, 2)):
        assert library.vskd_init(at, 0, 3, (ctypes.c_int8 * 3)(*axes), None, None) == 1
    for unit, time_unit in ((2, 0), (0, 4)):
        assert library.vskd_init(at, unit, time_unit, (ctypes.c_int8 * 3)(1, 2, 3), None, None) == 1
    assert library.vskd_push(at, ctypes.c_int64(0), *[ctypes.c_float(0)] * 3) == 1


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("name", CONTRACTS)
def test_no_compiler_warns(tmp_path: Path, name: str, compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"apt-get install {compiler}")
    contract = CONTRACTS[name]
    write_core(tmp_path, contract, examples=EXAMPLES if contract.examples else 0)
    for standard, source in ((["-std=c99"], "vskd_core.c"), (["-x", "c++", "-std=c++17"], "vskd_core.h")):
        command = [compiler, *standard, *WARNINGS[1:], "-Os", "-fsyntax-only", str(tmp_path / source)]
        subprocess.run(command, check=True, timeout=600)


@pytest.mark.parametrize(
    ("examples", "embedding", "message"),
    [(5, 0, "this model gives no embedding"), (5, 2040, "at most 2048 features, and this model's has 2061")],
)
def test_a_model_whose_examples_a_core_cannot_hold_is_refused(examples: int, embedding: int, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        rule_macros(rules_of(CONTRACTS["means"], examples=examples), embedding=embedding)


def test_a_header_reads_back_each_number_and_label(tmp_path: Path) -> None:
    contract = _with(labels=('say "hi"', "back\\slash??/", "grüßen"))
    macros = rule_macros(rules_of(contract))
    assert macros["VSKD_LABELS"] == r'{"say \042hi\042", "back\134slash\077\077/", "gr\303\274\303\237en"}'
    assert float(macros["VSKD_METRE_TO_G"]) == 1 / 9.80665
    assert macros["VSKD_SORTS"] == "1"


SANITIZED = """
import sys
sys.path.insert(0, sys.argv[1])
from ports.adversary import made, recipes
from ports.native import Core
from ports.test_c_core import CONTRACTS, replay
from hypothesis import given, settings
core = Core(sys.argv[2])
@given(recipe=recipes)
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
def check(recipe):
    replay(core, sys.argv[3], recipe, made(recipe))
check()
"""


@pytest.mark.parametrize("name", ["ridge", "each sample", "means"])
def test_sanitizers_find_nothing(tmp_path: Path, name: str) -> None:
    """Python cannot load a library with clang's address sanitizer unless the sanitizer's own comes first."""
    runtime = sanitizer_runtime()
    contract = CONTRACTS[name]
    write_core(tmp_path, contract, examples=EXAMPLES if contract.examples else 0)
    flags = ["-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all", "-shared-libasan"]
    library = compiled(tmp_path, *flags, compiler="clang")
    environment = {**os.environ, "LD_PRELOAD": str(runtime), "ASAN_OPTIONS": "detect_leaks=0"}
    tests = str(Path(__file__).parent.parent)
    command = [sys.executable, "-c", SANITIZED, tests, str(library), name]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert run.returncode == 0, run.stderr[-4000:]
