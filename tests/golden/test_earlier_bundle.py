"""A bundle written before still opens, is described and verifies, in both engines (see the README beside it)."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from vskd.bundle import Bundle
from vskd.checks.selftest import selftest
from vskd.commands.inspect import inspect
from vskd.commands.verify import verify

EARLIER = Path(__file__).with_name("bundle-0.1.0-before-the-move") / "wrist.bundle"


def vskd(command: click.Command, *options: str) -> Result:
    return CliRunner().invoke(command, [str(EARLIER), *options], catch_exceptions=False)


def test_it_opens_and_every_file_is_as_it_was_written() -> None:
    bundle = Bundle.open(EARLIER)
    bundle.check()
    assert bundle.sha256() == "06db5d911ee16e3a19c71e499a089adc9193efe47786f86610f37cf9b9e3686e"
    assert bundle.contract.image_shape == (3, 16, 16)
    assert [model.recipe for model in bundle.models] == ["fp32", "w8a8-static-pc"] * 2
    assert len(bundle.degraded) == 10


def test_inspect_describes_it_with_its_variants() -> None:
    described = vskd(inspect)
    assert described.exit_code == 0, described.output
    assert "window (1, 3, 128) -> image (1, 3, 16, 16)" in described.output
    content = json.loads(vskd(inspect, "--json").output)
    assert "forms/encoder.fp32.onnx" in content["variants"]
    assert all(model["macs"] > 0 and model["contract_problem"] == "" for model in content["models"])


@pytest.mark.parametrize("engine", ["onnxruntime", "litert"])
def test_it_verifies_in_either_engine(engine: str) -> None:
    verified = vskd(verify, "--engine", engine)
    assert verified.exit_code == 0, verified.output
    ending = {"onnxruntime": "onnx", "litert": "tflite"}[engine]
    for recipe in ("fp32", "w8a8-static-pc"):
        assert f"model.{recipe}.{ending} on {engine}" in verified.output
    assert "FAILED" not in verified.output


def test_its_own_test_on_the_device_passes() -> None:
    assert not any(check.problem for check in selftest(Bundle.open(EARLIER)))
