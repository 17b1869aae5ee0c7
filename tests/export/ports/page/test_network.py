"""The integer network in JavaScript against the plan's execution in Python: the same bits, of every step."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from export.ports.page.node import EARLIER, NEEDS_NODE, Node, network_parts
from vskd.bundle import Bundle
from vskd.checks.golden import read_golden
from vskd.contract import Contract, GafSpec, RawSpec, WindowSpec
from vskd.errors import EngineError
from vskd.plan.encode import encoded, encoded_shape
from vskd.plan.kernels import run
from vskd.plan.lower import plan_of
from vskd.plan.steps import (
    Addition,
    Concatenation,
    Convolution,
    Mean,
    Plan,
    Pooling,
    Quantization,
    Rescaling,
    Step,
    Tensor,
)
from vskd_export.ports.page import wasm as of_wasm
from vskd_export.ports.page.wasm import Wasm, compiled, missing_tools
from vskd_export.ports.planned import Planned, integer_model, planned

pytestmark = NEEDS_NODE


def same(node: Node, contract: Contract, plan: Plan, windows: np.ndarray, wasm: Wasm | None = None) -> None:
    answer = node("network", windows=windows.tolist(), **network_parts(contract, plan, wasm))
    for window, (first, logits, embedding) in zip(windows, answer["answers"], strict=True):
        begin = encoded(contract, plan, window)
        tensors = run(plan, begin)
        assert first == begin.ravel().tolist()
        assert logits == values(plan, tensors, plan.logits)
        assert embedding == (None if plan.embedding is None else values(plan, tensors, plan.embedding))


def values(plan: Plan, tensors: list[np.ndarray], number: int) -> list[float]:
    known = plan.tensors[number]
    steps = (tensors[number].astype(np.int32) - known.zero_point).astype(np.float32)
    return (np.float32(known.scale) * steps).ravel().tolist()


def windows_of(contract: Contract, count: int, seed: int) -> np.ndarray:
    """Windows of noise, of rest, of zeros, of extremes, and of a few readings far apart."""
    draw = np.random.default_rng(seed)
    made = draw.normal([[0.3], [-0.6], [0.7]], 0.5, (count, *contract.window_shape)).astype(np.float32)
    made[1] = 0.0
    made[2] = np.float32(-0.0)
    made[3] = 1e30
    made[4, :, ::2] = -8.0
    made[5] = made[5, :, :1]
    made[6] *= np.float32(1e-20)
    return made


NEEDS_CLANG = pytest.mark.skipif(bool(missing_tools()), reason=f"{' and '.join(missing_tools())} is not installed")
EACH_ENGINE = pytest.mark.parametrize("compiles", [False, pytest.param(True, marks=NEEDS_CLANG)], ids=["js", "wasm"])


@EACH_ENGINE
def test_the_golden_windows_of_an_earlier_bundle(node, compiles):
    bundle = Bundle.open(EARLIER)
    entry = integer_model(bundle)
    plan = plan_of(bundle.read(entry.file), encoded_shape(bundle.contract), name=entry.file)
    golden = read_golden(bundle).windows
    windows = np.concatenate([golden, windows_of(bundle.contract, 40, 0)])
    same(node, bundle.contract, plan, windows, compiled(Planned("model", bundle.contract, plan)) if compiles else None)


SPECS = [
    *[GafSpec(size=16, scaling=scaling, fields=fields) for scaling in ("tanh", "range", "minmax")
      for fields in (("gadf",), ("gasf", "gadf"))],
    RawSpec(transforms=("g",)), RawSpec(transforms=("tanh", "centred", "g"), clip_g=2.0),
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS, ids=repr)
@pytest.mark.parametrize("samples", [32, 50])
@EACH_ENGINE
def test_every_encoder(node, spec, samples, compiles):
    window = WindowSpec(samples=samples, hop_samples=8)
    kind = {"gaf": spec} if isinstance(spec, GafSpec) else {"gaf": None, "raw": spec}
    contract = Contract(labels=("a", "b"), window=window, **kind)
    channels, rows, columns = encoded_shape(contract)
    count = channels * rows * columns
    places = np.arange(count).reshape(rows, columns, channels).transpose(2, 0, 1)
    kinds = len(spec.transforms) if isinstance(spec, RawSpec) else 1
    parts = tuple(
        Quantization(count // kinds, float(np.float32(0.011)), -7, Rescaling(1_500_000_007, -1) if part else None)
        for part in range(kinds)
    )  # fmt: skip
    first = Tensor((rows, columns, channels), 0.0078125, -3)
    means = Tensor((1, 1, channels), 0.0078125, 4)
    plan = Plan((first, means), parts, places, (Mean(0, 1, Rescaling(1_600_000_000, -6)),), 1, None)
    wasm = compiled(Planned("model", contract, plan)) if compiles else None
    same(node, contract, plan, windows_of(contract, 12, samples), wasm)


def chain(draw: np.random.Generator) -> Plan:
    """A network of every kind of step, with random numbers."""
    tensors = [Tensor((9, 7, 3), 0.01, -3)]
    steps: list[Step] = []

    def add(shape: tuple[int, int, int], zero_point: int | None = None) -> int:
        point = int(draw.integers(-128, 128)) if zero_point is None else zero_point
        tensors.append(Tensor(shape, float(np.float32(draw.uniform(0.01, 0.2))), point))
        return len(tensors) - 1

    def rescaling() -> Rescaling:
        return Rescaling(int(draw.integers(2**30, 2**31)), int(draw.integers(-9, 2)))

    def convolve(source: int, shape: tuple[int, int, int], weights: tuple[int, ...], stride: int, padding: int) -> int:
        outputs = shape[2]
        steps.append(
            Convolution(
                source, add(shape), tensors[source].shape, draw.integers(-128, 128, weights).astype(np.int8),
                draw.integers(-9000, 9000, outputs).astype(np.int32),
                draw.integers(2**30, 2**31, outputs).astype(np.int32), draw.integers(-11, -4, outputs).astype(np.int32),
                (stride, stride), (padding, padding), int(draw.integers(-128, -60)), int(draw.integers(60, 128)),
            )
        )  # fmt: skip
        return steps[-1].target

    one = convolve(0, (9, 7, 8), (8, 3, 3, 3), 1, 1)
    two = convolve(one, (9, 7, 8), (3, 3, 8), 1, 1)
    steps.append(Addition((one, two), add((9, 7, 8)), (rescaling(), rescaling()), rescaling(), -128, 127))
    three = convolve(steps[-1].target, (5, 4, 8), (8, 1, 1, 8), 2, 0)
    point = tensors[three].zero_point
    for is_average in (False, True):
        steps.append(Pooling(three, add((3, 2, 8), point), is_average, (3, 3), (2, 2), (1, 1), -100, 100))
    steps.append(Concatenation((steps[-2].target, steps[-1].target), add((3, 2, 16)), 2))
    whole = steps[-1].target
    for form in (None, Rescaling(1_200_000_000, -3)):
        steps.append(Mean(whole, add((1, 1, 16)), form))
    steps.append(Concatenation((whole, whole), add((6, 2, 16)), 0))
    logits = convolve(steps[-2].target, (1, 1, 4), (4, 1, 1, 16), 1, 0)
    parts = (Quantization(9 * 7 * 3, 0.01, -3),)
    return Plan(tuple(tensors), parts, np.arange(9 * 7 * 3).reshape(3, 9, 7), tuple(steps), logits, len(tensors) - 2)


@pytest.mark.parametrize(
    ("seed", "compiles"),
    [*((seed, False) for seed in range(20)), *(pytest.param(seed, True, marks=NEEDS_CLANG) for seed in range(4))],
)
def test_every_step(node, seed, compiles):
    contract = Contract(labels=("a", "b"), window=WindowSpec(samples=63, hop_samples=8), gaf=None, raw=RawSpec(("g",)))
    plan = chain(np.random.default_rng(seed))
    same(
        node,
        contract,
        plan,
        windows_of(contract, 8, seed),
        compiled(Planned("model", contract, plan)) if compiles else None,
    )


def test_what_clang_does_not_compile_is_an_error(monkeypatch):
    """Of a model that no compiler has seen, say: the clang of a machine may be older."""
    model = planned(Bundle.open(EARLIER))
    monkeypatch.setattr(of_wasm, "TOOLS", (sys.executable, "wasm-ld"))
    with pytest.raises(EngineError, match=r"(?s)compiling the network by clang failed.*--no-wasm"):
        compiled(model)


@pytest.mark.parametrize("shift", [-31, -20, -1, 0, 1, 7])
def test_a_rescaling_rounds_as_it_must(node, shift):
    from vskd.plan.kernels import rescaled

    draw = np.random.default_rng(shift + 40)
    limit = 2**31 >> max(shift, 0)
    values = np.concatenate([draw.integers(-limit + 1, limit, 3000), [-limit + 1, limit - 1, 0, 1, -1]])
    multipliers = np.concatenate([draw.integers(2**30, 2**31, len(values) - 3), [2**30, 2**31 - 1, 2**30 + 1]])
    found = node("rescaled", values=values.tolist(), multipliers=multipliers.tolist(), shift=shift)
    assert found == rescaled(values, multipliers, shift).tolist()
