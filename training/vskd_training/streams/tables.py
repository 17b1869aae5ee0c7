"""Tables and sentences of `vskd evaluate --stream`. Prints nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich import box
from rich.table import Table

from vskd_training.streams.evaluate import StreamEvaluation, StreamResult
from vskd_training.streams.events import NOTHING

#: Rows of the table of confusions.
_CONFUSIONS = 10


def stream_tables(title: str, result: StreamEvaluation) -> Iterator[Table]:
    """What the runtime reported on each stream and on all, and what was reported for what."""
    rows = [one.to_mapping() for one in result.streams]
    if len(rows) > 1:
        rows.append(result.total.to_mapping())
    yield _windows_table(title, rows)
    yield _false_table(rows)
    confusions = _confusions(result.total)
    if confusions:
        yield _confusion_table(confusions)


def stream_sentences(result: StreamEvaluation) -> Iterator[str]:
    """What to know to read the tables."""
    if result.leaky:
        yield "LEAKY: test subjects are also in the training; this says nothing about new subjects"
    if result.made_of:
        yield "streams: recordings joined by still pauses; real pauses hold more movement, and more false events"
    if result.other_movements:
        yield f"not among the model's activities, so other movements: {', '.join(result.other_movements)}"
    yield f"an activity is found if it is reported before {result.allowance_s:g} s after its end (--allowance)"


def _windows_table(title: str, rows: list[dict[str, Any]]) -> Table:
    columns = ("stream", "min", "windows", "network", "reported", "events", "found", "delay p50", "p90")
    table = _table(title, columns)
    for row in rows:
        windows, events = row["windows"], row["events"]
        table.add_row(
            row["name"], f"{row['duration_s'] / 60:.1f}", str(windows["judged"]),
            _number(windows["accuracy_network"], 3), _number(windows["accuracy_reported"], 3),
            str(events["activities"]), _number(events["found"], 3),
            _number(events["delay_s"]["p50"], 2, " s"), _number(events["delay_s"]["p90"], 2, " s"),
        )  # fmt: skip
    return table


def _false_table(rows: list[dict[str, Any]]) -> Table:
    title = (
        "false events per hour of pauses and other movements; shares of movements mistaken, and of time shown in vain"
    )
    table = _table(title, ("stream", "all", "pauses", "others", "mistaken", "in vain", "merged", "fragmented", "wrong"))
    for row in rows:
        events, rates = row["events"], row["events"]["false_per_hour"]
        table.add_row(
            row["name"], *(_number(rates[key], 1) for key in ("all", "pauses", "other_movements")),
            _number(events["mistaken"], 3), _number(events["shown_in_vain"], 3),
            *(str(events[key]) for key in ("merged", "fragmented", "wrong_in_activities")),
        )  # fmt: skip
    return table


def _confusions(total: StreamResult) -> list[tuple[int, str, str]]:
    """How often one thing was reported for another, the most frequent first."""
    events = total.events
    sources = {**events.confusion, "(pause)": events.false_in_pauses}
    sources |= {f"({name})": counts for name, counts in events.false_in_others.items()}
    pairs = [(n, true, said) for true, counts in sources.items() for said, n in counts.items() if said != true]
    return sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))


def _confusion_table(confusions: list[tuple[int, str, str]]) -> Table:
    table = _table(
        f"the {min(_CONFUSIONS, len(confusions))} most frequent mistakes", ("count", "there was", "reported")
    )
    for count, true, said in confusions[:_CONFUSIONS]:
        table.add_row(str(count), true, "nothing" if said == NOTHING else said)
    return table


def _number(value: float | None, digits: int, unit: str = "") -> str:
    return "n/a" if value is None else f"{value:.{digits}f}{unit}"


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, box=box.SIMPLE, title_justify="left", collapse_padding=True, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table
