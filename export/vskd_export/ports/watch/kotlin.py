"""The generated Kotlin: ``Rules.kt`` names the numbers of ``vskd_export.ports.rules``, ``Wrist.kt`` has a bundle's."""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Any

from vskd.bundle import Bundle
from vskd.bundle_files import CONTRACT
from vskd.encoders.gaf import FLAT_G
from vskd.plan import float32
from vskd.plan.kernels import ADDITION_SHIFT
from vskd_export.ports.rules import Rules

_TYPES: dict[Any, str] = {
    int: "Int", float: "Double", bool: "Boolean", tuple[str, ...]: "List<String>", tuple[float, ...]: "DoubleArray"
}  # fmt: skip

_WRITTEN = "/* Written by vskd watch; not to be edited: change the contract, and write it again. */\npackage vskd\n"


def rules_kt() -> str:
    """The interface of every contract's numbers, and the constants of the float32 encoder."""
    members = (f"    val {_camel(name)}: {_TYPES[kind]}" for name, kind in typing.get_type_hints(Rules).items())
    terms = ", ".join(_float(value) for value in float32.POLYNOMIAL)
    return "\n".join(
        [
            _WRITTEN,
            "/** What a contract fixes. `vskd_export/ports/rules.py` describes each number. */",
            "interface Rules {", *members, "}", "",
            f"internal const val PER_LN2 = {_float(float32.PER_LN2)}",
            f"internal const val LN2_HIGH = {_float(float32.LN2_HIGH)}",
            f"internal const val LN2_LOW = {_float(float32.LN2_LOW)}",
            f"internal const val LARGEST_DECAY = {_float(float32.LARGEST)}",
            f"internal val DECAY_TERMS = floatArrayOf({terms})",
            f"internal const val FLAT_G = {_float(FLAT_G)}",
            f"internal const val ADDITION_SHIFT = {ADDITION_SHIFT}", "",
        ]
    )  # fmt: skip


def wrist_kt(rules: Rules, *, name: str) -> str:
    """The object that holds the numbers of one contract.

    Parameters
    ----------
    rules : of the contract
    name : of the object
    """
    values = {field.name: getattr(rules, field.name) for field in dataclasses.fields(rules)}
    members = (f"    override val {_camel(one)} = {_literal(value)}" for one, value in values.items())
    return "\n".join([_WRITTEN, f"object {name} : Rules {{", *members, "}", ""])


def about_kt(bundle: Bundle, model: str) -> str:
    """What the app says of its bundle; ``model`` is the file whose network it runs."""
    values = {
        "BUNDLE": bundle.name, "SHA256": bundle.sha256(), "MODEL": model,
        "CONTRACT_SHA256": bundle.files[CONTRACT].sha256,
        "TRAINED_ON": bundle.contract.trained_on, "PLACEMENT": bundle.contract.sensor.placement,
    }  # fmt: skip
    members = (f"    const val {name} = {string(value)}" for name, value in values.items())
    return "\n".join([_WRITTEN, "/** The bundle of this project. */", "object About {", *members, "}", ""])


def string(text: str) -> str:
    """A Kotlin string literal: printable ASCII as it is, everything else by its UTF-16 code units."""
    units = text.encode("utf-16-be")
    codes = [int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2)]
    plain = (chr(code) if 32 <= code < 127 and chr(code) not in '"\\$' else f"\\u{code:04x}" for code in codes)
    return '"' + "".join(plain) + '"'


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _float(value: Any) -> str:
    return f"{value!s}f"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "Double.POSITIVE_INFINITY" if value == math.inf else repr(float(value))
    if isinstance(value, int):
        return str(value)
    if value and isinstance(value[0], str):
        return f"listOf({', '.join(map(string, value))})"
    return f"doubleArrayOf({', '.join(map(_literal, value))})"
