"""Clips that the page records are a data set: the server's folder and the zip are read as they are."""

from __future__ import annotations

import json
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from export.ports.page.node import NEEDS_NODE
from vskd.errors import DataError
from vskd_export.ports.page.clips import Clip, ClipFolder
from vskd_training.datasets.folder.reader import FolderSource


def clip(label: str = "walk", subject: str = "ann", *, seed: int = 0, **changes: object) -> Clip:
    draw = np.random.default_rng(seed)
    lines = [
        f"{row / 50:.6f}," + ",".join(f"{value:.6f}" for value in draw.normal([1.0, -3.0, 9.0], 0.5))
        for row in range(150)
    ]
    samples = "\n".join(["time_s,ax,ay,az", *lines, ""])
    return Clip(label, subject, "left wrist", True, 1_764_000_000, samples, **changes)  # type: ignore[arg-type]


def test_the_folder_is_a_data_set(tmp_path):
    folder = ClipFolder(tmp_path / "new" / "clips")
    names = [folder.take(clip("walk, fast", "Zoë", seed=1)), folder.take(clip("#sit", "ann", seed=2))]
    assert names == ["Zoe_walk-fast_20251124160000_1", "ann_sit_20251124160000_2"]
    source = FolderSource.open(folder.root, view="none")
    recordings = list(source.recordings())
    assert [(one.info.label, one.info.subject) for one in recordings] == [("walk, fast", "Zoë"), ("#sit", "ann")]
    assert not source.defects()
    assert source.placement == "left wrist"
    assert np.abs(np.linalg.norm(recordings[0].acceleration_g.mean(axis=0)) - 0.97) < 0.05
    folder.check()


def test_clips_that_come_at_once_are_all_kept(tmp_path):
    folder = ClipFolder(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(folder.take, [clip(seed=seed) for seed in range(24)]))
    assert len(set(names)) == 24
    assert len(list(FolderSource.open(tmp_path, view="none").recordings())) == 24


def test_a_table_with_further_columns_is_added_to(tmp_path):
    folder = ClipFolder(tmp_path)
    folder.take(clip(seed=1))
    table = tmp_path / "clips.csv"
    first, row = table.read_text().splitlines()
    table.write_text(f"# mine\nsession,{first}\n2,{row}\n")
    folder.take(clip("sit", seed=2))
    assert [one.label for one in FolderSource.open(tmp_path, view="none").table] == ["walk", "sit"]


@pytest.mark.parametrize(
    ("description", "says"),
    [
        ('name = "k"\nunit = "g"\ngravity = true\nplacement = "left wrist"\n', "has the unit 'g'"),
        ('name = "k"\nunit = "m/s^2"\ngravity = false\nplacement = "left wrist"\n', "gravity = False"),
        ('name = "k"\nunit = "m/s^2"\ngravity = true\nplacement = "right wrist"\n', "placement = 'right wrist'"),
        ('name = "k"\nunit = "m/s^2"\ngravity = true\nplacement = "left wrist"\n[axes]\nx = "-y"\ny = "x"\n', "axes"),
    ],
)
def test_a_data_set_of_another_kind_is_left_alone(description, says, tmp_path):
    (tmp_path / "dataset.toml").write_text(description)
    with pytest.raises(DataError, match=says):
        ClipFolder(tmp_path).take(clip())
    assert not (tmp_path / "clips.csv").exists()
    assert (tmp_path / "dataset.toml").read_text() == description


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "sensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="leads out of the folder"):
        ClipFolder(tmp_path / "clips").take(clip())
    assert not list((tmp_path / "elsewhere").iterdir())


@NEEDS_NODE
def test_the_zip_of_the_page_is_a_data_set(node, tmp_path):
    clips = [
        {
            "label": label,
            "subject": subject,
            "placement": 'left "wrist"',
            "gravity": True,
            "whenMs": 1_764_000_000_123,
            "time": [1000 + 20.0001 * row for row in range(100)],
            "xyz": np.random.default_rng(seed).normal([1.0, -3.0, 9.0], 0.5, (100, 3)).tolist(),
        }
        for seed, (label, subject) in enumerate([("walk, fast", "Zoë"), ('say "hi"', "ann"), ("#sit", "\u00e9mile")])
    ]
    path = tmp_path / "recordings.zip"
    node("zip", clips=clips, out=str(path))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "recordings")
    source = FolderSource.open(tmp_path / "recordings", view="none")
    recordings = list(source.recordings())
    assert [(one.info.label, one.info.subject) for one in recordings] == [
        (one["label"], one["subject"]) for one in clips
    ]
    assert source.placement == 'left "wrist"'
    for one, recorded in zip(recordings, clips, strict=True):
        assert np.allclose(one.acceleration_g * 9.80665, recorded["xyz"], atol=2e-6)
    assert json.dumps(source.defects()) == "[]"
