"""Which baselines are measured beside a bundle: those whose networks could be made and whose packages are installed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vskd.bundle import Bundle
from vskd.bundle_files import CONTRACT, present, signatures_file, variant_file
from vskd.manifest import RECIPE_ALIASES
from vskd.report import read_report
from vskd_benchmarks.measure.plan import Plan, PlannedCase, SkippedCase, describe_file
from vskd_benchmarks.pipelines.baselines import missing_packages

#: Recipes in which other networks are made, and in which a bundle may have its image-input variants.
RECIPES = ("fp32", "w8a8-static-pc")

#: What stands beside a network that takes an image, and has no meaning beside one that takes the raw window.
OF_IMAGES = ("pyts+torch", "pyts+onnxruntime", "mobilenetv2-0.35", "image-input")
NO_IMAGE = "the bundle's network takes no image; name an image bundle of the same task beside it for the ratio"

#: Networks that were made: ``NAME.RECIPE`` -> file, sha256, size_bytes, macs; or ``NAME`` -> not_made, the reason.
Made = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Baseline:
    """What a baseline computes: the kind, engine, recipe, network, weights and encoder of the result."""

    kind: str
    engine: str
    recipe: str
    network: str
    weights: str = "random"
    encoder: str = "none"


def compared_bundles(bundles: Mapping[str, Bundle]) -> dict[str, Bundle]:
    """The first bundle of each contract: others of the same contract are compared with the same baselines."""
    first: dict[str, str] = {}
    for bundle_id, bundle in bundles.items():
        first.setdefault(bundle.files[CONTRACT].sha256, bundle_id)
    return {bundle_id: bundles[bundle_id] for bundle_id in first.values()}


def make_job(bundle: Bundle, folder: Path) -> dict[str, Any]:
    """The job of the process that writes the networks to compare with."""
    report = read_report(bundle)
    macs = next((found for model in bundle.models if (found := report.macs(model.file)) is not None), None)
    return {"kind": "make", "bundle": str(bundle.path), "folder": str(folder), "macs": macs}


def comparable_recipes(recipes: Sequence[str]) -> tuple[str, ...]:
    """The recipes of other networks that stand beside these of the bundle: those that were named, or else all."""
    named = {RECIPE_ALIASES.get(recipe, recipe) for recipe in recipes}
    return tuple(recipe for recipe in RECIPES if recipe in named) or RECIPES


def plan_baselines(
    bundle_id: str, bundle: Bundle, made: Made, *, threads: int, prefix: str = "", recipes: Sequence[str] = ()
) -> Plan:
    """What is measured beside a bundle.

    Parameters
    ----------
    bundle_id, bundle : whose windows the baselines are fed
    made : as ``vskd_benchmarks.pipelines.networks.make_networks`` gives it; empty where its process failed
    threads : computing threads
    prefix : of every name; the bundle's id where there are several bundles
    recipes : of the bundle's models that are measured, as the user named them; empty takes all. The usual pipeline is
        float, and always measured
    """
    cases: list[PlannedCase] = []
    skipped: list[SkippedCase] = []
    for packages, case in _Baselines(bundle_id, bundle, threads, comparable_recipes(recipes)).offers(made):
        missing = missing_packages(*packages)
        if missing is None:
            cases.append(dataclasses.replace(case, name=f"{prefix}: {case.name}" if prefix else case.name))
        else:
            skipped.append(SkippedCase(case.name, bundle_id, str(missing)))
    skipped += [
        SkippedCase(name, bundle_id, network["not_made"]) for name, network in made.items() if "not_made" in network
    ]
    if made and "cnn1d.fp32" not in made and "cnn1d" not in made:
        skipped.append(SkippedCase("cnn1d", bundle_id, "the bundle's report does not state its multiply-accumulates"))
    if bundle.contract.raw is not None:
        skipped += [SkippedCase(name, bundle_id, NO_IMAGE) for name in OF_IMAGES]
    elif not any(case.kind == "image-input" for case in cases):
        reason = "the bundle has no such variant; `vskd export --variants` adds it"
        skipped.append(SkippedCase("image-input", bundle_id, reason))
    return Plan(tuple(cases), tuple(skipped))


@dataclass(frozen=True)
class _Baselines:
    """The baselines of one bundle."""

    bundle_id: str
    bundle: Bundle
    threads: int
    recipes: tuple[str, ...]

    def offers(self, made: Made) -> Iterator[tuple[tuple[str, ...], PlannedCase]]:
        """Each with the packages that it needs."""
        if self.bundle.contract.raw is None:
            yield from self._usual(made)
        for name, takes in (("mobilenetv2-0.35", "numpy"), ("cnn1d", "none")):
            for recipe in self.recipes:
                if "file" in made.get(f"{name}.{recipe}", {}):
                    student = Baseline("student", "onnxruntime", recipe, name, encoder=takes)
                    label = f"{name} onnxruntime {recipe}"
                    yield ("onnxruntime",), self._network(label, student, made[f"{name}.{recipe}"])
        if self.bundle.contract.raw is None:
            for recipe in self.recipes:
                yield from self._image_inputs(recipe)

    def _usual(self, made: Made) -> Iterator[tuple[tuple[str, ...], PlannedCase]]:
        """The published network behind pyts."""
        usual = Baseline("usual-pipeline", "torch", "fp32", "resnet18", encoder="pyts")
        job = self._job("torch", threads=self.threads)
        yield ("pyts", "torch", "torchvision"), self._case("pyts+torch", usual, job)
        if "file" in made.get("resnet18.fp32", {}):
            usual = Baseline("usual-pipeline", "onnxruntime", "fp32", "resnet18", encoder="pyts")
            yield ("pyts", "onnxruntime"), self._network("pyts+onnxruntime", usual, made["resnet18.fp32"])

    def _image_inputs(self, recipe: str) -> Iterator[tuple[tuple[str, ...], PlannedCase]]:
        """The bundle's own network without its encoder, where the bundle has it."""
        image = present(variant_file("image", recipe), self.bundle.files)
        signatures = present(signatures_file(recipe), self.bundle.files)
        if image is not None:
            job = self._network_job(str(self.bundle.path / image), encoder="numpy", trained=True)
            yield ("onnxruntime",), self._image_input("onnxruntime", recipe, image, job)
        if signatures is not None:
            job = self._job("signature", file=signatures, threads=self.threads)
            yield ("ai_edge_litert",), self._image_input("litert", recipe, signatures, job)

    def _image_input(self, engine: str, recipe: str, file: str, job: Mapping[str, Any]) -> PlannedCase:
        own = Baseline("image-input", engine, recipe, "the bundle's", "trained", "numpy")
        return self._case(f"image-input {engine} {recipe}", own, job, describe_file(self.bundle, file))

    def _network(self, name: str, baseline: Baseline, network: Mapping[str, Any]) -> PlannedCase:
        """A case on an ONNX file that was made."""
        job = self._network_job(network["file"], encoder=baseline.encoder, trained=False)
        return self._case(name, baseline, job, {**network, "file": Path(network["file"]).name})

    def _job(self, kind: str, **more: Any) -> dict[str, Any]:
        return {"kind": kind, "bundle": str(self.bundle.path), **more}

    def _network_job(self, file: str, *, encoder: str, trained: bool) -> dict[str, Any]:
        return self._job("network", file=file, encoder=encoder, threads=self.threads, trained=trained)

    def _case(
        self, name: str, baseline: Baseline, job: Mapping[str, Any], model: Mapping[str, Any] | None = None
    ) -> PlannedCase:
        slug = re.sub(r"[^a-z0-9.-]+", "-", name)
        return PlannedCase(
            id=f"{self.bundle_id}.{slug}.t{self.threads}",
            name=name,
            bundle=self.bundle,
            bundle_id=self.bundle_id,
            threads=self.threads,
            job=job,
            model=model,
            **vars(baseline),
        )
