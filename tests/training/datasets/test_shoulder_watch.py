"""The recordings inside seglearn: read as they are, and never by running what a pickle asks for."""

from __future__ import annotations

import importlib.util
import io
import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.command_line import Command
from vskd.errors import DataError
from vskd_training.data.sources import open_source
from vskd_training.datasets.check import check
from vskd_training.datasets.files.numpy_pickle import read_mapping
from vskd_training.datasets.recording import Source
from vskd_training.datasets.shoulder_watch.reader import EXERCISES, FILE, ShoulderWatchSource
from vskd_training.settings import DataConfig

installed = pytest.mark.skipif(
    importlib.util.find_spec("seglearn") is None, reason="the extra shoulder-watch (seglearn) is not installed"
)


def content(subjects: int = 4) -> dict[str, Any]:
    """What the file holds, with fewer subjects: one recording for each exercise and subject."""
    rng = np.random.default_rng(0)
    count = len(EXERCISES) * subjects
    y = np.arange(count) % len(EXERCISES)
    phase = np.arange(150)[:, np.newaxis] / 50 * (1 + y)
    signals = [
        np.sin(2 * np.pi * phase[:, [row]]) * [0.3, 0.2, 0.1, 1, 2, 3] + [0, 0, 1, 0, 0, 0] for row in range(count)
    ]
    return {
        "X": [signal + 0.01 * rng.normal(size=signal.shape) for signal in signals],
        "y": y,
        "subject": 1 + np.arange(count) // len(EXERCISES),
        "side": (np.arange(count) % 2).astype(float),
        "X_labels": ["ax", "ay", "az", "wx", "wy", "wz"],
        "y_labels": list(EXERCISES),
    }


def write(folder: Path, what: Any) -> Path:
    np.save(folder / FILE, np.array(what, dtype=object), allow_pickle=True)
    return folder


def read_arrays(path: Path) -> dict[str, Any]:
    return read_mapping(path, way_out="Install the package again")


def write_pickle(folder: Path, stream: bytes) -> Path:
    """An .npy file of one object whose pickle is these bytes."""
    file = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": ()}
    np.lib.format.write_array_header_1_0(file, header)
    (folder / FILE).write_bytes(file.getvalue() + stream)
    return folder


def test_the_recordings_come_by_exercise_subject_and_side(tmp_path: Path) -> None:
    made = content()
    source = ShoulderWatchSource.open(write(tmp_path, made))
    recordings = list(source.recordings())
    assert [one.info for one in recordings] == list(source.infos())
    assert source.infos()[0].id == "pendulum_s1_left"
    assert source.infos()[0].groups == {"side": "left"}
    first = recordings[0]
    np.testing.assert_array_equal(first.acceleration_g, made["X"][0][:, :3])
    np.testing.assert_array_equal(first.frames[:, 1], made["X"][0][:, 3:].astype(np.float32))
    np.testing.assert_array_equal(first.frame_time_s, first.time_s)
    assert np.diff(first.time_s) == pytest.approx(0.02)


def test_without_a_teacher_the_gyroscope_stays_away(tmp_path: Path) -> None:
    source = ShoulderWatchSource.open(write(tmp_path, content()), view="none")
    assert all(not len(one.frames) and not len(one.frame_time_s) for one in source.recordings())
    assert source.fingerprint() != ShoulderWatchSource.open(tmp_path).fingerprint()


class RunsCode:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, (f"open({str(self.path)!r}, 'w').close()",))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_runs_code_is_refused_and_nothing_runs(tmp_path: Path, protocol: int) -> None:
    trace = tmp_path / "it-ran"
    stream = pickle.dumps({"X": RunsCode(trace)}, protocol=protocol)
    with pytest.raises(DataError, match=r"asks for (builtins|__builtin__)\.exec, and only numpy arrays are read"):
        read_arrays(write_pickle(tmp_path, stream) / FILE)
    assert not trace.exists()
    pickle.loads(stream)  # the same bytes do run in an ordinary unpickler, so the test can fail
    assert trace.exists()


@pytest.mark.parametrize(
    "asked",
    ["cos\nsystem\n(S'true'\ntR.", "cnumpy\nload\n(S'x'\ntR.", "cnumpy.core.multiarray\nfromstring\n(S'x'\ntR."],
)
def test_other_functions_are_refused_by_name_even_numpys(tmp_path: Path, asked: str) -> None:
    module, name = asked[1:].split("\n")[:2]
    with pytest.raises(DataError, match=f"asks for {module}.{name}"):
        read_arrays(write_pickle(tmp_path, asked.encode()) / FILE)


