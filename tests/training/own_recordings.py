"""A folder of recordings in the documented layout, written from the synthetic generator."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from vskd_training.datasets.recording import Recording
from vskd_training.datasets.synthetic import SyntheticSettings
from vskd_training.datasets.synthetic.generator import SyntheticSource

DESCRIPTION = """name = "kitchen"
unit = "m/s^2"
gravity = true
placement = "left wrist"
"""
LABELS = ("jog", "wave", "squat")
HEADER = ["clip", "subject", "label", "sensor", "video", "session"]
G = 9.80665


def generated(subjects: int, duration_s: float) -> Iterator[Recording]:
    source = SyntheticSource(SyntheticSettings(subjects=subjects, trials=1, duration_s=duration_s, seed=5))
    return (recording for recording in source.recordings() if recording.info.label in LABELS)


def write_folder(root: Path, *, subjects: int = 4, duration_s: float = 3.5) -> Path:
    """Every third clip has a video, an .npz file or a folder of images."""
    (root / "sensors").mkdir(parents=True)
    (root / "videos").mkdir()
    rows = []
    for index, recording in enumerate(generated(subjects, duration_s)):
        info = recording.info
        write_sensor(root / "sensors" / f"{info.id}.csv", recording.time_s, recording.acceleration_g * G)
        video = write_video(root / "videos" / info.id, recording, kind=index % 3)
        rows.append([info.id, f"p{info.subject}", info.label, f"sensors/{info.id}.csv", f"videos/{video}", "1"])
    (root / "dataset.toml").write_text(DESCRIPTION)
    write_table(root, rows)
    return root


def write_table(root: Path, rows: list[list[str]], header: list[str] | None = None) -> None:
    with (root / "clips.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([header or HEADER, *rows])


def read_table(root: Path) -> list[list[str]]:
    with (root / "clips.csv").open(newline="") as stream:
        return list(csv.reader(stream))[1:]


def write_sensor(path: Path, time_s: NDArray[np.float64], xyz: NDArray[np.float64]) -> None:
    gyro = np.zeros_like(xyz)
    lines = [",".join(f"{value:.6f}" for value in row) for row in np.column_stack([time_s, xyz, gyro])]
    path.write_text("\n".join(["time_s,ax,ay,az,gx,gy,gz", *lines]) + "\n")


def write_video(path: Path, recording: Recording, *, kind: int) -> str:
    if kind == 0:
        write_avi(path.with_suffix(".avi"), recording.frames)
        return f"{path.name}.avi"
    if kind == 1:
        np.savez(path.with_suffix(".npz"), frames=recording.frames, time_s=recording.frame_time_s)
        return f"{path.name}.npz"
    path.mkdir()
    for number, frame in enumerate(recording.frames[::4]):
        # Binary PGM images need no library: a header, and the bytes.
        header = f"P5 {frame.shape[1]} {frame.shape[0]} 255\n".encode()
        (path / f"frame_{4 * number}.pgm").write_bytes(header + frame.tobytes())
    return path.name


def write_avi(path: Path, frames: NDArray[np.uint8], *, rate_hz: int = 15) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate_hz)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
