"""One small trained student, exported once per session: conversions are slow, so every test here shares them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from vskd.bundle import Bundle
from vskd.contract import Contract, GafSpec, WindowSpec
from vskd_export.build import ExportReport, export_bundle
from vskd_export.quantize.calibrate import WindowSet
from vskd_training.models.student import Student

LABELS = ("rest", "slow", "medium", "fast")


def synthetic_windows(count: int, *, people: tuple[str, ...], seed: int, samples: int = 64) -> WindowSet:
    """Windows whose class is a frequency and an axis, in turn over classes and people."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % len(LABELS)
    frequency = np.array([0.0, 1.0, 3.0, 6.0])[labels] * generator.uniform(0.9, 1.1, count)
    angle = 2 * np.pi * frequency[:, None] * np.arange(samples) / samples + generator.uniform(0, 2 * np.pi, (count, 1))
    windows = generator.normal(0, 0.05, (count, 3, samples))
    windows[:, 2] += 1.0
    windows[np.arange(count), labels % 3] += np.sin(angle)
    subjects = tuple(people[index // len(LABELS) % len(people)] for index in range(count))
    ids = tuple(f"{subject}-{seed}-{index}" for index, subject in enumerate(subjects))
    return WindowSet(windows.astype(np.float32), labels.astype(np.int64), ids, subjects)


def trained_student(contract: Contract, training: WindowSet) -> Student:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    student = Student(contract, width=0.125).train()
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
class Workshop:
    """What an export takes."""

    contract: Contract
    student: Student
    calibration: WindowSet
    held_out: WindowSet


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract(
        labels=LABELS, window=WindowSpec(samples=64), gaf=GafSpec(size=32), trained_on="synthetic test windows"
    )


@pytest.fixture(scope="session")
def workshop(contract: Contract) -> Workshop:
    training = synthetic_windows(320, people=("anna", "ben"), seed=1)
    held_out = synthetic_windows(96, people=("cara",), seed=2)
    return Workshop(contract, trained_student(contract, training), training, held_out)


@pytest.fixture(scope="session")
def exported(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    return export_bundle(
        workshop.student,
        workshop.contract,
        calibration=workshop.calibration,
        held_out=workshop.held_out,
        provenance={"run": "test"},
        out=tmp_path_factory.mktemp("export") / "wrist.bundle",
        overwrite=False,
        progress=lambda sentence: None,
    )


@pytest.fixture(scope="session")
def bundle(exported: ExportReport) -> Bundle:
    return Bundle.open(exported.path)


@pytest.fixture(scope="session")
def files(bundle: Bundle) -> dict[str, bytes]:
    return {entry.file: Path(bundle.model_path(entry)).read_bytes() for entry in bundle.models}
