"""The sensor's order of samples out of the order in which they arrive: the one rule for streams and for files.

Times are the sensor's, s. The rule, sample by sample:

- **Opening.** The first ``OPENING`` samples of a segment, and at least the first ``reorder_s``, are held and sorted.
  They tell the sampling period, and whether the sensor sends packets of samples that share a time.
- **In order.** A sample at most ``PROMPT`` periods after the one before is taken at once.
- **Late.** After a longer step one may be missing. What follows waits until the missing one comes, or one that is
  ``reorder_s`` younger; so a sample that is late by at most that is sorted in. Older than one that was taken: dropped.
- **A shared time.** n samples of one time are spread evenly up to the next time if there is room for ``ROOM`` of n
  periods, else back to the time before; in a stream of packets always. Without room all but the first are repeated
  samples, and dropped.
- **A wild time.** A sample further than ``max_gap_s`` from the others is held. If the next one goes on as before, the
  held one is dropped, alone. If the next one lies near it, or later still, the clock was reset or there was a pause:
  a new segment starts.

Each answer depends on the samples alone, never on how they were cut into pushes. At most ``LONGEST`` are held.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

#: Time, s, then x, y, z, and whatever else travels with a sample.
Sample = tuple[float, ...]

#: What became of a sample that is not simply the next one. The last three are dropped.
Fate = Literal["sorted", "spread", "late", "repeated", "wild"]

#: Samples that open a segment.
OPENING = 16
#: Periods up to which a sample plainly follows: times may jitter by 0.3 of one; a missing sample makes about two.
PROMPT = 1.65
#: Share of a packet's own duration that must be free for it to be spread.
ROOM = 0.75
#: Samples held at the most while one is missing.
LONGEST = 256
#: Samples at the most of which each has a clock of its own.
STRAYS = 4


class Order:
    """Puts one sensor's samples in order.

    Parameters
    ----------
    max_gap_s : a longer step starts a segment
    reorder_s : how late a sample may come
    opening : samples that open a segment
    tell : called with what became of a sample, where that is not simply the next one

    Attributes
    ----------
    last_s : time of the sample taken last; whoever takes samples past this object, while ``is_idle``, sets it
    period_s : between two samples of this segment, as its opening showed; infinite before
    prompt_s : a sample at most so long after the last one is the next one, while ``is_idle``
    is_idle : nothing is held
    """

    def __init__(
        self, *, max_gap_s: float, reorder_s: float, opening: int, tell: Callable[[Fate, Sample], object]
    ) -> None:
        self._max_gap_s, self._reorder_s, self._needed, self._tell = max_gap_s, reorder_s, opening, tell
        self.last_s = -math.inf
        self.period_s = math.inf
        self.prompt_s = 0.0
        self.is_idle = False
        self._opens = False  # the segment's first samples are being held
        self._in_packets = False
        self._pending: list[Sample] = []  # by time, none before the last one taken
        self._strays: list[Sample] = []  # far from the segment, and from each other

    @property
    def newest_s(self) -> float:
        """The latest time on the present clock; minus infinity before there is one."""
        return self._pending[-1][0] if self._pending else self.last_s

    def take(self, sample: Sample) -> list[tuple[bool, Sample]]:
        """Take a sample; gives those that are now in order, each with whether it starts a segment."""
        at_s = sample[0]
        ready: list[tuple[bool, Sample]] = []
        if -self._max_gap_s <= at_s - self._oldest_s and at_s - self.newest_s <= self._max_gap_s:
            self._drop_strays()
            self._insert(sample)
        elif (near := self._stray_near(at_s)) is not None:
            ready = self._start_anew(near, sample)
        elif self._strays and self.newest_s < self._strays[-1][0] < at_s:  # a pause, and another one
            ready = self._start_anew(self._strays.pop())
            self._strays = [sample]
        else:
            self._strays.append(sample)
            if len(self._strays) > STRAYS:
                self._tell("wild", self._strays.pop(0))
        ready += self._settled(final=False)
        self.is_idle = not (self._pending or self._strays)
        return ready

    def finish(self) -> list[tuple[bool, Sample]]:
        """There is no further sample; gives what was held."""
        ready = self._settled(final=True)
        self._drop_strays()
        self.is_idle = True
        return ready

    def measure(self, period_s: float) -> None:
        """What the sensor's period, s, has been of late; packets keep the one that their opening showed."""
        if not self._in_packets and not ROOM <= period_s / self.period_s <= 1 / ROOM:
            self.period_s = period_s
            self.prompt_s = min(PROMPT * period_s, self._max_gap_s)

    @property
    def _oldest_s(self) -> float:
        """Before this time, less the gap, a sample is on another clock; infinite before there is a clock."""
        if self._opens:
            return self._pending[0][0]
        return self.last_s if self.last_s > -math.inf else math.inf

    def _stray_near(self, at_s: float) -> Sample | None:
        for index, stray in enumerate(self._strays):
            if abs(at_s - stray[0]) <= self._max_gap_s:
                return self._strays.pop(index)
        return None

    def _drop_strays(self) -> None:
        for stray in self._strays:
            self._tell("wild", stray)
        self._strays.clear()

    def _start_anew(self, *samples: Sample) -> list[tuple[bool, Sample]]:
        """What was held of the segment so far is over; these samples open the next one."""
        ready = self._settled(final=True)
        self._drop_strays()
        self._opens = True
        for sample in samples:
            self._insert(sample)
        return ready

    def _insert(self, sample: Sample) -> None:
        if not self._opens and sample[0] < self.last_s:
            self._tell("late", sample)
            return
        if self._pending and sample[0] < self._pending[-1][0]:
            self._tell("sorted", sample)
        bisect.insort(self._pending, sample, key=_time)

    def _settled(self, *, final: bool) -> list[tuple[bool, Sample]]:
        """Samples that wait for nothing more; ``final``: nothing more comes."""
        pending, ready = self._pending, list[tuple[bool, Sample]]()
        if self._opens:
            spans_s = pending[-1][0] - pending[0][0]
            enough = len(pending) >= self._needed and spans_s > 0 and spans_s >= self._reorder_s
            if not (enough or final or len(pending) >= LONGEST):
                return ready
            self._judge_opening()
            ready.append((True, self._next()))
        while pending:
            at_s = pending[0][0]
            size = bisect.bisect_right(pending, at_s, key=_time)
            is_whole = size < len(pending) or final
            shares = at_s == self.last_s
            if is_whole and size + shares > 1:
                self._spread(size, shares, pending[size][0] if size < len(pending) else math.inf)
                continue
            waits = at_s - self.last_s > self.prompt_s and pending[-1][0] - at_s < self._reorder_s
            if not final and (shares or waits) and len(pending) < LONGEST:
                return ready
            ready.append((False, self._next()))
        return ready

    def _next(self) -> Sample:
        sample = self._pending.pop(0)
        self.last_s = sample[0]
        return sample

    def _judge_opening(self) -> None:
        """The period, and whether samples come in packets, from the samples that open the segment."""
        self._opens = False
        times = [sample[0] for sample in self._pending]
        different = sum(a[0] == b[0] and a[1:4] != b[1:4] for a, b in itertools.pairwise(self._pending))
        self._in_packets = different > 0 and 3 * different >= len(times) - 1
        # The last packet may not be whole: what came before it took the time up to it.
        whole = bisect.bisect_left(times, times[-1])
        self.period_s = (times[-1] - times[0]) / whole if self._in_packets and whole else _usual_step(times)
        self.prompt_s = min(PROMPT * self.period_s, self._max_gap_s)

    def _spread(self, size: int, shares: bool, next_s: float) -> None:
        """Give the samples that share the first time held times of their own, or drop all but one.

        Parameters
        ----------
        size : how many are held
        shares : one more was taken already
        next_s : the time after them; infinite where there is none
        """
        pending, at_s = self._pending, self._pending[0][0]
        times = self._times(size, shares, next_s)
        # Between two times that are neighbours as numbers there is no room, however few the samples are.
        if not all(a < b for a, b in itertools.pairwise([*([at_s] if shares else []), *times, next_s])):
            times = []
        if not times:
            for sample in pending[1 - shares : size]:
                self._tell("repeated", sample)
            del pending[1 - shares : size]
        for index, now_s in enumerate(times):
            if now_s != at_s:
                self._tell("spread", pending[index])
            pending[index] = (now_s, *pending[index][1:])

    def _times(self, size: int, shares: bool, next_s: float) -> list[float]:
        """Times of their own for the samples of ``_spread``; none where they are repetitions."""
        last_s, period_s = self.last_s, self.period_s
        at_s, count = self._pending[0][0], size + shares
        fits_s = (ROOM if math.isfinite(next_s) else math.inf) * count * period_s
        room_s = next_s - at_s
        if period_s < math.inf and (self._in_packets or room_s > fits_s):
            step_s = period_s if room_s > PROMPT * count * period_s else room_s / count
            return [at_s + index * step_s for index in range(shares, count)]
        if not shares and at_s - last_s >= ROOM * count * period_s:
            step_s = (at_s - last_s) / count
            return [*(last_s + index * step_s for index in range(1, count)), at_s]
        return []


