"""The tiny study, run once for all tests of studies."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.study.tiny_study import STUDY, RunStudy, WriteStudy
from vskd_training.study.plan import Study, open_study
from vskd_training.study.report import report_study
from vskd_training.study.running import run_study


@pytest.fixture(scope="session")
def write_study(tiny_config_file: Path, tmp_path_factory: pytest.TempPathFactory) -> WriteStudy:
    def write(text: str) -> Path:
        folder = tmp_path_factory.mktemp("studies")
        (folder / "tiny.toml").write_text(tiny_config_file.read_text())
        path = folder / "study.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture(scope="session")
def study(write_study: WriteStudy) -> Study:
    return open_study(write_study(STUDY), root=None)


@pytest.fixture(scope="session")
def run(tiny_cache: Path) -> RunStudy:
    def run(study: Study, out: Path, *, jobs: int = 1) -> list[str]:
        names: list[str] = []
        run_study(
            study, out, root=None, cache=tiny_cache, jobs=jobs, progress=lambda done, total, name: names.append(name)
        )
        return names[1:]

    return run


@pytest.fixture(scope="session")
def finished(study: Study, run: RunStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "out"
    assert sorted(run(study, out)) == sorted(cell.name for cell in study.cells)
    report_study(study, out)
    assert not (out / "unfinished").exists()
    return out
