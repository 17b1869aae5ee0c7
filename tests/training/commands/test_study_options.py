"""`vskd study`: every option reaches the library, and its progress reaches the bar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from training.command_line import Command
from vskd.errors import DataError
from vskd_training.commands import study as command
from vskd_training.study import plan, running


@pytest.mark.parametrize(("backend", "address"), [((), ""), (("--backend", "ray", "--ray-address", "h:1"), "h:1")])
def test_every_option_reaches_the_study(
    vskd: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: tuple[str, ...], address: str
) -> None:
    asked: dict[str, Any] = {}
    shown: list[tuple[int, int, str]] = []

    def opened(path: Path, *, root: Path) -> SimpleNamespace:
        asked.update(file=path, listed=root)
        return SimpleNamespace(spec=SimpleNamespace(name="tiny"))

    def stop(study: object, out: Path, *, progress: Any, **options: object) -> NoReturn:
        asked.update(options, out=out)
        progress(1, 2, "alone")
        raise DataError("far enough")

    @contextmanager
    def bar(title: str) -> Iterator[Any]:
        yield lambda *step: shown.append(step)

    monkeypatch.setattr(plan, "open_study", opened)
    monkeypatch.setattr(running, "run_study", stop)
    monkeypatch.setattr(command, "progress_bar", bar)
    monkeypatch.setattr(command, "_report_what_is_finished", lambda study, out: asked.update(reported=out))
    data, cache, out = (tmp_path / name for name in ("data", "cache", "out"))
    folders = ("--root", data, "--cache", cache, "--out", out)
    done = vskd("study", "s.toml", *folders, "--jobs", 3, *backend)
    assert (done.code, "far enough" in done.err) == (1, True)
    assert asked == {
        "file": Path("s.toml"), "listed": data, "root": data, "cache": cache, "out": out, "jobs": 3,
        "ray_address": address, "reported": out,
    }  # fmt: skip
    assert shown == [(1, 2, "alone")]


def test_ctrl_c_reports_what_is_finished_and_names_the_way_on(
    vskd: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reported: list[Path] = []

    def stop(study: object, out: Path, **options: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(plan, "open_study", lambda path, root: SimpleNamespace(spec=SimpleNamespace(name="tiny")))
    monkeypatch.setattr(running, "run_study", stop)
    monkeypatch.setattr(command, "_report_what_is_finished", lambda study, out: reported.append(out))
    done = vskd("study", "s.toml", "--out", tmp_path / "out")
    assert done.code == 130
    assert f"stopped; finished cells are kept in {tmp_path / 'out'}; the same command goes on" in done.err
    assert reported == [tmp_path / "out"]


def test_only_a_plan_needs_no_folder(vskd: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[object] = []
    monkeypatch.setattr(plan, "open_study", lambda path, root: "opened")
    monkeypatch.setattr(command, "_print_plan", lambda study, out, root, cache, jobs: planned.append(out))
    assert vskd("study", "s.toml", "--plan").code == 0
    assert planned == [None]
    done = vskd("study", "s.toml")
    assert (done.code, "Missing option '--out'" in done.err) == (2, True)


def test_a_refused_study_leaves_no_folder_and_one_that_began_keeps_it(tmp_path: Path) -> None:
    out = tmp_path / "new" / "study"
    with pytest.raises(DataError, match="refused"), running.locked(out, "study"):
        raise DataError("refused")
    assert not out.exists()
    with running.locked(out, "study"):
        (out / "result.json").write_text("{}")
    with pytest.raises(DataError, match="refused"), running.locked(out, "study"):
        raise DataError("refused")
    assert (out / "result.json").exists()
