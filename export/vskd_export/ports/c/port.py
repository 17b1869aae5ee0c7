"""A bundle's int8 model and contract as a folder of C99."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template

import numpy as np

from vskd.bundle import Bundle
from vskd.contract import Contract
from vskd.plan.steps import Convolution, Plan
from vskd_export.ports.arena import Arena, arena_of, row_length
from vskd_export.ports.c.core import ALL_ROOMS, core_source, header, rule_macros, source
from vskd_export.ports.c.golden import golden_header
from vskd_export.ports.c.model import model_macros, model_source
from vskd_export.ports.golden import Replay, Windows, bundle_golden
from vskd_export.ports.planned import Planned, planned
from vskd_export.ports.rules import rules_of

#: Of a folder: what a firmware compiles, and what the self-test adds.
CORE_SOURCES = ("vskd_core.c", "wrist.c")
SELFTEST_SOURCES = ("selftest.c", "selftest_main.c")

_COPIED = ("selftest.c", "selftest.h", "selftest_main.c", "main.c", "CMakeLists.txt")


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
    model = planned(bundle)
    rules_of(model.contract, examples=examples)  # what no core can hold is refused before anything is replayed
    windows, replays = bundle_golden(bundle, model.plan)
    return make_port(model, windows, replays, name=bundle.name, examples=examples)


def core_files(model: Planned, arena: Arena, *, examples: int = 0) -> dict[str, str]:
    """The core and the model: all that a compiler needs, name -> text.

    Raises
    ------
    EngineError, ContractError : as of ``port_of``
    """
    macros = rule_macros(rules_of(model.contract, examples=examples), embedding=model.embedding_size)
    return {
        **{file: source(file) for file in ("vskd_core.h", "vskd_model.h")},
        "wrist.h": header(macros | model_macros(model.contract, model.plan, arena)),
        "wrist.c": model_source(model.contract, model.plan, arena),
        "vskd_core.c": core_source(ALL_ROOMS),
    }


def make_port(model: Planned, windows: Windows, replays: Sequence[Replay], *, name: str, examples: int = 0) -> Port:
    """Write a model in C.

    Parameters
    ----------
    model : with its contract
    windows, replays : for the self-test
    name : of the bundle, for the README
    examples : of a wearer, that the state reserves memory for

    Raises
    ------
    EngineError, ContractError : as of ``port_of``
    """
    arena = arena_of(model.plan)
    made = {file: source(file) for file in _COPIED} | core_files(model, arena, examples=examples)
    made["golden.h"] = golden_header(model.contract, windows, replays)
    port = Port(made, model.file, model.contract, model.plan, arena)
    counts = {"windows": len(windows.names), "events": sum(len(replay.events) for replay in replays)}
    made["README.md"] = _readme(port, name=name, examples=examples, **counts)
    return port


def _readme(port: Port, *, name: str, examples: int, windows: int, events: int) -> str:
    contract, window = port.contract, port.contract.window
    return Template(source("README.md.template")).substitute(
        name=name,
        model=port.model,
        examples=f", and up to {examples} examples of the wearer" if examples else "",
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