def test_bytes_come_in_one_encoding_only(tmp_path: Path) -> None:
    stream = b"c_codecs\nencode\n(Vhex\nVrot13\ntR."
    with pytest.raises(DataError, match="bytes in the encoding 'rot13'"):
        read_arrays(write_pickle(tmp_path, stream) / FILE)


def broken(**changes: Any) -> dict[str, Any]:
    return {**content(), **changes}


BROKEN = [
    (broken(y_labels=["PEN"]), "is not the recordings of shoulder exercises"),
    (broken(X_labels=["az", "ay", "ax", "wx", "wy", "wz"]), "is not the recordings of shoulder exercises"),
    (broken(subject=np.arange(3)), "is not the recordings of shoulder exercises"),
    (broken(y=np.full(28, 9)), "is not the recordings of shoulder exercises"),
    (broken(X=[np.zeros((5, 3))] * 28), r"a recording is float64 \(5, 3\)"),
    (broken(X=[np.full((5, 6), np.nan)] * 28), "a recording holds NaN or infinity"),
    ({"X": 1}, "is not the recordings of shoulder exercises"),
    ("words", "holds a str, not a mapping of arrays"),
]


@pytest.mark.parametrize(("what", "message"), BROKEN, ids=range(len(BROKEN)))
def test_other_content_is_refused_in_one_sentence(tmp_path: Path, what: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ShoulderWatchSource.open(write(tmp_path, what))


def test_a_file_that_is_missing_cut_or_no_npy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*watch_dataset\.npy: No such file"):
        ShoulderWatchSource.open(tmp_path)
    whole = (write(tmp_path, content()) / FILE).read_bytes()
    for part in (whole[: len(whole) // 2], whole[:3], b"", b"no array at all, but long enough"):
        (tmp_path / FILE).write_bytes(part)
        with pytest.raises(DataError, match=r"watch_dataset\.npy cannot be read"):
            ShoulderWatchSource.open(tmp_path)
    np.save(tmp_path / FILE, np.zeros(3))
    with pytest.raises(DataError, match=r"holds float64 \(3,\), not one object"):
        ShoulderWatchSource.open(tmp_path)


def installed_source() -> Source:
    return open_source(DataConfig(dataset="shoulder-watch", view="sensors"), None)


@installed
def test_the_recordings_of_the_package() -> None:
    report = check(installed_source())
    assert report.recordings == 140
    assert set(report.by_subject.values()) == {14}
    assert set(report.by_label.values()) == {20}
    assert report.groups == {"side": {"left": 70, "right": 70}}
    assert report.samples is not None
    assert (report.samples.shortest, report.samples.longest) == (947, 2618)
    minutes = sum(len(one.time_s) for one in installed_source().recordings()) / 50 / 60
    assert minutes == pytest.approx(81.4, abs=0.1)
    subjects = Counter(info.subject for info in installed_source().infos())
    assert sorted(subjects, key=int) == [str(subject) for subject in range(1, 11)]


CONFIG = """
threads = 1
[data]
dataset = "shoulder-watch"
view = "sensors"
protocol = "leave-one-subject-out"
fold = "2"
[window]
samples = 64
rate_hz = 25.0
[gaf]
size = 16
[student]
width = 0.125
[student_training]
epochs = 1
[teacher]
backbone = "joints"
width = 0.25
steps = 16
[teacher_training]
epochs = 2
[loss]
kd = 0.5
"""


def test_a_teacher_with_a_gyroscope_teaches_a_student_without(vskd: Command, tmp_path: Path) -> None:
    root = write(tmp_path, content())
    (tmp_path / "config.toml").write_text(CONFIG)
    words = ("--config", tmp_path / "config.toml", "--root", root, "--cache", tmp_path / "cache")
    done = vskd("train", "teacher", *words, "--out", tmp_path / "teacher")
    assert done.code == 0, done.err
    done = vskd("train", "student", *words, "--teacher", tmp_path / "teacher", "--out", tmp_path / "student")
    assert done.code == 0, done.err
    card = json.loads((tmp_path / "student" / "run.json").read_text())
    assert card["contract"]["sensor"]["axes"] == ["x", "y", "z"]
    assert card["contract"]["sensor"]["placement"] == "left or right wrist"
    assert card["data"]["split"]["test"] == ["2"]
    wrong = vskd("train", "teacher", *words, "--set", "teacher.backbone=small", "--out", tmp_path / "x")
    assert wrong.code == 1
    assert "the teacher 'small' does not take the view 'sensors'" in wrong.err
