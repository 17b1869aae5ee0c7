"""The machine, read from a file system that the test lays out like a Raspberry Pi's."""

from __future__ import annotations

import os

import pytest

from vskd_benchmarks.environment import WATCH_S, describe_machine, read_state, reasons_to_doubt

FILES = {
    "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd crc32 asimddp\nCPU part\t: 0xd0b\nprocessor\t: 1\n"
    "Features\t: other\n",
    "proc/meminfo": "MemTotal:        8000 kB\nMemFree: 1 kB\n",
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/loadavg": "0.31 0.20 0.10 1/90 1234\n",
    "proc/stat": "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 2 3\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "2400000\n",
    "sys/class/thermal/thermal_zone0/temp": "48312\n",
}


@pytest.fixture
def board(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_a_board_is_described(board):
    machine = describe_machine(board)
    assert machine["board"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert machine["features"] == ["asimd", "asimddp"]
    assert machine["cpu_part"] == "0xd0b"
    assert machine["memory_bytes"] == 8_192_000
    assert {"vskd", "numpy"} <= set(machine["versions"])


def test_the_state_is_read(board):
    state = read_state(board, sleep=lambda seconds: None)
    assert state["governor"] == "ondemand"
    assert state["frequency_khz"] == 1_500_000
    assert state["highest_frequency_khz"] == 2_400_000
    assert state["temperature_c"] == pytest.approx(48.312)
    assert state["load_average"] == [0.31, 0.2, 0.1]
    assert state["busy_cores"] is None  # no time went by: nothing can be said


def test_busy_cores_are_counted_while_watching(board):
    def meanwhile(seconds: float) -> None:
        assert seconds == WATCH_S
        # 100 jiffies more, 25 of them idle: three quarters of every core.
        (board / "proc/stat").write_text("cpu  175 0 100 825 0 0 0 0 0 0\n")

    assert read_state(board, sleep=meanwhile)["busy_cores"] == pytest.approx(0.75 * (os.cpu_count() or 1))


def test_a_system_that_offers_nothing_is_left_empty(tmp_path):
    state = read_state(tmp_path, sleep=lambda seconds: None)
    assert {name for name, value in state.items() if value is not None} <= {"throttled"}
    assert describe_machine(tmp_path)["board"] is None


CALM = {"busy_cores": 0.02, "throttled": None, "governor": "performance"}
CASE = {"name": "litert fp32", "warm_up": {"steady": True, "calls": 60}, "cpu_share": 0.999}


def test_a_calm_machine_gives_no_reason_to_doubt():
    assert reasons_to_doubt(CALM, {**CALM, "throttled": "0x0"}, [CASE], threads=1) == []


@pytest.mark.parametrize(
    ("before", "after", "case", "code", "detail"),
    [
        ({"busy_cores": 1.5}, {}, {}, "load", "1.50 cores were busy with other work before the run, above 0.25"),
        ({}, {"busy_cores": 0.3}, {}, "load", "0.30 cores were busy with other work after the run, above 0.25"),
        ({}, {"throttled": "0x50005"}, {}, "throttled", "vcgencmd get_throttled said 0x50005 after the run"),
        ({"governor": "powersave"}, {}, {}, "governor", "the frequency governor is powersave"),
        ({}, {}, {"warm_up": {"steady": False, "calls": 4}}, "not-steady", "litert fp32 was not steady after 4 calls"),
        ({}, {}, {"cpu_share": 0.5}, "preempted", "litert fp32 computed for 50% of the time, below 95%"),
    ],
)  # fmt: skip
def test_each_reason_has_its_code(before, after, case, code, detail):
    reasons = reasons_to_doubt({**CALM, **before}, {**CALM, **after}, [{**CASE, **case}], threads=1)
    assert reasons == [{"code": code, "detail": detail}]


def test_the_share_of_a_core_says_nothing_of_several_threads():
    assert reasons_to_doubt(CALM, CALM, [{**CASE, "cpu_share": 0.5}], threads=2) == []
