"""The yardstick: a kernel that does the same each time, and the best round that a machine is known by."""

from __future__ import annotations

import json
import stat
import tracemalloc

import numpy as np
import pytest

from vskd_benchmarks.device.environment import describe_machine
from vskd_benchmarks.measure.yardstick import (
    READINGS,
    Yardstick,
    best_round_ns,
    cache_file,
    fingerprint,
    keep_best,
    known_best_ns,
)


def test_the_kernel_computes_the_same_products_each_time():
    yardstick = Yardstick()
    yardstick.run()
    pattern = (np.arange(64 * 64) * 37 % 255 - 127).reshape(64, 64)
    sums = np.clip((pattern @ pattern) >> 7, -128, 127)
    product = (pattern / 1024) @ (pattern / 1024)
    for _ in range(2):
        np.testing.assert_array_equal(yardstick._bytes, sums)
        np.testing.assert_allclose(yardstick._curve, np.maximum(np.tanh(product) * product, 0), rtol=1e-4, atol=1e-5)
        yardstick.run()


def test_the_kernel_makes_no_array_while_it_runs():
    yardstick = Yardstick()
    yardstick.run()
    tracemalloc.start()
    try:
        yardstick.run()
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 64 * 64  # the least of its arrays, of int8


def test_the_first_runs_are_not_counted(ticks):
    # The clock's steps double: a reading of 1, 4, 16, ... ns lies between two calls of the clock.
    assert Yardstick().readings(ticks) == [4**index for index in range(READINGS)]


def test_the_best_round_is_the_least_median():
    assert best_round_ns([[1, 900, 901], [500, 510, 1], [700, 700, 700]]) == 500


def test_a_better_round_is_kept_and_a_worse_one_is_not(tmp_path):
    path = tmp_path / "cache" / "vskd" / "yardstick.json"
    assert known_best_ns("here", path=path) is None
    for best_ns, kept_ns in ((300, 300), (310, 300), (290, 290)):
        keep_best("here", best_ns, path=path)
        assert known_best_ns("here", path=path) == kept_ns
    keep_best("there", 500, path=path)
    assert json.loads(path.read_text()) == {"here": 290, "there": 500}
    assert known_best_ns("elsewhere", path=path) is None


@pytest.mark.parametrize("content", ["", "[1]", '{"here": "quick"}', '{"here": -4}', "\u0000", "[" * 100_000])
def test_a_file_that_is_none_is_no_reason_to_stop(tmp_path, content):
    path = tmp_path / "yardstick.json"
    path.write_text(content)
    assert known_best_ns("here", path=path) is None
    keep_best("here", 300, path=path)
    assert known_best_ns("here", path=path) == 300


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path):
    (tmp_path / "file").write_text("")
    keep_best("here", 300, path=tmp_path / "file" / "yardstick.json")
    assert stat.S_ISREG((tmp_path / "file").stat().st_mode)


def test_the_file_lies_in_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_file() == tmp_path / "vskd" / "yardstick.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert str(cache_file()) == "/home/someone/.cache/vskd/yardstick.json"


@pytest.mark.parametrize(
    ("key", "value"), [("cpu", "other"), ("cores", 99), ("features", ["x"]), ("versions", {"numpy": "0"})]
)
def test_what_makes_a_machine_another_one_makes_another_fingerprint(key, value):
    machine = describe_machine()
    assert fingerprint(machine) == fingerprint({**machine, "system": "another kernel"})
    assert fingerprint(machine) != fingerprint({**machine, key: value})
    assert fingerprint(machine) != fingerprint(machine, profile="ab")
