"""What the page's tests share: one Node for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from export.ports.page.node import NODE, Node


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    if not NODE:
        pytest.skip("node is not installed")
    process = Node()
    yield process
    process.close()
