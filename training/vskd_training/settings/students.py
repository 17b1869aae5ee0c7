"""Students by name: ``student = "watch"`` in a config, or ``--set student=watch``, stands for these keys.

``watch`` and ``tiny`` were chosen on training subjects only, see ``training/studies/*-choice.toml``.
``paper`` is the method's own (VSKD, ICASSP 2022), on images of the size that its public code has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vskd.errors import ConfigError, did_you_mean

#: Name -> section of the config -> keys.
STUDENTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "watch": {
        "student": {
            "family": "raw-resnet",
            "features": 96,
            "branches": 3,
            "channels": 16,
            "growth": 1.5,
            "blocks": 1,
            "kernel": 9,
            "stride": 2,
            "segments": 2,
        },
        "raw": {"transforms": ["g"]},
    },
    "tiny": {
        "student": {
            "family": "raw-resnet",
            "features": 96,
            "branches": 2,
            "channels": 12,
            "growth": 1.5,
            "blocks": 1,
            "kernel": 7,
            "stride": 2,
            "segments": 2,
        },
        "raw": {"transforms": ["g"]},
    },
    "paper": {
        "student": {"family": "gaf-resnet", "width": 1.0, "depth": 18},
        "gaf": {"fields": ["gasf"], "scaling": "minmax", "size": 224},
    },
}


def with_student(mapping: dict[str, Any]) -> dict[str, Any]:
    """A config's mapping whose ``student`` may be a name, with the keys that the name stands for.

    Raises
    ------
    ConfigError : no student has that name
    """
    name = mapping.get("student")
    if not isinstance(name, str):
        return mapping
    if name not in STUDENTS:
        raise ConfigError(f"there is no student {name!r}", hint=did_you_mean(name, STUDENTS))
    keys = STUDENTS[name]
    made = {section: {**mapping.get(section, {}), **keys[section]} for section in keys if section != "student"}
    return {**mapping, **made, "student": dict(keys["student"])}
