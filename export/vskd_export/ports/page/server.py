"""The server of the page: what it has, it has in memory; what it takes, it takes with a token, in bounds.

A request names one of the page's files exactly, or ``live`` (samples of the server's source, as server-sent events),
or posts a clip to ``clips``. No path of a request ever reaches the disk. Only addresses of this machine are answered
to, so that no name that a foreign site points here reads anything ("DNS rebinding").
"""

from __future__ import annotations

import hmac
import queue
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from socket import AF_INET, AF_INET6, SHUT_RDWR, socket
from typing import Any

from vskd.closed import from_mapping
from vskd.commands.terminal import say
from vskd.errors import VskdError
from vskd.untrusted.documents import read_json
from vskd_export.ports.page.broadcast import Broadcast
from vskd_export.ports.page.clips import Clip, ClipFolder

#: Connections at a time, and listeners to the live source among them.
MOST_CONNECTIONS, MOST_LISTENERS = 32, 4

#: Without a byte for so long a connection ends; a request and its answer take no longer, s.
IDLE_S, LONGEST_S = 15.0, 60.0

#: Bytes of a clip: ten minutes at 400 Hz.
LARGEST_BODY = 2**24

#: A listener hears at least so often that the server is there, s.
_HEARTBEAT_S = 5.0

TOKEN_HEADER = "X-Vskd-Token"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wasm": "application/wasm",
}

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "accelerometer=(self), gyroscope=(self), screen-wake-lock=(self), camera=(), microphone=()",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True)
class Offer:
    """What a server has and takes.

    Attributes
    ----------
    files : name -> content, of the page
    hosts : the names by which it may be called, in small letters
    token : for clips and the live source
    clips : takes them; None where none are taken
    live : the source; None without one
    """

    files: Mapping[str, bytes]
    hosts: frozenset[str]
    token: str
    clips: ClipFolder | None = None
    live: Broadcast | None = None


