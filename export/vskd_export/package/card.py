"""``README.md`` of a bundle: the model card, with the front matter that the Hugging Face hub reads.

It holds what ``report.json`` and the contract hold, in words, and nothing else; no date, so that equal reports give
equal cards. The front matter is YAML, whose strings are written as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vskd.contract import Contract
from vskd.description import contract_in_words
from vskd.pages import number_of
from vskd_training.study.shipping import in_words

_TEMPLATE = Path(__file__).with_name("card.md.j2")

#: SPDX identifiers that the hub knows, in small letters; it shows any other as ``other`` with a name.
KNOWN_LICENCES = frozenset(
    {"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0",
     "CC-BY-NC-SA-4.0", "MPL-2.0", "Unlicense"}
)  # fmt: skip


def card(content: Mapping[str, Any], contract: Contract) -> bytes:
    """The card, UTF-8.

    Parameters
    ----------
    content : of ``report.json``
    contract : of the bundle
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number_of"] = number_of
    text = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        name=model_name(content),
        report=content,
        data=content["data_set"],
        licence=_hub_licence(content["licence"]),
        contract=contract_in_words(contract),
        placement=contract.sensor.placement,
        labels=contract.labels,
        scores=list(scores(content)),
        split=content["provenance"].get("data", {}).get("split", {}),
        study=in_words(content["provenance"].get("study")) if content["seen_in_training"] else "",
        first=next(iter(content["models"])),
    )
    return text.encode()


def model_name(content: Mapping[str, Any]) -> str:
    """What a card and a bill of materials call the model."""
    return f"vskd-{content['trained_on'] or 'activities'}"


def scores(content: Mapping[str, Any]) -> Iterator[tuple[str, float, float | None]]:
    """(model file, accuracy, macro-F1 where it is known) of every model in the bundle, on held-out windows."""
    rows = {row["file"]: row for table in ("parity", "quantized") for row in reversed(content[table])}
    for file in content["models"]:
        row = rows.get(file, {})
        if row.get("accuracy") is not None:
            same = row["accuracy"] == content["torch"].get("accuracy")
            yield file, row["accuracy"], row.get("macro_f1", content["torch"].get("macro_f1") if same else None)


def _hub_licence(licence: str) -> dict[str, str]:
    """The keys of the front matter that say it."""
    if not licence:
        return {"license": "unknown"}
    if licence in KNOWN_LICENCES:
        return {"license": licence.lower()}
    return {"license": "other", "license_name": licence.lower()}
