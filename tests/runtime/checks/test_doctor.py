"""The doctor on machines made of files, and on models that run, do not run, or are not there."""

from __future__ import annotations

import importlib.util
import platform
import time
from pathlib import Path

import pytest

from vskd.checks.doctor import Finding, examine
from vskd.engines import ENGINES

PI_5 = "processor : 0\nFeatures : fp asimd evtstrm aes crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp\n"
PI_4 = "processor : 0\nFeatures : fp asimd evtstrm crc32 cpuid\n"
LAPTOP = "processor : 0\nflags : fpu sse4_1 avx2 avx512f avx512_vnni\n"


@pytest.fixture
def machine(tmp_path: Path):
    """Write files of a machine: path below / -> content."""

    def make(**files: str) -> Path:
        names = {
            "cpuinfo": "proc/cpuinfo",
            "governor": "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
            "frequency": "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq",
            "highest": "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq",
            "clock": "sys/devices/system/clocksource/clocksource0/current_clocksource",
        }
        for name, content in files.items():
            path = tmp_path / "root" / names[name]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path / "root"

    return make


def found(topic: str, *arguments: object, **settings: object) -> Finding:
    (finding,) = [one for one in examine(*arguments, **settings) if one.topic == topic]
    return finding


@pytest.mark.parametrize(
    ("architecture", "cpuinfo", "state", "text"),
    [
        ("aarch64", PI_5, "ok", "asimddp: int8 is several times faster than float"),
        ("aarch64", PI_5.replace("asimddp", "asimddp i8mm"), "ok", "asimddp, i8mm: int8"),
        ("aarch64", PI_4, "note", "none of asimddp, i8mm: int8 gains little over float"),
        ("x86_64", LAPTOP, "ok", "avx512_vnni: int8"),
        ("x86_64", LAPTOP.replace("avx512_vnni", ""), "note", "none of avx512_vnni, avx_vnni"),
        ("riscv64", "isa : rv64imafdc\n", "note", "features of riscv64 are unknown"),
    ],
)
def test_the_features_that_int8_needs_are_named(machine, monkeypatch, architecture, cpuinfo, state, text):
    monkeypatch.setattr(platform, "machine", lambda: architecture)
    finding = found("cpu", root=machine(cpuinfo=cpuinfo))
    assert finding.state == state
    assert text in finding.text


def test_the_governor_is_told_with_the_way_to_change_a_slow_one(machine):
    slow = found("governor", root=machine(governor="powersave\n", frequency="600000\n", highest="1800000\n"))
    assert (slow.state, slow.text[:38]) == ("note", "powersave, 600 of 1800 MHz now: the pr")
    assert "scaling_governor" in slow.remedy
    assert found("governor", root=machine(governor="schedutil")).state == "ok"


def test_what_a_machine_does_not_tell_is_reported_as_unknown(tmp_path):
    for topic in ("governor", "cpu"):
        finding = found(topic, root=tmp_path)
        assert finding.state == "note"
        assert "unknown" in finding.text
    assert "source unknown" in found("clock", root=tmp_path).text


def test_a_slow_clock_source_and_a_wrong_date_are_notes(machine, monkeypatch):
    assert found("clock", root=machine(clock="arch_sys_counter\n")).state == "ok"
    slow = found("clock", root=machine(clock="hpet\n"))
    assert (slow.state, "hpet, which is slow" in slow.text) == ("note", True)
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((1970, 1, 1, 0, 0, 9, 3, 1, 0)))
    assert found("date", root=machine()).text == "the wall clock shows 1970"


def test_a_32_bit_system_is_told_which_engine_it_can_have(monkeypatch):
    monkeypatch.setattr("struct.calcsize", lambda kind: 4)
    finding = found("python")
    assert finding.state == "note"
    assert "only tflite-runtime" in finding.remedy


@pytest.mark.parametrize(
    ("bus", "drivers", "state", "text", "remedy"),
    [
        (True, True, "ok", "i2c-1, drivers installed", ""),
        (True, False, "note", "i2c-1, without drivers", "vskd[i2c]"),
        (False, True, "note", "no bus in /dev", "raspi-config"),
        (False, False, "note", "no bus in /dev", ""),
    ],
)
def test_buses_and_drivers_of_sensors_are_told(tmp_path, monkeypatch, bus, drivers, state, text, remedy):
    if bus:
        (tmp_path / "dev").mkdir()
        (tmp_path / "dev" / "i2c-1").touch()
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: there("json") if drivers or name != "adafruit_blinka" else None
    )
    finding = found("i2c", root=tmp_path)
    assert (finding.state, text in finding.text) == (state, True)
    assert remedy in finding.remedy
    assert bool(remedy) == bool(finding.remedy)


def test_an_engine_that_is_missing_is_a_lack_only_where_there_is_no_other(monkeypatch):
    assert found("engine litert").state == "ok"
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    for name, kind in ENGINES.items():
        finding = found(f"engine {name}")
        assert (finding.state, finding.remedy) == ("lack", f"pip install 'vskd[{kind.extra}]'")


def test_each_model_is_tried_for_real(tmp_path, make_golden_bundle, contract):
    finding = found("model.fp32.onnx", make_golden_bundle(tmp_path / "x.bundle", contract))
    assert finding.state == "ok"
    assert finding.text.startswith("runs on onnxruntime 1.")


def test_a_bundle_that_nothing_runs_is_a_lack_with_the_extra(tmp_path, make_golden_bundle, contract, monkeypatch):
    bundle = make_golden_bundle(tmp_path / "x.bundle", contract)
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    finding = found("x.bundle", bundle)
    assert (finding.state, finding.remedy) == ("lack", "pip install 'vskd[onnx]'")
    assert "no engine here runs a model" in finding.text


def test_a_bundle_that_is_none_is_a_lack(tmp_path):
    finding = found(str(tmp_path), tmp_path)
    assert finding.state == "lack"
    assert "has no manifest.json" in finding.text
