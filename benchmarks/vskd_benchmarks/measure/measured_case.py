"""A case under measurement: what its process replied and what was read meanwhile, and the raw arrays that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle_files import GOLDEN_VECTORS
from vskd.checks.golden import read_golden
from vskd_benchmarks.measure.plan import PlannedCase

#: Below this, the 10 ms steps of /proc/stat are too coarse for the load of other programs, s.
SHORTEST_FOR_LOAD_S = 0.5


@dataclass
class MeasuredCase:
    """One case under measurement.

    Attributes
    ----------
    plan : what it is
    group : cases measured in turns with it share the number
    reply : what its process replied when it had loaded
    warm_up, memory, repeat, outputs : replies to these commands
    blocks : the replies of every round
    cold_start : readings of fresh processes; None where the case is no model of a bundle, or the run was stopped
    load : how busy others kept the machine, see ``note_load``
    machine_busy_ns : time that all cores computed during the rounds; None where the machine does not report it
    own_ns : time that the case and its parent computed during the rounds
    elapsed_ns : of the rounds
    """

    plan: PlannedCase
    group: int
    reply: dict[str, Any] = field(default_factory=dict)
    warm_up: dict[str, Any] = field(default_factory=dict)
    blocks: list[dict[str, Any]] = field(default_factory=list)
    memory: dict[str, Any] = field(default_factory=dict)
    cold_start: dict[str, Any] | None = None
    repeat: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    load: dict[str, Any] = field(default_factory=dict)
    machine_busy_ns: int | None = 0
    own_ns: int = 0
    elapsed_ns: int = 0

    @property
    def call_s(self) -> float:
        """Length of one warm call, s."""
        seconds: float = self.warm_up["elapsed_ns"] / 1e9 / self.warm_up["calls"]
        return seconds

    def add_block(self, reply: dict[str, Any], *, machine_ns: int | None, parent_ns: int, elapsed_ns: int) -> None:
        """Take the reply of a round, and what the machine and this process computed meanwhile."""
        # Arrays: a soak gives thousands of numbers a second, and lists of them are five times larger.
        latency_ns = {name: np.array(values, np.int64) for name, values in reply["latency_ns"].items()}
        self.blocks.append({**reply, "latency_ns": latency_ns, "started_ns": np.array(reply["started_ns"], np.int64)})
        self.own_ns += reply["own_ns"] + parent_ns
        self.elapsed_ns += elapsed_ns
        if self.machine_busy_ns is not None:
            self.machine_busy_ns = None if machine_ns is None else self.machine_busy_ns + machine_ns


def note_load(cases: Sequence[MeasuredCase]) -> None:
    """Note for each case of a group how many cores others kept busy during its rounds, and how that is known.

    Parameters
    ----------
    cases : measured in turns
    """
    together = _other_cores(cases)
    for case in cases:
        alone = _other_cores([case])
        if alone is not None:
            case.load = {"other_cores": alone, "load_source": "case"}
        else:
            case.load = {"other_cores": together, "load_source": "none" if together is None else "group"}


def _other_cores(cases: Sequence[MeasuredCase]) -> float | None:
    """Cores that others kept busy during their rounds; None where that cannot be read, or they were too short."""
    elapsed_ns = sum(case.elapsed_ns for case in cases)
    if elapsed_ns < SHORTEST_FOR_LOAD_S * 1e9 or any(case.machine_busy_ns is None for case in cases):
        return None
    others_ns = sum((case.machine_busy_ns or 0) - case.own_ns for case in cases)
    return round(max(0, others_ns) / elapsed_ns, 3)


def raw_arrays(case: MeasuredCase, epoch_ns: int) -> dict[str, NDArray[Any]]:
    """The arrays of a case's raw file, see ``vskd_benchmarks.result.folder``."""
    series = case.blocks[0]["latency_ns"]
    arrays: dict[str, NDArray[Any]] = {
        name: np.stack([block["latency_ns"][name] for block in case.blocks]) for name in series
    }
    arrays["started"] = np.stack([block["started_ns"] for block in case.blocks]) - epoch_ns
    arrays["yardstick"] = np.array([block["yardstick_ns"] for block in case.blocks], np.int64)
    arrays["interval"] = np.array([block["interval_ns"] for block in case.blocks], np.int64) - epoch_ns
    arrays["audit_varied"] = np.array(case.repeat["varied_ns"], np.int64)
    arrays["audit_repeated"] = np.array(case.repeat["repeated_ns"], np.int64)
    sampled = [sample for block in case.blocks for sample in block["sampled"]]
    arrays["sampled_index"] = np.array([row for row, _ in sampled], np.int64)
    arrays["sampled_logits"] = np.array([logits for _, logits in sampled], np.float32)
    arrays["accuracy_logits"] = np.array(case.outputs["outputs"], np.float32)
    return arrays | _golden_arrays(case)


def _golden_arrays(case: MeasuredCase) -> dict[str, NDArray[Any]]:
    bundle = case.plan.bundle
    if case.outputs.get("golden") is None or GOLDEN_VECTORS not in bundle.files:
        return {}
    golden = read_golden(bundle)
    arrays = {
        "golden_logits": np.array(case.outputs["golden"], np.float32),
        "golden_network": golden.logits,
    }
    model = case.plan.model
    recorded = None if model is None else golden.model_logits.get(model["file"])
    return arrays if recorded is None else {**arrays, "golden_recorded": recorded}
