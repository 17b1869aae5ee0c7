"""What the emulation needs: a folder for its downloads, and a bundle to take to the board."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vskd.contract import Contract, GafSpec, WindowSpec
from vskd_benchmarks.pi_kit.wheels import KitError

from ..export.conftest import LABELS, silent, synthetic_windows, trained_student  # tests are no package
from .emulated_board import NoEmulationError
from .parity import Installed, install


@pytest.fixture(scope="session")
def cache() -> Path:
    """The folder for roots and emulators, from the environment variable VSKD_EMULATION."""
    folder = os.environ.get("VSKD_EMULATION")
    if not folder:
        pytest.skip("set VSKD_EMULATION to a folder (200 MB of downloads) to run this test on an emulated board")
    return Path(folder)


@pytest.fixture(scope="session")
def bundle_path(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that VSKD_EMULATION_BUNDLE names, else a small one that is trained and exported here."""
    named = os.environ.get("VSKD_EMULATION_BUNDLE")
    if named:
        return Path(named)
    from vskd_export.build import export_bundle
    from vskd_export.request import ExportRequest

    contract = Contract(labels=LABELS, window=WindowSpec(samples=64), gaf=GafSpec(size=32), trained_on="test windows")
    training = synthetic_windows(320, subjects=("anna", "ben"), seed=1)
    request = ExportRequest(
        student=trained_student(contract, training),
        contract=contract,
        calibration=training,
        held_out=synthetic_windows(96, subjects=("cara",), seed=2),
        provenance={"run": "test"},
        out=tmp_path_factory.mktemp("emulation") / "wrist.bundle",
    )
    return export_bundle(request, progress=silent).path


@pytest.fixture(scope="session", params=["aarch64", "armv7l"])
def installed(
    request: pytest.FixtureRequest, cache: Path, bundle_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    """The kit, installed on the emulated board by its own script."""
    machine: str = request.param
    try:
        return install(bundle_path, machine, cache, tmp_path_factory.mktemp(machine))
    except (NoEmulationError, KitError) as error:
        pytest.skip(f"no emulated {machine} here: {error}")
