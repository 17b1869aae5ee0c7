"""What one window takes in a browser: the page's network in headless Chromium, as WebAssembly and in JavaScript.

``python -m research.page_latency build/demo/wrist.bundle build/demo/watch.bundle --windows 500``

The page's own files are served to Chromium, which computes the bundle's golden windows in a worker, one after another:
encoder and network, one thread. 50 windows come before those that count. On a busy machine the least time says more
than the median. Needs chromium, clang and lld. The last line of standard output is one JSON document.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table

from research.document import Script, Verdict, make_document, show
from vskd.bundle import Bundle
from vskd.checks.golden import read_golden
from vskd.errors import ConfigError
from vskd_export.ports.page.files import page_files
from vskd_export.ports.page.model import model_of
from vskd_export.ports.page.wasm import missing_tools

_HERE = Path(__file__).parent
_TYPES = {".html": "text/html", ".js": "text/javascript", ".json": "application/json", ".wasm": "application/wasm"}

#: Goals: of an image student of a quarter of the width, and of small raw ones.
_IMAGE_MS, _RAW_MS = 3.0, 1.0

#: A browser that starts on a busy machine, and some thousand windows in JavaScript, s.
_TIMEOUT_S = 600.0

_FLAGS = ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions")


def timed(bundle: Bundle, *, windows: int, chromium: str) -> dict[str, Any]:
    """What ``page_latency.js`` found of a bundle.

    Raises
    ------
    ConfigError : the browser does not answer, or the page does not run in it
    """
    own = {name: (_HERE / name).read_bytes() for name in ("page_latency.html", "page_latency.js")}
    job = {"count": windows, "windows": np.asarray(read_golden(bundle).windows, np.float32).tolist()}
    files = page_files(model_of(bundle, compiles=True)) | own | {"job.json": json.dumps(job).encode()}
    with serving(files) as (address, answers), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # which the root user has none of
        command = [chromium, *_FLAGS, *sandbox, f"--user-data-dir={folder}", f"{address}/page_latency.html"]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            answer = answers.get(timeout=_TIMEOUT_S)
        except queue.Empty as error:
            raise ConfigError(f"{chromium} did not answer within {_TIMEOUT_S:.0f} s") from error
        finally:
            browser.terminate()
            browser.wait()
    if "error" in answer:
        raise ConfigError(f"the page does not run in {chromium}: {answer['error']}")
    return dict(answer["found"])


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """The address of these files on this machine, and what is posted there."""
    answers: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            self.send_response(200 if name in files else 404)
            self.send_header("Content-Type", _TYPES.get(Path(name).suffix, "application/octet-stream"))
            # So isolated, a page's clock has steps of 5 us; else of 100.
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.end_headers()
            self.wfile.write(files.get(name, b""))

        def do_POST(self) -> None:
            answers.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", answers
        finally:
            server.shutdown()
            thread.join()


def figures(found: Mapping[str, Any]) -> dict[str, Any]:
    """Load, first window and percentiles of both engines, ms."""
    engines = {}
    for name in ("wasm", "js"):
        one = found[name]
        p50, p95 = np.percentile(one["times_ms"], [50, 95])
        numbers = {"load_ms": one["load_ms"], "first_ms": one["first_ms"], "least_ms": min(one["times_ms"])}
        numbers |= {"p50_ms": p50, "p95_ms": p95}
        engines[name] = {"windows": len(one["times_ms"]), **{key: round(float(ms), 3) for key, ms in numbers.items()}}
    return {"agent": found["agent"], "isolated": found["isolated"], **engines}


def verdicts(found: Mapping[str, Any]) -> Iterator[Verdict]:
    """The median of each bundle as WebAssembly against its goal."""
    for name, one in found["bundles"].items():
        goal, measured = one["goal_ms"], one["wasm"]["p50_ms"]
        yield Verdict(f"{name}: a window as WebAssembly", goal, measured, "ms", measured <= goal)


@click.command(cls=Script, epilog="Example: python -m research.page_latency wrist.bundle watch.bundle --windows 500")
@click.argument("bundles", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--windows", type=click.IntRange(10, 10_000), default=500, show_default=True, help="That count.")
def main(bundles: tuple[Path, ...], windows: int) -> None:
    """Time the page's network in headless Chromium."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    absent = [*missing_tools(), *([] if chromium else ["chromium"])]
    if absent or chromium is None:
        raise ConfigError(f"{' and '.join(absent)} not found", hint="apt-get install chromium clang lld")

    def measure() -> dict[str, Any]:
        found = {}
        for bundle in map(Bundle.open, bundles):
            goal_ms = _RAW_MS if bundle.contract.gaf is None else _IMAGE_MS
            seen = figures(timed(bundle, windows=windows, chromium=chromium))
            found[bundle.path.name] = {"goal_ms": goal_ms, **seen}
        return {"bundles": found}

    document = make_document("page latency", measure, verdicts)
    table = Table(title="A window in Chromium, ms", title_justify="left")
    columns = ("load", "first", "least", "p50", "p95")
    for column in ("bundle", "engine", *columns):
        table.add_column(column, justify="right" if column in columns else "left")
    for name, found in document["bundles"].items():
        for engine in ("wasm", "js"):
            table.add_row(name, engine, *(f"{found[engine][f'{key}_ms']:.2f}" for key in columns))
    show(document, table)


if __name__ == "__main__":
    main()
