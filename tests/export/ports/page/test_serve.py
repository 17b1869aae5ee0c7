"""The command ``vskd serve`` as a process: what it prints, its certificate, a clip, its end."""

from __future__ import annotations

import json
import re
import shutil
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from export.ports.page.node import EARLIER
from export.ports.page.test_server import CLIP
from vskd_training.datasets.folder.reader import FolderSource


@contextmanager
def served(*options: object) -> Iterator[tuple[str, str, subprocess.Popen[str]]]:
    """Address, token and process of a server that is ended by Ctrl-C."""
    words = [sys.executable, "-m", "vskd", "serve", str(EARLIER), "--no-wasm", "--port", "0", *map(str, options)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            found = re.fullmatch(r"(https?://[\w.:\[\]]+/)#token=([\w-]+)\n", line)
            assert found is not None, line or process.communicate()[1]
            yield found[1], found[2], process
        finally:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert said.rstrip().endswith("stopped")


def test_it_serves_the_page_and_takes_a_clip(tmp_path):
    with served("--clips", tmp_path / "clips") as (address, token, process):
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address) as answer:
            assert answer.read().startswith(b"<!doctype html>")
        with urllib.request.urlopen(f"{address}model/page.json") as answer:
            assert json.load(answer)["served"] == {"clips": True, "live": None}
        headers = {"X-Vskd-Token": token, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{address}clips", json.dumps(CLIP).encode(), headers)
        with urllib.request.urlopen(request) as answer:
            name = answer.read().decode().strip()
        assert process.stdout is not None
        assert process.stdout.readline() == f"clip {name}\n"
    (clip,) = FolderSource.open(tmp_path / "clips", view="none").infos()
    assert (clip.label, clip.subject) == ("swing, slow", "Zoë")


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_https_has_a_certificate_for_its_addresses(tmp_path):
    with served("--https", "--name", "wrist.local") as (address, _, _):
        host, port = address.removeprefix("https://").rstrip("/").split(":")
        text = ssl.get_server_certificate((host, int(port)))
        (tmp_path / "server.pem").write_text(text)
        context = ssl.create_default_context(cafile=str(tmp_path / "server.pem"))
        with urllib.request.urlopen(address, context=context) as answer:
            assert answer.status == 200


def test_a_connection_without_tls_does_not_stop_it():
    with served("--https") as (address, _, _), pytest.raises(OSError):  # noqa: PT011  # refused in one way or another
        urllib.request.urlopen(address.replace("https", "http"))


def test_a_folder_of_another_kind_is_refused_at_the_start(tmp_path, run_vskd):
    (tmp_path / "dataset.toml").write_text('name = "k"\nunit = "g"\ngravity = true\nplacement = "left wrist"\n')
    done = run_vskd("serve", EARLIER, "--no-wasm", "--port", "0", "--clips", Path(tmp_path))
    assert (done.returncode, "has the unit 'g'" in done.stderr) == (1, True)
