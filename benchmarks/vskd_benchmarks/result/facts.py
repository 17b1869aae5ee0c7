"""What a run recorded, as the records of ``result.json``; ``vskd_benchmarks.result.derive`` adds what follows."""

from __future__ import annotations

from typing import Any

from vskd.bundle import Bundle
from vskd.bundle_files import CONTRACT
from vskd.closed import from_mapping
from vskd.report import SCORES, read_report
from vskd_benchmarks import goals
from vskd_benchmarks.measure import yardstick
from vskd_benchmarks.measure.bench import Run
from vskd_benchmarks.measure.measured_case import MeasuredCase
from vskd_benchmarks.measure.settings import ORDER_SEED
from vskd_benchmarks.result.energy import energy_facts
from vskd_benchmarks.result.folder import RAW
from vskd_benchmarks.result.profile import profile_facts
from vskd_benchmarks.result.records.case import CaseFacts
from vskd_benchmarks.result.records.conditions import (
    AppliedProfile,
    Configuration,
    Environment,
    Machine,
    MeasuredBundle,
    ModelFile,
    Yardstick,
)
from vskd_benchmarks.result.records.energy import Energy
from vskd_benchmarks.result.records.result import Facts, ImportTime
from vskd_benchmarks.result.validity import GROWTH_LIMIT_BYTES


def facts(run: Run) -> Facts:
    """What was measured.

    Parameters
    ----------
    run : as ``vskd_benchmarks.measure.bench.run_bench`` gives it
    """
    seen = {"machine": run.machine, "before": run.before, "after": run.after, "readings": run.readings}
    environment = from_mapping(Environment, seen, where="environment")
    return Facts(
        kind="vskd-bench-result",
        schema_version=3,
        goals_version=goals.VERSION,
        configuration=_configuration(run),
        environment=environment,
        bundles=tuple(_bundle(bundle_id, bundle) for bundle_id, bundle in run.bundles.items()),
        cases=tuple(_case(run, case) for case in run.cases),
        not_measured=tuple(run.skipped),
        import_vskd=from_mapping(ImportTime, run.imports, where="import_vskd"),
        profile=_profile(run, environment.machine),
        energy=_energy(run, environment.machine),
        yardstick=Yardstick(yardstick.VERSION, run.yardstick.machine, run.yardstick.best_ns),
    )


def _profile(run: Run, machine: Machine) -> AppliedProfile | None:
    profile = run.settings.profile
    if profile is None or run.confinement is None:
        return None
    return profile_facts(profile, run.confinement, machine)


def _energy(run: Run, machine: Machine) -> Energy | None:
    settings = run.settings
    if run.energy is None:
        return None
    relation = None if settings.profile is None else settings.profile.relation_to(machine.board)
    return energy_facts(run.energy, pace_hz=settings.pace_hz, relation=relation)


def _configuration(run: Run) -> Configuration:
    settings, effort = run.settings, run.settings.effort
    return Configuration(
        command=settings.command,
        mode=settings.mode,
        quick=settings.quick,
        engines=tuple(settings.engines),
        recipes=tuple(settings.recipes),
        threads=(settings.threads,),
        comparison=settings.comparison,
        rate_hz=settings.pace_hz,
        duration_s=settings.lasting_s,
        order_seed=ORDER_SEED,
        order=tuple(run.order),
        discarded_per_round=settings.discard,
        warm_up_rule=effort.rule,
    )


def _bundle(bundle_id: str, bundle: Bundle) -> MeasuredBundle:
    contract, report = bundle.contract, read_report(bundle)
    return MeasuredBundle(
        id=bundle_id,
        name=bundle.path.absolute().name,
        sha256=bundle.sha256(),
        contract_sha256=bundle.files[CONTRACT].sha256,
        trained_on=contract.trained_on,
        window_mode=contract.window.mode,
        window_samples=contract.window.samples,
        hop_samples=contract.window.hop_samples,
        rate_hz=contract.window.rate_hz,
        encoded_shape=contract.encoded_shape,
        scaling=None if contract.gaf is None else contract.gaf.scaling,
        transforms=() if contract.raw is None else contract.raw.transforms,
        classes=len(contract.labels),
        logit_tolerance=contract.logit_tolerance,
        temperature=contract.decision.temperature,
        models=tuple(
            ModelFile(
                file=model.file,
                format=model.format,
                recipe=model.recipe,
                sha256=bundle.files[model.file].sha256,
                size_bytes=bundle.files[model.file].size_bytes,
                macs=report.macs(model.file),
                accuracy={engine: dict(scores) for engine, scores in report.models.get(model.file, {}).items()},
            )
            for model in bundle.models
        ),
        accuracy={name: report.torch[name] for name in SCORES if name in report.torch} or None,
    )


def _case(run: Run, case: MeasuredCase) -> CaseFacts:
    """From what the worker process answered, which is checked here."""
    plan, blocks, worker = case.plan, case.blocks, case.reply
    model = None if plan.model is None else {key: plan.model[key] for key in ("file", "sha256", "size_bytes", "macs")}
    busy_ns, wall_ns = (sum(block[name] for block in blocks) for name in ("cpu_ns", "wall_ns"))
    peak_bytes, library_bytes = case.memory["peak_bytes"], case.memory["library_bytes"]
    over_bytes = None if library_bytes is None else peak_bytes - library_bytes
    switches = {name: sum(block[name] for block in blocks) for name in ("voluntary_switches", "involuntary_switches")}
    recorded = {
        "id": plan.id,
        "name": plan.name,
        "kind": plan.kind,
        "bundle": plan.bundle_id,
        "engine": plan.engine,
        "recipe": plan.recipe,
        "threads": plan.threads,
        "mode": run.settings.mode,
        "group": case.group,
        "network": plan.network,
        "weights": plan.weights,
        "encoder": plan.encoder,
        "model": model,
        **{key: worker[key] for key in ("engine_version", "options", "signal", "first_inference_ns")},
        "warm_up": case.warm_up,
        "rounds": len(blocks),
        "calls_per_round": len(blocks[0]["started_ns"]),
        "cpu": {"busy_ns": busy_ns, "wall_ns": wall_ns, "share": round(busy_ns / wall_ns, 4), **switches, **case.load},
        "cold_start": case.cold_start,
        "memory": {**case.memory, "over_library_bytes": over_bytes},
        "soak": _soak(run, case),
        "raw": f"{RAW}/{plan.id}.npz",
    }
    return from_mapping(CaseFacts, recorded, where=plan.id)


def _soak(run: Run, case: MeasuredCase) -> dict[str, Any] | None:
    if run.settings.mode != "soak":
        return None
    resident = [block["resident_bytes"] for block in case.blocks]
    ends_ns = [int(block["started_ns"][-1]) - run.epoch_ns for block in case.blocks]
    return {
        "resident_bytes": resident,
        "growth_bytes": resident[-1] - resident[len(resident) // 10],
        "at_s": [round(end_ns / 1e9, 3) for end_ns in ends_ns],
        "limit_bytes": GROWTH_LIMIT_BYTES,
    }
