"""The kinds of Raspberry Pi that a kit can be made for, by ``platform.machine()``.

What exists as a wheel decides it. ``aarch64`` (64-bit system): numpy, LiteRT and ONNX Runtime for Python 3.11 to 3.13.
``armv7l`` (32-bit system): PyPI holds neither numpy nor LiteRT nor ONNX Runtime, but tflite-runtime 2.14.0 for Python
3.11, which works only beside numpy 1.x, and that is the system's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from vskd.errors import ConfigError

#: Of Python, for any board.
PYTHONS = ("3.11", "3.12", "3.13")


@dataclass(frozen=True)
class Board:
    """What a kit for one kind of machine holds.

    Attributes
    ----------
    machine : ``platform.machine()`` of the board
    bits : of its Python
    platforms : tags of the wheels that run there, without the machine
    pythons : versions with wheels
    whole : packages fetched with all that they need
    bare : packages fetched alone: what they need beside is the system's
    from_system : packages that the board's system must bring
    """

    machine: str
    bits: int
    platforms: tuple[str, ...]
    pythons: tuple[str, ...]
    whole: tuple[str, ...]
    bare: tuple[str, ...] = ()
    from_system: tuple[str, ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        """Platform tags of the wheels, e.g. ``manylinux_2_28_aarch64``."""
        return tuple(f"{platform}_{self.machine}" for platform in self.platforms)


BOARDS = {
    board.machine: board
    for board in (
        Board(
            machine="aarch64",
            bits=64,
            platforms=("manylinux_2_28", "manylinux_2_27", "manylinux2014", "manylinux_2_17"),
            pythons=PYTHONS,
            whole=("numpy", "click", "rich", "ai-edge-litert", "onnxruntime"),
        ),
        Board(
            machine="armv7l",
            bits=32,
            platforms=("manylinux_2_34", "manylinux2014", "manylinux_2_17"),
            pythons=("3.11",),
            whole=("click", "rich"),
            bare=("tflite-runtime",),
            from_system=("numpy",),
        ),
    )
}


def board_for(machine: str, python: str) -> Board:
    """The board of this machine, if it can have this Python.

    Raises
    ------
    ConfigError : no wheels for that Python there
    """
    board = BOARDS[machine]
    if python not in board.pythons:
        raise ConfigError(
            f"a kit for {machine} is for Python {', '.join(board.pythons)}, not {python}: tflite-runtime, "
            "the only engine with wheels for it, has none for a later Python",
            hint=f"Use --python {board.pythons[-1]}, or a 64-bit system on the board and --machine aarch64",
        )
    return board
