"""The core, compiled once for all contracts of these tests; and a project, written once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from export.ports.watch import plans, streams
from export.ports.watch.kotlin_jvm import Jvm, compiler
from vskd.bundle import Bundle
from vskd.contract import ExamplesSpec, ExampleWeights
from vskd_export.ports.watch.project import project_of, write_project


@pytest.fixture(scope="session")
def jvm(tmp_path_factory: pytest.TempPathFactory) -> Jvm:
    compiler()
    return Jvm.of(streams.CONTRACTS | plans.CONTRACTS, tmp_path_factory.mktemp("kotlin"))


@pytest.fixture(scope="session")
def project(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of a contract that was changed after export: nothing in it is edited by hand."""
    changed = Bundle.open(bundle.path)
    decided = changed.contract.with_decision(smoothing=0.25, min_lead=0.1, unknown_below=0.45)
    changed.contract = dataclasses.replace(decided, examples=ExamplesSpec("means", (ExampleWeights(0.5, 8.0, 0.9),)))
    folder = tmp_path_factory.mktemp("watch") / "project"
    write_project(project_of(changed), folder, overwrite=False)
    return folder
