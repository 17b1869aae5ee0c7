"""The tables of a report on energy, battery and profile; empty lists where the result holds none of them.

Whose energy a figure is stands in the caption of its table, and a model is called one there too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vskd_benchmarks.report_tables import Table, numbered

Result = Mapping[str, Any]

#: Whose energy the figures are, as ``result.json`` has it, in words.
WHOSE = {
    "device": "of the device itself",
    "stand-in": "of a board that stands in for the device",
    "this-machine": "of this machine",
    "no-device": "of no device: the processor time is another machine's, so they show the formula and nothing else",
}


def energy(result: Result) -> list[Table]:
    """Energy per inference and share of a battery of each case, and the assumptions behind them."""
    told = result.get("energy")
    if told is None:
        return []
    kind = "Measured" if told["measured"] else "A model, not measured"
    caption = f"{kind}: {told['detail']}. The figures are {WHOSE[told['of']]}."
    assumptions = tuple((str(number), line) for number, line in enumerate(told["assumptions"], start=1))
    tables = [Table("Assumptions on energy", "", ("number", "assumption"), assumptions, names=2)]
    if told["problem"] is not None:
        return [Table("Energy", f"No figures: {told['problem']}.", ("case",), ()), *tables]
    headings = (
        "case", "mJ an inference, over idle", "95 % +-", "mJ with the idle machine", "% of a battery a day", "95 % +-",
        "wake-ups a day", "battery, Wh",
    )  # fmt: skip
    rows = tuple(_energy_row(label, case) for label, case in numbered(result) if case["energy"] is not None)
    return [Table("Energy, sensor to label", caption, headings, rows), *tables]


def _energy_row(label: str, case: Mapping[str, Any]) -> tuple[str, ...]:
    figures, battery = case["energy"], case["battery"] or {}
    values = [figures[name] for name in ("per_inference_mj", "uncertainty_mj", "total_per_inference_mj")]
    values += [battery.get(name) for name in ("percent_per_day", "uncertainty_percent")]
    wake_ups, capacity_wh = battery.get("wake_ups_per_day"), battery.get("capacity_wh")
    rounded = ["" if value is None else f"{value:.3g}" for value in values]
    days = ["" if wake_ups is None else f"{wake_ups:.0f}", "" if capacity_wh is None else f"{capacity_wh:g}"]
    return (label, *rounded, *days)


def profile(result: Result) -> list[Table]:
    """What the machine was held to, what could not be applied, and where the profile's figures come from."""
    told = result.get("profile")
    if told is None:
        return []
    held = [(each["setting"], _plain(each["wanted"]), _plain(each["got"]), each["means"]) for each in told["applied"]]
    held += [
        (each["setting"], _plain(each["wanted"]), "not applied", f"{each['code']}: {each['reason']}")
        for each in told["not_applied"]
    ]
    sources = tuple(
        (name, _plain(each["value"]), each["kind"], each["text"], each["url"]) for name, each in told["figures"].items()
    )
    return [
        Table(f"Profile {told['name']}", told["statement"], ("setting", "wanted", "got", "by"), tuple(held), names=4),
        Table(
            "Where the profile's figures come from",
            told["note"],
            ("figure", "value", "kind", "source", "address"),
            sources,
            names=5,
        ),
    ]


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return f"core{'s' if len(value) > 1 else ''} {', '.join(map(str, value))}"
    return f"{value:g}" if value < 1e5 else f"{value:.0f}"
