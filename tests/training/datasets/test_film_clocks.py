"""A film is turned as its file says, and images named by a time since 1970 lie at that time."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vskd_training.datasets.files.video import on_sensor_clock, read_clip
from vskd_training.datasets.recording import BrokenFileError

#: 13 digits of a time in the year 2020, ms.
START_MS = 1_600_000_000_000


def film(path: Path, frames: NDArray[np.uint8], degrees: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], "yuv420p"
        if degrees:
            stream.set_display_rotation(degrees)
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("degrees", [0, 90, -90, 180])
def test_a_film_is_turned_by_its_rotation(tmp_path: Path, degrees: int) -> None:
    """A bright bar at the left, and its place after numpy's own turn against the clock."""
    frames = np.full((5, 48, 64), 20, dtype=np.uint8)
    frames[:, :, :12] = 220
    clip = read_clip(film(tmp_path / "a.mp4", frames, degrees), where="a.mp4", height=64, width=64)
    upright = np.rot90(frames[0], degrees // 90)
    top, left = (64 - upright.shape[0]) // 2, (64 - upright.shape[1]) // 2
    shown = clip.frames[2, top : top + upright.shape[0], left : left + upright.shape[1]]
    assert np.abs(shown.astype(int) - upright).mean() < 6


def images(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for name in names:
        (folder / f"{name}.pgm").write_bytes(b"P5 4 3 255\n" + bytes(12))
    return folder


@pytest.mark.parametrize(("digits", "per_s"), [(13, 10**3), (16, 10**6), (19, 10**9)])
def test_images_named_by_their_time_lie_at_it(tmp_path: Path, digits: int, per_s: int) -> None:
    """On the sensor's clock where that is since 1970, too, else stretched by their own; and none is missing."""
    offsets_s = [0.0, 0.033, 0.1, 0.133, 0.5]
    names = [f"cam_{round((START_MS / 1000 + offset) * per_s):0{digits}}" for offset in offsets_s]
    clip = read_clip(images(tmp_path / "v", names), where="v", height=3, width=4)
    assert clip.defects == ()
    time_s = START_MS / 1000 + np.arange(60) / 100
    np.testing.assert_allclose(on_sensor_clock(clip, time_s, where="v")[0] - time_s[0], offsets_s, atol=1e-6)
    seconds = np.arange(51) / 100
    np.testing.assert_allclose(on_sensor_clock(clip, seconds, where="v")[0], offsets_s, atol=1e-6)
    with pytest.raises(BrokenFileError, match="they need one clock"):
        on_sensor_clock(clip, time_s + 3600, where="v")


def test_numbers_of_fewer_digits_are_an_order(tmp_path: Path) -> None:
    clip = read_clip(images(tmp_path / "v", ["1", "2", "4"]), where="v", height=3, width=4)
    assert (clip.position.tolist(), clip.clock) == ([1, 2, 4], "none")
    assert [defect.kind for defect in clip.defects] == ["missing images"]
