"""One small trained student, exported once per session: conversions are slow, so every test here shares them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from vskd.bundle import Bundle
from vskd.contract import Contract, DecisionSpec, GafSpec, WindowSpec
from vskd.sources.layout import Described
from vskd_export import build
from vskd_export.build import export_bundle
from vskd_export.convert.graph import frozen_copy
from vskd_export.judge import engines
from vskd_export.judge.evidence import Evidence, gather_evidence
from vskd_export.package.report import ExportReport
from vskd_export.ports.report import port_tables
from vskd_export.quantize.calibrate import WindowSet, draw_calibration
from vskd_export.request import ExportRequest
from vskd_training.models.student import Student, gaf_resnet

LABELS = ("rest", "slow", "medium", "fast")


def synthetic_windows(count: int, *, subjects: tuple[str, ...], seed: int, samples: int = 64) -> WindowSet:
    """Windows whose class is a frequency and an axis, in turn over classes and subjects."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % len(LABELS)
    frequency = np.array([0.0, 1.0, 3.0, 6.0])[labels] * generator.uniform(0.9, 1.1, count)
    angle = 2 * np.pi * frequency[:, None] * np.arange(samples) / samples + generator.uniform(0, 2 * np.pi, (count, 1))
    windows = generator.normal(0, 0.05, (count, 3, samples))
    windows[:, 2] += 1.0
    windows[np.arange(count), labels % 3] += np.sin(angle)
    worn_by = tuple(subjects[index // len(LABELS) % len(subjects)] for index in range(count))
    ids = tuple(f"{subject}-{seed}-{index}" for index, subject in enumerate(worn_by))
    return WindowSet(windows.astype(np.float32), labels.astype(np.int64), ids, worn_by)


def trained_student(contract: Contract, training: WindowSet) -> Student:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    student = gaf_resnet(contract, width=0.125).train()
    optimizer = torch.optim.AdamW(student.parameters(), lr=3e-3)
    windows, labels = torch.from_numpy(training.windows), torch.from_numpy(training.labels)
    for step in range(60):
        rows = torch.arange(step * 32, step * 32 + 32) % len(training)
        loss = torch.nn.functional.cross_entropy(student(windows[rows]).logits, labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return student.eval()


@dataclass(frozen=True)
class Trained:
    """A trained student, with the windows that an export needs."""

    contract: Contract
    student: Student
    calibration: WindowSet
    held_out: WindowSet


#: What the files were that the recordings came from.
FILES = Described(unit="g")


def request_for(trained: Trained, out: Path, **changes: object) -> ExportRequest:
    """A request to export it; ``changes`` are fields of ``ExportRequest``."""
    request = ExportRequest(
        student=trained.student,
        contract=trained.contract,
        calibration=trained.calibration,
        held_out=trained.held_out,
        provenance={"run": "test"},
        out=out,
        files=FILES,
    )
    return dataclasses.replace(request, **changes)


def silent(sentence: str) -> None:
    """A progress callback that shows nothing."""


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract(
        labels=LABELS,
        window=WindowSpec(samples=64),
        gaf=GafSpec(size=32),
        decision=DecisionSpec(temperature=1.7),
        trained_on="synthetic test windows",
    )


@pytest.fixture(scope="session")
def trained(contract: Contract) -> Trained:
    training = synthetic_windows(320, subjects=("anna", "ben"), seed=1)
    held_out = synthetic_windows(96, subjects=("cara",), seed=2)
    return Trained(contract, trained_student(contract, training), training, held_out)


@pytest.fixture(scope="session")
def student(trained: Trained) -> Student:
    """The trained student as it is exported."""
    return frozen_copy(trained.student)


@pytest.fixture(scope="session")
def drawn(trained: Trained) -> WindowSet:
    """The calibration windows that an export draws."""
    return draw_calibration(trained.calibration, held_out=trained.held_out)


@pytest.fixture(scope="session")
def evidence(student: Student, trained: Trained, drawn: WindowSet) -> Evidence:
    return gather_evidence(student, trained.contract, trained.held_out, drawn)


@pytest.fixture(scope="session")
def exported(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "port_tables", port_tables)
        return export_bundle(request_for(trained, tmp_path_factory.mktemp("export") / "wrist.bundle"), progress=silent)


@pytest.fixture(scope="session", autouse=True)
def no_port_is_replayed() -> Iterator[None]:
    """Compilers and emulators take seconds: only ``exported``, and who asks for it, replays its ports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "port_tables", lambda bundle: {"port": {"skipped": "of a test"}, "ports": []})
        yield


@pytest.fixture
def ports_are_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports of this test replay their ports."""
    monkeypatch.setattr(build, "port_tables", port_tables)


@pytest.fixture(scope="session")
def bundle(exported: ExportReport) -> Bundle:
    return Bundle.open(exported.path)


@pytest.fixture(scope="session")
def files(bundle: Bundle) -> dict[str, bytes]:
    return {entry.file: Path(bundle.model_path(entry)).read_bytes() for entry in bundle.models}


@pytest.fixture
def known_models(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Let an export convert nothing and take these models; a test may change them."""
    models = dict(files)
    monkeypatch.setattr(build, "make_models", lambda *_: models)
    monkeypatch.setattr(engines, "installed_engines", lambda: ("litert", "onnxruntime"))
    return models
