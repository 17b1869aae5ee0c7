"""What every port is made of: a bundle's contract, and the plan of its int8 model."""

from __future__ import annotations

from dataclasses import dataclass

from vskd.bundle import Bundle
from vskd.contract import Contract
from vskd.errors import BundleError
from vskd.manifest import ModelEntry
from vskd.plan.encode import encoded_shape
from vskd.plan.lower import plan_of
from vskd.plan.steps import Plan


@dataclass(frozen=True, eq=False)
class Planned:
    """A bundle's model for ports.

    Attributes
    ----------
    file : in the bundle
    contract, plan : of it
    """

    file: str
    contract: Contract
    plan: Plan

    @property
    def embedding_size(self) -> int:
        """Values of the embedding; 0 where the model gives none."""
        return 0 if self.plan.embedding is None else self.plan.tensors[self.plan.embedding].size


def planned(bundle: Bundle) -> Planned:
    """Read a bundle for a port.

    Raises
    ------
    BundleError : no int8 model for TensorFlow Lite, or a changed file
    EngineError : the model holds an operator that a plan has no step for
    """
    entry = integer_model(bundle)
    shape = encoded_shape(bundle.contract)
    return Planned(entry.file, bundle.contract, plan_of(bundle.read(entry.file), shape, name=entry.file))


def integer_model(bundle: Bundle) -> ModelEntry:
    """The model that ports are made of.

    Raises
    ------
    BundleError : the bundle has no int8 model for TensorFlow Lite
    """
    if found := bundle.integer_models():
        return found[0]
    raise BundleError(
        f"{bundle.path} has no int8 model for TensorFlow Lite, which a port is made of",
        hint="Export the run again with the recipe int8",
    )
