"""A clip of video as small grey frames with times: a video file, a folder of numbered images, or an .npz file.

A video file carries the times of its frames, on a clock of its own; numbered images carry their order. Both are
stretched over the recording they belong to, its first frame at the first sample and its last at the last, because two
devices that were started together rarely agree on how long a second is. An .npz file may hold ``time_s`` on the
sensor's clock; then nothing is stretched. Image names of 13, 16 or 19 digits are times since 1970, in ms, us or ns: on
the sensor's clock if the sensor's times are those, too.

A frame is turned as its file says (the rotation of a phone's film). All are decoded in a child process (``in_child``).

This module knows files. It does not know sensors or data sets.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from vskd.closed import from_mapping, to_mapping
from vskd_training.datasets.files.images import LUMA, image_frame
from vskd_training.datasets.files.in_child import Reading, read_in_child
from vskd_training.datasets.recording import BrokenFileError, Defect

Float64 = NDArray[np.float64]

VIDEO_FILES = (".mp4", ".avi", ".mkv", ".mov", ".webm")
IMAGE_FILES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".ppm")

_FEWEST_FRAMES = 2
#: A video may be longer or shorter than its recording by so much before it is worth a word.
_SAME_LENGTH = 0.1
_SAME_LENGTH_S = 0.5
#: Digits of a time since 1970 -> units in a second. A larger time in s is since 1970, not since a device was started.
_DIGITS = {13: 10**3, 16: 10**6, 19: 10**9}
_SINCE_1970_S = 1e9


@dataclass(frozen=True)
class Clip:
    """Frames in order.

    Attributes
    ----------
    frames : (frames, height, width), grey
    position : (frames,), strictly increasing: s on the video's or the sensor's clock, or the number of the image
    clock : whose position it is: ``video``, ``sensor``, ``1970`` or ``none``
    defects : what was found wrong and passed over
    """

    frames: NDArray[np.uint8]
    position: Float64
    clock: str
    defects: tuple[Defect, ...] = ()


class Timed(Protocol):
    """Frames with their position in time."""

    @property
    def position(self) -> Float64:
        """As of ``Clip``."""
        ...

    @property
    def clock(self) -> str:
        """As of ``Clip``."""
        ...


def read_clip(path: Path, *, where: str, height: int, width: int) -> Clip:
    """Read any of the three kinds.

    Parameters
    ----------
    path : a video file, a folder of images, or an .npz file
    where : how a defect names it
    height, width : of the frames wanted, pixels

    Raises
    ------
    BrokenFileError : it is none of the three, cannot be read, or holds fewer than two frames
    """
    (frames, position), (clock, defects) = read_in_child(load_clip, path, where, height, width, where=where)
    return Clip(frames, position, clock, tuple(from_mapping(Defect, one, where=where) for one in defects))


def load_clip(path: Path, where: str, height: int, width: int) -> Reading:
    """``read_clip`` itself, in the process that calls it: frames and positions; the clock and the defects."""
    if path.is_dir():
        clip = _images(path, where, height, width)
    elif not path.exists():
        raise BrokenFileError(where, "does not exist; mend the path, or leave it empty", kind="missing video")
    elif not path.is_file():
        raise BrokenFileError(where, "is neither a file nor a folder; mend the path", kind="unknown video")
    elif path.suffix.lower() == ".npz":
        clip = _npz(path, where, height, width)
    elif path.suffix.lower() in VIDEO_FILES:
        clip = _video_file(path, where, height, width)
    else:
        known = ", ".join((*VIDEO_FILES, ".npz"))
        raise BrokenFileError(where, f"is no video: give one of {known} or a folder of images", kind="unknown video")
    if len(clip.frames) < _FEWEST_FRAMES:
        what = f"holds {len(clip.frames)} frames, a clip needs {_FEWEST_FRAMES}"
        raise BrokenFileError(where, what, kind="no frames")
    return Reading((clip.frames, clip.position), [clip.clock, [to_mapping(one) for one in clip.defects]])


def on_sensor_clock(clip: Timed, time_s: Float64, *, where: str) -> tuple[Float64, tuple[Defect, ...]]:
    """When each frame of a clip was seen, on the sensor's clock.

    Parameters
    ----------
    clip : the frames, or a skeleton's
    time_s : (samples,), the sensor's clock, s
    where : how a defect names the clip

    Returns
    -------
    (frames,), s, and a defect if a video's length differs from the recording's

    Raises
    ------
    BrokenFileError : a clip on the sensor's clock that lies wholly before or after the samples
    """
    first_s, last_s = float(time_s[0]), float(time_s[-1])
    if clip.clock == "sensor" or (clip.clock == "1970" and first_s > _SINCE_1970_S):
        if clip.position[-1] < first_s or clip.position[0] > last_s:
            span = f"{clip.position[0]:.2f}..{clip.position[-1]:.2f} s"
            what = f"time_s runs over {span}, the sensor over {first_s:.2f}..{last_s:.2f} s; they need one clock"
            raise BrokenFileError(where, what, kind="video at another time")
        return clip.position, ()
    length = clip.position[-1] - clip.position[0]
    stretched = first_s + (clip.position - clip.position[0]) * ((last_s - first_s) / length)
    longer_s = abs(length - (last_s - first_s))
    if clip.clock == "none" or longer_s <= max(_SAME_LENGTH_S, _SAME_LENGTH * (last_s - first_s)):
        return stretched, ()
    what = f"lasts {length:.2f} s and the sensor {last_s - first_s:.2f} s; it was stretched over the whole recording"
    return stretched, (Defect(where, what, "video and sensor differ in length", left_out=False),)


def read_image(path: Path, *, where: str) -> NDArray[np.uint8]:
    """One image in grey, (rows, columns).

    Raises
    ------
    BrokenFileError : it cannot be decoded
    """
    try:
        with av.open(str(path)) as container:
            grey = _upright(next(container.decode(video=0)))
    except (av.FFmpegError, OSError, ValueError, IndexError, StopIteration) as error:
        raise BrokenFileError(where, f"cannot be read as an image ({_reason(error)})", kind="unreadable") from error
    return grey


def _upright(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """A frame in grey, (rows, columns), turned as its file says."""
    quarters = round(frame.rotation / 90)  # counterclockwise
    return np.asarray(np.rot90(frame.to_ndarray(format="gray"), quarters), dtype=np.uint8)


def _video_file(path: Path, where: str, height: int, width: int) -> Clip:
    frames, times = [], []
    try:
        with av.open(str(path)) as container:
            promised = container.streams.video[0].frames
            for frame in container.decode(video=0):
                frames.append(image_frame(_upright(frame), height=height, width=width))
                times.append(frame.time)
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise BrokenFileError(where, f"cannot be read as a video ({_reason(error)})", kind="unreadable") from error
    # A video that was cut short would be stretched over the whole recording. Headers may be off by a frame or two.
    if len(frames) < 0.9 * promised:
        raise BrokenFileError(where, f"holds {len(frames)} frames of {promised}; copy it again", kind="cut short")
    position = np.array(times, dtype=np.float64)
    if (np.diff(position) <= 0).any():
        position = np.arange(len(frames), dtype=np.float64)
        return Clip(_stacked(frames, height, width), position, "none")
    return Clip(_stacked(frames, height, width), position, "video")


def _images(folder: Path, where: str, height: int, width: int) -> Clip:
    numbered: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in IMAGE_FILES or not path.is_file():
            continue
        digits = re.findall(r"\d+", path.stem)
        if not digits:
            what = "has no number to be ordered by; number it"
            raise BrokenFileError(f"{where}/{path.name}", what, kind="unnumbered")
        other = numbered.setdefault(int(digits[-1]), path)
        if other is not path:
            what = f"has the number of {other.name}, {int(digits[-1])}; keep one of them"
            raise BrokenFileError(f"{where}/{path.name}", what, kind="numbered twice")
    numbers = sorted(numbered)
    frames = [
        image_frame(read_image(numbered[number], where=f"{where}/{numbered[number].name}"), height=height, width=width)
        for number in numbers
    ]
    shown = _stacked(frames, height, width)
    lengths = {len(str(number)) for number in numbers}
    if len(lengths) == 1 and (units := _DIGITS.get(lengths.pop())):
        return Clip(shown, np.array(numbers, dtype=np.int64) / units, "1970")
    defects: list[Defect] = []
    # Every fourth image of a video is a video too, whose numbers go up by four.
    step = math.gcd(*np.diff(numbers).tolist())
    if lost := (numbers[-1] - numbers[0]) // step + 1 - len(numbers) if step else 0:
        what = f"{lost} of {lost + len(numbers)} images are missing; the others keep their times"
        defects.append(Defect(where, what, "missing images", left_out=False))
    return Clip(shown, np.array(numbers, dtype=np.float64), "none", tuple(defects))


def _npz(path: Path, where: str, height: int, width: int) -> Clip:
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files if name in ("frames", "time_s")}
    except Exception as error:  # numpy and zipfile refuse a broken file with exceptions of many kinds
        raise BrokenFileError(where, f"cannot be read as .npz ({_reason(error)})", kind="unreadable") from error
    frames = arrays.get("frames")
    if frames is None or frames.dtype != np.uint8 or not _is_video(frames.shape):
        got = "no such array" if frames is None else f"{frames.dtype} {frames.shape}"
        raise BrokenFileError(where, f"frames must be uint8 (F, H, W) or (F, H, W, 3), got {got}", kind="unreadable")
    grey = frames if frames.ndim == 3 else frames.astype(np.float32) @ LUMA
    small = [image_frame(image, height=height, width=width) for image in grey]
    position = _npz_times(arrays.get("time_s"), len(small), where)
    clock = "sensor" if "time_s" in arrays else "none"
    return Clip(_stacked(small, height, width), position, clock)


def _is_video(shape: tuple[int, ...]) -> bool:
    return len(shape) in (3, 4) and shape[3:] in ((), (3,)) and 0 not in shape[1:]


def _npz_times(time_s: NDArray[Any] | None, frames: int, where: str) -> Float64:
    if time_s is None:
        return np.arange(frames, dtype=np.float64)
    if time_s.shape != (frames,) or time_s.dtype.kind not in "fiu":
        what = f"time_s must be {frames} numbers, one for each frame, got {time_s.dtype} {time_s.shape}"
        raise BrokenFileError(where, what, kind="unreadable")
    seconds = time_s.astype(np.float64)
    # A comparison with NaN is false.
    if not (np.diff(seconds) > 0).all() or not np.isfinite(seconds).all():
        at = int(np.argmin(np.diff(seconds) > 0)) + 1
        raise BrokenFileError(where, f"time_s must increase, and does not at frame {at}", kind="backward timestamps")
    return seconds


def _stacked(frames: list[NDArray[np.uint8]], height: int, width: int) -> NDArray[np.uint8]:
    return np.stack(frames) if frames else np.empty((0, height, width), dtype=np.uint8)


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
