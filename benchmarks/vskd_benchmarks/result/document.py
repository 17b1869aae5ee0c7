"""``result.json``: the facts of a run, and what follows from facts and raw numbers.

``facts`` writes down what was measured. ``derive`` computes everything else, from the facts and the raw arrays alone,
so that ``vskd bench --check`` can do it again and compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import Bundle
from vskd.bundle_files import CONTRACT
from vskd_benchmarks import goals
from vskd_benchmarks.measure.bench import Run
from vskd_benchmarks.measure.latency import median_with_interval, ratio_by_round, summarise
from vskd_benchmarks.measure.measured_case import MeasuredCase
from vskd_benchmarks.measure.plan import macs_of, report_of
from vskd_benchmarks.result.audits import audit
from vskd_benchmarks.result.energy import derive_energy, energy_facts
from vskd_benchmarks.result.folder import KIND, RAW, SCHEMA_VERSION, Raw
from vskd_benchmarks.result.judgement import judge_result
from vskd_benchmarks.result.profile import profile_facts
from vskd_benchmarks.result.validity import GROWTH_LIMIT_BYTES, verdicts

SCOPES = ("sensor_to_label", "model_only", "bare_call", "numpy_encoder", "pyts_encoder")
STAGES = ("resample", "encode", "infer", "decide")


def facts(run: Run) -> dict[str, Any]:
    """What was measured, as plain values.

    Parameters
    ----------
    run : as ``vskd_benchmarks.measure.bench.run_bench`` gives it
    """
    return {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "goals_version": goals.VERSION,
        "configuration": _configuration(run),
        "environment": {
            "machine": run.machine,
            "before": run.before,
            "after": run.after,
            "readings": run.readings,
        },
        "bundles": [_bundle(bundle_id, bundle) for bundle_id, bundle in run.bundles.items()],
        "cases": [_case_facts(run, case) for case in run.cases],
        "not_measured": [{"name": each.name, "bundle": each.bundle, "reason": each.reason} for each in run.skipped],
        "import_vskd": run.imports,
        **_profile(run),
        **_energy(run),
    }


def _profile(run: Run) -> dict[str, Any]:
    profile = run.settings.profile
    if profile is None or run.confinement is None:
        return {}
    return {"profile": profile_facts(profile, run.confinement, run.machine)}


def _energy(run: Run) -> dict[str, Any]:
    settings = run.settings
    if run.energy is None:
        return {}
    relation = None if settings.profile is None else settings.profile.relation_to(run.machine["board"])
    return {"energy": energy_facts(run.energy, pace_hz=settings.pace_hz, batch=settings.batch, relation=relation)}


def _configuration(run: Run) -> dict[str, Any]:
    settings, effort = run.settings, run.settings.effort
    return {
        "command": settings.command,
        "mode": settings.mode,
        "quick": settings.quick,
        "engines": list(settings.engines),
        "recipes": list(settings.recipes),
        "threads": list(settings.threads),
        "comparison": settings.comparison,
        "rate_hz": settings.pace_hz,
        "batch": settings.batch,
        "duration_s": settings.lasting_s,
        "order_seed": settings.seed,
        "order": list(run.order),
        "discarded_per_round": settings.discard,
        "warm_up_rule": {
            "block": effort.rule.block,
            "agreeing": effort.rule.agreeing,
            "tolerance": effort.rule.tolerance,
            "ceiling_s": effort.rule.ceiling_s,
        },
    }


def _bundle(bundle_id: str, bundle: Bundle) -> dict[str, Any]:
    contract = bundle.contract
    told = report_of(bundle).get("torch", {})
    accuracy = {name: told[name] for name in ("accuracy", "macro_f1") if name in told}
    return {
        "id": bundle_id,
        "name": bundle.path.absolute().name,
        "sha256": bundle.sha256(),
        "contract_sha256": bundle.files[CONTRACT].sha256,
        "trained_on": contract.trained_on,
        "window_mode": contract.window.mode,
        "window_samples": contract.window.samples,
        "hop_samples": contract.window.hop_samples,
        "rate_hz": contract.window.rate_hz,
        "image_shape": list(contract.image_shape),
        "scaling": contract.gaf.scaling,
        "classes": len(contract.labels),
        "logit_tolerance": contract.logit_tolerance,
        "temperature": contract.decision.temperature,
        "models": [
            {
                "file": model.file,
                "format": model.format,
                "recipe": model.recipe,
                "sha256": bundle.files[model.file].sha256,
                "size_bytes": bundle.files[model.file].size_bytes,
                "macs": macs_of(bundle, model.file),
            }
            for model in bundle.models
        ],
        "accuracy": accuracy or None,
    }


def _case_facts(run: Run, case: MeasuredCase) -> dict[str, Any]:
    plan, blocks = case.plan, case.blocks
    model = None if plan.model is None else {key: plan.model[key] for key in ("file", "sha256", "size_bytes", "macs")}
    return {
        "id": plan.id,
        "name": plan.name,
        "kind": plan.kind,
        "bundle": plan.bundle_id,
        "engine": plan.engine,
        "engine_version": case.reply["engine_version"],
        "recipe": plan.recipe,
        "threads": plan.threads,
        "mode": run.settings.mode,
        "group": case.group,
        "network": plan.network,
        "weights": plan.weights,
        "encoder": plan.encoder,
        "model": model,
        "options": case.reply["options"],
        "signal": case.reply["signal"],
        "warm_up": case.warm_up,
        "first_inference_ns": case.reply["first_inference_ns"],
        "rounds": len(blocks),
        "calls_per_round": len(blocks[0]["started_ns"]),
        "cpu": {
            "busy_ns": sum(block["cpu_ns"] for block in blocks),
            "wall_ns": sum(block["wall_ns"] for block in blocks),
            "voluntary_switches": sum(block["voluntary_switches"] for block in blocks),
            "involuntary_switches": sum(block["involuntary_switches"] for block in blocks),
            **case.load,
        },
        "cold_start": case.cold_start,
        "memory": case.memory,
        "soak": _soak(run, case),
        "raw": f"{RAW}/{plan.id}.npz",
    }


def _soak(run: Run, case: MeasuredCase) -> dict[str, Any] | None:
    if run.settings.mode != "soak":
        return None
    ends_ns = [int(block["started_ns"][-1]) - run.epoch_ns for block in case.blocks]
    return {
        "resident_bytes": [block["resident_bytes"] for block in case.blocks],
        "at_s": [round(end_ns / 1e9, 3) for end_ns in ends_ns],
        "limit_bytes": GROWTH_LIMIT_BYTES,
    }


def derive(facts: Mapping[str, Any], raws: Mapping[str, Raw]) -> dict[str, Any]:
    """The whole document: the facts, and what follows from them.

    Parameters
    ----------
    facts : as ``facts`` gives them; anything derived that they hold already is replaced
    raws : case id -> its arrays
    """
    bundles = {bundle["id"]: bundle for bundle in facts["bundles"]}
    cases = [_derived_case(case, bundles[case["bundle"]], raws[case["id"]]) for case in facts["cases"]]
    readings = facts["import_vskd"]["readings_ns"]
    result = {
        **facts,
        "cases": cases,
        "ratios": list(_ratios(cases, bundles, raws)),
        "import_vskd": {**facts["import_vskd"], "median_ns": int(np.median(readings))},
    }
    result["goals"] = judge_result(result, raws, facts.get("goals_version", 1))
    if "energy" in facts:
        result["energy"] = derive_energy(facts["energy"], cases, raws)
    result["validity"], each = verdicts(result)
    for case, verdict in zip(cases, each, strict=True):
        case["validity"] = verdict
    return result


def _derived_case(case: Mapping[str, Any], bundle: Mapping[str, Any], raw: Raw) -> dict[str, Any]:
    cpu, memory, cold = case["cpu"], case["memory"], case["cold_start"]
    floor = memory["library_bytes"]
    over = None if floor is None else memory["peak_bytes"] - floor
    return {
        **case,
        "scopes": {name: summarise(raw[name]) for name in SCOPES if name in raw},
        "stages": {name: summarise(raw[name]) if name in raw else None for name in STAGES},
        "overhead": _overhead(raw),
        "cpu": {**cpu, "share": round(cpu["busy_ns"] / cpu["wall_ns"], 4)},
        "memory": {**memory, "over_library_bytes": over},
        "cold_start": None if cold is None else {**cold, "median_ns": int(np.median(cold["readings_ns"]))},
        "soak": _derived_soak(case["soak"]),
        "audits": audit(case, bundle, raw),
    }


def _overhead(raw: Raw) -> dict[str, Any] | None:
    # Both readings of a pair lie within one call of the case, microseconds apart: their difference is the overhead.
    if "bare_call" not in raw:
        return None
    return median_with_interval((raw["sensor_to_label"] - raw["bare_call"]).ravel())


def _derived_soak(soak: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if soak is None:
        return None
    resident = soak["resident_bytes"]
    return {**soak, "growth_bytes": resident[-1] - resident[len(resident) // 10]}


def _ratios(
    cases: Sequence[Mapping[str, Any]], bundles: Mapping[str, Mapping[str, Any]], raws: Mapping[str, Raw]
) -> Iterator[dict[str, Any]]:
    """How many times faster each model of a bundle is, sensor -> label, than each other pipeline of its group."""
    for case in cases:
        for other in cases:
            if _comparable(case, other, bundles):
                fast, slow = (_by_round(raws[which["id"]]) for which in (case, other))
                yield {
                    "case": case["id"], "against": other["id"], "scope": "sensor_to_label", **ratio_by_round(slow, fast)
                }  # fmt: skip


def _comparable(case: Mapping[str, Any], other: Mapping[str, Any], bundles: Mapping[str, Mapping[str, Any]]) -> bool:
    contracts = {bundles[which["bundle"]]["contract_sha256"] for which in (case, other)}
    same = all(case[key] == other[key] for key in ("group", "threads", "mode")) and len(contracts) == 1
    own = other["kind"] != "image-input" or case["bundle"] == other["bundle"]
    return case["kind"] == "bundle" and other["kind"] not in ("bundle", "encoder") and same and own


def _by_round(raw: Raw) -> list[NDArray[np.int64]]:
    return list(raw["sensor_to_label"])
