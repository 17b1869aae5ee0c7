"""Plans of every kind of student against TensorFlow Lite Micro: the integer network bit by bit, the whole nearly so."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from export.ports.page.node import NODE, Node, network_parts
from export.ports.watch.kotlin_jvm import Jvm, windows_case
from vskd.contract import Contract, GafSpec, RawSpec, WindowSpec
from vskd.encoders.gaf import GafEncoder
from vskd.encoders.raw import RawEncoder
from vskd.engines.plan import PlanEngine, read_plan
from vskd.errors import EngineError, VskdError
from vskd.plan.encode import encoded, encoded_shape
from vskd.plan.kernels import run
from vskd_export.convert import tflite_file
from vskd_export.convert.graph import frozen_copy
from vskd_export.convert.tflite import to_tflite
from vskd_export.judge import micro
from vskd_export.ports.arena import arena_of
from vskd_export.ports.c.port import core_files
from vskd_export.ports.page.wasm import compiled, missing_tools
from vskd_export.ports.planned import Planned
from vskd_export.ports.watch.asset import network_file
from vskd_export.quantize.calibrate import draw_calibration
from vskd_export.quantize.recipes import INTEGER_RECIPE
from vskd_export.quantize.tflite import quantize_tflite
from vskd_export.subprocesses import call_in_subprocess
from vskd_training.models.build import build_student
from vskd_training.models.own import OwnStudent
from vskd_training.models.student import Student
from vskd_training.settings import StudentConfig

from .conftest import LABELS, synthetic_windows

Windows = NDArray[np.float32]


@dataclass(frozen=True)
class Kind:
    """A student with random weights: arithmetic does not need a trained one."""

    config: StudentConfig
    gaf: GafSpec | None = None
    raw: RawSpec | None = None
    samples: int = 64

    @property
    def contract(self) -> Contract:
        window = WindowSpec(samples=self.samples)
        return Contract(labels=LABELS, window=window, gaf=self.gaf, raw=self.raw, trained_on="random weights")


def raw(**changes: Any) -> StudentConfig:
    return StudentConfig(**{"family": "raw-resnet", "channels": 8, "kernel": 5} | changes)


NARROW = StudentConfig(width=0.125)
KINDS = {
    "gadf-soft": Kind(NARROW, gaf=GafSpec(size=32)),
    "both-minmax": Kind(NARROW, gaf=GafSpec(size=32, fields=("gasf", "gadf"), scaling="minmax")),
    "gasf-range": Kind(NARROW, gaf=GafSpec(size=24, fields=("gasf",), scaling="range"), samples=50),
    "resnet-g": Kind(raw(), raw=RawSpec(transforms=("g",))),
    "resnet-even-kernel-odd-window": Kind(raw(kernel=9), raw=RawSpec(transforms=("g",)), samples=75),
    "separable-tanh-centred": Kind(raw(family="raw-separable"), raw=RawSpec(transforms=("tanh", "centred"))),
    "three-branches": Kind(raw(branches=3, segments=2), raw=RawSpec(transforms=("g",))),
}


@dataclass(frozen=True)
class Made:
    """An int8 model of a kind, as it ships."""

    contract: Contract
    content: bytes

    @property
    def engine(self) -> PlanEngine:
        return PlanEngine(*read_plan(self.content, name="model"))


def made(student: Student, contract: Contract) -> Made:
    samples = contract.window.samples
    training = synthetic_windows(64, subjects=("anna", "ben"), seed=1, samples=samples)
    drawn = draw_calibration(training, held_out=synthetic_windows(8, subjects=("cara",), seed=2, samples=samples))
    full = to_tflite(frozen_copy(student.eval()), contract)
    return Made(contract, quantize_tflite(full, contract, drawn, INTEGER_RECIPE))


#: Of these the long tests alone tell.
SLOW = {"gasf-range", "both-minmax", "resnet-g", "resnet-even-kernel-odd-window", "separable-tanh-centred"}


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in KINDS]
)
def model(request: pytest.FixtureRequest) -> Made:
    kind = KINDS[request.param]
    torch.manual_seed(3)
    return made(build_student(kind.config, kind.contract), kind.contract)


def adversarial_windows(contract: Contract, count: int = 150) -> Windows:
    """Movement of all sizes, and what no wrist does: zeros, constants, huge values, single peaks, alternation."""
    generator, shape = np.random.default_rng(7), contract.window_shape
    sizes = np.exp(generator.uniform(-6, 6, (count, 3, 1)))
    moving = generator.normal(0, 1, (count, *shape)).cumsum(axis=2) * sizes / shape[1] ** 0.5
    odd = np.zeros((8, *shape))
    odd[1], odd[2], odd[3, 1], odd[4, :, 7] = 1.0, -1e30, 1e30, 9.0
    odd[5, :, ::2], odd[6] = 16.0, 1e-38
    odd[7] = np.linspace(-3, 3, shape[1])
    return np.concatenate([moving, odd]).astype(np.float32)


def network_in_micro(content: bytes, firsts: NDArray[np.int8]) -> tuple[Windows, Windows]:
    """Logits and embeddings of the integer part alone, begun with the tensors (n, height, width, channels)."""
    model = tflite_file.read_model(content)
    graph, names = model.subgraphs[0], tflite_file.operator_names(model)
    start = next(index for index, name in enumerate(names) if name in ("PAD", "CONV_2D"))
    graph.inputs = [graph.operators[start].inputs[0]]
    model.signatureDefs = []
    del graph.operators[:start]
    return call_in_subprocess(_run, tflite_file._pack(model), firsts, purpose="a test", needs=micro.PACKAGE).value


def _run(content: bytes, firsts: NDArray[np.int8]) -> tuple[Windows, Windows]:
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(content, arena_size=16 << 20)
    found = []
    for first in firsts:
        interpreter.set_input(first[np.newaxis], 0)
        interpreter.invoke()
        found.append((interpreter.get_output(0)[0], interpreter.get_output(1)[0]))
    logits, embeddings = zip(*found, strict=True)
    return np.stack(logits), np.stack(embeddings)


def test_the_integer_network_is_that_of_a_microcontroller_bit_by_bit(model: Made) -> None:
    engine, windows = model.engine, adversarial_windows(model.contract)
    contract, plan = read_plan(model.content, name="model")
    assert contract == model.contract
    firsts = np.stack([encoded(contract, plan, window) for window in windows])
    logits, embeddings = network_in_micro(model.content, firsts)
    mine = [engine.infer_both(window) for window in windows]
    np.testing.assert_array_equal(np.stack([one for one, _ in mine]), logits)
    np.testing.assert_array_equal(np.stack([other for _, other in mine]), embeddings)
    assert len(np.unique(logits, axis=0)) > 20


def test_the_whole_is_that_of_a_microcontroller_but_for_a_rounding_of_the_encoder(model: Made) -> None:
    windows = adversarial_windows(model.contract)
    whole = micro.run_micro(model.content, windows)
    mine = np.stack([model.engine.infer(window) for window in windows])
    scale = model.engine._plan.tensors[model.engine._plan.logits].scale
    assert (mine == whole.logits).all(axis=1).mean() > 0.9
    assert np.abs(mine - whole.logits).max() <= 3 * scale


def test_the_encoder_is_the_runtimes_within_float32_and_a_step(model: Made) -> None:
    contract, plan = read_plan(model.content, name="model")
    assert contract.gaf or contract.raw
    samples = contract.window.samples
    encoder = GafEncoder(contract.gaf, samples) if contract.gaf else RawEncoder(contract.raw, samples)  # type: ignore[arg-type]
    first, steps = plan.tensors[0], []
    for window in adversarial_windows(contract):
        expected = encoder(window).astype(np.float64) / first.scale + first.zero_point
        found = encoded(contract, plan, window).reshape(-1)[plan.places].reshape(expected.shape)
        steps.append(np.abs(found - np.clip(expected, -128, 127)).max())
    assert max(steps) <= 0.5 + 1e-3 / first.scale * 1e-2 + 2e-3


def c_library(model: Made, folder: Path) -> ctypes.CDLL:
    """The port in C of a model, as a library of this machine."""
    made = Planned("model", *read_plan(model.content, name="model"))
    texts = core_files(made, arena_of(made.plan))
    texts["state.c"] = '#include "vskd_core.h"\nvskd_state state;\n'
    for name, text in texts.items():
        (folder / name).write_text(text)
    flags = ["-std=c99", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion"]
    sources = ["vskd_core.c", "wrist.c", "state.c"]
    subprocess.run(["cc", *flags, "-shared", "-fPIC", *sources, "-o", "port.so"], cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "port.so"))


def c_logits(library: ctypes.CDLL, windows: Windows) -> Windows:
    state = ctypes.byref(ctypes.c_char.in_dll(library, "state"))
    found = np.empty((len(windows), len(LABELS)), np.float32)
    for window, logits in zip(windows, found, strict=True):
        library.vskd_window_logits(state, ctypes.c_void_p(window.ctypes.data), ctypes.c_void_p(logits.ctypes.data))
    return found


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler (cc)")
def test_the_port_in_c_is_the_plan_bit_by_bit(model: Made, tmp_path: Path) -> None:
    windows = adversarial_windows(model.contract)
    expected = np.stack([model.engine.infer(window) for window in windows])
    np.testing.assert_array_equal(in_c(model, windows, tmp_path), expected)


def in_c(model: Made, windows: Windows, folder: Path) -> Windows:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler (cc)")
    return c_logits(c_library(model, folder), windows)


def in_javascript(model: Made, windows: Windows, folder: Path, *, compiles: bool = False) -> Windows:
    """By Node, whose floats are those of a browser."""
    if not NODE:
        pytest.skip("node is not installed")
    contract, plan = read_plan(model.content, name="model")
    (folder / "windows").write_bytes(windows.astype("<f4").tobytes())
    wasm = compiled(Planned("model", contract, plan)) if compiles else None
    node, files = Node(), {"file": str(folder / "windows"), "out": str(folder / "logits")}
    node("many", **files, **network_parts(contract, plan, wasm))
    node.close()
    return np.fromfile(folder / "logits", "<f4").reshape(len(windows), -1)


def in_wasm(model: Made, windows: Windows, folder: Path) -> Windows:
    if missing_tools():
        pytest.skip(f"{' and '.join(missing_tools())} not found")
    return in_javascript(model, windows, folder, compiles=True)


@pytest.fixture(scope="module")
def jvm(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Jvm]:
    """The Kotlin core for all kinds, compiled when it is first asked for."""
    contracts = {in_kotlin_named(kind.contract): kind.contract for kind in KINDS.values()}
    contracts["Wrist"] = KINDS["resnet-g"].contract  # the core wants a bundle's rules; none is used
    return functools.cache(lambda: Jvm.of(contracts, tmp_path_factory.mktemp("kotlin")))


def in_kotlin_named(contract: Contract) -> str:
    """A name for the object of a contract's rules: equal ones share it."""
    return f"Rules{hashlib.sha256(contract.to_json().encode()).hexdigest()[:8]}"


