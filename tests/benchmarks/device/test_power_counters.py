"""Counters of the kernel on trees of files, and the Raspberry Pi 5's tool as a script with the real one's words."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd.errors import DataError
from vskd_benchmarks.device.power_counters import (
    PowerMonitor,
    Probe,
    find_hwmon,
    find_pmic,
    find_probe,
    find_rapl,
    rail_power_w,
    unwrapped,
)

SAID = """\
 3V7_WL_SW_A current(0)=0.00000000A
   3V3_SYS_A current(1)=0.06245952A
  VDD_CORE_A current(7)=1.50000000A
 3V7_WL_SW_V volt(8)=3.79999600V
   3V3_SYS_V volt(9)=3.30000000V
  VDD_CORE_V volt(15)=0.80000000V
     EXT5V_V volt(24)=5.07000000V
      BATT_V volt(25)=0.00000000V
"""


def zone(root, number, name, energy_uj=0, limit_uj=1000):
    folder = root / f"sys/class/powercap/intel-rapl:{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text(f"{limit_uj}\n")
    return folder


def chip(root, number, name, **files):
    folder = root / f"sys/class/hwmon/hwmon{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    for file, content in files.items():
        (folder / file).write_text(f"{content}\n")
    return folder


def test_packages_and_memory_are_counted_once(tmp_path):
    zone(tmp_path, "0", "package-0", 10)
    zone(tmp_path, "0:0", "core", 20)
    zone(tmp_path, "0:1", "dram", 40)
    zone(tmp_path, "1", "psys", 80)
    zone(tmp_path, "2", "package-1", 160, limit_uj=500)
    (tmp_path / "sys/class/powercap/intel-rapl").mkdir()
    probe = find_rapl(tmp_path)
    assert isinstance(probe, Probe)
    assert probe.read() == [10, 40, 160]
    assert probe.wraps_uj == (1000, 1000, 500)
    assert probe.detail == "RAPL: package-0, dram, package-1"


def test_counters_for_root_alone_are_named(tmp_path, monkeypatch):
    folder = zone(tmp_path, "0", "package-0")
    read = type(folder).read_text

    def refuse(path, **how):
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, **how)

    monkeypatch.setattr(type(folder), "read_text", refuse)
    text = find_rapl(tmp_path)
    assert isinstance(text, str)
    assert text.endswith("energy_uj is for root alone")


def test_the_one_sensor_of_a_board(tmp_path):
    chip(tmp_path, 0, "cpu_thermal", temp1_input=50000)
    chip(tmp_path, 1, "amdgpu", power1_average=9_000_000)
    sensor = chip(tmp_path, 2, "ina226", power1_input=1_250_000)
    probe = find_hwmon(tmp_path)
    assert isinstance(probe, Probe)
    assert probe.read() == [1.25]
    assert probe.wraps_uj is None
    (sensor / "energy1_input").write_text("77\n")
    counter = find_hwmon(tmp_path)
    assert isinstance(counter, Probe)
    assert (counter.read(), counter.wraps_uj) == ([77], (0,))


def test_of_several_sensors_none_is_guessed(tmp_path):
    chip(tmp_path, 0, "ina219", power1_input=1)
    chip(tmp_path, 1, "ina3221", power1_input=1)
    assert find_hwmon(tmp_path) == (
        "hwmon: 2 sensors, and none is marked as the board's: ina219 power1_input, ina3221 power1_input"
    )


def test_the_rails_of_the_chip_by_hand():
    # EXT5V and BATT have no current, and the input would count everything twice.
    assert rail_power_w(SAID) == pytest.approx(0.06245952 * 3.3 + 1.5 * 0.8)


def fake_tool(folder, text, code=0):
    tool = folder / "vcgencmd"
    tool.write_text(f"#!/bin/sh\n[ \"$1\" = pmic_read_adc ] || exit 2\ncat <<'X'\n{text}X\nexit {code}\n")
    tool.chmod(0o755)
    return str(tool)


def test_the_tool_of_a_raspberry_pi_5(tmp_path):
    probe = find_pmic(fake_tool(tmp_path, SAID))
    assert isinstance(probe, Probe)
    assert probe.read() == [pytest.approx(1.406116416)]
    assert probe.source == "pmic"


def test_an_older_boards_tool_knows_no_such_command(tmp_path):
    text = find_pmic(fake_tool(tmp_path, 'error=1 error_msg="Command not registered"\n'))
    assert isinstance(text, str)
    assert "named no rail with current and voltage: 'error=1" in text


def test_the_best_probe_is_taken_and_each_lack_is_told(tmp_path):
    probe, reasons = find_probe(tmp_path, tool="no-such-tool")
    assert probe is None
    assert reasons == (
        "RAPL: no zones under /sys/class/powercap",
        "hwmon: no sensor of energy or power",
        "power management chip: no no-such-tool",
    )
    chip(tmp_path, 0, "ina219", power1_input=1)
    probe, reasons = find_probe(tmp_path)
    assert probe is not None
    assert (probe.source, len(reasons)) == ("hwmon", 1)
    zone(tmp_path, "0", "package-0")
    probe, reasons = find_probe(tmp_path)
    assert probe is not None
    assert (probe.source, reasons) == ("rapl", ())


@given(st.lists(st.integers(0, 998), min_size=1, max_size=50), st.integers(0, 998))
def test_a_counter_that_starts_again_has_lost_nothing(steps, first):
    true = first + np.concatenate([[0], np.cumsum(steps)])
    seen = (true % 999).astype(np.float64)
    assert unwrapped(seen[:, None], [999])[:, 0] == pytest.approx(true - first)


def test_a_counter_without_a_range_that_falls_is_refused():
    with pytest.raises(DataError, match="an energy counter fell by 40 uJ beyond its range"):
        unwrapped(np.array([[50.0], [10.0]]), [0])


def test_a_watch_turns_energies_into_mean_powers(tmp_path):
    readings = iter([[900.0], [950.0], [100.0]])
    probe = Probe("rapl", "", 3600.0, lambda: next(readings), (1000,))
    clock = itertools.count(7_000_000, 1_000_000)
    watch = PowerMonitor(probe, 7_000_000, clock=lambda: next(clock))
    with watch:
        watch.read()
    found = watch.trace()
    assert found.time_ns.tolist() == [0, 1_000_000, 2_000_000]
    # 50 uJ and then 150 uJ, each in a millisecond.
    assert found.power_w[1:].tolist() == pytest.approx([0.05, 0.15])
    assert found.energy_j(0, 2_000_000) == pytest.approx(200e-6)


def test_a_watch_reads_on_its_own_and_tells_why_it_stopped():
    values = itertools.chain(itertools.repeat([2.0], 5))
    probe = Probe("hwmon", "", 0.001, lambda: next(values, None) or broken())
    with PowerMonitor(probe, 0) as watch:
        watch._thread.join(timeout=10)
    assert watch.problem == "hwmon stopped: [Errno 5] gone"
    assert watch.trace().power_w.tolist() == [2.0] * 5


def broken():
    raise OSError(5, "gone")
