"""A bundle's int8 model and contract as a folder of C99."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from vskd.bundle import Bundle
from vskd.checks.golden import read_golden
from vskd.checks.golden_stream import read_golden_stream
from vskd.contract import Contract
from vskd.engines.plan import read_plan
from vskd.errors import BundleError
from vskd.manifest import RECIPE_ALIASES, ModelEntry
from vskd.plan.steps import Convolution, Plan
from vskd_export.ports.arena import Arena, arena_of, row_length
from vskd_export.ports.c.core import ALL_ROOMS, core_source, header, rule_macros, source
from vskd_export.ports.c.golden import golden_header
from vskd_export.ports.c.model import model_macros, model_source
from vskd_export.ports.golden import Replay, Windows, golden_replays, golden_windows
from vskd_export.ports.rules import rules_of

#: Of a folder: what a firmware compiles, and what the self-test adds.
CORE_SOURCES = ("vskd_core.c", "wrist.c")
SELFTEST_SOURCES = ("selftest.c", "selftest_main.c")

_COPIED = ("vskd_core.h", "vskd_model.h", "selftest.c", "selftest.h", "selftest_main.c", "main.c", "CMakeLists.txt")


@dataclass(frozen=True, eq=False)
class Port:
    """A bundle in C.

    Attributes
    ----------
    files : name -> text
    model : the bundle's file that it was made of
    contract, plan, arena : of it
    """

    files: dict[str, str]
    model: str
    contract: Contract
    plan: Plan
    arena: Arena


def integer_model(bundle: Bundle) -> ModelEntry:
    """The model that ports are made of.

    Raises
    ------
    BundleError : the bundle has no int8 model for TensorFlow Lite
    """
    for entry in bundle.models:
        if (entry.format, entry.recipe) == ("tflite", RECIPE_ALIASES["int8"]):
            return entry
    raise BundleError(
        f"{bundle.path.name} has no int8 model for TensorFlow Lite, which a port is made of",
        hint="Export the run again with the recipe int8",
    )


def port_of(bundle: Bundle, *, examples: int = 0) -> Port:
    """Write a bundle in C.

    Parameters
    ----------
    bundle : opened
    examples : of a wearer, that the state reserves memory for

    Raises
    ------
    BundleError : no int8 model for TensorFlow Lite, or a changed file
    EngineError : the model holds an operator that a plan has no step for
    ContractError : the core cannot hold the contract, or compare examples by it
    """
    model = integer_model(bundle).file
    contract, plan = read_plan(bundle.read(model), name=model)
    rules_of(contract, examples=examples)  # what no core can hold is refused before anything is replayed
    windows = golden_windows(contract, plan, read_golden(bundle))
    replays = golden_replays(contract, plan, read_golden_stream(bundle).cases, bundle.read_text)
    return make_port(contract, plan, windows, replays, name=bundle.path.name, model=model, examples=examples)


def make_port(
    contract: Contract,
    plan: Plan,
    windows: Windows,
    replays: Sequence[Replay],
    *,
    name: str,
    model: str,
    examples: int = 0,
) -> Port:
    """Write a plan and its contract in C.

    Parameters
    ----------
    contract, plan : of the model
    windows, replays : for the self-test
    name, model : of the bundle and of its file, for the README
    examples : of a wearer, that the state reserves memory for

    Raises
    ------
    EngineError, ContractError : as of ``port_of``
    """
    arena = arena_of(plan)
    embedding = plan.tensors[plan.embedding].size if plan.embedding is not None else 0
    macros = rule_macros(rules_of(contract, examples=examples), embedding=embedding)
    made = {file: source(file) for file in _COPIED} | {
        "wrist.h": header(macros | model_macros(contract, plan, arena)),
        "wrist.c": model_source(contract, plan, arena),
        "vskd_core.c": core_source(ALL_ROOMS),
        "golden.h": golden_header(contract, windows, replays),
    }
    port = Port(made, model, contract, plan, arena)
    counts = {"windows": len(windows.names), "events": sum(len(replay.events) for replay in replays)}
    made["README.md"] = _readme(port, name=name, examples=examples, **counts)
    return port


def _readme(port: Port, *, name: str, examples: int, windows: int, events: int) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=False, undefined=StrictUndefined, trim_blocks=True)
    contract, window = port.contract, port.contract.window
    return (
        environment.from_string(source("README.md.j2")).render(
            name=name,
            model=port.model,
            examples=examples,
            slowest_hz=f"{contract.signal.min_rate_hz:.0f}" if contract.signal else "0",
            rate_hz=f"{window.rate_hz:g}",
            samples=window.samples,
            window_s=f"{window.duration_s:g}",
            hop_s=f"{window.hop_samples / window.rate_hz:g}",
            labels=", ".join(contract.labels),
            macs=f"{macs(port.plan):,}",
            table_bytes=f"{table_bytes(port.plan):,}",
            code_bytes="about 20,000 with single precision in hardware",
            arena_bytes=f"{port.arena.size:,}",
            windows=windows,
            events=events,
        )
        + "\n"
    )


def macs(plan: Plan) -> int:
    """Multiply-accumulates of one window."""
    convolutions = (step for step in plan.steps if isinstance(step, Convolution))
    return sum(int(np.prod(plan.tensors[step.target].shape[:2])) * step.weights.size for step in convolutions)


def table_bytes(plan: Plan) -> int:
    """Weights, filled up as they lie in flash, biases, multipliers and shifts."""
    convolutions = (step for step in plan.steps if isinstance(step, Convolution))
    return sum(
        (step.weights.size if step.is_depthwise else len(step.weights) * row_length(step)) + 9 * step.biases.size
        for step in convolutions
    )


def board_source(name: str) -> str:
    """The text of a file for an emulated board."""
    return (files(__package__) / "board" / name).read_text(encoding="utf-8")