def in_kotlin(model: Made, windows: Windows, folder: Path, jvm: Callable[[], Jvm]) -> Windows:
    contract, plan = read_plan(model.content, name="model")
    (folder / "network.bin").write_bytes(network_file(contract, plan))
    case = windows_case(in_kotlin_named(model.contract), folder / "network.bin", windows)
    (lines,) = jvm().play([case], folder)
    return np.array([line.split() for line in lines[: 3 * len(windows) : 3]], np.int32).view(np.float32)


@pytest.fixture(scope="module")
def many(model: Made) -> tuple[Windows, Windows]:
    """10,000 random and adversarial windows, and the plan's logits."""
    windows = adversarial_windows(model.contract, 10_000)
    return windows, np.stack([model.engine.infer(window) for window in windows])


@pytest.mark.slow
@pytest.mark.parametrize("port", ["C", "JavaScript", "WebAssembly", "Kotlin"])
def test_ten_thousand_windows_have_the_plans_bits_in_every_language(
    model: Made, many: tuple[Windows, Windows], port: str, jvm: Callable[[], Jvm], tmp_path: Path
) -> None:
    runs: dict[str, Callable[[Made, Windows, Path], Windows]] = {
        "C": in_c, "JavaScript": in_javascript, "WebAssembly": in_wasm, "Kotlin": functools.partial(in_kotlin, jvm=jvm),
    }  # fmt: skip
    windows, expected = many
    np.testing.assert_array_equal(runs[port](model, windows, tmp_path), expected)