def _usual_step(times: list[float]) -> float:
    """The mean of the steps between different times, without those over missing samples; infinite without a step."""
    steps = sorted(later - before for before, later in itertools.pairwise(times) if later > before)
    usual = [step for step in steps if step <= PROMPT * steps[len(steps) // 2]]
    return sum(usual) / len(usual) if usual else math.inf


def _time(sample: Sample) -> float:
    return sample[0]


@dataclass
class Ordered:
    """A recording in the sensor's order, made by ``in_order``.

    Attributes
    ----------
    rows : which samples are left, in order
    time_s : of each of these, s
    starts : where among them a segment starts: the first, and each one after a pause or a reset of the clock
    fates : samples that were dropped, sorted or spread, by what became of them
    """

    rows: list[int] = field(default_factory=list)
    time_s: list[float] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    fates: dict[Fate, list[int]] = field(default_factory=dict)

    @property
    def resets(self) -> list[int]:
        """The starts at which the clock was set back."""
        return [at for at in self.starts if at and self.time_s[at] < self.time_s[at - 1]]


def in_order(time_s: Sequence[float], xyz: Sequence[Sequence[float]], *, max_gap_s: float, reorder_s: float) -> Ordered:
    """Put a whole recording in the sensor's order, by the rule of the stream.

    Parameters
    ----------
    time_s : (n,), s, finite
    xyz : (n, 3), finite; two samples of one time and different values are a packet's, of equal values a repetition
    max_gap_s, reorder_s : of a contract
    """
    found = Ordered()

    def tell(fate: Fate, sample: Sample) -> None:
        found.fates.setdefault(fate, []).append(int(sample[4]))

    order = Order(max_gap_s=max_gap_s, reorder_s=reorder_s, opening=OPENING, tell=tell)
    for row, (now_s, (x, y, z)) in enumerate(zip(time_s, xyz, strict=True)):
        sample = (now_s, x, y, z, row)
        if order.is_idle and 0 < now_s - order.last_s <= order.prompt_s:
            order.last_s = now_s
            _add(found, [(False, sample)])
        else:
            _add(found, order.take(sample))
    _add(found, order.finish())
    return found


def _add(found: Ordered, ready: list[tuple[bool, Sample]]) -> None:
    for starts, sample in ready:
        if starts:
            found.starts.append(len(found.rows))
        found.rows.append(int(sample[4]))
        found.time_s.append(sample[0])
