"""Messages to systemd, read from a socket that stands for it; and the unit file that asks for them."""

from __future__ import annotations

import configparser
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vskd.commands.run import run
from vskd.commands.selftest import selftest
from vskd.errors import ConfigError
from vskd.sinks.watchdog import Watchdog

UNIT = Path(__file__).parents[3] / "runtime" / "examples" / "vskd.service"


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "notify"))
        server.settimeout(20)
        yield server


def received(server: socket.socket) -> list[str]:
    server.setblocking(False)
    messages = []
    while True:
        try:
            messages.append(server.recv(4096).decode())
        except BlockingIOError:
            return messages


def watchdog_of(server: socket.socket, clock=lambda: 0.0, **more: str) -> Watchdog:
    return Watchdog.open({"NOTIFY_SOCKET": server.getsockname(), **more}, clock=clock)


def test_a_service_says_ready_alive_and_stopping(systemd):
    watchdog = watchdog_of(systemd)
    watchdog.ready("model.tflite\non litert")
    watchdog.alive("3 decisions")
    watchdog.close()
    assert received(systemd) == [
        "READY=1\nSTATUS=model.tflite on litert",
        "WATCHDOG=1\nSTATUS=3 decisions",
        "STOPPING=1",
    ]


def test_alive_is_sent_four_times_as_often_as_systemd_requires_and_no_more(systemd):
    now = 0.0
    watchdog = watchdog_of(systemd, lambda: now, WATCHDOG_USEC="2000000", WATCHDOG_PID=str(os.getpid()))
    messages = []
    for step in range(101):
        now = step / 10
        watchdog.alive("")
        messages += received(systemd)
    watchdog.close()
    assert len(messages) == 21  # at 0, 0.5, ... 10 s


def test_a_systemd_that_does_not_read_does_not_stop_the_service(systemd):
    now = 0.0
    watchdog = watchdog_of(systemd, lambda: now, WATCHDOG_USEC="1000")
    for step in range(1000):  # far more than the socket holds
        now = float(step)
        watchdog.alive("")
    watchdog.close()
    assert 0 < len(received(systemd)) < 1000


def test_a_watchdog_that_is_meant_for_another_process_sets_no_pace(systemd):
    now = 0.0
    watchdog = watchdog_of(systemd, lambda: now, WATCHDOG_USEC="1000", WATCHDOG_PID="1")
    for step in range(10):
        now = step / 10
        watchdog.alive("")
    watchdog.close()
    assert len(received(systemd)) == 2


def test_an_abstract_socket_is_understood():
    name = f"@vskd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind("\0" + name[1:])
        Watchdog.open({"NOTIFY_SOCKET": name}).close()
        assert received(server) == ["STOPPING=1"]


def test_a_systemd_that_is_away_for_a_moment_does_not_end_the_service(systemd):
    now = 0.0
    address = systemd.getsockname()
    watchdog = watchdog_of(systemd, lambda: now)
    systemd.close()
    watchdog.alive("nobody hears it")
    Path(address).unlink()
    now = 10.0
    watchdog.alive("nobody hears it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as again:
        again.bind(address)
        now = 20.0
        watchdog.alive("3 decisions")
        watchdog.close()
        assert received(again) == ["WATCHDOG=1\nSTATUS=3 decisions", "STOPPING=1"]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, r"NOTIFY_SOCKET is not set\. Start it from a unit with Type=notify"),
        ({"NOTIFY_SOCKET": "/no/such/socket"}, "cannot report to systemd at /no/such/socket: No such file"),
        ({"NOTIFY_SOCKET": "x", "WATCHDOG_USEC": "soon"}, "WATCHDOG_USEC must be a number .* got 'soon'"),
        ({"NOTIFY_SOCKET": "x", "WATCHDOG_USEC": "0"}, "WATCHDOG_USEC must be a number"),
    ],
)
def test_what_is_no_systemd_is_refused(environment, message):
    with pytest.raises(ConfigError, match=message):
        Watchdog.open(environment)


def test_a_run_reports_through_a_silent_source_to_its_end(systemd, tmp_path, make_bundle, contract):
    bundle = make_bundle(tmp_path / "x.bundle", contract)
    environment = {
        **os.environ,
        "NOTIFY_SOCKET": systemd.getsockname(),
        "WATCHDOG_USEC": "400000",
    }
    words = ["run", str(bundle), "--input", "-", "--engine", "onnxruntime", "--watchdog"]
    process = subprocess.Popen(
        [sys.executable, "-m", "vskd", *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert systemd.recv(4096).decode() == "READY=1\nSTATUS=model.fp32.onnx on onnxruntime"
    assert systemd.recv(4096).decode() == "WATCHDOG=1\nSTATUS=no samples for 0 s"
    rows = "".join(f"{index / 50},0,0,1\n" for index in range(40))
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"time_s,ax,ay,az\n{rows}")
    process.stdin.flush()
    assert '"label": "z up"' in process.stdout.readline()
    received(systemd)
    systemd.settimeout(20)
    assert systemd.recv(4096).decode().startswith("WATCHDOG=1")  # it waits for more, and lives
    _, notes = process.communicate(timeout=60)
    assert process.returncode == 0, notes
    assert received(systemd)[-1] == "STOPPING=1"


def test_a_slow_replay_reports_through_its_pauses(command, systemd, tmp_path, make_bundle, contract, monkeypatch):
    (tmp_path / "slow.csv").write_text("time_s,ax,ay,az\n0,0,0,1\n0.02,0,0,1\n0.04,0,0,1\n")
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    words = ("--input", tmp_path / "slow.csv", "--replay-speed", "0.1", "--engine", "onnxruntime", "--watchdog")
    done = command("run", make_bundle(tmp_path / "x.bundle", contract), *words)
    assert (done.code, "nothing was decided" in done.err) == (1, True)  # three samples
    assert "WATCHDOG=1\nSTATUS=waiting for the recording's next sample" in received(systemd)


def test_the_unit_asks_for_a_watchdog_a_restart_and_options_that_exist():
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # systemd's keys have capitals
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    assert (service["Type"], service["Restart"]) == ("notify", "on-failure")
    assert float(service["WatchdogSec"]) > 0
    _, name, *words = shlex.split(service["ExecStart"])
    context = run.make_context(name, words)
    assert (context.params["watchdog"], context.params["follow"], context.params["append"]) == (True, True, True)
    _, name, *words = shlex.split(service["ExecStartPre"])
    assert selftest.make_context(name, words).params["bundle"] == context.params["bundle"]
