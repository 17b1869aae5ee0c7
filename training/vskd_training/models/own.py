"""A user's own network as the student: ``student.module = "package:factory"``.

``factory(contract)`` returns a ``torch.nn.Module`` that takes windows (batch, 3, samples) in g and gives the pair
(logits (batch, classes), feature (batch, FEATURE_SIZE)). The encoder ahead of it is ours and does one thing: readings
beyond ``raw.clip_g`` are held at it. So the contract says ``raw.transforms = ["g"]``, and all that reads a contract
(golden vectors, ports, variants) knows the network's input.

The package is looked for where Python looks, and in the working folder. See ``own_check`` for what is refused.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vskd.contract import Contract
from vskd.errors import ConfigError
from vskd_training.models.encoder import encoder_for
from vskd_training.models.output import ModelOutput
from vskd_training.models.student import Student

#: Packages whose versions a run's card has, so that their files are not hashed.
_VERSIONED = {"torch", "torchvision", "vskd", "vskd_training"}


class OwnStudent(Student):
    """A user's network behind our encoder.

    Parameters
    ----------
    contract : fixes window and encoder
    module : ``package:factory``, where the network comes from
    network : what the factory made
    sources : see ``source_hashes``

    Shape
    -----
    (batch, channels, samples), g -> ``ModelOutput``
    """

    def __init__(self, contract: Contract, module: str, network: nn.Module, sources: Mapping[str, str]) -> None:
        nn.Module.__init__(self)
        self.encoder = encoder_for(contract)
        self.module = module
        self.network = network
        self.sources = dict(sources)

    def from_encoded(self, encoded: Tensor) -> ModelOutput:
        return ModelOutput(*self.network(encoded))

    def card(self) -> dict[str, Any]:
        """The part of a run's card about the network's code."""
        return {"name": self.module, "source_sha256": self.sources}


def own_student(module: str, contract: Contract) -> OwnStudent:
    """The student of ``student.module``.

    Parameters
    ----------
    module : ``package:factory``
    contract : given to the factory

    Raises
    ------
    ConfigError : no such package or factory, it needs more than a contract, it fails, or it returns no network
    """
    factory = _factory(module)
    try:
        inspect.signature(factory).bind(contract)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"student.module = {module!r} cannot be called with a contract alone: {error}",
            hint="Write factory(contract) -> torch.nn.Module; what else it needs, it holds itself",
        ) from error
    try:
        network = factory(contract)
    except Exception as error:
        raise ConfigError(f"student.module = {module!r} failed: {_told(error)}", hint="Repair the factory") from error
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"student.module = {module!r} returned {type(network).__name__}, not a torch.nn.Module",
            hint="Return the network",
        )
    return OwnStudent(contract, module, network, source_hashes(factory, network))


def source_hashes(factory: Callable[..., Any], network: nn.Module) -> dict[str, str]:
    """Module -> SHA-256 of its file: of the factory, and of every class of layer that is not torch's or ours."""
    names = {factory.__module__, *(type(layer).__module__ for layer in network.modules())}
    hashes = {}
    for name in sorted(names):
        path = getattr(sys.modules.get(name), "__file__", None)
        if path and name.partition(".")[0] not in _VERSIONED:
            hashes[name] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return hashes


def _factory(module: str) -> Callable[..., Any]:
    package, _, name = module.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # it stays, so that a converter's process finds the package, too
    try:
        imported = importlib.import_module(package)
    except Exception as error:
        raise ConfigError(
            f"student.module = {module!r}: {package} cannot be imported: {_told(error)}",
            hint=f"Install it, name its folder in PYTHONPATH, or run vskd in its folder (now {here})",
        ) from error
    factory = getattr(imported, name, None)
    if not callable(factory):
        what = f"has no {name!r}" if factory is None else f"has {name!r}, which is no function"
        raise ConfigError(
            f"student.module = {module!r}: {package} ({imported.__file__}) {what}",
            hint="Name a function or a class that takes the contract",
        )
    made: Callable[..., Any] = factory
    return made


def _told(error: BaseException) -> str:
    """An exception on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
