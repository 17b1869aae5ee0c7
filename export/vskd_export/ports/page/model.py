"""What the page knows of a bundle: the rules, the contract, the plan of its integer network."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from vskd.bundle import Bundle
from vskd.bundle_files import CONTRACT
from vskd.closed import to_mapping
from vskd.contract import Contract
from vskd.encoders.gaf import FLAT_G, LARGEST_G
from vskd.plan.steps import Plan
from vskd.wearer.profile import MOST_EXAMPLES
from vskd_export.ports.page.wasm import compiled
from vskd_export.ports.planned import integer_model, planned
from vskd_export.ports.rules import rules_of

#: In place of infinity, which JSON does not have: the largest float64.
_LARGEST = math.nextafter(math.inf, 0)


@dataclass(frozen=True)
class Model:
    """A bundle's files for the page.

    Attributes
    ----------
    page : names, hashes, rules
    plan : the network's header, see ``core/plan.js``
    arrays : the bytes beside it
    wasm : the network compiled; None where nothing compiles it
    """

    page: Mapping[str, Any]
    plan: Mapping[str, Any]
    arrays: bytes
    wasm: bytes | None = None

    def files(self) -> dict[str, bytes]:
        """Name below ``model/`` -> content."""
        made = {"page.json": _json(self.page), "plan.json": _json(self.plan), "plan.bin": self.arrays}
        return made if self.wasm is None else {**made, "network.wasm": self.wasm}


def model_of(bundle: Bundle, *, served: Mapping[str, Any] | None = None, compiles: bool = False) -> Model:
    """Read a bundle for the page.

    Parameters
    ----------
    bundle : with an int8 ``.tflite``
    served : what the server offers beside the files; None of files for any server
    compiles : whether the network becomes WebAssembly, too; clang is installed then

    Raises
    ------
    BundleError : no such model, or it was changed
    ContractError, EngineError : a contract that a core cannot hold; an operator that a plan does not know
    """
    bundle.model_path(integer_model(bundle))  # refuses a model of another contract
    model = planned(bundle)
    contract = model.contract
    header, arrays = plan_file(model.plan)
    wasm = compiled(model) if compiles else None
    page = {
        "name": bundle.name.removesuffix(".bundle"),
        "model": model.file,
        "bundle_sha256": bundle.sha256(),
        "contract_sha256": bundle.files[CONTRACT].sha256,
        "contract": to_mapping(contract),
        "rules": core_rules(contract),
        "encoding": encoding(contract),
        "input": {"shape": model.plan.places.shape, "zero_point": model.plan.parts[0].zero_point},
        "wasm": dict(wasm.layout) if wasm else None,
        "served": dict(served) if served else None,
    }
    return Model(page, header, arrays, wasm.content if wasm else None)


def core_rules(contract: Contract) -> dict[str, Any]:
    """The rules as ``core/classifier.js`` reads them; errors as of ``rules_of``."""
    rules = to_mapping(rules_of(contract, examples=MOST_EXAMPLES if contract.examples else 0))
    return {name: _LARGEST if value == math.inf else value for name, value in rules.items()}


def encoding(contract: Contract) -> dict[str, Any]:
    """The encoder as ``core/encode.js`` reads it."""
    spec = to_mapping(contract)
    numbers = {"samples": contract.window.samples, "flat_g": FLAT_G, "largest_g": LARGEST_G}
    return {**numbers, "gaf": spec["gaf"], "raw": spec["raw"]}


def plan_file(plan: Plan) -> tuple[Mapping[str, Any], bytes]:
    """A plan as ``core/plan.js`` reads it: a header as plain values, and one run of bytes that holds the arrays."""
    arrays = _Arrays()
    header = arrays.plain(plan)
    for step, made in zip(plan.steps, header["steps"], strict=True):
        made["kind"] = type(step).__name__.lower()
    return header, bytes(arrays.content)


class _Arrays:
    """Collects arrays, little-endian, each at a multiple of 4 bytes."""

    def __init__(self) -> None:
        self.content = bytearray()

    def plain(self, value: Any) -> Any:
        """The value with each array replaced by its place."""
        if isinstance(value, np.ndarray):
            return self._keep(value)
        if is_dataclass(value):
            return {one.name: self.plain(getattr(value, one.name)) for one in fields(value)}
        return [self.plain(one) for one in value] if isinstance(value, tuple) else value

    def _keep(self, values: np.ndarray[Any, Any]) -> dict[str, Any]:
        name, order = ("int8", "<i1") if values.dtype == np.int8 else ("int32", "<i4")
        self.content += bytes(-len(self.content) % 4)
        place = {"type": name, "offset": len(self.content), "shape": list(values.shape)}
        self.content += values.astype(order).tobytes()
        return place


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
