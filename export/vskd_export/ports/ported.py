"""What a port gave when it was replayed: a row of the report's table, and a line of ``vskd verify``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from vskd.checks.selftest import Check


@dataclass(frozen=True, kw_only=True)
class Ported:
    """A port, replayed with a bundle's golden windows and streams.

    Attributes
    ----------
    port : names it, and what ran it
    not_replayed : why it was not; a bundle without it, or a machine without its programs, is no fault
    windows, windows_equal, labels_equal : golden windows; those with the plan's bits, and with its label
    events, events_equal : of the golden streams; those with the plan's label and times
    bytes : that it takes where programs lie: a whole firmware; of the page what a browser fetches of core and network;
        of Kotlin the network
    ram_bytes : state and stack of C, memory of a WebAssembly module; None where nothing tells it
    problem : one sentence if it failed, or something is not equal
    """

    port: str
    not_replayed: str = ""
    windows: int = 0
    windows_equal: int = 0
    labels_equal: int = 0
    events: int = 0
    events_equal: int = 0
    bytes: int | None = None
    ram_bytes: int | None = None
    problem: str = ""

    def check(self) -> Check:
        """For ``vskd verify``."""
        if self.not_replayed or not self.windows:
            return Check("port", ": ".join(filter(None, (self.port, self.not_replayed))), self.problem)
        windows = f"{self.windows_equal} of {self.windows} windows bit-equal"
        events = f"{self.events_equal} of {self.events} events equal"
        memory = "" if self.ram_bytes is None else f", memory {self.ram_bytes} bytes"
        return Check("port", f"{self.port}: {windows}, {events}{memory}", self.problem)


def counted(
    port: str, counts: Mapping[str, float], *, size: int | None = None, ram_bytes: int | None = None, told: str = ""
) -> Ported:
    """A port that was replayed.

    Parameters
    ----------
    port : names it
    counts : of its self-test, as the fields of ``Ported`` are called; other ones are left out
    size, ram_bytes : as there
    told : the first difference, if the self-test tells it
    """
    names = ("windows", "windows_equal", "labels_equal", "events", "events_equal")
    windows, windows_equal, labels_equal, events, events_equal = (int(counts[name]) for name in names)
    is_equal = (windows_equal, events_equal) == (windows, events)
    sentence = f"the port ({port}) does not compute what the bundle's model does; report it"
    problem = "" if is_equal else ": ".join(filter(None, (sentence, told)))
    return Ported(
        port=port,
        windows=windows,
        windows_equal=windows_equal,
        labels_equal=labels_equal,
        events=events,
        events_equal=events_equal,
        bytes=size,
        ram_bytes=ram_bytes,
        problem=problem,
    )


def checks(rows: Iterable[Ported]) -> Iterator[Check]:
    """The lines of some ports."""
    return (row.check() for row in rows)
