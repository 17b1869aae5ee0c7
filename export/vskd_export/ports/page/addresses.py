"""The addresses by which this machine is reached."""

from __future__ import annotations

import ipaddress
import re
import socket

from vskd.errors import ConfigError

#: A browser on this machine.
LOOPBACK = ("localhost", "127.0.0.1", "::1")

#: Of no machine (RFC 5737): to ask the way there sends nothing.
_ELSEWHERE = ("192.0.2.1", 9)


def own_addresses() -> list[str]:
    """IPv4 addresses in this machine's networks, the one towards the world first."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
            found.append(str(probe.getsockname()[0]))
        except OSError:
            found = []  # no network but its own
    try:
        found += [str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    except OSError:
        return found or ["127.0.0.1"]
    return list(dict.fromkeys(one for one in found if not one.startswith("127."))) or ["127.0.0.1"]


def written(host: str) -> str:
    """A host as an address of a page has it: ``"::1"`` -> ``"[::1]"``, in small letters.

    Raises
    ------
    ConfigError : no host's name; an empty one would listen everywhere
    """
    if not re.fullmatch(r"[0-9A-Za-z._:%\[\]-]+", host):
        raise ConfigError(f"{host!r} is no name or address of a host", hint="Give one such as 192.168.1.5, wrist.local")
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host.lower()
