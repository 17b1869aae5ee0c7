"""The page's core on this machine: Node replays the bundle's golden windows and streams, for ``vskd verify``."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator, Mapping
from importlib.resources import as_file, files
from typing import Any

from vskd.bundle import Bundle
from vskd.checks.selftest import Check
from vskd.errors import VskdError
from vskd_export.ports.golden import Replay, bundle_golden, verdict
from vskd_export.ports.page.model import Model, model_of
from vskd_export.ports.page.wasm import missing_tools
from vskd_export.ports.planned import planned
from vskd_export.ports.programs import run

_NAMES = {"js": "JavaScript", "wasm": "WebAssembly"}


def replay(bundle: Bundle) -> Iterator[Check]:
    """A line for each engine of the page; a bundle without a page, or a machine without Node, is no fault."""
    node = shutil.which("node")
    if node is None:
        yield Check("port", "page: not replayed, there is no node")
        return
    try:
        model_of(bundle)
    except VskdError as error:
        yield Check("port", f"page: none, {error.message}")
        return
    try:
        found = replayed(bundle, model_of(bundle, compiles=not missing_tools()), node)
    except VskdError as error:
        yield Check("port", "page by node", str(error))
        return
    for engine, counts in found.items():
        yield Check("port", *verdict(f"page, {_NAMES[engine]} by node", counts))


def replayed(bundle: Bundle, model: Model, node: str) -> dict[str, dict[str, float]]:
    """What the page's core counts: engine -> windows and events, and how many of them are as they must be.

    Raises
    ------
    EngineError : node is too old for it, or does not end
    """
    windows, streams = bundle_golden(bundle, planned(bundle).plan)
    job = {
        **{name: model.page[name] for name in ("rules", "encoding", "wasm")},
        "plan": model.plan,
        "arrays": base64.b64encode(model.arrays).decode(),
        "module": None if model.wasm is None else base64.b64encode(model.wasm).decode(),
        "windows": windows.windows.tolist(),
        "logits": windows.logits.tolist(),
        "streams": [_stream(one) for one in streams],
    }
    with as_file(files("vskd_export.ports.page")) as folder:
        command, purpose = [node, str(folder / "replay.mjs")], "running the page's core by node"
        text = run(command, purpose=purpose, stdin=json.dumps(job), hint="Update node to 18")
    found: dict[str, dict[str, float]] = json.loads(text)
    return found


def _stream(one: Replay) -> Mapping[str, Any]:
    """A golden stream with its events; what JSON does not have, and whole times, are texts."""
    times = [str(when) if isinstance(when, int) else when for when in one.time.tolist()]
    return {
        "options": {"unit": one.unit, "axes": one.axes, "timeUnit": one.time_unit},
        "time": times,
        "readings": [[str(value) for value in row] for row in one.readings.tolist()],
        "events": [[event.label, event.start_s, event.end_s, event.probabilities.tolist()] for event in one.events],
    }
