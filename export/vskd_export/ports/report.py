"""What the report of an export says about ports: are they equal, what do they take, on which machine."""

from __future__ import annotations

import dataclasses
from typing import Any

from vskd.bundle import Bundle
from vskd.checks.golden import read_golden
from vskd.checks.golden_stream import read_golden_stream
from vskd.errors import EngineError, VskdError
from vskd_export.ports.c import replay as c
from vskd_export.ports.c.measure import BOARDS, TOOLS, OnBoard, measure
from vskd_export.ports.c.port import Port, macs, make_port, table_bytes
from vskd_export.ports.golden import golden_replays, golden_windows
from vskd_export.ports.page import replay as page
from vskd_export.ports.planned import planned
from vskd_export.ports.ported import Ported, counted
from vskd_export.ports.programs import missing
from vskd_export.ports.watch import replay as watch

_PORTS = (c.ported, page.ported, watch.ported)

#: Boards that are measured, with the first so many golden windows, and samples of the golden streams.
_BOARDS = ("cortex-m4", "cortex-m55")
_WINDOWS, _SAMPLES = 4, 400


def port_tables(bundle: Bundle) -> dict[str, Any]:
    """``port``: sizes of the port in C, and rows of ``OnBoard``; or why there is none. ``ports``: rows of ``Ported``.

    Parameters
    ----------
    bundle : as it will be, but for its report; it has an int8 ``.tflite``

    Raises
    ------
    EngineError : a port finds other bits or events than the bundle's model
    """
    sizes, boards = _on_boards(bundle)
    rows = [row for port in _PORTS for row in port(bundle)] + [_row(board) for board in boards]
    for row in rows:
        if row.problem and row.windows:
            raise EngineError(row.problem, hint="Export from another machine, and report this one")
    # A compiler or an emulator that fails is not the bundle's fault.
    told = [dataclasses.replace(row, not_replayed=row.problem, problem="") if row.problem else row for row in rows]
    return {"port": sizes, "ports": [dataclasses.asdict(row) for row in told]}


def _row(board: OnBoard) -> Ported:
    name, ram_bytes = f"C on {board.processor}, emulated", board.state_bytes + board.stack_bytes
    return counted(name, dataclasses.asdict(board), size=board.flash_bytes, ram_bytes=ram_bytes)


def _on_boards(bundle: Bundle) -> tuple[dict[str, Any], list[OnBoard]]:
    """Sizes of the port in C, and what emulated microcontrollers take."""
    try:
        port = _port(bundle)
    except VskdError as error:
        return {"skipped": error.message}, []
    sizes = {"macs": macs(port.plan), "table_bytes": table_bytes(port.plan), "arena_bytes": port.arena.size}
    if reason := missing(TOOLS):
        return sizes | {"boards": [], "not_measured": reason}, []
    try:
        boards = [measure(port, BOARDS[name]) for name in _BOARDS]
    except VskdError as error:  # of the compiler or the emulator, which are not the bundle's
        return sizes | {"boards": [], "not_measured": error.message}, []
    return sizes | {"boards": [dataclasses.asdict(board) for board in boards]}, boards


def _port(bundle: Bundle) -> Port:
    made = planned(bundle)
    windows = golden_windows(made.contract, made.plan, read_golden(bundle), most=_WINDOWS)
    cases = read_golden_stream(bundle).cases
    replays = golden_replays(made.contract, made.plan, cases, bundle.read_text, most_samples=_SAMPLES)
    return make_port(made, windows, replays, name="bundle")
