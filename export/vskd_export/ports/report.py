"""What the report of an export says about ports: sizes, and what an emulated microcontroller takes of one window."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from vskd.bundle_files import GOLDEN_EVENTS
from vskd.checks.golden import Golden
from vskd.checks.golden_stream import GoldenStream
from vskd.closed import from_mapping
from vskd.contract import Contract
from vskd.engines.plan import read_plan
from vskd.errors import EngineError, VskdError
from vskd.untrusted.documents import read_json
from vskd_export.ports.c.measure import BOARDS, TOOLS, measure
from vskd_export.ports.c.port import Port, macs, make_port, table_bytes
from vskd_export.ports.golden import golden_replays, golden_windows, verdict
from vskd_export.ports.planned import Planned
from vskd_export.ports.programs import missing

#: Boards that are measured, with the first so many golden windows, and samples of the golden streams.
_BOARDS = ("cortex-m4", "cortex-m55")
_WINDOWS, _SAMPLES = 4, 400


def port_table(
    model: bytes, contract: Contract, golden: Golden, stream: Mapping[str, bytes], *, file: str
) -> dict[str, Any]:
    """Sizes of the port, and rows of ``OnBoard``; or why there is none.

    Parameters
    ----------
    model : content of the int8 ``.tflite``
    contract : of the bundle
    golden : vectors of the bundle
    stream : files of its golden stream
    file : name of the model

    Raises
    ------
    EngineError : an emulated microcontroller finds other bits or events
    """
    try:
        port = _port(model, contract, golden, stream, file)
        sizes = {"macs": macs(port.plan), "table_bytes": table_bytes(port.plan), "arena_bytes": port.arena.size}
    except VskdError as error:
        return {"skipped": error.message}
    if reason := missing(TOOLS):
        return sizes | {"boards": [], "not_measured": reason}
    try:
        boards = [measure(port, BOARDS[name]) for name in _BOARDS]
    except VskdError as error:  # of the compiler or the emulator, which are not the bundle's
        return sizes | {"boards": [], "not_measured": error.message}
    for board in boards:
        if problem := verdict(board.processor, dataclasses.asdict(board))[1]:
            raise EngineError(problem, hint="Export from another machine, and report this one")
    return sizes | {"boards": [dataclasses.asdict(board) for board in boards]}


def _port(model: bytes, contract: Contract, golden: Golden, stream: Mapping[str, bytes], file: str) -> Port:
    made = Planned(file, *read_plan(model, name=file))
    cases = from_mapping(GoldenStream, read_json(stream[GOLDEN_EVENTS].decode()), where=GOLDEN_EVENTS).cases
    windows = golden_windows(contract, made.plan, golden, most=_WINDOWS)
    replays = golden_replays(contract, made.plan, cases, lambda name: stream[name].decode(), most_samples=_SAMPLES)
    return make_port(made, windows, replays, name="bundle")
