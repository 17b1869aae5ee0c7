"""What a ``vskd`` command leaves, as the fixture ``command`` gives it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

import pytest


class Result(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, object]]:
        return [json.loads(line, parse_constant=pytest.fail) for line in self.out.splitlines()]


Command = Callable[..., Result]
