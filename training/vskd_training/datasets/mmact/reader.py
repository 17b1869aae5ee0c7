"""MMAct, read from the tree as its authors publish it, with the defects that its files are known for.

Kong et al., "MMAct: A Large-Scale Dataset for Cross Modal Human Action Understanding", ICCV 2019: 20 subjects, 4
scenes, 5 sessions, 35 file names; a watch on the right wrist at 100 Hz, four cameras and one worn by the subject.

Classes. There are 37: `using_phone` and `talking_on_phone` in scene 3 happen at a desk and are classes of their own.

Defects. Files are empty, lines are cut, times repeat or run backward, fractions of a second are missing, a name has a
capital, and some recordings have no sensor or no video. Names are compared in lower case; every defect is counted, and
costs its samples or its recording.

A video and the watch were cut to the same clip and share no clock: the video is stretched over the recording.

This module does not know windows, splits or caches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vskd.closed import to_mapping
from vskd.contract import STANDARD_GRAVITY_M_S2
from vskd.errors import DataError
from vskd_training.datasets.collector import Collector, refuse_implausible
from vskd_training.datasets.files.sensor_csv import read_lines
from vskd_training.datasets.files.video import on_sensor_clock, read_clip
from vskd_training.datasets.fingerprint import by_content, by_size_and_time, fingerprint
from vskd_training.datasets.mmact import DATA_SET, MmactSettings
from vskd_training.datasets.recording import Defect, Gravity, Recording, RecordingInfo

#: The files' names, in alphabetical order, then the two that become classes of their own at the desk.
NAMES = (
    "carrying", "carrying_heavy", "carrying_light", "checking_time", "closing", "crouching", "drinking", "entering",
    "exiting", "fall", "jumping", "kicking", "loitering", "looking_around", "opening", "picking_up", "pocket_in",
    "pocket_out", "pointing", "pulling", "pushing", "running", "setting_down", "sitting", "sitting_down", "standing",
    "standing_up", "talking", "talking_on_phone", "throwing", "transferring_object", "using_pc", "using_phone",
    "walking", "waving_hand",
)  # fmt: skip
DESK_SCENE = 3
AT_THE_DESK = {"using_phone": "using_phone_desk", "talking_on_phone": "talking_on_phone_desk"}
LABELS = (*NAMES, *AT_THE_DESK.values())

#: Goes into the fingerprint. Raise it with every change to what ``recordings`` yields.
READER_VERSION = 1

_WATCH = "acc_watch_clip"
#: One of the releases has these two in front of the subjects' videos.
_VIDEO_ROOTS = ("", "cross_view/trainval")
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)_(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?")
_PLACE = re.compile(r"subject(\d+)/scene(\d+)/session(\d+)/(\w+)\.csv", re.IGNORECASE)
_LAYOUT = f"Give the folder that holds {_WATCH}/ and, for video, subject1/, subject2/, ..., as MMAct is published"


_BY_DEFAULT = MmactSettings()


class _Trial(NamedTuple):
    subject: int
    scene: int
    session: int
    name: str

    @property
    def id(self) -> str:
        return f"subject{self.subject}_scene{self.scene}_session{self.session}_{self.name}"

    @property
    def label(self) -> str:
        return AT_THE_DESK.get(self.name, self.name) if self.scene == DESK_SCENE else self.name


class MmactSource:
    """The published tree as a ``Source``; a recording that turns out to be broken becomes a defect.

    Parameters
    ----------
    root : the folder that holds ``acc_watch_clip``
    view : what the camera's side shows
    settings : which camera
    height, width : of a frame, pixels

    Raises
    ------
    DataError : the root, the sensor's folder, or every video of the camera is missing
    """

    name = DATA_SET.name
    labels: tuple[str, ...] = LABELS
    placement = "right wrist"
    gravity: Gravity = "included"

    def __init__(self, root: Path, *, view: str, settings: MmactSettings, height: int, width: int) -> None:
        self.root, self.view, self.settings = root, view, settings
        self.height, self.width = height, width
        self._collector = Collector()

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        view: str = "none",
        settings: MmactSettings = _BY_DEFAULT,
        height: int = 60,
        width: int = 80,
    ) -> MmactSource:
        """Open the tree; parameters and errors are those of the class."""
        if not (root / _WATCH).is_dir():
            raise DataError(f"{root} has no folder {_WATCH}/", hint=_LAYOUT)
        source = cls(root, view=view, settings=settings, height=height, width=width)
        if view == "rgb" and not source._videos:
            raise DataError(f"{root} has no video subject*/cam{settings.camera}/scene*/session*/*.mp4", hint=_LAYOUT)
        return source

    @cached_property
    def _infos(self) -> dict[_Trial, RecordingInfo]:
        known = [trial for trial in sorted(self._sensors) if self.view == "none" or trial in self._videos]
        return {trial: _info(trial) for trial in known}

    @property
    def _sensors(self) -> dict[_Trial, Path]:
        return self._scanned[0]

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the sensor files, of names, sizes and times of the videos, and of the settings."""
        settings = {
            "reader": [self.name, READER_VERSION],
            "frames": [self.view, self.height, self.width],
            "settings": to_mapping(self.settings),
            "sensors": by_content([self._sensors[trial] for trial in self._infos], self.root),
        }
        if self.view == "rgb":
            settings["videos"] = by_size_and_time([self._videos[trial] for trial in self._infos], self.root)
        return fingerprint(settings)

    def infos(self) -> tuple[RecordingInfo, ...]:
        """Every recording that is not known to be broken, by subject, scene, session and name."""
        return self._collector.kept(self._infos.values())

    def defects(self) -> tuple[Defect, ...]:
        """Misnamed files, recordings without sensor or video, and what ``recordings`` has found so far."""
        return (*self._scanned[1], *self._unpaired(), *self._collector.defects(self._infos.values()))

    def files_by_stream(self) -> dict[str, int]:
        """Files of the watch and, for video, of the camera."""
        videos = {f"cam{self.settings.camera}": len(self._videos)} if self.view == "rgb" else {}
        return {_WATCH: len(self._sensors), **videos}

    def recordings(self) -> Iterator[Recording]:
        """Read and decode them one by one; broken ones become defects."""
        for trial, info in self._infos.items():
            recording = self._collector.take(info, partial(self._read, trial))
            if recording:
                yield recording

    def _read(self, trial: _Trial) -> tuple[Recording, Sequence[Defect]]:
        path = self._sensors[trial]
        where = self._where(path)
        without_fraction: list[str] = []
        table = read_lines(path, where=where, parse=partial(_parse, without_fraction=without_fraction))
        defects = list(table.defects)
        if without_fraction:
            what = f"{len(without_fraction)} times have no fraction of a second, the first is {without_fraction[0]}"
            defects.append(Defect(where, what, "times without a fraction", left_out=False))
        time_s = table.time_s - table.time_s[0]
        acceleration_g = table.xyz / STANDARD_GRAVITY_M_S2
        refuse_implausible(acceleration_g, where=where, way_out="the files are in m/s^2; look at this one")
        frame_time_s, frames, of_video = self._frames(trial, time_s)
        recording = Recording(self._infos[trial], time_s, acceleration_g, frame_time_s, frames)
        return recording, (*defects, *of_video)

    def _frames(
        self, trial: _Trial, time_s: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.uint8], tuple[Defect, ...]]:
        if self.view == "none":
            return np.empty(0), np.empty((0, self.height, self.width), dtype=np.uint8), ()
        path = self._videos[trial]
        clip = read_clip(path, where=self._where(path), height=self.height, width=self.width)
        frame_time_s, differs = on_sensor_clock(clip, time_s, where=self._where(path))
        return frame_time_s, clip.frames, (*clip.defects, *differs)

    @cached_property
    def _scanned(self) -> tuple[dict[_Trial, Path], list[Defect]]:
        """Sensor files by trial, and files that are named otherwise or twice."""
        found: dict[_Trial, Path] = {}
        defects = []
        for path in sorted((self.root / _WATCH).rglob("*.[cC][sS][vV]")):
            trial = _trial(path.relative_to(self.root / _WATCH).as_posix())
            if trial is None:
                what = f"is not subjectS/sceneC/sessionE/NAME.csv with one of the {len(NAMES)} known names"
                defects.append(Defect(self._where(path), what, "misnamed file"))
            elif trial in found:
                what = f"is {self._where(found[trial])} but for its capitals"
                defects.append(Defect(self._where(path), what, "file that is there twice"))
            else:
                found[trial] = path
                if trial.name != path.stem:
                    defects.append(Defect(self._where(path), "has capitals", "capitals in a name", left_out=False))
        return found, defects

    @cached_property
    def _videos(self) -> dict[_Trial, Path]:
        """The camera's videos by trial; none without a view of them."""
        camera = f"cam{self.settings.camera}"
        videos: dict[_Trial, Path] = {}
        for prefix in _VIDEO_ROOTS if self.view == "rgb" else ():
            for path in sorted((self.root / prefix).glob(f"subject*/{camera}/scene*/session*/*.[mM][pP]4")):
                place = path.relative_to(self.root / prefix).as_posix().replace(f"/{camera}/", "/", 1)
                trial = _trial(place[:-4] + ".csv")
                if trial:
                    videos.setdefault(trial, path)
        return videos

    def _unpaired(self) -> tuple[Defect, ...]:
        if self.view == "none":
            return ()
        camera = f"cam{self.settings.camera}"
        no_video = [
            Defect(
                self._where(self._sensors[trial]), f"has no video of {camera}; view 'none' uses it", "missing camera"
            )
            for trial in sorted(self._sensors)
            if trial not in self._videos
        ]
        no_sensor = [
            Defect(self._where(self._videos[trial]), f"has no file in {_WATCH}/", "missing sensor")
            for trial in sorted(self._videos)
            if trial not in self._sensors
        ]
        return (*no_video, *no_sensor)

    def _where(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _trial(place: str) -> _Trial | None:
    match = _PLACE.fullmatch(place)
    if match is None or match[4].lower() not in NAMES:
        return None
    return _Trial(int(match[1]), int(match[2]), int(match[3]), match[4].lower())


def _info(trial: _Trial) -> RecordingInfo:
    groups = {"scene": str(trial.scene), "session": str(trial.session)}
    return RecordingInfo(trial.id, str(trial.subject), trial.label, trial.session, groups)


def _parse(line: str, *, without_fraction: list[str]) -> tuple[float, float, float, float]:
    """A line ``time,x,y,z`` to seconds and readings; ValueError if it is none."""
    text, *axes = (value.strip() for value in line.split(","))
    match = _TIME.fullmatch(text)
    x, y, z = (float(value) for value in axes)
    if match is None:
        raise ValueError(f"the time {text!r}")
    *date, fraction = match.groups()
    # Summer time does not matter: a clip lasts seconds, and only differences of time are used.
    seconds = (datetime(*(int(digits) for digits in date)) - _ORIGIN).total_seconds()  # type: ignore[arg-type]
    if fraction is None:
        without_fraction.append(text)
    return seconds + float(f"0.{fraction or 0}"), x, y, z


_ORIGIN = datetime(2018, 1, 1)
