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
from vskd_export.ports.golden import Replay, bundle_golden
from vskd_export.ports.page.files import page_files
from vskd_export.ports.page.model import Model, model_of
from vskd_export.ports.page.wasm import missing_tools
from vskd_export.ports.planned import planned
from vskd_export.ports.ported import Ported, checks, counted
from vskd_export.ports.programs import run

_NAMES = {"js": "JavaScript", "wasm": "WebAssembly"}


def replay(bundle: Bundle) -> Iterator[Check]:
    """For ``vskd verify``, see ``ported``."""
    return checks(ported(bundle))


def ported(bundle: Bundle) -> Iterator[Ported]:
    """The page's core, a row for each of its engines."""
    node = shutil.which("node")
    if node is None:
        yield Ported(port="page", not_replayed="not replayed, there is no node")
        return
    try:
        model_of(bundle)
    except VskdError as error:
        yield Ported(port="page", not_replayed=f"none, {error.message}")
        return
    try:
        model = model_of(bundle, compiles=not missing_tools())
        found = replayed(bundle, model, node)
    except VskdError as error:
        yield Ported(port="page by node", problem=str(error))
        return
    files = {name: len(content) for name, content in page_files(model).items()}
    module = files.pop("model/network.wasm", 0)
    core = sum(size for name, size in files.items() if name.startswith(("core/", "model/")))
    for engine, counts in found.items():
        size, memory = core + module * (engine == "wasm"), int(counts.get("memory", 0)) or None
        yield counted(f"page, {_NAMES[engine]} by node", counts, size=size, ram_bytes=memory)


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
