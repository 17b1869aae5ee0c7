"""What a port in C takes on a microcontroller: flash, memory, and instructions by an emulator. None of them is a time.

The cross compiler (``arm-none-eabi-gcc`` with newlib) and the emulator (``qemu-system-arm``) are programs of the
system; without them nothing is measured, and the reason is told.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vskd.errors import EngineError
from vskd_export.ports.c.port import CORE_SOURCES, SELFTEST_SOURCES, Port, board_source
from vskd_export.ports.programs import missing, run

COMPILER, SIZE, EMULATOR = TOOLS = "arm-none-eabi-gcc", "arm-none-eabi-size", "qemu-system-arm"
FLAGS = ("-std=gnu99", "-O2", "-ffp-contract=off", "-mthumb", "-ffunction-sections", "-fdata-sections")

#: Memory of the emulated boards for data and stack.
_RAM = 0x80000


@dataclass(frozen=True)
class Board:
    """An emulated board.

    Attributes
    ----------
    processor : its name
    flags : of the compiler
    machine : of the emulator
    code : where programs begin
    """

    processor: str
    flags: tuple[str, ...]
    machine: str
    code: int


BOARDS: Mapping[str, Board] = {
    "cortex-m4": Board("Cortex-M4", ("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"), "mps2-an386", 0x100),
    "cortex-m7": Board("Cortex-M7", ("-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"), "mps2-an500", 0x100),
    "cortex-m55": Board("Cortex-M55", ("-mcpu=cortex-m55", "-mfloat-abi=hard"), "mps3-an547", 0x01000000),
}


@dataclass(frozen=True)
class OnBoard:
    """What a port takes on one board.

    Attributes
    ----------
    processor : its name
    flash_bytes : code, tables and weights of a firmware that does nothing else, the compiler's own routines included
    state_bytes, arena_bytes, stack_bytes : the state holds the arena; the stack is what a golden stream reached
    encoder, network : instructions of one window
    per_window : instructions of the whole path, from the first sample to the last event, over the events
    longest_push : instructions of the sample that took most
    windows, windows_equal, labels_equal, events, events_equal : of the self-test
    """

    processor: str
    flash_bytes: int
    state_bytes: int
    arena_bytes: int
    stack_bytes: int
    encoder: int
    network: int
    per_window: int
    longest_push: int
    windows: int
    windows_equal: int
    labels_equal: int
    events: int
    events_equal: int


def measure(port: Port, board: Board) -> OnBoard:
    """Compile a port for a board and run it in the emulator.

    Raises
    ------
    EngineError : a program is missing, or one of them failed
    """
    if reason := missing(TOOLS):
        raise EngineError(f"nothing can be measured for {board.processor}: {reason}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sources(port, folder)
        bare = _link(folder, board, "firmware", ("board/firmware.c",), ("-nostartfiles", "-Wl,--gc-sections"))
        flash = _flash_bytes(bare)
        replay = _link(
            folder,
            board,
            "measure",
            ("board/measure.c", SELFTEST_SOURCES[0]),
            ("--specs=rdimon.specs", "-nostartfiles"),
        )
        found = _emulate(replay, board)
    return OnBoard(
        processor=board.processor,
        flash_bytes=flash,
        state_bytes=found["state_bytes"],
        arena_bytes=port.arena.size,
        stack_bytes=found["stack_bytes"],
        encoder=found["encoder"],
        network=found["network"],
        per_window=found["per_event"],
        longest_push=found["longest_push"],
        **{key: found[key] for key in ("windows", "windows_equal", "labels_equal", "events", "events_equal")},
    )


def write_sources(port: Port, folder: Path) -> None:
    """Write a port, and what an emulated board needs beside it."""
    (folder / "board").mkdir(parents=True)
    for name, text in port.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name in ("startup.c", "memory.ld", "firmware.c", "measure.c"):
        (folder / "board" / name).write_text(board_source(name), encoding="utf-8")


def _link(folder: Path, board: Board, name: str, sources: Sequence[str], options: Sequence[str]) -> Path:
    program = folder / f"{name}.elf"
    script = (f"-Wl,--defsym=VSKD_CODE={board.code:#x}", f"-Wl,--defsym=VSKD_RAM={_RAM:#x}", "-T", "board/memory.ld")
    everything = (*CORE_SOURCES, "board/startup.c", *sources)
    command = [COMPILER, *FLAGS, *board.flags, "-I.", *options, *script, *everything, "-o", str(program)]
    run(command, folder, purpose=f"compiling for {board.processor}")
    return program


def _flash_bytes(program: Path) -> int:
    """Code, constants and initial values of a program."""
    text = run([SIZE, str(program)], program.parent, purpose="measuring the size")
    code, data, *_ = text.splitlines()[1].split()
    return int(code) + int(data)


def _emulate(program: Path, board: Board) -> dict[str, Any]:
    command = [EMULATOR, "-M", board.machine, "-nographic", "-semihosting", "-icount", "shift=0"]
    text = run([*command, "-kernel", str(program)], program.parent, purpose=f"emulating {board.processor}")
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    return found
