"""`vskd data init` on the layouts of recorders and data sets: guessed, read by both readers, and equal to the truth."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from training.command_line import Command
from training.datasets.foreign_files import PEOPLE, RECORDERS, take, write_all
from vskd.commands.input_option import InputOption
from vskd.contract import Contract
from vskd.errors import DataError
from vskd.stream import per_second, to_g
from vskd_training.datasets.folder.reader import FolderSource
from vskd_training.datasets.guess.files import init


@pytest.mark.parametrize("name", RECORDERS)
def test_a_folder_is_guessed_and_both_readers_read_the_truth(vskd: Command, tmp_path: Path, name: str) -> None:
    recorder = RECORDERS[name]
    root = tmp_path / "my recordings"
    takes = write_all(root, recorder)
    done = vskd("data", "init", root)
    assert done.code == 0, done.err
    source = FolderSource.open(root, view="none")
    found = list(source.recordings())
    assert [defect for defect in source.defects() if defect.left_out] == []
    names = dict(zip((*PEOPLE, "walk", "sit"), (*recorder.subjects, *recorder.labels), strict=True))
    assert {(one.info.subject, one.info.label) for one in found} == {
        (names[one.subject], names[one.label]) for one in takes
    }
    for one in takes:
        (same,) = (
            other for other in found if (other.info.subject, other.info.label) == (names[one.subject], names[one.label])
        )
        assert len(same.time_s) == len(one.time_s)
        np.testing.assert_allclose(same.acceleration_g, one.xyz, atol=recorder.error_g)
        np.testing.assert_allclose(same.time_s - same.time_s[0], one.time_s, atol=2e-3)
    assert vskd("data", "check", "--dataset", "folder", "--view", "none", "--root", root).code == 0
    refuse_difference(root, source)


def refuse_difference(root: Path, source: FolderSource) -> None:
    """What `vskd run --layout dataset.toml` reads of each whole file is what the training reader reads."""
    for row, recording in zip(source.table, source.recordings(), strict=True):
        if row.rows:
            continue
        option = InputOption(str(root / row.sensor), layouts=(str(root / "dataset.toml"),))
        with ExitStack() as resources:
            contract = Contract.from_mapping({"labels": ["a", "b"]})
            found = option.open(contract, waiting=lambda _: None, note=print, resources=resources)
            chunks = list(found.samples.chunks(rows=7))
        times = np.concatenate([chunk.time for chunk in chunks]) / per_second(found.samples.time_unit)
        xyz = np.concatenate([chunk.xyz for chunk in chunks])
        np.testing.assert_array_equal(times, recording.time_s)
        expected = to_g(xyz, unit=found.unit, axes=found.axes)
        np.testing.assert_array_equal(expected, recording.acceleration_g)


def test_a_guess_replaces_nothing_and_says_what_it_passed_over(vskd: Command, tmp_path: Path) -> None:
    root = tmp_path / "phone"
    write_all(root, RECORDERS["Sensor Logger"])
    (root / "notes.txt").write_text("ann wore it left\n")
    done = vskd("data", "init", root)
    assert "passed over: notes.txt: " in done.err
    assert "Gyroscope.csv: another sensor, or no recording, by its name" in done.err
    assert "# passed over: notes.txt" in (root / "clips.csv").read_text()
    before = (root / "dataset.toml").read_bytes()
    again = vskd("data", "init", root)
    assert again.code == 1
    assert "dataset.toml is there already, and is not replaced" in again.err
    assert (root / "dataset.toml").read_bytes() == before


def test_what_cannot_be_guessed_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        init(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no file in .* can be read as a recording: there is no text file"):
        init(tmp_path)
    (tmp_path / "poem.txt").write_text("roses are red\n" * 30)
    with pytest.raises(DataError, match=r"poem\.txt: no line holds three numbers.*Describe them by hand"):
        init(tmp_path)
    still = take("ann", "walk", 50).xyz
    (tmp_path / "poem.txt").write_text("x,y,z\n" + "".join(f"{x:.3f},{y:.3f},{z:.3f}\n" for x, y, z in still))
    with pytest.raises(DataError, match=r"poem\.txt: there is no column of times, and no rate"):
        init(tmp_path)


@pytest.mark.parametrize(
    ("dates", "unit", "sure"),
    [
        (("03/04/2026",), "%d/%m/%Y %H:%M:%S.%f", False),
        (("12/04/2026", "13/04/2026"), "%d/%m/%Y %H:%M:%S.%f", True),
        (("04/12/2026", "04/13/2026"), "%m/%d/%Y %H:%M:%S.%f", True),
    ],
)
def test_day_and_month_are_told_apart_by_all_of_the_file_or_said_to_be_a_guess(
    tmp_path: Path, dates: tuple[str, ...], unit: str, sure: bool
) -> None:
    one = take("ann", "walk", 50)
    rows = [
        f"{dates[index * len(dates) // len(one.xyz)]} 23:59:{50 + at:09.6f},{x:.3f},{y:.3f},{z:.3f}\n"
        for index, (at, (x, y, z)) in enumerate(zip(one.time_s, one.xyz, strict=True))
    ]
    (tmp_path / "ann_walk.csv").write_text("date,x,y,z\n" + "".join(rows))
    init(tmp_path)
    (line,) = (line for line in (tmp_path / "dataset.toml").read_text().splitlines() if line.startswith("time_unit"))
    assert unit in line
    assert ("03/04/2026 23:59:50.000000 may be the other way round (%m/%d/%Y %H:%M:%S.%f)" in line) != sure
