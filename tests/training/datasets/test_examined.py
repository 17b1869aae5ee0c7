"""Any source, without what cannot be and without copies: whose samples they are decides what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.own_recordings import DESCRIPTION, G, write_sensor, write_table
from vskd.errors import ConfigError
from vskd_training.datasets.check import check
from vskd_training.datasets.examined import Examined
from vskd_training.datasets.folder.reader import FolderSource
from vskd_training.datasets.recording import Defect, Gravity, Recording, RecordingInfo


class Made:
    """Recordings as given."""

    name = "made"
    view = "none"
    labels: tuple[str, ...] = ("sit", "walk")
    placement = "left wrist"
    gravity: Gravity = "included"

    def __init__(self, *made: tuple[str, str, Any], rate_hz: float = 50.0) -> None:
        self.made, self.rate_hz = made, rate_hz

    def fingerprint(self) -> str:
        return "f"

    def infos(self) -> tuple[RecordingInfo, ...]:
        return tuple(RecordingInfo(str(n), who, label, n) for n, (who, label, _) in enumerate(self.made))

    def defects(self) -> tuple[Defect, ...]:
        return (Defect("inner", "is one"),)

    def recordings(self) -> Iterator[Recording]:
        for info, (_, _, values) in zip(self.infos(), self.made, strict=True):
            yield Recording(info, np.arange(len(values)) / self.rate_hz, values, np.empty(0), np.empty((0, 2, 2)))


def signal(seed: int, samples: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).normal((0.3, -0.6, 0.74), 0.3, (samples, 3))


ONE = signal(1)


@pytest.mark.parametrize(
    ("who", "label", "values", "kind", "left_out", "doubtful"),
    [
        ("bob", "walk", ONE[100:200], "samples of another subject", True, False),
        ("bob", "sit", ONE[100:200], "samples of another subject", True, False),
        ("bob", "walk", np.concatenate([signal(2), ONE[5:65], signal(3)]), "samples of another subject", True, False),
        ("ann", "sit", ONE[100:200], "samples under two labels", True, False),
        ("ann", "sit", np.concatenate([ONE[300:], signal(4)]), "samples under two labels", False, True),
        ("ann", "walk", ONE[100:200], "copy of another clip", True, False),
        ("ann", "", ONE[100:200], "copy of another clip", True, False),
        ("ann", "walk", np.concatenate([ONE[300:], signal(4)]), "overlaps another clip", False, False),
    ],
)
def test_what_becomes_of_shared_samples(
    who: str, label: str, values: np.ndarray, kind: str, left_out: bool, doubtful: bool
) -> None:
    source = Examined(Made(("ann", "walk", ONE), (who, label, values), ("cat", "walk", signal(9))))
    assert [one.info.id for one in source.recordings()] == (["0", "2"] if left_out else ["0", "1", "2"])
    assert len(source.infos()) == 3 - left_out
    inner, defect = source.defects()
    assert inner.where == "inner"
    assert (defect.where, defect.kind, defect.left_out, defect.doubtful) == ("1", kind, left_out, doubtful)
    assert "samples with 0:" in defect.what
    if kind == "samples of another subject":
        assert "is of 'bob' here and of 'ann' there" in defect.what
    if label == "sit":
        assert "is labelled 'sit' here and 'walk' there" in defect.what


def test_what_is_left_out_is_no_original() -> None:
    """A recording in another unit is left out, and its true copy stays."""
    source = Examined(Made(("ann", "walk", 9.8 * ONE), ("ann", "walk", ONE)))
    assert [one.info.id for one in source.recordings()] == ["1"]
    assert source.defects()[1].kind == "contradicts gravity"


def test_the_key_follows_the_rules_and_the_source() -> None:
    assert Examined(Made()).fingerprint() not in ("f", "")
    assert Examined(Made()).fingerprint() == Examined(Made(("ann", "sit", ONE))).fingerprint()


def test_advice_fits_the_case() -> None:
    """One clip in another unit is dropped; where all are, the unit is mended."""
    clips = [("ann", "walk", signal(seed)) for seed in range(8)]
    one = check(Examined(Made(*clips, ("ann", "sit", 9.8 * signal(20)))))
    assert one.way_out("contradicts gravity") == (
        "drop this recording, or mend its file; the other 8 recordings are fine"
    )
    every = check(Examined(Made(*((who, label, 9.8 * values) for who, label, values in clips))))
    assert every.way_out("contradicts gravity").startswith("give the true unit")


def test_one_opposite_subject_is_named_with_the_lines_to_write() -> None:
    made = [(who, label, signal(3 * n + m)) for n, who in enumerate("abcd") for m, label in enumerate(("sit", "walk"))]
    report = check(Examined(Made(*((who, label, -values if who == "c" else values) for who, label, values in made))))
    (defect,) = (defect for defect in report.defects if defect.kind == "gravity of the opposite sign")
    assert defect.where == "subject c"
    assert defect.doubtful
    assert "--axes=-x,-y,-z" in defect.way_out
    assert [subject for subject, one in report.gravity.items() if one.opposite] == ["c"]


def test_classes_are_counted_and_what_could_vanish_is_remarked() -> None:
    made = [(who, "walk", signal(n)) for n, who in enumerate("abcd")]
    report = check(Examined(Made(*made, ("a", "wave", signal(20, 60)))))
    assert report.by_class["walk"].recordings == 4
    assert report.by_class["walk"].subjects == 4
    assert report.by_class["sit"].duration_s is None
    assert report.by_class["wave"].duration_s is not None
    remarks = " | ".join(report.remarks())
    assert "sit: no recording" in remarks
    assert "wave: of one subject only" in remarks
    assert "wave: no recording is longer than 1.18 s" in remarks


@pytest.mark.parametrize("slip", ["wlak", "walkk", "Walk", "walk "])
def test_a_rare_label_that_is_nearly_another_is_doubtful(slip: str) -> None:
    made = [("ann", label, signal(n)) for n, label in enumerate([slip, *["walk"] * 5])]
    (defect,) = (one for one in check(Examined(Made(*made))).defects if one.kind == "nearly another label")
    assert (defect.where, defect.left_out, defect.doubtful) == (f"label {slip}", False, True)
    assert defect.what == "1 of this label, and 5 of 'walk', which it is nearly"
    assert "write 'walk' into clips.csv" in defect.way_out
    often = [*made, ("ann", slip, signal(9))]
    assert not any(one.kind == "nearly another label" for one in check(Examined(Made(*often))).defects)


@pytest.mark.parametrize(
    ("rare", "usual"),
    [("walk", "walk_up"), ("sit_down", "sit"), ("set1", "set2"), ("exercise_12", "exercise_21"), ("lie", "sit"),
     ("exercise a", "exercise b"), ("swipe_left", "swipe_right"), ("sit_up", "stand_up"), ("wave2", "wave")],
)  # fmt: skip
def test_a_rare_label_of_its_own_is_no_slip(rare: str, usual: str) -> None:
    made = [("ann", label, signal(n)) for n, label in enumerate([rare, *[usual] * 5])]
    assert not any(one.kind == "nearly another label" for one in check(Examined(Made(*made))).defects)


def test_a_subject_of_whom_nothing_is_left_is_counted_and_a_slow_rate_remarked() -> None:
    made = [("ann", "walk", signal(1)), ("bob", "walk", np.tile([0.0, 0.0, 1.0], (400, 1))), ("cat", "walk", signal(2))]
    report = check(Examined(Made(*made)))
    assert report.by_subject == {"ann": 1, "bob": 0, "cat": 1}
    assert report.remarks() == ["sit: no recording", "subject bob: no recording that can be read"]
    slow = check(Examined(Made(*made, rate_hz=20.0))).remarks()
    assert slow[-1] == "20 Hz is slower than the 50 Hz of windows: train with window.rate_hz of at most that"


def test_the_lines_to_write_mend_a_folder(tmp_path: Path) -> None:
    rows = []
    for who in "abc":
        values = signal(ord(who)) * (-1 if who == "b" else 1)
        write_sensor(tmp_path / f"{who}.csv", np.arange(len(values)) / 50, values * G)
        rows.append([who, who, "walk", f"{who}.csv", "", "1"])
    write_table(tmp_path, rows)
    axes = '[axes]\nx = "-y"\ny = "x"\n'
    (tmp_path / "dataset.toml").write_text(DESCRIPTION + axes)
    (defect,) = check(Examined(FolderSource.open(tmp_path, view="none"))).defects
    assert defect.where == "subject b"
    lines = defect.way_out.split("the lines ")[1].split(";")[0].split(" / ")
    assert lines == ["[subject_axes.b]", 'x = "y"', 'y = "-x"', 'z = "-z"']
    (tmp_path / "dataset.toml").write_text(DESCRIPTION + axes + "\n".join(lines) + "\n")
    assert check(Examined(FolderSource.open(tmp_path, view="none"))).defects == ()
    (tmp_path / "dataset.toml").write_text(DESCRIPTION + '[subject_axes.bob]\nx = "-x"\n')
    with pytest.raises(ConfigError, match=r"subject_axes names 'bob', of whom there is no clip"):
        FolderSource.open(tmp_path, view="none")
