"""vskd's own engine: the plan of an int8 ``.tflite``, executed with numpy alone. Slow, and the same bits everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import vskd
from vskd.contract import Contract
from vskd.encoders.gaf import LARGEST_G
from vskd.engines import EngineKind, cannot_run, no_embedding
from vskd.model_contract import contract_inside
from vskd.plan.encode import encoded, encoded_shape
from vskd.plan.kernels import run
from vskd.plan.lower import plan_of
from vskd.plan.steps import Plan

if TYPE_CHECKING:  # slow to import
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]


class PlanEngine:
    """A plan, ready to run."""

    name = "vskd"
    version = vskd.__version__

    def __init__(self, contract: Contract, plan: Plan) -> None:
        self._contract, self._plan = contract, plan

    def infer(self, window: Float32) -> Float32:
        return self._value(self._tensors(window), self._plan.logits)

    def infer_both(self, window: Float32) -> tuple[Float32, Float32]:
        if self._plan.embedding is None:
            raise no_embedding("the model")
        tensors = self._tensors(window)
        return self._value(tensors, self._plan.logits), self._value(tensors, self._plan.embedding)

    def _tensors(self, window: Float32) -> list[NDArray[Any]]:
        if window.shape != self._contract.window_shape or window.dtype != np.float32:
            raise cannot_run(self.name, window, f"the model takes float32 windows {self._contract.window_shape}")
        if not np.abs(window).max() <= np.float32(LARGEST_G):
            raise cannot_run(self.name, window, f"it holds values that are NaN, infinite or beyond {LARGEST_G:g} g")
        try:
            return run(self._plan, encoded(self._contract, self._plan, window))
        except (ValueError, IndexError, MemoryError) as error:  # a file whose shapes do not fit each other
            raise cannot_run(self.name, window, error) from error

    def _value(self, tensors: list[NDArray[Any]], number: int) -> Float32:
        tensor = self._plan.tensors[number]
        steps = tensors[number].reshape(-1).astype(np.int32) - tensor.zero_point
        return np.float32(tensor.scale) * steps.astype(np.float32)


def load(name: str, kind: EngineKind, model: Path, threads: int) -> PlanEngine:
    """Load the int8 ``.tflite`` of a bundle; more threads than one are of no use to it.

    Raises
    ------
    EngineError : it holds something that a plan has no step for
    """
    return PlanEngine(*read_plan(model.read_bytes(), name=model.name))


def read_plan(content: bytes, *, name: str) -> tuple[Contract, Plan]:
    """The contract and the plan of an int8 ``.tflite``.

    Parameters
    ----------
    content : of the file
    name : how messages call it

    Raises
    ------
    BundleError, ContractError : it carries no contract
    EngineError : it holds something that a plan has no step for
    """
    contract = contract_inside(content, "tflite", name=name)
    return contract, plan_of(content, encoded_shape(contract), name=name)
