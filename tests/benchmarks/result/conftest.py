"""Result folders with known medians, written through the toolkit's own functions, so that they cannot drift from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vskd.closed import from_mapping, to_mapping
from vskd_benchmarks.device.confinement import Confinement
from vskd_benchmarks.device.energy import EnergyRecord, EnergySettings
from vskd_benchmarks.device.profiles import read_profile
from vskd_benchmarks.goals import VERSION
from vskd_benchmarks.report.html import write_report
from vskd_benchmarks.result.derive import derive
from vskd_benchmarks.result.energy import energy_facts
from vskd_benchmarks.result.folder import KIND, SCHEMA_VERSION, write_result
from vskd_benchmarks.result.profile import profile_facts
from vskd_benchmarks.result.records.conditions import Machine
from vskd_benchmarks.result.records.result import Facts

#: (kind, engine, recipe, encoder, network, weights, median of sensor -> label in ns, size of the file)
CASES = (
    ("bundle", "litert", "fp32", "graph", "the bundle's", "trained", 4_600_000, 45_374_688),
    ("bundle", "litert", "w8a8-static-pc", "graph", "the bundle's", "trained", 1_150_000, 11_515_168),
    ("bundle", "onnxruntime", "fp32", "graph", "the bundle's", "trained", 5_600_000, 45_376_450),
    ("bundle", "onnxruntime", "w8a8-static-pc", "graph", "the bundle's", "trained", 1_100_000, 11_488_154),
    ("usual-pipeline", "torch", "fp32", "pyts", "resnet18", "random", 18_000_000, None),
    ("student", "onnxruntime", "fp32", "numpy", "mobilenetv2-0.35", "random", 380_000, 1_718_057),
    ("encoder", "numpy", "fp32", "none", "none", "none", 32_000, None),
)
#: Held-out accuracy of each bundle, and how many times quicker than the first it is.
LOST = {"fp32": 0.0, "w8a8-static-pc": 0.02}  #: by a recipe
BUNDLES = {"wide": (0.84, 1.0), "narrow": (0.79, 8.0)}

STATE = {
    "load_average": [0.1, 0.2, 0.2], "governors": ["performance"], "frequency_khz": 1_500_000,
    "highest_frequency_khz": 1_500_000, "temperature_c": 48.0, "throttled": "0x0", "swap_used_bytes": 0,
    "swapped_pages": 10,
}  # fmt: skip

MACHINE = {
    "board": "Raspberry Pi 4 Model B Rev 1.4", "cpu": "Cortex-A72", "cpu_part": "0xd08", "features": ["asimd"],
    "architecture": "aarch64", "cores": 4, "affinity": [0, 1, 2, 3], "memory_bytes": 4_000_000_000,
    "virtual_machine": False, "system": "Linux-6.1-aarch64", "python": "3.11.2", "implementation": "cpython",
    "versions": {"vskd": "0.1.0", "numpy": "2.4.6", "onnxruntime": "1.31.1", "ai-edge-litert": "2.3.0"},
}  # fmt: skip

LOGITS = np.random.default_rng(9).normal(size=(60, 5)).astype(np.float32)

#: The least reading of every round's yardstick; the median lies 8 ns above it.
YARDSTICK_NS = 300_000

Edit = Callable[[dict[str, Any]], None]


def sha256(*words: object) -> str:
    return hashlib.sha256(repr(words).encode()).hexdigest()


def bundle_facts(name: str, accuracy: float) -> dict[str, Any]:
    rows = [row for row in CASES if row[0] == "bundle"]
    return {
        "id": name, "name": f"{name}.bundle", "sha256": sha256(name), "contract_sha256": sha256("contract"),
        "trained_on": "utd-mhad", "window_mode": "sliding", "window_samples": 96, "hop_samples": 24, "rate_hz": 50.0,
        "encoded_shape": [3, 64, 64], "scaling": "tanh", "classes": 5, "logit_tolerance": 1e-4, "temperature": 1.0,
        "models": [
            {"file": file_of(row), "format": "onnx" if row[1] == "onnxruntime" else "tflite", "recipe": row[2],
             "sha256": sha256(name, file_of(row)), "size_bytes": row[7], "macs": 148_250_532,
             "accuracy": {row[1]: {"accuracy": accuracy - LOST[row[2]], "macro_f1": accuracy - 0.01 - LOST[row[2]]}}}
            for row in rows
        ],
        "accuracy": {"accuracy": accuracy, "macro_f1": accuracy - 0.01},
    }  # fmt: skip


def file_of(row: tuple[Any, ...]) -> str:
    name = "model" if row[0] == "bundle" else row[4]
    return f"{name}.{row[2]}.{'onnx' if row[1] == 'onnxruntime' else 'tflite'}"


def case_id(bundle: str, row: tuple[Any, ...]) -> str:
    return ".".join([bundle, *([row[1]] if row[0] == "bundle" else [row[4], row[1]]), row[2], "t1"])


def case_facts(bundle: str, row: tuple[Any, ...], shape: tuple[int, int]) -> dict[str, Any]:
    kind, engine, recipe, encoder, network, weights, median_ns, size = row
    model = {"file": file_of(row), "sha256": sha256(bundle, file_of(row)), "size_bytes": size, "macs": 148_250_532}
    busy_ns = shape[0] * shape[1] * median_ns
    cold = {"readings_ns": [170_000_000, 172_000_000, 169_000_000], "import_ns": 9, "open_ns": 5,
            "first_window_ns": 7, "median_ns": 170_000_000}  # fmt: skip
    return {
        "id": case_id(bundle, row), "kind": kind,
        "name": f"{bundle}: {engine} {recipe}" if kind == "bundle" else f"{network} {engine}",
         "bundle": bundle, "engine": engine, "engine_version": "1.0", "recipe": recipe, "threads": 1,
        "mode": "single-stream", "group": 0, "network": network, "weights": weights, "encoder": encoder,
        "model": model if size else None, "options": {"num_threads": 1},
        "signal": {"source": "golden windows", "different_windows": 60, "timestamp_jitter_periods": 0.2},
        "warm_up": {"steady": True, "calls": 60, "elapsed_ns": 60 * median_ns, "block_medians_ns": [median_ns] * 3},
        "first_inference_ns": 2 * median_ns, "rounds": shape[0], "calls_per_round": shape[1],
        "cpu": {"busy_ns": busy_ns, "wall_ns": busy_ns, "voluntary_switches": 0, "involuntary_switches": 3,
                "other_cores": 0.02, "load_source": "case", "share": 1.0},
        "cold_start": cold if kind == "bundle" else None,
        "memory": {"peak_bytes": 78_000_000, "library_bytes": 42_000_000, "over_library_bytes": 36_000_000,
                   "source": "VmHWM"},
        "soak": None, "raw": f"raw/{case_id(bundle, row)}.npz",
    }  # fmt: skip


def latencies(median_ns: float, shape: tuple[int, int], draw: np.random.Generator) -> np.ndarray:
    """Successive readings resemble each other, rounds differ, one reading in 50 is three times as long."""
    noise = draw.normal(size=shape)
    for call in range(1, shape[1]):
        noise[:, call] = 0.7 * noise[:, call - 1] + 0.71 * noise[:, call]
    readings = median_ns * np.exp(0.03 * noise + 0.005 * draw.normal(size=(shape[0], 1)))
    return (readings * np.where(draw.random(shape) < 0.02, 3, 1)).astype(np.int64)


def raw_of(row: tuple[Any, ...], median_ns: float, shape: tuple[int, int], draw: np.random.Generator) -> dict[str, Any]:
    whole = latencies(median_ns, shape, draw)
    started = np.cumsum(whole, axis=None).reshape(shape) + np.arange(shape[0])[:, np.newaxis] * 500_000_000
    interval = np.stack([started[:, 0], started[:, -1] + whole[:, -1]], axis=1)
    arrays = {"started": started, "interval": interval, "audit_varied": whole[:, :20], "audit_repeated": whole[:, :20]}
    arrays["yardstick"] = np.full((shape[0], 16), YARDSTICK_NS) + np.arange(16)
    if row[0] == "encoder":
        return arrays | {"numpy_encoder": whole, "pyts_encoder": latencies(17 * median_ns, shape, draw)}
    split = {"resample": 0.06, "decide": 0.04, **({} if row[3] in ("graph", "none") else {"encode": 0.1})}
    parts = {name: (whole * share).astype(np.int64) for name, share in split.items()}
    infer = whole - sum(parts.values())
    arrays |= {"sensor_to_label": whole, **parts, "infer": infer, "model_only": infer, "bare_call": infer - 9000}
    arrays |= {"sampled_index": np.arange(20), "sampled_logits": LOGITS[:20], "accuracy_logits": LOGITS}
    if row[5] == "trained":
        arrays |= {"golden_logits": LOGITS, "golden_network": LOGITS, "golden_recorded": LOGITS}
    return arrays


def configuration(order: list[str]) -> dict[str, Any]:
    return {
        "command": "vskd bench wide.bundle --out result", "mode": "single-stream", "quick": False, "engines": [],
        "recipes": [], "threads": [1], "comparison": True, "rate_hz": None, "duration_s": None,
        "order_seed": 0, "order": order, "discarded_per_round": 5,
        "warm_up_rule": {"block": 20, "agreeing": 3, "tolerance": 0.03, "ceiling_s": 10.0},
    }  # fmt: skip


#: Idle for two seconds at 1 W, then 2 W above it; a battery of one watt-hour.
ENERGY = {
    "source": "power-meter", "measured": True, "detail": "a power meter's file", "lacks": [], "unix_ns": 0,
    "idle_ns": [-3_000_000_000, -1_000_000_000], "core_active_w": None, "wake_up_j": None,
    "use": {"rate_hz": 1.0, "duty_cycle": 1.0, "battery_wh": 1.0}, "problem": None,
    "assumptions": ["One window a second, all day."], "of": "device", "step_s": None, "idle_w": None,
}  # fmt: skip


def power_raw(active_w: float) -> dict[str, Any]:
    time_ns = np.arange(-4_000_000_000, 120_000_000_000, 20_000_000)
    power_w = np.where(time_ns < 0, 1.0, 1.0 + active_w) + 1e-3 * np.sin(np.arange(time_ns.size))
    return {"time_ns": time_ns, "power_w": power_w}


MakeResult = Callable[..., Path]


@pytest.fixture(scope="session")
def make_result() -> MakeResult:
    """Write a result folder: its medians are those of ``CASES`` over the bundle's speed, times ``slower``."""

    def make(
        folder: Path,
        *,
        slower: float | Mapping[str, float] = 1.0,
        bundles: tuple[str, ...] = ("wide",),
        shape: tuple[int, int] = (8, 100),
        seed: int = 0,
        edit: Edit | None = None,
        active_w: float | None = None,
    ) -> Path:
        draw = np.random.default_rng(seed)
        planned = [(name, row) for name in bundles for row in CASES if row[0] == "bundle" or name == bundles[0]]
        cases = [case_facts(name, row, shape) for name, row in planned]
        raws = {}
        for name, row in planned:
            factor = slower.get(case_id(name, row), 1.0) if isinstance(slower, Mapping) else slower
            speed = BUNDLES[name][1] if row[0] == "bundle" else 1.0
            raws[case_id(name, row)] = raw_of(row, factor * row[6] / speed, shape, draw)
        facts = {
            "kind": KIND, "schema_version": SCHEMA_VERSION, "goals_version": VERSION,
            "configuration": configuration([c["id"] for c in cases]),
            "environment": {
                "machine": MACHINE, "before": STATE, "after": {**STATE, "temperature_c": 61.0},
                "readings": [
                    {"at_s": 1.0 * second, "frequency_khz": 1_500_000, "temperature_c": 48.0 + second}
                    for second in range(13)
                ],
            },
            "bundles": [bundle_facts(name, BUNDLES[name][0]) for name in bundles], "cases": cases,
            "not_measured": [{"name": "tensorflow fp32", "bundle": "wide", "reason": "tensorflow is not installed"}],
            "yardstick": {"version": 1, "machine": "0123456789abcdef", "known_best_ns": 299_000},
            "import_vskd": {"readings_ns": [20_000_000, 21_000_000, 19_000_000], "median_ns": 20_000_000},
        }  # fmt: skip
        if active_w is not None:
            facts["energy"] = ENERGY
            raws["power"] = power_raw(active_w)
        facts = json.loads(json.dumps(facts))  # so that an edit changes nothing that is shared
        if edit is not None:
            edit(facts)
        return write_result(folder, derive(from_mapping(Facts, facts, where="facts"), raws), raws)

    return make