class PageServer(ThreadingHTTPServer):
    """Serves one page.

    Parameters
    ----------
    address : host and port; port 0 takes a free one
    offer : what it has
    tls : the certificate's; None for http
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, address: tuple[str, int], offer: Offer, *, tls: ssl.SSLContext | None = None) -> None:
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        self.offer, self.tls = offer, tls
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self.listeners = threading.BoundedSemaphore(MOST_LISTENERS)
        self.of_thread = threading.local()  # its ``deadline``
        super().__init__(address, PageHandler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, while there are free ones; else hang up."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection, from the handshake on; slow ones are ended."""
        deadline = threading.Timer(LONGEST_S, lambda: _hang_up(request))
        deadline.daemon = True
        deadline.start()
        self.of_thread.deadline = deadline
        try:
            request.settimeout(IDLE_S)
            if self.tls is not None:
                request = self.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
                request.do_handshake()
        except OSError:  # the client speaks no TLS, or has gone
            self.shutdown_request(request)
        else:
            super().process_request_thread(request, client_address)
        finally:
            deadline.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone or slow is its own affair; anything else is said."""
        import sys

        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            say(f"error while answering {client_address[0]}: {error!r}", err=True)


def _hang_up(request: socket) -> None:
    try:
        request.shutdown(SHUT_RDWR)
    except OSError:
        return  # it has ended by itself


class PageHandler(BaseHTTPRequestHandler):
    """One request."""

    server: PageServer
    server_version, sys_version = "vskd", ""
    timeout = IDLE_S

    def do_GET(self) -> None:
        """A file of the page, or the live source."""
        name, _, query = self.path.partition("?")
        if self._is_foreign():
            return
        if name == "/live" and self.command == "GET" and self.server.offer.live is not None:
            if self._has_token(query.removeprefix("token=")):
                self._listen(self.server.offer.live)
            return
        content = self.server.offer.files.get("index.html" if name == "/" else name.removeprefix("/"))
        if not name.startswith("/") or content is None:
            self._answer(HTTPStatus.NOT_FOUND, b"there is no such file\n")
        else:
            suffix = PurePosixPath(name if name != "/" else "index.html").suffix
            self._answer(HTTPStatus.OK, content, kind=_TYPES.get(suffix, "application/octet-stream"))

    def do_HEAD(self) -> None:
        """As GET, without the content."""
        self.do_GET()

    def do_POST(self) -> None:
        """A clip."""
        if self._is_foreign():
            return
        clips = self.server.offer.clips
        if self.path != "/clips" or clips is None:
            self._answer(HTTPStatus.NOT_FOUND, b"clips are not taken here: start the server with --clips DIR\n")
        elif self._has_token(self.headers.get(TOKEN_HEADER, "")) and (body := self._body()) is not None:
            try:
                name = clips.take(from_mapping(Clip, read_json(body.decode(), longest=LARGEST_BODY), where="the clip"))
            except VskdError as error:
                self._answer(HTTPStatus.BAD_REQUEST, f"{error}\n".encode())
            except ValueError as error:  # of the text, before it is a clip
                self._answer(HTTPStatus.BAD_REQUEST, f"the clip is no JSON document: {error}\n".encode())
            else:
                say(f"clip {name}")
                self._answer(HTTPStatus.CREATED, f"{name}\n".encode())

    def _is_foreign(self) -> bool:
        """Whether the request calls the server by a name, or comes from a page, that is not its own; it is refused."""
        hosts, origin = self.headers.get_all("Host", []), self.headers.get("Origin")
        scheme = "https" if self.server.tls else "http"
        if len(hosts) == 1 and _without_port(hosts[0]) in self.server.offer.hosts:
            if origin in (None, f"{scheme}://{hosts[0]}"):
                return False
            self._answer(HTTPStatus.FORBIDDEN, b"another site's page may not ask this server\n")
        else:
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, b"not this server's name; allow it with --name\n")
        return True

    def _has_token(self, given: str) -> bool:
        if hmac.compare_digest(given.encode(), self.server.offer.token.encode()):
            return True
        self._answer(HTTPStatus.FORBIDDEN, b"open the page by the address that vskd serve printed: it has the token\n")
        return False

    def _body(self) -> bytes | None:
        """What was posted, within its bounds; None where the answer was a refusal."""
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self._answer(HTTPStatus.LENGTH_REQUIRED, b"a clip comes with its Content-Length\n")
        elif len(length) > 9 or int(length) > LARGEST_BODY:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a clip has at most {LARGEST_BODY} bytes\n".encode())
        elif len(body := self.rfile.read(int(length))) < int(length):
            self._answer(HTTPStatus.BAD_REQUEST, b"the clip was cut short\n")
        else:
            return body
        return None

    def _listen(self, live: Broadcast) -> None:
        """Send what the source gives, until one of the two ends."""
        if not self.server.listeners.acquire(blocking=False):
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"too many listen already\n")
            return
        self.server.of_thread.deadline.cancel()
        heard = live.listen()
        try:
            self._begin(HTTPStatus.OK, "text/event-stream")
            while True:
                try:
                    kind, text = heard.get(timeout=_HEARTBEAT_S)
                except queue.Empty:
                    self.wfile.write(b":\n\n")
                    continue
                self.wfile.write(_event(kind, text))
                if kind == "end":
                    return
        finally:
            live.leave(heard)
            self.server.listeners.release()

    def _answer(self, status: HTTPStatus, content: bytes, *, kind: str = "text/plain; charset=utf-8") -> None:
        self._begin(status, kind, length=len(content))
        if self.command != "HEAD":
            self.wfile.write(content)

    def _begin(self, status: HTTPStatus, kind: str, *, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name is http.server's
        """Requests are not logged: a clip is said where it is kept."""


def _without_port(host: str) -> str:
    """``"[::1]:8000"`` -> ``"[::1]"``; in small letters."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def _event(kind: str, text: str) -> bytes:
    return f"event: {kind}\ndata: {text}\n\n".encode()
