"""Events on hand-made streams with known answers, and a count instant by instant as a second opinion."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from vskd.errors import DataError
from vskd_training.datasets.recording import Span
from vskd_training.streams.events import (
    NOTHING,
    Decision,
    EventCounts,
    check_truth,
    judge_events,
    shown_events,
)

LABELS = ("walk", "jog", "sit")


def decisions(shown: dict[str, list[int]], last: int = 50) -> list[Decision]:
    """One decision a second, at 1, 2, ..., of windows of 2 s; ``unknown`` where nothing is said."""
    labels = {second: label for label, seconds in shown.items() for second in seconds}
    return [
        Decision(end - 2, end, labels.get(end, "unknown"), "walk", labels.get(end, "unknown") in LABELS)
        for end in range(1, last + 1)
    ]


def judged(shown: dict[str, list[int]], truth: list[Span], *, last: int = 50, allowance_s: float = 2) -> EventCounts:
    return judge_events(decisions(shown, last), truth, LABELS, allowance_s=allowance_s, stream_s=(0.0, last))


def seconds(first: int, last: int) -> list[int]:
    return list(range(first, last + 1))


def test_two_activities_found_and_one_false_event() -> None:
    """Walk from 10 to 20 is seen at 13, jog from 30 to 40 at 32; at 25 there is neither."""
    truth = [Span(10, 20, "walk"), Span(30, 40, "jog")]
    found = judged({"walk": seconds(13, 21), "jog": [25, *seconds(32, 41)]}, truth)
    assert (found.activities, found.found, found.delays_s) == (2, 2, (3.0, 2.0))
    assert found.false_in_pauses == {"jog": 1}
    assert found.confusion == {"walk": {"walk": 1}, "jog": {"jog": 1}}
    # Each activity owns 12 of the 50 s; the false event is shown for a second.
    assert (found.pause_s, found.other_s, found.shown_in_pauses_s) == (26.0, 0.0, 1.0)
    summary = found.summary()
    assert summary["found"] == 1.0
    assert summary["delay_s"] == {"count": 2, "p50": 2.5, "p90": 2.9}
    assert summary["false_per_hour"] == {"all": 3600 / 26, "pauses": 3600 / 26, "other_movements": None}
    assert summary["shown_in_vain"] == pytest.approx(1 / 26)


def test_one_event_over_two_activities_is_merged_and_the_second_has_no_delay() -> None:
    found = judged({"walk": seconds(12, 26)}, [Span(10, 15, "walk"), Span(20, 25, "walk")])
    assert (found.found, found.merged, found.already_shown, found.delays_s) == (2, 1, 1, (2.0,))
    # It was shown from 17, where the first one's allowance ends, until 20.
    assert found.shown_in_pauses_s == 3.0


@pytest.mark.parametrize(("start_s", "delays_s"), [(11.5, (0.5,)), (12, (0.0,)), (12.5, ())])
def test_an_event_shown_just_before_the_onset_gives_no_delay(start_s: float, delays_s: tuple[float, ...]) -> None:
    found = judged({"walk": seconds(12, 20)}, [Span(start_s, 20, "walk")])
    assert (found.found, found.delays_s, found.already_shown) == (1, delays_s, not delays_s)


def test_an_activity_in_pieces_is_fragmented_and_found_once() -> None:
    found = judged({"walk": [12, 13, 15, 16]}, [Span(10, 20, "walk")])
    assert (found.found, found.fragmented, found.merged, found.delays_s) == (1, 1, 0, (2.0,))
    assert not found.false_in_pauses


@pytest.mark.parametrize(("allowance_s", "is_found"), [(2.0, False), (2.01, True), (0.0, False)])
def test_the_allowance_ends_before_its_end(allowance_s: float, is_found: bool) -> None:
    """Reported first at 22, where an allowance of 2 s is over."""
    found = judged({"walk": [22]}, [Span(10, 20, "walk")], allowance_s=allowance_s)
    assert found.found == is_found
    assert found.delays_s == ((12.0,) if is_found else ())
    assert found.false_in_pauses == ({} if is_found else {"walk": 1})


def test_the_allowance_of_one_ends_where_the_next_of_the_same_label_begins() -> None:
    found = judged({"walk": [21]}, [Span(10, 20, "walk"), Span(21, 30, "walk")])
    assert (found.found, found.merged, found.delays_s) == (1, 0, (0.0,))
    other = judged({"walk": [21]}, [Span(10, 20, "walk"), Span(21, 30, "jog")])
    assert (other.found, other.delays_s, other.wrong_in_activities) == (1, (11.0,), 0)


def test_another_label_is_a_substitution_and_no_false_event() -> None:
    truth = [Span(10, 20, "walk"), Span(30, 40, "jog")]
    found = judged({"sit": [12, 13, 21], "jog": [15]}, truth)
    assert (found.found, found.wrong_in_activities) == (0, 3)
    assert not found.false_in_pauses
    assert found.confusion == {"walk": {"sit": 1}, "jog": {NOTHING: 1}}
    assert found.shown_in_pauses_s == 0.0


def test_false_events_in_other_movements_are_counted_by_movement() -> None:
    truth = [Span(5, 8, "walk"), Span(10, 20, "cook"), Span(30, 34, "cook"), Span(40, 45, "read")]
    found = judged({"walk": [12, 13], "jog": [15, 21, 47, 48]}, truth)
    assert found.false_in_others == {"cook": {"walk": 1, "jog": 2}}
    assert found.false_in_pauses == {"jog": 1}
    assert (found.others, found.mistaken) == (3, 1)
    assert (found.other_s, found.shown_in_others_s) == (12 + 6 + 7, 4.0)
    assert found.pause_s == 50 - 5 - 25
    summary = found.summary()
    assert summary["false_per_hour"]["other_movements"] == 3 * 3600 / 25
    assert summary["mistaken"] == pytest.approx(1 / 3)


def test_a_wrong_event_belongs_to_the_latest_span_that_began() -> None:
    """Right after an activity, within its allowance, another movement has begun."""
    found = judged({"jog": [11]}, [Span(0, 10, "walk"), Span(10, 20, "cook")])
    assert (found.wrong_in_activities, found.false_in_others) == (0, {"cook": {"jog": 1}})


def test_what_is_shown_last_is_shown_until_the_stream_ends() -> None:
    assert shown_events(decisions({"walk": [3, 4, 5]}, 5), until_s=7.5) == [Span(3, 7.5, "walk")]
    assert shown_events([], until_s=7.5) == []
    changing = decisions({"walk": [1, 2, 5], "jog": [3]}, 6)
    assert shown_events(changing, until_s=6) == [Span(1, 3, "walk"), Span(3, 4, "jog"), Span(5, 6, "walk")]


def test_several_streams_add_up() -> None:
    one = judged({"walk": seconds(13, 21)}, [Span(10, 20, "walk"), Span(30, 40, "cook")])
    other = judged({"jog": [11, 31], "sit": [45]}, [Span(10, 20, "jog"), Span(30, 40, "cook")])
    both = one + other
    assert both.delays_s == (3.0, 1.0)
    assert both.confusion == {"walk": {"walk": 1}, "jog": {"jog": 1}}
    assert both.false_in_others == {"cook": {"jog": 1}}
    assert both.false_in_pauses == Counter(sit=1)
    assert both.pause_s == one.pause_s + other.pause_s
    assert both.summary()["false_per_hour"]["all"] == pytest.approx(2 * 3600 / (100 - 24))


def test_nothing_reported_is_no_division_by_zero() -> None:
    summary = judged({}, [Span(0, 50, "walk")]).summary()
    assert summary["found"] == 0.0
    assert summary["delay_s"] == {"count": 0, "p50": None, "p90": None}
    assert summary["false_per_hour"] == {"all": None, "pauses": None, "other_movements": None}
    assert summary["mistaken"] is summary["shown_in_vain"] is None


@pytest.mark.parametrize("seed", range(20))
def test_the_same_is_counted_instant_by_instant(seed: int) -> None:
    """Who owns each tenth of a second, and what is shown in it, are looked up there; nothing is intersected."""
    rng = np.random.default_rng(seed)
    edges = np.sort(rng.choice(600, 16, replace=False)) / 10
    names = rng.choice([*LABELS, "cook"], 8)
    truth = [Span(a, b, str(name)) for a, b, name in zip(edges[::2], edges[1::2], names, strict=True)]
    made = [
        Decision(end - 2, end, str(label), "walk", label != "unknown")
        for end, label in zip(np.arange(10, 601, 5) / 10, rng.choice([*LABELS, "unknown"], 119), strict=True)
    ]
    found = judge_events(made, truth, LABELS, allowance_s=1.5, stream_s=(0.0, 62.0))

    owner, shown, began = [], [], []
    for tenth in range(620):
        instant = (tenth + 0.5) / 10
        past = [span for span in truth if span.start_s < instant]
        owner.append(past[-1].label if past and instant < past[-1].end_s + 1.5 else None)
        past_decisions = [one.label for one in made if one.end_s < instant]
        shown.append(past_decisions[-1] if past_decisions and past_decisions[-1] in LABELS else None)
        began.append(shown[-1] is not None and (tenth == 0 or shown[-2] != shown[-1]))
    assert found.pause_s == pytest.approx(sum(one is None for one in owner) / 10)
    assert found.other_s == pytest.approx(sum(one == "cook" for one in owner) / 10)
    in_vain = [(o, s) for o, s in zip(owner, shown, strict=True) if s is not None]
    assert found.shown_in_pauses_s == pytest.approx(sum(o is None for o, _ in in_vain) / 10)
    assert found.shown_in_others_s == pytest.approx(sum(o == "cook" for o, _ in in_vain) / 10)

    hits = 0
    matched: set[int] = set()
    starts = [tenth for tenth in range(620) if began[tenth]]
    for index, span in enumerate(truth):
        if span.label not in LABELS:
            continue
        again = [later.start_s for later in truth[index + 1 :] if later.label == span.label]
        until = min([span.end_s + 1.5, *again])
        tenths = [t for t in range(620) if span.start_s < (t + 0.5) / 10 < until and shown[t] == span.label]
        hits += bool(tenths)
        matched |= {max(start for start in starts if start <= t) for t in tenths}
    assert found.found == hits
    wrong = Counter(owner[start] or "pause" for start in starts if start not in matched)
    assert found.false_in_pauses.total() == wrong["pause"]
    assert sum(map(Counter.total, found.false_in_others.values())) == wrong["cook"]
    assert found.wrong_in_activities == sum(wrong[label] for label in LABELS)


def test_a_truth_is_sorted_and_pauses_may_have_a_name() -> None:
    spans = [Span(10, 20, "walk"), Span(0, 5, "still"), Span(5, 9, "cook"), Span(25, 30, "no signal")]
    assert check_truth(spans, LABELS, stream_s=(0, 50), name="t.csv") == (Span(5, 9, "cook"), Span(10, 20, "walk"))
    assert check_truth(spans, (*LABELS, "still"), stream_s=(0, 50), name="t.csv")[0] == Span(0, 5, "still")


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([Span(0, 5, "walk"), Span(4, 8, "jog")], r"t\.csv: jog from 4 s on begins before walk ends, at 5 s"),
        ([Span(0, 5, "cook")], r"holds none of the model's activities, but cook\. It knows walk, jog, sit"),
        ([Span(0, 5, "walk"), Span(60, 70, "jog")], r"jog lasts from 60 to 70 s, and the samples from 0 to 50 s"),
        ([Span(-9, -5, "walk")], r"walk lasts from -9 to -5 s"),
    ],
)
def test_a_truth_that_cannot_be_is_named(spans: list[Span], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_truth(spans, LABELS, stream_s=(0, 50), name="t.csv")
