"""Readings while something else runs: at its start, again and again, at its end, and none afterwards."""

from __future__ import annotations

import threading

import pytest

from vskd_benchmarks.device.sampler import Sampler


def test_readings_are_taken_at_the_start_meanwhile_and_at_the_end():
    seen, enough = [], threading.Event()

    def read():
        seen.append(threading.current_thread())
        if len(seen) == 3:
            enough.set()

    with Sampler(read, 0.01) as sampler:
        assert seen[0] is threading.main_thread()
        assert enough.wait(10)
    assert seen[1] is not threading.main_thread()
    assert seen[-1] is threading.main_thread()
    assert not sampler._thread.is_alive()


def test_the_thread_ends_whatever_ends_the_run():
    sampler = Sampler(lambda: None, 3600.0)
    with pytest.raises(RuntimeError, match="the run"), sampler:
        raise RuntimeError("the run")
    assert not sampler._thread.is_alive()