def under_profile(name: str, *, problem: str | None = None) -> Edit:

    def edit(facts: dict[str, Any]) -> None:
        profile = read_profile(name)
        machine = facts["environment"]["machine"]
        confinement = Confinement(profile.settings)
        confinement.hold("cores", profile.settings.cores, (0, 1, 2, 3), "sched_setaffinity")
        confinement.deviate("frequency_khz", profile.settings.frequency_khz, "scaling_max_freq <b>", "no-permission")
        used = profile_facts(profile, confinement, from_mapping(Machine, machine, where="machine"))
        facts["profile"] = to_mapping(used)
        record = EnergyRecord(EnergySettings(battery_wh=1.3), profile, "model", "of a core", (), 0, problem=problem)
        relation = profile.relation_to(machine["board"])
        facts["energy"] = to_mapping(energy_facts(record, pace_hz=1.0, relation=relation))
        facts["cases"] = facts["cases"][:2]

    return edit


@pytest.fixture(scope="session")
def under() -> Callable[..., Edit]:
    """An edit that puts a made result under a profile, with the model's energy: (name, problem) -> edit."""
    return under_profile


@pytest.fixture(scope="session")
def reported(make_result: MakeResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two bundles with its report; drawn once, so not to be changed."""
    folder = make_result(tmp_path_factory.mktemp("reported") / "result", bundles=("wide", "narrow"))
    write_report(folder)
    return folder


@pytest.fixture
def single(make_result: MakeResult, tmp_path: Path) -> Path:
    """A folder of one case, which is drawn quickly."""
    return make_result(tmp_path / "single", edit=lambda facts: facts.update(cases=facts["cases"][1:2]))
