"""The network of a page as WebAssembly, by the C of ``vskd_export.ports.c`` and the clang of this machine.

It computes what ``core/network.js`` computes, bit by bit, several times as fast. The page compares the two before it
uses it. It imports nothing, and uses 128-bit SIMD; a browser without that gets the network in JavaScript.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vskd.contract import Contract
from vskd.errors import EngineError
from vskd.plan.steps import Plan
from vskd_export.ports.arena import arena_of
from vskd_export.ports.c.core import ALL_ROOMS, core_source, header, rule_macros, source
from vskd_export.ports.c.model import model_macros, model_source
from vskd_export.ports.rules import rules_of

#: All that the compiler needs: it links by the second.
TOOLS = ("clang", "wasm-ld")

_FLAGS = (
    "--target=wasm32", "-std=c99", "-O3", "-msimd128", "-ffp-contract=off", "-fno-builtin", "-nostdlib",
    "-Wall", "-Wextra", "-Werror", "-Wl,--no-entry", "-Wl,--strip-all", "-Wl,-z,stack-size=65536",
)  # fmt: skip
_SOURCES = ("wrist.c", "vskd_core.c", "page.c")
_TIMEOUT_S = 300


@dataclass(frozen=True)
class Wasm:
    """A network, compiled.

    Attributes
    ----------
    content : the module
    layout : where its first tensor, logits and embedding lie in its arena, and the arena's size
    """

    content: bytes
    layout: Mapping[str, Any]


def missing_tools() -> tuple[str, ...]:
    """What is not installed of what the compiler needs."""
    return tuple(tool for tool in TOOLS if shutil.which(tool) is None)


def compiled(contract: Contract, plan: Plan) -> Wasm:
    """Compile a network; both tools are installed.

    Raises
    ------
    EngineError : clang does not compile it
    """
    arena = arena_of(plan)
    embedding = plan.tensors[plan.embedding].size if plan.embedding is not None else 0
    macros = rule_macros(rules_of(contract), embedding=embedding) | model_macros(contract, plan, arena)
    here = files("vskd_export.ports.page") / "wasm"
    sources = {
        **{name: source(name) for name in ("vskd_core.h", "vskd_model.h")},
        **{name: (here / name).read_text(encoding="utf-8") for name in ("string.h", "page.c")},
        "wrist.h": header(macros),
        "wrist.c": model_source(contract, plan, arena),
        "vskd_core.c": core_source(ALL_ROOMS),
    }
    with TemporaryDirectory() as folder:
        for name, text in sources.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        command = [TOOLS[0], *_FLAGS, "-I.", *_SOURCES, "-o", "network.wasm"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
        if done.returncode:
            raise EngineError(
                f"clang does not compile the network: {done.stderr.strip()[-600:]}",
                hint="Update clang and lld, or leave the network to JavaScript: --no-wasm",
            )
        content = Path(folder, "network.wasm").read_bytes()
    places = {"first": arena.tensors[0], "logits": arena.tensors[plan.logits], "bytes": arena.size}
    return Wasm(content, places | {"embedding": None if plan.embedding is None else arena.tensors[plan.embedding]})
