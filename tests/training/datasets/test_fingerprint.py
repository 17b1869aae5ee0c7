"""Fingerprints name caches: they follow from their definition, and of given content they never change."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from vskd_training.datasets.berkeley_mhad.reader import BerkeleyMhadSource
from vskd_training.datasets.fingerprint import by_content, by_size_and_time, fingerprint
from vskd_training.datasets.folder.reader import FolderSource
from vskd_training.datasets.mmact.reader import MmactSource
from vskd_training.datasets.recording import Source
from vskd_training.datasets.synthetic import SyntheticSettings
from vskd_training.datasets.synthetic.generator import SyntheticSource
from vskd_training.datasets.utd_mhad.reader import UtdMhadSource


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_settings_and_content_are_hashed_as_text() -> None:
    assert fingerprint({"b": 1, "a": [2]}) == fingerprint({"a": [2], "b": 1}) == sha256('{"a": [2], "b": 1}')
    assert fingerprint({"a": 2}, "files") == sha256('{"a": 2}files')


def test_files_are_told_apart_by_name_and_bytes_or_by_size_and_time(tmp_path: Path) -> None:
    for name, content in (("x/one", "1"), ("two", "22")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
        os.utime(tmp_path / name, ns=(0, 5_000_000_007))
    paths = [tmp_path / "two", tmp_path / "x" / "one"]
    assert by_content(paths, tmp_path) == sha256(f"two {sha256('22')}\nx/one {sha256('1')}\n")
    assert by_size_and_time(iter(paths), tmp_path) == sha256("two 2 5000000007\nx/one 1 5000000007\n")
    assert by_content([], tmp_path) == by_size_and_time([], tmp_path) == sha256("")


def small_trees(root: Path) -> dict[str, Source]:
    """A file or two of each data set, which need not be readable to have a fingerprint."""
    files = {
        "utd/Inertial/a1_s1_t1_inertial.mat": "sensor",
        "utd/Skeleton/a1_s1_t1_skeleton.mat": "camera",
        "berkeley/Accelerometer/Shimmer02/acc_h02_s01_a01_r01.txt": "sensor",
        "berkeley/Kinect/Kin01/S01/A01/R01/kin_k01_s01_a01_r01_depth_00000.pgm": "camera",
        "mmact/acc_watch_clip/subject1/scene1/session1/fall.csv": "sensor",
        "mmact/subject1/cam1/scene1/session1/fall.mp4": "camera",
        "own/dataset.toml": 'name = "kitchen"\nunit = "g"\ngravity = true\nplacement = "wrist"\n',
        "own/clips.csv": "clip,subject,label,sensor,video\nc,ann,sit,c.csv,v\nd,bob,walk,d.csv,\n",
        "own/c.csv": "sensor",
        "own/v/1.png": "camera",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
        os.utime(root / name, ns=(0, 1_700_000_000_000_000_000))
    return {
        "utd": UtdMhadSource.open(root / "utd", view="joints"),
        "berkeley": BerkeleyMhadSource.open(root / "berkeley", view="depth"),
        "mmact": MmactSource.open(root / "mmact", view="rgb"),
        "own": FolderSource.open(root / "own", view="video"),
        "synthetic": SyntheticSource(SyntheticSettings(subjects=2)),
    }


#: As version 0.1.0 made them. One that changes makes everybody decode that data set again: raise its READER_VERSION
#: (or GENERATOR_VERSION) when that is meant, and write the new value here.
KNOWN = {
    "utd": "917dcac3eafa0d7bd493a1df921b10f30579ca292480abf6905c5f266cdafc8d",
    "berkeley": "81bb3d7ed41d7355e3710a76193af201cf8851e479c2658386288860c5cf4654",
    "mmact": "888a10e9f9ba5c8d5db6c8cf7e23c84b89f8d39cd95c56929b574bed8ec3cf20",
    "own": "e6464c11592431e07a15776080d333fd39cfe5cf32604198f35e5e1ae79c28fb",
    "synthetic": "7987f0d3e0dc6c4c109fbdcd905ff56225b522671dbeb86fab00d62054819bca",
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_caches_of_a_release_stay_its_caches(tmp_path: Path, name: str) -> None:
    assert small_trees(tmp_path)[name].fingerprint() == KNOWN[name]
