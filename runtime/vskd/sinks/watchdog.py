"""Notifications to systemd: the service is ready, alive, stopping (sd_notify(3)).

One datagram per message to the socket that systemd names in the environment; nothing but the standard library. A
process that hangs in an engine or on a disk sends nothing, and systemd starts it again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from vskd.errors import ConfigError

if TYPE_CHECKING:  # only a service needs it
    from socket import socket as Socket

#: Messages are sent this many times as often as systemd requires, so that a busy machine does not look dead.
MESSAGES_PER_INTERVAL = 4


class Watchdog:
    """Notifies systemd of the state of a service; made by ``open``.

    Parameters
    ----------
    socket : a datagram socket
    address : of systemd's socket
    every_s : smallest time between two signs of life, s
    clock : s, monotonic
    """

    def __init__(
        self, socket: Socket, address: str, *, every_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._socket, self._address = socket, address
        self._every_s = every_s
        self._clock = clock
        self._last = -float("inf")

    @classmethod
    def open(
        cls, environment: Mapping[str, str] = os.environ, *, clock: Callable[[], float] = time.monotonic
    ) -> Watchdog:
        """Find systemd's socket.

        Parameters
        ----------
        environment : holds ``NOTIFY_SOCKET``, and ``WATCHDOG_USEC`` where the unit has ``WatchdogSec``
        clock : s, monotonic

        Raises
        ------
        ConfigError : systemd did not start this process, or its messages cannot be read
        """
        import socket  # only a service needs it

        name = environment.get("NOTIFY_SOCKET", "")
        if not name:
            raise ConfigError(
                "there is no systemd to report to: NOTIFY_SOCKET is not set",
                hint="Start it from a unit with Type=notify, see runtime/examples/vskd.service",
            )
        every_s = _interval_s(environment) / MESSAGES_PER_INTERVAL
        address = "\0" + name[1:] if name.startswith("@") else name
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(address)
            except OSError as error:
                raise ConfigError(f"cannot report to systemd at {name}: {error.strerror}") from error
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        channel.setblocking(False)
        return cls(channel, address, every_s=every_s, clock=clock)

    def ready(self, status: str) -> None:
        """The service is ready; ``status`` is shown by ``systemctl status``."""
        self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def alive(self, status: str) -> None:
        """The service is alive; call it at any rate, it sends no more often than needed."""
        now = self._clock()
        if now - self._last >= self._every_s:
            self._last = now
            self._send(f"WATCHDOG=1\nSTATUS={_one_line(status)}")

    def close(self) -> None:
        """The service stops."""
        self._send("STOPPING=1")
        self._socket.close()

    def _send(self, message: str) -> None:
        try:
            self._socket.sendto(message.encode(), self._address)
        except (ConnectionError, FileNotFoundError, BlockingIOError):
            # systemd is being restarted, or is too busy to read: the next message comes soon, and waiting here would
            # stop the service.
            return


def _interval_s(environment: Mapping[str, str]) -> float:
    """Seconds without a message after which systemd acts; without a watchdog 1, so that the status is fresh."""
    text = environment.get("WATCHDOG_USEC", "")
    if not text or environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 1.0 * MESSAGES_PER_INTERVAL
    if not text.isdigit() or int(text) == 0:
        raise ConfigError(f"WATCHDOG_USEC must be a number of microseconds above 0, got {text!r}")
    return int(text) / 1e6


def _one_line(text: str) -> str:
    return " ".join(text.split())
