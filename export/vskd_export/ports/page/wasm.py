"""The network of a page as WebAssembly, by the C of ``vskd_export.ports.c`` and the clang of this machine.

It computes what ``core/network.js`` computes, bit by bit, several times as fast. The page compares the two before it
uses it. It imports nothing, and uses 128-bit SIMD; a browser without that gets the network in JavaScript.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vskd_export.ports.arena import arena_of
from vskd_export.ports.c.port import core_files
from vskd_export.ports.planned import Planned
from vskd_export.ports.programs import run

#: All that the compiler needs: it links by the second.
TOOLS = ("clang", "wasm-ld")

_FLAGS = (
    "--target=wasm32", "-std=c99", "-O3", "-msimd128", "-ffp-contract=off", "-fno-builtin", "-nostdlib",
    "-Wall", "-Wextra", "-Werror", "-Wl,--no-entry", "-Wl,--strip-all", "-Wl,-z,stack-size=65536",
)  # fmt: skip
_SOURCES = ("wrist.c", "vskd_core.c", "page.c")


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


def compiled(model: Planned) -> Wasm:
    """Compile a network; both tools are installed.

    Raises
    ------
    EngineError : clang does not compile it
    """
    plan, arena = model.plan, arena_of(model.plan)
    here = files("vskd_export.ports.page") / "wasm"
    own = {name: (here / name).read_text(encoding="utf-8") for name in ("string.h", "page.c")}
    with TemporaryDirectory() as folder:
        for name, text in (core_files(model, arena) | own).items():
            Path(folder, name).write_text(text, encoding="utf-8")
        command = [TOOLS[0], *_FLAGS, "-I.", *_SOURCES, "-o", "network.wasm"]
        hint = "Update clang and lld, or leave the network to JavaScript: --no-wasm"
        run(command, Path(folder), purpose="compiling the network by clang", hint=hint)
        content = Path(folder, "network.wasm").read_bytes()
    places = {"first": arena.tensors[0], "logits": arena.tensors[plan.logits], "bytes": arena.size}
    return Wasm(content, places | {"embedding": None if plan.embedding is None else arena.tensors[plan.embedding]})
