"""A page's server in this process, for tests, and requests to it byte by byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vskd_export.ports.page.broadcast import Broadcast
from vskd_export.ports.page.clips import ClipFolder
from vskd_export.ports.page.server import Offer, PageServer

TOKEN = "the-token"
FILES = {"index.html": b"<!doctype html>", "core/order.js": b"export {};", "model/plan.bin": b"\0\1"}


@contextmanager
def serving(
    files: dict[str, bytes] | None = None,
    *,
    clips: Path | None = None,
    live: Broadcast | None = None,
) -> Iterator[PageServer]:
    hosts = frozenset({"127.0.0.1", "localhost"})
    offer = Offer(files or FILES, hosts, TOKEN, ClipFolder(clips) if clips else None, live)
    with PageServer(("127.0.0.1", 0), offer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def connected(server: PageServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=20)


def sent(server: PageServer, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in small letters, and content of the answer to these bytes."""
    with connected(server) as client:
        client.sendall(request)
        return answered(client)


def answered(client: socket.socket) -> tuple[int, dict[str, str], bytes]:
    answer = b""
    while piece := client.recv(65536):
        answer += piece
    head, _, content = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]) if first else 0, {name.lower(): text for name, text in headers.items()}, content


def asked(server: PageServer, path: str, *, method: str = "GET", body: bytes = b"", **headers: str) -> bytes:
    """A request as a browser writes it; ``_`` in a header's name is a line."""
    given = {"Host": f"127.0.0.1:{server.server_address[1]}"}
    if body:
        given["Content-Length"] = str(len(body))
    given |= {name.replace("_", "-"): text for name, text in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in given.items()), "", ""]
    return "\r\n".join(lines).encode() + body
