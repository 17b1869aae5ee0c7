"""The doctor on machines made of files, and on models that run, do not run, or are not there."""

from __future__ import annotations

import importlib.util
import platform

import pytest

from runtime.conftest import mean_model_onnx
from vskd.bundle import Bundle, ModelEntry, write_bundle
from vskd.bundle_files import CONTRACT
from vskd.checks.doctor import Finding, examine
from vskd.engines import ENGINES

PI_5 = "processor : 0\nFeatures : fp asimd evtstrm aes crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp\n"
PI_4 = "processor : 0\nFeatures : fp asimd evtstrm crc32 cpuid\n"
LAPTOP = "processor : 0\nflags : fpu sse4_1 avx2 avx512f avx512_vnni\n"


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
def test_the_features_that_int8_needs_are_named(tmp_path, monkeypatch, architecture, cpuinfo, state, text):
    monkeypatch.setattr(platform, "machine", lambda: architecture)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(cpuinfo)
    finding = found("cpu", root=tmp_path)
    assert finding.state == state
    assert text in finding.text


def test_a_machine_that_does_not_tell_its_features_is_reported_as_unknown(tmp_path):
    finding = found("cpu", root=tmp_path)
    assert (finding.state, "unknown" in finding.text) == ("note", True)


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


def test_an_engine_that_is_missing_is_a_note_since_vskds_own_is_always_there(monkeypatch):
    assert found("engine litert").state == "ok"
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    for name, kind in ENGINES.items():
        finding = found(f"engine {name}")
        assert (finding.state, finding.remedy) == ("note", f"pip install 'vskd[{kind.extra}]'")
    assert found("engine vskd").state == "ok"


def test_each_model_is_tried_for_real(tmp_path, make_golden_bundle, contract):
    one = Bundle.open(make_golden_bundle(tmp_path / "one.bundle", contract))
    files = {name: one.checked_path(name).read_bytes() for name in one.files if name != CONTRACT}
    models = [
        *one.models,
        ModelEntry("model.fp16.onnx", "onnx", "fp16"),
        ModelEntry("model.w8-pc.onnx", "onnx", "w8-pc"),
        ModelEntry("model.w8a16-static-pc.onnx", "onnx", "w8a16-static-pc"),
    ]
    files |= {"model.fp16.onnx": files["model.fp32.onnx"], "model.w8-pc.onnx": b"no model"}
    files["model.w8a16-static-pc.onnx"] = mean_model_onnx(inputs=2, contract=contract)
    bundle = write_bundle(tmp_path / "x.bundle", contract=contract, models=models, files=files)
    for file in ("model.fp32.onnx", "model.fp16.onnx"):
        finding = found(file, bundle)
        assert finding.state == "ok"
        assert finding.text.startswith("runs on onnxruntime 1.")
    broken = found("model.w8-pc.onnx", bundle)
    assert (broken.state, broken.text[:33]) == ("lack", "model.w8-pc.onnx is no onnx file:")
    unusable = found("model.w8a16-static-pc.onnx", bundle)
    assert (unusable.state, unusable.text[:28]) == ("note", "does not run on onnxruntime:")


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
