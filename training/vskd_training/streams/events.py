"""How a stream of decisions is judged by events: what was found, how late, and what was reported that was not there.

Definitions, after the event-based part of Ward, Lukowicz and Gellersen, "Performance metrics for activity recognition"
(ACM TIST 2011), simplified to what a wearer sees:

- An **activity** is a span of the truth whose label the contract knows. Spans of other labels are **other movements**;
  time in no span, or in one called ``still`` or ``no signal``, is **pause**.
- A watch shows a decision from the end of its window on, and until a decision with another label. An **event** is an
  activity that is shown: consecutive decisions with one label of the contract. ``unknown``, ``still`` and
  ``no signal`` end it, and are no events.
- An activity from s to e is **found** if an event of its label is shown at some time in [s, e + allowance); the
  interval ends earlier where the next activity of the same label begins. It is **fragmented** if there are several such
  events (Ward's F), and **merged** if the event that found it had found an activity before it (M). Not found is a
  deletion (D).
- Its **delay** runs from s to the start of the event that found it. Where that event was shown before s already, the
  activity counts as found and as ``already_shown``, and has no delay.
- An event that found nothing is **wrong**. It belongs to the latest span that began before its start, if that span,
  with the allowance, ends after it: to an activity (a substitution) or to another movement; else to a pause. In the
  last two cases it is a **false event** (insertion, I). False events are given per hour of these times: of pauses and
  other movements together, and of each. An other movement in which one began is **mistaken**.
- **Shown in vain** is the share of these times in which an activity was shown. It tells what the number of events does
  not: one false event may last a second or an hour.
- The **confusion** of events has one entry for each activity: its own label if it was found, else the label that most
  decisions in its interval had (the first of equals), or ``""`` where none had one.

Delays are on the sensor's clock; the milliseconds of computing come on top.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from vskd.decide import NO_SIGNAL, STILL
from vskd.errors import DataError
from vskd_training.datasets.recording import Span

#: In a confusion: nothing was reported.
NOTHING = ""


class Decision(NamedTuple):
    """One decision of the runtime.

    Attributes
    ----------
    start_s, end_s : of its window
    label : as reported
    by_network : the label with the highest logit; as reported where the network did not run
    is_activity : whether the label is one of the contract's, not ``unknown``, ``still`` or ``no signal``
    """

    start_s: float
    end_s: float
    label: str
    by_network: str
    is_activity: bool


@dataclass(frozen=True)
class EventCounts:
    """What was counted, of one stream or of several together. The module's docstring defines every word.

    Attributes
    ----------
    activities, found, already_shown, merged, fragmented : of the truth
    delays_s : of the activities that have one
    wrong_in_activities : events
    false_in_pauses : label -> events
    false_in_others : the movement -> label -> events
    others, mistaken : other movements, and those in which a false event began
    confusion : the activity -> label or ``NOTHING`` -> activities
    pause_s, other_s : how long pauses and other movements last
    shown_in_pauses_s, shown_in_others_s : of that, how long an activity was shown
    """

    activities: int = 0
    found: int = 0
    already_shown: int = 0
    merged: int = 0
    fragmented: int = 0
    delays_s: tuple[float, ...] = ()
    wrong_in_activities: int = 0
    false_in_pauses: Counter[str] = field(default_factory=Counter)
    false_in_others: dict[str, Counter[str]] = field(default_factory=dict)
    others: int = 0
    mistaken: int = 0
    confusion: dict[str, Counter[str]] = field(default_factory=dict)
    pause_s: float = 0.0
    other_s: float = 0.0
    shown_in_pauses_s: float = 0.0
    shown_in_others_s: float = 0.0

    def __add__(self, other: EventCounts) -> EventCounts:
        """Both together."""
        sums = {item.name: _sum(getattr(self, item.name), getattr(other, item.name)) for item in fields(self)}
        return EventCounts(**sums)

    def summary(self) -> dict[str, Any]:
        """Shares, delays and rates, ready for JSON; None where there is nothing to take them of."""
        in_pauses, in_others = self.false_in_pauses.total(), sum(map(Counter.total, self.false_in_others.values()))
        away_s = self.pause_s + self.other_s
        return {
            "activities": self.activities,
            "found": _ratio(self.found, self.activities),
            "already_shown": self.already_shown,
            "merged": self.merged,
            "fragmented": self.fragmented,
            "delay_s": {
                "count": len(self.delays_s),
                **{f"p{p}": float(np.percentile(self.delays_s, p)) if self.delays_s else None for p in (50, 90)},
            },
            "wrong_in_activities": self.wrong_in_activities,
            "false_per_hour": {
                "all": _ratio((in_pauses + in_others) * 3600, away_s),
                "pauses": _ratio(in_pauses * 3600, self.pause_s),
                "other_movements": _ratio(in_others * 3600, self.other_s),
            },
            "false_events": {"pauses": in_pauses, "other_movements": in_others},
            "other_movements": self.others,
            "mistaken": _ratio(self.mistaken, self.others),
            "shown_in_vain": _ratio(self.shown_in_pauses_s + self.shown_in_others_s, away_s),
            "hours": {"pauses": self.pause_s / 3600, "other_movements": self.other_s / 3600},
        }


def _sum(one: Any, other: Any) -> Any:
    if not isinstance(one, dict) or isinstance(one, Counter):
        return one + other
    return {name: one.get(name, Counter()) + other.get(name, Counter()) for name in {**one, **other}}


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def shown_events(decisions: Sequence[Decision], *, until_s: float) -> list[Span]:
    """The events of decisions in their order; what is shown last is shown until the stream ends."""
    events: list[Span] = []
    ends = [*(decision.end_s for decision in decisions[1:]), until_s]
    previous = None
    for decision, end_s in zip(decisions, ends[: len(decisions)], strict=True):
        label = decision.label if decision.is_activity else None
        if label is not None and label == previous:
            events[-1] = events[-1]._replace(end_s=end_s)
        elif label is not None:
            events.append(Span(decision.end_s, end_s, label))
        previous = label
    return events


def check_truth(
    truth: Sequence[Span], labels: Collection[str], *, stream_s: tuple[float, float], name: str
) -> tuple[Span, ...]:
    """The spans of a truth by time, without ``still`` and ``no signal``.

    Raises
    ------
    DataError : spans that overlap or lie outside the stream, or none of an activity that the labels name
    """
    for span in truth:
        if span.start_s >= stream_s[1] or span.end_s <= stream_s[0]:
            raise DataError(
                f"{name}: {span.label} lasts from {span.start_s:g} to {span.end_s:g} s, and the samples from "
                f"{stream_s[0]:g} to {stream_s[1]:g} s",
                hint="Give the truth of these samples, on their clock",
            )
    spans = sorted(span for span in truth if span.label in labels or span.label not in (STILL, NO_SIGNAL))
    for one, other in pairwise(spans):
        if other.start_s < one.end_s:
            raise DataError(
                f"{name}: {other.label} from {other.start_s:g} s on begins before {one.label} ends, at {one.end_s:g} s",
                hint="One subject does one thing at a time: mend the spans",
            )
    if not any(span.label in labels for span in spans):
        found = ", ".join(dict.fromkeys(span.label for span in truth))
        raise DataError(
            f"{name} holds none of the model's activities, but {found}", hint=f"It knows {', '.join(labels)}"
        )
    return tuple(spans)


class _Region(NamedTuple):
    """A span with its allowance, ended by the next span: the time to which wrong events belong."""

    start_s: float
    end_s: float
    label: str
    is_activity: bool


def judge_events(
    decisions: Sequence[Decision],
    truth: Sequence[Span],
    labels: Collection[str],
    *,
    allowance_s: float,
    stream_s: tuple[float, float],
) -> EventCounts:
    """Count what the module's docstring defines.

    Parameters
    ----------
    decisions : in their order
    truth : as ``check_truth`` gives it
    labels : of the contract
    allowance_s : at least 0 s
    stream_s : the first and the last sample's time
    """
    events = shown_events(decisions, until_s=max([stream_s[1], *(one.end_s for one in decisions)]))
    activities = [span for span in truth if span.label in labels]
    found = _find(events, activities, allowance_s)
    finders = {index for finding in found for index in finding.events}
    wrong = [event for index, event in enumerate(events) if index not in finders]
    regions = _regions(truth, labels, allowance_s, stream_s)
    first = [finding.events[0] for finding in found if finding.events]
    fresh = [finding for finding in found if finding.delay_s is not None]
    return EventCounts(
        activities=len(activities),
        found=len(first),
        already_shown=len(first) - len(fresh),
        merged=len(first) - len(set(first)),
        fragmented=sum(len(finding.events) > 1 for finding in found),
        delays_s=tuple(finding.delay_s for finding in fresh if finding.delay_s is not None),
        confusion=_confusion(found, decisions),
        **_wrong(wrong, regions),
        **_times(events, regions, stream_s),
    )


class _Finding(NamedTuple):
    """Of one activity: the time in which it may be reported, the events that do, and the delay."""

    interval: Span
    events: tuple[int, ...]
    delay_s: float | None


def _find(events: Sequence[Span], activities: Sequence[Span], allowance_s: float) -> list[_Finding]:
    found = []
    for index, activity in enumerate(activities):
        again_s = [later.start_s for later in activities[index + 1 :] if later.label == activity.label]
        interval = activity._replace(end_s=min([activity.end_s + allowance_s, *again_s]))
        own = tuple(
            number
            for number, event in enumerate(events)
            if event.label == activity.label and event.start_s < interval.end_s and event.end_s > interval.start_s
        )
        seen_s = events[own[0]].start_s if own else -np.inf
        found.append(_Finding(interval, own, seen_s - activity.start_s if seen_s >= activity.start_s else None))
    return found


def _regions(
    truth: Sequence[Span], labels: Collection[str], allowance_s: float, stream_s: tuple[float, float]
) -> list[_Region]:
    nexts = [span.start_s for span in truth[1:]] + [stream_s[1]]
    return [
        _Region(max(span.start_s, stream_s[0]), min(span.end_s + allowance_s, next_s), span.label, span.label in labels)
        for span, next_s in zip(truth, nexts, strict=True)
    ]


def _wrong(wrong: Sequence[Span], regions: Sequence[_Region]) -> dict[str, Any]:
    in_activities, in_pauses, in_others = 0, Counter[str](), dict[str, Counter[str]]()
    mistaken = set[_Region]()
    for event in wrong:
        owner = next((one for one in regions if one.start_s <= event.start_s < one.end_s), None)
        if owner is None:
            in_pauses[event.label] += 1
        elif owner.is_activity:
            in_activities += 1
        else:
            mistaken.add(owner)
            in_others.setdefault(owner.label, Counter())[event.label] += 1
    return {
        "wrong_in_activities": in_activities,
        "false_in_pauses": in_pauses,
        "false_in_others": in_others,
        "others": sum(not one.is_activity for one in regions),
        "mistaken": len(mistaken),
    }


def _times(events: Sequence[Span], regions: Sequence[_Region], stream_s: tuple[float, float]) -> dict[str, Any]:
    """How long pauses and other movements last, and how long an activity is shown in them."""

    def shown(start_s: float, end_s: float) -> float:
        return sum(max(0.0, min(event.end_s, end_s) - max(event.start_s, start_s)) for event in events)

    of_activities = [(one.start_s, one.end_s) for one in regions if one.is_activity]
    of_others = [(one.start_s, one.end_s) for one in regions if not one.is_activity]
    other_s, activity_s = (sum(end_s - start_s for start_s, end_s in part) for part in (of_others, of_activities))
    shown_others_s, shown_activities_s = (sum(shown(*one) for one in part) for part in (of_others, of_activities))
    return {
        "pause_s": stream_s[1] - stream_s[0] - other_s - activity_s,
        "other_s": other_s,
        "shown_in_pauses_s": shown(*stream_s) - shown_others_s - shown_activities_s,
        "shown_in_others_s": shown_others_s,
    }


def _confusion(found: Sequence[_Finding], decisions: Sequence[Decision]) -> dict[str, Counter[str]]:
    confusion: dict[str, Counter[str]] = {}
    for interval, events, _ in found:
        reported = interval.label if events else _most_reported(interval, decisions)
        confusion.setdefault(interval.label, Counter())[reported] += 1
    return confusion


def _most_reported(interval: Span, decisions: Sequence[Decision]) -> str:
    counts = Counter(
        one.label for one in decisions if one.is_activity and interval.start_s <= one.end_s < interval.end_s
    )
    return counts.most_common(1)[0][0] if counts else NOTHING
