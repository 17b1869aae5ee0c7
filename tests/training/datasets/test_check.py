"""What `vskd data check` counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from training.published_trees import write_utd_trial
from vskd.closed import to_mapping
from vskd_training.datasets.check import Lengths, check
from vskd_training.datasets.recording import Defect, Gravity, Recording, RecordingInfo
from vskd_training.datasets.utd_mhad.reader import UtdMhadSource


class TwoClips:
    """A source that does not know which trials there should be."""

    name = "two clips"
    view = "depth"
    labels: tuple[str, ...] = ("sit", "walk", "jump")
    placement = "left wrist"
    gravity: Gravity = "included"

    def fingerprint(self) -> str:
        return "f"

    def infos(self) -> tuple[RecordingInfo, ...]:
        return tuple(recording.info for recording in self.recordings())

    def defects(self) -> tuple[Defect, ...]:
        return (Defect("clips.csv", "row 4 is broken"),)

    def recordings(self) -> Iterator[Recording]:
        for number, samples, frames in ((1, 11, 4), (2, 21, 6)):
            yield Recording(
                RecordingInfo(f"r{number}", "ann", "walk", number),
                np.arange(samples) / 10,
                np.tile([0.0, 0.0, -1.0], (samples, 1)),
                np.linspace(0, 1, frames),
                np.zeros((frames, 2, 2), np.uint8),
            )


def test_a_source_is_counted() -> None:
    calls: list[tuple[int, int]] = []
    report = check(TwoClips(), progress=lambda *done: calls.append(done))
    assert calls == [(1, 2), (2, 2)]
    assert report.recordings == 2
    assert report.by_subject == {"ann": 2}
    assert report.by_label == {"sit": 0, "walk": 2, "jump": 0}
    assert list(report.by_label) == ["sit", "walk", "jump"]
    assert report.by_stream == {"sensor": 2, "frames": 2}
    assert report.samples == Lengths(11, 16, 21)
    assert report.frames == Lengths(4, 5, 6)
    assert report.duration_s == Lengths(1.0, 1.5, 2.0)
    assert report.largest_acceleration_g == 1.0
    assert report.missing_trials == ()
    assert report.defects == (Defect("clips.csv", "row 4 is broken"),)
    assert to_mapping(report)["samples"] == {"shortest": 11.0, "median": 16.0, "longest": 21.0}


def test_missing_trials_and_defects_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "Inertial").mkdir()
    for trial in ("a1_s1_t1", "a1_s2_t1"):
        write_utd_trial(tmp_path, trial, sensor=np.ones((50, 6)))
    (tmp_path / "Inertial" / "a1_s3_t1_inertial.mat").write_bytes(b"")
    report = check(UtdMhadSource.open(tmp_path, view="none"))
    assert report.recordings == 2
    assert report.by_subject == {"1": 1, "2": 1, "3": 0}
    assert report.by_stream == {"Inertial": 3, "RGB": 0, "Depth": 0, "Skeleton": 0}
    assert report.frames is None
    assert len(report.missing_trials) == 861
    assert [defect.where for defect in report.defects] == ["Inertial/a1_s3_t1_inertial.mat"]


def test_nothing_that_can_be_read_is_a_report_too(tmp_path: Path) -> None:
    (tmp_path / "Inertial").mkdir()
    report = check(UtdMhadSource.open(tmp_path, view="none"))
    assert (report.recordings, report.samples, report.largest_acceleration_g) == (0, None, 0.0)
    assert len(report.missing_trials) == 864


@pytest.mark.data
def test_the_published_tree(utd_mhad_root: Path) -> None:
    report = check(UtdMhadSource.open(utd_mhad_root, view="none"))
    assert report.recordings == 861
    assert list(report.by_subject.values()) == [107, 108, 108, 108, 108, 107, 108, 107]
    assert sorted(report.by_label.values()) == [31] * 3 + [32] * 24
    assert report.by_stream["Inertial"] == 861
    assert report.samples == Lengths(107, 177, 326)
    assert report.missing_trials == ("a8_s1_t4", "a23_s6_t4", "a27_s8_t4")
    assert report.defects == ()
