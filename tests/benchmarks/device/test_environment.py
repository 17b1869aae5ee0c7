"""The machine, read from a file system that the test lays out like a Raspberry Pi's."""

from __future__ import annotations

import os

import pytest

from vskd_benchmarks.device.environment import (
    OBSERVED_S,
    busy_cores,
    busy_ns,
    describe_machine,
    read_clock_and_heat,
    read_state,
)

FILES = {
    "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd crc32 asimddp\nCPU part\t: 0xd0b\nprocessor\t: 1\n"
    "Features\t: other\n",
    "proc/meminfo": "MemTotal:        8000 kB\nMemFree: 1 kB\nSwapTotal: 100 kB\nSwapFree: 40 kB\n",
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/loadavg": "0.31 0.20 0.10 1/90 1234\n",
    "proc/stat": "cpu  100 5 100 800 9 7 3 1 0 0\ncpu0 1 2 3\n",
    "proc/vmstat": "nr_free_pages 7\npswpin 4\npswpout 8\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "2400000\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "performance\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "1600000\n",
    "sys/class/thermal/thermal_zone0/temp": "48312\n",
    "sys/class/thermal/thermal_zone1/temp": "61200\n",
    "sys/class/thermal/thermal_zone2/temp": "not ready\n",
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
    assert machine["virtual_machine"] is False


def test_the_state_is_read(board):
    state = read_state(board)
    assert state["governors"] == ["ondemand", "performance"]
    assert state["frequency_khz"] == 1_600_000
    assert state["highest_frequency_khz"] == 2_400_000
    assert state["temperature_c"] == pytest.approx(61.2)
    assert state["load_average"] == [0.31, 0.2, 0.1]
    assert state["swap_used_bytes"] == 60 * 1024
    assert state["swapped_pages"] == 12


def test_computing_time_of_the_machine_leaves_out_idling_and_waiting(board):
    per_jiffy = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    assert busy_ns(board) == (100 + 5 + 100 + 7 + 3 + 1) * per_jiffy


def test_busy_cores_are_counted_while_watching(board, tmp_path):
    def meanwhile(seconds: float) -> None:
        assert seconds == OBSERVED_S
        jiffies = int(0.75 * OBSERVED_S * os.sysconf("SC_CLK_TCK"))  # three quarters of one core
        (board / "proc/stat").write_text(f"cpu  {100 + jiffies} 5 100 825 9 7 3 1 0 0\n")

    assert busy_cores(board, sleep=meanwhile) == pytest.approx(0.75, abs=0.02)
    assert busy_cores(tmp_path / "none", sleep=lambda seconds: None) is None


def test_clock_and_heat_are_followed(board):
    assert read_clock_and_heat(board) == {"frequency_khz": 1_600_000, "temperature_c": 61.2}


def test_a_system_that_offers_nothing_is_left_empty(tmp_path):
    state = read_state(tmp_path)
    assert {name for name, value in state.items() if value} <= {"throttled"}
    assert busy_ns(tmp_path) is None
    machine = describe_machine(tmp_path)
    assert machine["board"] is machine["virtual_machine"] is None
