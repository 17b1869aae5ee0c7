"""The server under attack: what it answers, what it refuses, and what it bears."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from export.ports.page.node import EARLIER
from export.ports.page.serving import FILES, TOKEN, answered, asked, connected, sent, serving
from vskd.errors import ConfigError
from vskd.sources.csv import Chunk
from vskd_export.ports.page import server as of_server
from vskd_export.ports.page.addresses import own_addresses, written
from vskd_export.ports.page.broadcast import Broadcast
from vskd_export.ports.page.server import LARGEST_BODY, MOST_CONNECTIONS, MOST_LISTENERS

ROWS = [f"{row / 50:.6f},0.1,{row % 7}.5,9.8" for row in range(100)]
CLIP = {
    "label": "swing, slow",
    "subject": "Zoë",
    "placement": "left wrist",
    "gravity": True,
    "when_s": 1_764_000_000,
    "samples": "\n".join(["time_s,ax,ay,az", *ROWS, ""]),
}


def posted(server, clip, **headers):
    body = clip if isinstance(clip, bytes) else json.dumps(clip).encode()
    return sent(server, asked(server, "/clips", method="POST", body=body, **{"X_Vskd_Token": TOKEN, **headers}))


def test_a_file_comes_with_its_type_and_a_strict_policy():
    with serving() as server:
        for path, name, kind in [
            ("/", "index.html", "text/html; charset=utf-8"),
            ("/core/order.js?v=1", "core/order.js", "text/javascript; charset=utf-8"),
            ("/model/plan.bin", "model/plan.bin", "application/octet-stream"),
        ]:
            status, headers, content = sent(server, asked(server, path))
            assert (status, content, headers["content-type"]) == (200, FILES[name], kind)
            assert headers["x-content-type-options"] == "nosniff"
            policy = headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'")
            assert "frame-ancestors 'none'" in policy
            assert "unsafe-inline" not in policy
            assert "server" in headers
            assert "python" not in headers["server"].lower()
        status, headers, content = sent(server, asked(server, "/", method="HEAD"))
        assert (status, headers["content-length"], content) == (200, str(len(FILES["index.html"])), b"")


@pytest.mark.parametrize(
    "path",
    [
        "/../etc/passwd", "/core/../../server.py", "/%2e%2e/%2e%2e/etc/passwd", "/core/%2e%2e/index.html",
        "//etc/passwd", "/..%5c..%5cwindows", "/core/order.js/", "/core", "/.git/config", "/index.html%00.js",
        "http://127.0.0.1/index.html", "*", "/live", "/clips",
    ],
)  # fmt: skip
def test_no_path_leads_to_anything_but_the_pages_files(path):
    with serving() as server:
        status, _, content = sent(server, asked(server, path))
        assert status == 404
        assert content == b"there is no such file\n"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "", "10.0.0.9"]
)
def test_a_name_that_is_not_its_own_is_refused(host):
    """A foreign site may point its own name at this machine: then its page would be "the same site"."""
    with serving() as server:
        status, _, content = sent(server, asked(server, "/", Host=host))
        assert (status, content) == (421, b"not this server's name; allow it with --name\n")
        assert posted(server, CLIP, Host=host)[0] == 421


def test_no_host_and_two_hosts_are_refused():
    with serving() as server:
        assert sent(server, b"GET / HTTP/1.0\r\n\r\n")[0] == 421
        port = server.server_address[1]
        two = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n\r\n"
        assert sent(server, two.encode())[0] == 421


def test_localhost_is_its_own_in_any_letters():
    with serving() as server:
        assert sent(server, asked(server, "/", Host=f"LocalHost:{server.server_address[1]}"))[0] == 200
        assert sent(server, asked(server, "/", Host="127.0.0.1"))[0] == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1"])
def test_another_sites_page_is_refused(origin, tmp_path):
    with serving(clips=tmp_path / "clips") as server:
        assert sent(server, asked(server, "/model/plan.bin", Origin=origin))[0] == 403
        assert posted(server, CLIP, Origin=origin)[0] == 403
        assert not (tmp_path / "clips").exists()


@pytest.mark.parametrize("token", ["", "the-tokem", "the-token ", "the-token-too", "ü"])
def test_a_clip_without_the_token_is_refused(token, tmp_path):
    with serving(clips=tmp_path / "clips") as server:
        body = json.dumps(CLIP).encode()
        request = asked(server, "/clips", method="POST", body=body, X_Vskd_Token="TOKEN").decode()
        raw = request.replace("TOKEN", token).encode("latin-1") if token.strip() == token else b""
        status, _, content = sent(server, raw or request.replace("TOKEN", "x").encode())
        assert status == 403
        assert b"it has the token" in content
        assert not (tmp_path / "clips").exists()


def test_bodies_are_bounded(tmp_path):
    with serving(clips=tmp_path) as server:
        head = asked(server, "/clips", method="POST", X_Vskd_Token=TOKEN, Content_Length=str(LARGEST_BODY + 1))
        assert sent(server, head)[0] == 413
        head = asked(server, "/clips", method="POST", X_Vskd_Token=TOKEN, Content_Length="9" * 4000)
        assert sent(server, head)[0] == 413
        for length in ("-1", "1e3", "٣", " ", "0x10"):
            head = asked(server, "/clips", method="POST", X_Vskd_Token=TOKEN, Content_Length="LENGTH")
            assert sent(server, head.replace(b"LENGTH", length.encode()))[0] == 411
        head = asked(server, "/clips", method="POST", X_Vskd_Token=TOKEN, Transfer_Encoding="chunked")
        assert sent(server, head + b"5\r\nhello\r\n0\r\n\r\n")[0] == 411
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"label": ""}, b"the label is empty"),
        ({"label": "still"}, b"is what vskd calls an event"),
        ({"label": "../../x\n"}, b"invisible character"),
        ({"subject": "a" * 101}, b"has 101 characters"),
        ({"placement": " left"}, b"begins or ends with a blank"),
        ({"when_s": -1}, b"cannot be of the time"),
        ({"when_s": "now"}, b"when_s"),
        ({"samples": "time_s,ax,ay,az\n0,1,2,3\n"}, b"20 to 240000 samples"),
        ({"samples": CLIP["samples"].replace("0.020000", "=1+1")}, b"line 3 of the samples"),
        ({"samples": CLIP["samples"].replace("0.020000", "0.0")}, b"line 3 of the samples"),
        ({"samples": CLIP["samples"].replace("0.040000", "1e9")}, b"line 4 of the samples"),
        ({"samples": CLIP["samples"].replace("9.8", "nan")}, b"line 2 of the samples"),
        ({"path": "/etc/passwd"}, b"path"),
    ],
)
def test_what_is_no_clip_is_refused_and_nothing_is_written(change, says, tmp_path):
    with serving(clips=tmp_path / "clips") as server:
        status, _, content = posted(server, {**CLIP, **change})
        assert (status, says in content) == (400, True), content
        assert not (tmp_path / "clips").exists()
        for body in (b"no json", b"\xff\xfe", b"[" * 5000, b"[]", b'{"label": 1' + b"0" * 5000 + b"}"):
            assert posted(server, body)[0] == 400
        assert posted(server, b"no json")[2].startswith(b"the clip is no JSON document: ")
        assert not (tmp_path / "clips").exists()


def test_a_clip_that_is_cut_short_is_refused(tmp_path):
    with serving(clips=tmp_path) as server, connected(server) as client:
        client.sendall(asked(server, "/clips", method="POST", X_Vskd_Token=TOKEN, Content_Length="500") + b"{")
        client.shutdown(1)
        assert answered(client)[0] == 400
        assert not list(tmp_path.iterdir())


def test_a_client_that_sends_a_byte_now_and_then_is_ended(monkeypatch):
    monkeypatch.setattr(of_server, "LONGEST_S", 0.6)
    with serving() as server, connected(server) as client:
        begin = time.monotonic()
        try:
            for byte in b"GET / HTTP/1.1\r\nX-Slow: " + b"x" * 1000:
                client.sendall(bytes([byte]))
                time.sleep(0.05)
        except OSError:
            pass
        assert client.recv(100) == b""
        assert time.monotonic() - begin < 15
        assert sent(server, asked(server, "/"))[0] == 200


def test_a_client_that_says_nothing_is_ended(monkeypatch):
    monkeypatch.setattr(of_server, "IDLE_S", 0.3)
    monkeypatch.setattr(of_server.PageHandler, "timeout", 0.3)
    with serving() as server, connected(server) as client:
        assert client.recv(100) == b""


def test_connections_are_bounded_and_come_back():
    with serving() as server:
        waiting = [connected(server) for _ in range(MOST_CONNECTIONS)]
        for client in waiting:
            client.sendall(b"GET / HTTP/1.1\r\n")
        time.sleep(0.5)
        with connected(server) as one_more:
            assert one_more.recv(100) == b""
        for client in waiting:
            client.close()
        time.sleep(0.5)
        assert sent(server, asked(server, "/"))[0] == 200


def chunk(begin: int, *, whole: bool = False) -> Chunk:
    times = np.arange(begin, begin + 3)
    xyz = np.full((3, 3), 0.5)
    xyz[1, 1] = np.nan
    return Chunk(times + 2**60 if whole else times / 50, xyz)


def test_the_live_source_is_heard_with_the_token_alone():
    live = Broadcast(unit="g", axes="x,y,z", time_unit="ns", waits=True)
    with serving(live=live) as server:
        assert sent(server, asked(server, "/live"))[0] == 403
        assert sent(server, asked(server, "/live?token=x"))[0] == 403
        assert sent(server, asked(server, f"/live?token={TOKEN}", method="HEAD"))[::2] == (404, b"")
        source = threading.Thread(target=live.run, args=[[chunk(0, whole=True), chunk(3)]])
        source.start()
        status, headers, content = sent(server, asked(server, f"/live?token={TOKEN}"))
        source.join()
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    first, second, end = content.decode().strip().split("\n\n")
    assert live.how == {"unit": "g", "axes": "x,y,z", "timeUnit": "ns"}
    told = json.loads(first.split("data: ")[1])
    assert told["time"] == [str(2**60 + row) for row in range(3)]
    assert told["xyz"][1] == [0.5, None, 0.5]
    assert json.loads(second.split("data: ")[1])["time"][0] == 0.06
    assert end == "event: end\ndata: the source has ended"


def test_listeners_are_bounded_and_those_who_have_gone_are_forgotten(monkeypatch):
    monkeypatch.setattr(of_server, "_HEARTBEAT_S", 0.05)
    live = Broadcast(unit="g", axes="x,y,z", time_unit="s")
    with serving(live=live) as server:
        request = asked(server, f"/live?token={TOKEN}")
        listeners = [connected(server) for _ in range(MOST_LISTENERS)]
        for client in listeners:
            client.sendall(request)
            assert client.recv(20).startswith(b"HTTP/1.0 200")
        assert sent(server, request)[0] == 503
        for client in listeners:
            client.close()
        time.sleep(1.0)
        with connected(server) as client:
            client.sendall(request)
            assert client.recv(20).startswith(b"HTTP/1.0 200")


@pytest.mark.parametrize("host", ["", "a b", "a,DNS:b", "a/b", "wrist.local\n"])
def test_what_is_no_host_is_refused(host):
    with pytest.raises(ConfigError, match="is no name or address of a host"):
        written(host)


def test_own_addresses_are_written_as_a_browser_writes_them():
    assert all(written(address) == address for address in own_addresses())
    assert [written(host) for host in ("::1", "Wrist.Local", "10.0.0.1")] == ["[::1]", "wrist.local", "10.0.0.1"]


def test_a_port_that_is_taken_is_an_error_with_a_way_out(tmp_path):
    with serving() as server:
        words = [sys.executable, "-m", "vskd", "serve", str(EARLIER), "--port", str(server.server_address[1])]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "cannot listen at 127.0.0.1, port" in done.stderr
    assert "Give others" in done.stderr
