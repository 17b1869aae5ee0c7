"""The report of a bundle, ``report.json``: the one reader of it.

The exporter writes it; a bundle of another exporter may have none. What is read here is optional, so every property is
empty where the report does not hold it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from vskd.bundle import Bundle
from vskd.bundle_files import FORMER_VARIANTS, REPORT, VARIANTS
from vskd.closed import from_mapping, key_of
from vskd.errors import BundleError, ConfigError
from vskd.untrusted.documents import read_json

#: Key of the model files' descriptions in the report.
GRAPHS = "graphs"

#: How good a network is on held-out windows, as the report tells it.
SCORES = ("accuracy", "macro_f1")


@dataclass(frozen=True)
class _Port:
    """An input or output of a graph."""

    name: str
    shape: tuple[int, ...] = ()
    type: str = ""


@dataclass(frozen=True)
class _Step:
    """How integers stand for numbers at one place of a graph."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class _Graph:
    """What is read of a graph's description; the exporter says more."""

    inputs: tuple[_Port, ...] = ()
    outputs: tuple[_Port, ...] = ()
    operators: dict[str, int] = field(default_factory=dict)
    version: str = ""
    quantization: dict[str, _Step] = field(default_factory=dict)
    macs: int | None = None
    parameters: int | None = None


@dataclass(frozen=True)
class Report:
    """What a bundle's report holds.

    Attributes
    ----------
    graphs : model file -> ports, quantization, multiply-accumulates and parameters
    variants : the same of the files of the variants
    torch : scores of the trained network on held-out windows
    models : model file -> engine -> its own scores on them
    """

    graphs: Mapping[str, Mapping[str, Any]]
    variants: Mapping[str, Mapping[str, Any]]
    torch: Mapping[str, float]
    models: Mapping[str, Mapping[str, Mapping[str, float]]]

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
        return Report({}, {}, {}, {})
    try:
        content = read_json(bundle.read_text(REPORT))
        graphs = {file: _graph(told) for file, told in content.get(GRAPHS, {}).items()}
        variants = content.get(VARIANTS, content.get(FORMER_VARIANTS, {}))
        told = {file: _variant(one) for file, one in variants.items()}
        return Report(graphs, told, _scores(content.get("torch", {})), _models(content))
    except (ValueError, AttributeError, TypeError, KeyError, ConfigError) as error:
        raise BundleError(f"{bundle.path / REPORT} is no report: {error}", hint="Export the run again") from error


def _graph(told: Mapping[str, Any]) -> dict[str, Any]:
    """A graph's description, as far as it is read, after checking every type."""
    known = {key_of(one) for one in fields(_Graph)}
    kept = {key: value for key, value in told.items() if key in known}
    from_mapping(_Graph, kept, where=GRAPHS)
    return kept


def _variant(told: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a file with one graph or with several, its signatures."""
    signatures = told.get("signatures")
    return (
        _graph(told) if signatures is None else {"signatures": {name: _graph(one) for name, one in signatures.items()}}
    )


def _models(content: Mapping[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """Of what the gate ran, each file's scores in each engine."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in (*content.get("parity", ()), *content.get("quantized", ())):
        scores = _scores({name: row.get(name) for name in SCORES})
        if scores:
            found.setdefault(str(row["file"]), {})[str(row["engine"])] = scores
    return found


def _scores(told: Mapping[str, Any]) -> dict[str, float]:
    return {name: score for name, score in told.items() if isinstance(score, int | float)}
