"""The Kotlin core's network gives the bits of ``vskd.plan``, and its features those of ``vskd.wearer``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.ports.watch.kotlin_jvm import Jvm, windows_case
from export.ports.watch.plans import CONTRACTS, plan_of, windows
from vskd.engines.plan import PlanEngine
from vskd_export.ports.watch.asset import network_file

SEED = 5


@pytest.fixture(scope="module")
def answers(jvm: Jvm, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    folder = tmp_path_factory.mktemp("networks")
    given = []
    for name, contract in CONTRACTS.items():
        path = folder / f"{name}.bin"
        path.write_bytes(network_file(contract, plan_of(contract, SEED)))
        given.append(windows_case(name, path, windows(contract, 100, SEED)))
    return dict(zip(CONTRACTS, jvm.play(given, folder), strict=True))


def floats(line: str) -> Any:
    return np.array(line.split(), dtype=np.int32).view(np.float32)


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_step_and_encoder_gives_pythons_bits(answers: dict[str, list[str]], name: str) -> None:
    contract = CONTRACTS[name]
    engine = PlanEngine(contract, plan_of(contract, SEED))
    told = 0
    for number, window in enumerate(windows(contract, 100, SEED)):
        logits, embedding = engine.infer_both(window)
        np.testing.assert_array_equal(floats(answers[name][3 * number]), logits)
        np.testing.assert_array_equal(floats(answers[name][3 * number + 1]), embedding)
        told += len(set(logits.tolist())) > 1
    assert told > 50  # a network that says the same of every window would prove nothing


def test_an_unknown_step_is_refused(jvm: Jvm, tmp_path: Path) -> None:
    contract = CONTRACTS["Reading"]
    plan = plan_of(contract, SEED)
    whole = network_file(contract, plan)
    without = network_file(contract, dataclasses.replace(plan, steps=()))
    at = len(without) - 8  # the outputs are behind the steps
    (tmp_path / "odd.bin").write_bytes(whole[:at] + b"\x09" + whole[at + 1 :])
    with pytest.raises(AssertionError, match="a step of the kind 9, which this code does not know"):
        jvm.play([windows_case("Reading", tmp_path / "odd.bin", windows(contract, 1, SEED))], tmp_path)
