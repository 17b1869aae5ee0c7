"""The Raspberry Pi 5's tool as a script with the real one's words."""

from __future__ import annotations

import itertools

import pytest

from vskd_benchmarks.device.pmic import PowerReadings, find_pmic, rail_power_w
from vskd_benchmarks.device.sampler import Sampler

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


def test_the_rails_of_the_chip_by_hand():
    # EXT5V and BATT have no current, and the input would count everything twice.
    assert rail_power_w(SAID) == pytest.approx(0.06245952 * 3.3 + 1.5 * 0.8)


def fake_tool(folder, text):
    tool = folder / "vcgencmd"
    tool.write_text(f"#!/bin/sh\n[ \"$1\" = pmic_read_adc ] || exit 2\ncat <<'X'\n{text}X\n")
    tool.chmod(0o755)
    return str(tool)


def test_the_tool_of_a_raspberry_pi_5(tmp_path):
    read = find_pmic(fake_tool(tmp_path, SAID))
    assert not isinstance(read, str)
    assert read() == pytest.approx(1.406116416)


def test_a_machine_without_the_chip_is_told(tmp_path):
    assert find_pmic("no-such-tool") == "power management chip: no no-such-tool"
    older = find_pmic(fake_tool(tmp_path, 'error=1 error_msg="Command not registered"\n'))
    assert isinstance(older, str)
    assert "named no rail with current and voltage: 'error=1" in older


def test_readings_have_the_time_at_which_they_ended():
    readings = PowerReadings(lambda: 2.5, 7_000_000, clock=iter([7_000_000, 8_500_000]).__next__)
    with Sampler(readings.read, 3600.0):
        pass  # one reading when it starts, one when it ends
    assert readings.trace().time_ns.tolist() == [0, 1_500_000]
    assert readings.trace().power_w.tolist() == [2.5, 2.5]


def test_readings_that_fail_tell_why_and_are_not_taken_up_again():
    values = itertools.chain([2.0, 2.0], [OSError(5, "gone")], itertools.repeat(2.0))

    def power_w():
        value = next(values)
        if isinstance(value, OSError):
            raise value
        return value

    readings = PowerReadings(power_w, 0)
    for _ in range(5):
        readings.read()
    assert readings.problem == "the readings of the power management chip ended: [Errno 5] gone"
    assert readings.trace().power_w.tolist() == [2.0, 2.0]
