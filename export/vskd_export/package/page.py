"""``report.html``: the report for people, one file that needs nothing else, readable in print.

It holds nothing that ``report.json`` does not hold, and no date, so that equal reports give equal pages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vskd.contract import Contract
from vskd.description import contract_in_words

_TEMPLATE = Path(__file__).with_name("page.html.j2")


def page(content: Mapping[str, Any], contract: Contract) -> bytes:
    """The page, UTF-8.

    Parameters
    ----------
    content : of ``report.json``
    contract : of the bundle
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": _percent, "small": _small}
    text = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        contract=contract_in_words(contract),
        labels=contract.labels,
        report=content,
        provenance=json.dumps(content["provenance"], indent=2, sort_keys=True),
    )
    return text.encode()


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _small(value: float) -> str:
    return f"{value:.1e}"
