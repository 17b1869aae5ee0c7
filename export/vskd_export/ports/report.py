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
from vskd.errors import VskdError
from vskd.untrusted.documents import read_json
from vskd_export.ports.c.measure import BOARDS, measure, missing_tools
from vskd_export.ports.c.port import Port, macs, make_port, table_bytes
from vskd_export.ports.golden import golden_replays, golden_windows

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
    """
    try:
        port = _port(model, contract, golden, stream, file)
        sizes = {"macs": macs(port.plan), "table_bytes": table_bytes(port.plan), "arena_bytes": port.arena.size}
    except VskdError as error:
        return {"skipped": error.message}
    if reason := missing_tools():
        return sizes | {"boards": [], "not_measured": reason}
    return sizes | {"boards": [dataclasses.asdict(measure(port, BOARDS[name])) for name in _BOARDS]}


def _port(model: bytes, contract: Contract, golden: Golden, stream: Mapping[str, bytes], file: str) -> Port:
    _, plan = read_plan(model, name=file)
    cases = from_mapping(GoldenStream, read_json(stream[GOLDEN_EVENTS].decode()), where=GOLDEN_EVENTS).cases
    windows = golden_windows(contract, plan, golden, most=_WINDOWS)
    replays = golden_replays(contract, plan, cases, lambda name: stream[name].decode(), most_samples=_SAMPLES)
    return make_port(contract, plan, windows, replays, name="bundle", model=file)
