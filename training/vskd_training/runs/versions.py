"""What a run's numbers depend on beside its config and its recordings. Nothing heavy is imported."""

from __future__ import annotations

import platform
from importlib.metadata import version


def versions() -> dict[str, str]:
    """Of everything that a run's numbers depend on, and the kind of machine."""
    packages = {name: version(name) for name in ("vskd", "torch", "torchvision", "numpy", "scipy", "safetensors")}
    return {**packages, "python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
