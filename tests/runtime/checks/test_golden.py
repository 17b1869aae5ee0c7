"""The replay of golden vectors: an integer model is held to its own answers at export, a float one to the network's."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from runtime.conftest import golden_of, mean_model_onnx
from vskd.bundle import Bundle, ModelEntry, write_bundle
from vskd.bundle_files import GOLDEN_VECTORS, model_file
from vskd.checks.golden import golden_to_bytes, replay


@pytest.mark.parametrize(("recipe", "problem"), [("w8a8-static-pc", ""), ("fp32", "logits of window")])
def test_only_an_integer_model_may_answer_otherwise_than_the_network(tmp_path, contract, recipe, problem):
    golden, file = golden_of(contract), model_file(recipe, "onnx")
    network = np.roll(golden.logits, 1, axis=1) * 9  # other labels, all of them certain
    recorded = dataclasses.replace(golden, logits=network, model_logits={file: golden.logits})
    files = {file: mean_model_onnx(contract.window.samples), GOLDEN_VECTORS: golden_to_bytes(recorded)}
    models = [ModelEntry(file, "onnx", recipe)]
    bundle = Bundle.open(write_bundle(tmp_path / "x.bundle", contract=contract, models=models, files=files))
    (result,) = replay(bundle)
    assert result.problem.startswith(problem)
    assert bool(result.problem) == bool(problem)
