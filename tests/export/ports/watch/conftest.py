"""The core, compiled once for all contracts of these tests."""

from __future__ import annotations

import pytest

from export.ports.watch import plans, streams
from export.ports.watch.kotlin_jvm import Jvm, compiler


@pytest.fixture(scope="session")
def jvm(tmp_path_factory: pytest.TempPathFactory) -> Jvm:
    compiler()
    return Jvm.of(streams.CONTRACTS | plans.CONTRACTS, tmp_path_factory.mktemp("kotlin"))
