"""The report of a bundle, ``report.json``: the one reader of it.

The exporter writes it; a bundle of another exporter may have none. What is read here is optional, so every property is
empty where the report does not hold it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vskd.bundle import Bundle
from vskd.bundle_files import FORMER_VARIANTS, REPORT, VARIANTS
from vskd.errors import BundleError

#: Key of the model files' descriptions in the report.
GRAPHS = "graphs"


@dataclass(frozen=True)
class Report:
    """What a bundle's report holds.

    Attributes
    ----------
    graphs : model file -> ports, quantization, multiply-accumulates and parameters
    variants : the same of the files of the variants
    torch : scores of the trained network on held-out windows
    """

    graphs: Mapping[str, Mapping[str, Any]]
    variants: Mapping[str, Mapping[str, Any]]
    torch: Mapping[str, Any]

    def macs(self, file: str) -> int | None:
        """Multiply-accumulates of one window in a model file; None where the report does not tell."""
        macs = self.graphs.get(file, {}).get("macs")
        return None if macs is None else int(macs)


def read_report(bundle: Bundle) -> Report:
    """The report of a bundle; empty where it has none.

    Parameters
    ----------
    bundle : opened; the file's hash is checked first

    Raises
    ------
    BundleError : it was changed, or is no report
    """
    if REPORT not in bundle.files:
        return Report({}, {}, {})
    path = bundle.checked_path(REPORT)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        variants = content.get(VARIANTS, content.get(FORMER_VARIANTS, {}))
        return Report(dict(content.get(GRAPHS, {})), dict(variants), dict(content.get("torch", {})))
    except (ValueError, RecursionError, AttributeError, TypeError) as error:
        raise BundleError(f"{path} is no report: {error}", hint="Export the run again") from error