def test_every_tensor_has_the_shape_that_the_plan_says(model: Made) -> None:
    contract, plan = read_plan(model.content, name="model")
    tensors = run(plan, encoded(contract, plan, adversarial_windows(contract)[0]))
    assert [tensor.shape for tensor in tensors] == [tensor.shape for tensor in plan.tensors]
    assert sorted(plan.places.reshape(-1).tolist()) == list(range(plan.tensors[0].size))
    assert plan.places.shape == encoded_shape(contract)


def test_a_changed_byte_never_ends_in_anything_but_an_answer_or_an_error(model: Made) -> None:
    generator, window = np.random.default_rng(0), adversarial_windows(model.contract)[0]
    refused = 0
    for place in generator.integers(0, len(model.content), 150):
        content = bytearray(model.content)
        content[place] ^= 1 << int(generator.integers(8))
        try:
            PlanEngine(*read_plan(bytes(content), name="model")).infer(window)
        except VskdError:
            refused += 1
    assert refused


def test_a_file_that_was_cut_short_is_refused(model: Made) -> None:
    for size in (0, 3, 8, 100, len(model.content) // 2, len(model.content) - 1):
        with pytest.raises(VskdError, match="model"):
            read_plan(model.content[:size], name="model")


# --- networks of users


class Own(nn.Module):
    """A user's network: what the body gives is the feature."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body, self.classifier = body, nn.Linear(width, len(LABELS))

    def forward(self, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        feature = self.body(windows)
        return self.classifier(feature), feature


class Smooth(nn.Module):
    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.gelu(signal)


def own_model(body: nn.Module, width: int) -> Made:
    contract = Contract(
        labels=LABELS, window=WindowSpec(samples=64), gaf=None, raw=RawSpec(transforms=("g",)), trained_on="own"
    )
    torch.manual_seed(0)
    return made(OwnStudent(contract, "tests:own", Own(body, width), {}), contract)


def dense() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 24), nn.ReLU6())


def strided() -> nn.Module:
    layers = [nn.Conv1d(3, 8, 5, stride=3, padding=1), nn.ReLU(), nn.MaxPool1d(3, 2), nn.AdaptiveAvgPool1d(1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 24), nn.ReLU())


@pytest.mark.parametrize("body", [dense, pytest.param(strided, marks=pytest.mark.slow)])
def test_a_users_network_of_known_operators_has_a_plan(body: Callable[[], nn.Module]) -> None:
    model = own_model(body(), 24)
    windows = adversarial_windows(model.contract)
    np.testing.assert_array_equal(
        np.stack([model.engine.infer(window) for window in windows]), micro.run_micro(model.content, windows).logits
    )


def test_an_operator_that_a_plan_has_no_step_for_is_named() -> None:
    body = nn.Sequential(nn.Conv1d(3, 8, 5), Smooth(), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    model = own_model(body, 8)
    with pytest.raises(
        EngineError,
        match=r"no plan .* model: behind its encoder it holds the operator GELU in float.*export the recipe",
    ):
        read_plan(model.content, name="model")


def test_a_model_in_float_has_no_plan() -> None:
    student = build_student(KINDS["resnet-g"].config, KINDS["resnet-g"].contract)
    content = to_tflite(frozen_copy(student.eval()), KINDS["resnet-g"].contract)
    with pytest.raises(EngineError, match="no plan can be made of model: it computes in float throughout"):
        read_plan(content, name="model")
