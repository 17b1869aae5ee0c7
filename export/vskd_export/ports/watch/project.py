"""The files of a Wear OS project."""

from __future__ import annotations

from pathlib import Path

_TEMPLATE = Path(__file__).parent / "project"

#: The Kotlin core, but for what is generated.
CORE = _TEMPLATE / "core/src/main/kotlin/vskd"
