"""Small trees in the layouts in which Berkeley MHAD and MMAct are published."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from training.own_recordings import write_avi

G = 9.80665


def write_mat(path: Path, **content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, content, do_compression=True)
    return path


def write_utd_trial(
    root: Path,
    trial: str,
    *,
    sensor: NDArray[np.float64],
    joints_m: NDArray[np.float64] | None = None,
    depth_mm: NDArray[np.uint16] | None = None,
) -> None:
    """``a1_s1_t1``: readings (samples, 6), joints (20, 3, frames) and depth (rows, columns, frames) of one trial."""
    write_mat(root / "Inertial" / f"{trial}_inertial.mat", d_iner=sensor)
    if joints_m is not None:
        write_mat(root / "Skeleton" / f"{trial}_skeleton.mat", d_skel=joints_m)
    if depth_mm is not None:
        write_mat(root / "Depth" / f"{trial}_depth.mat", d_depth=depth_mm)


def wrist(samples: int, rate_hz: float, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times, s, and readings, g, of a wrist that waves about."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(samples) / rate_hz
    wave = 0.3 * np.sin(2 * np.pi * (1 + seed % 3) * time_s)[:, np.newaxis] * [1.0, 0.5, 0.2]
    return time_s, wave + [0.1, 0.2, 0.95] + 0.01 * rng.normal(size=(samples, 3))


def write_shimmer(root: Path, trial: str, *, samples: int = 90, shimmer: int = 2, unit: float = G) -> Path:
    """``s01_a01_r01`` as Accelerometer/Shimmer02/acc_h02_s01_a01_r01.txt."""
    folder = root / "Accelerometer" / f"Shimmer{shimmer:02}"
    folder.mkdir(parents=True, exist_ok=True)
    time_s, reading_g = wrist(samples, 30, seed=sum(map(ord, trial)))
    rows = np.column_stack([reading_g * unit, 1_300_000_000 + time_s])
    path = folder / f"acc_h{shimmer:02}_{trial}.txt"
    path.write_text("".join(" ".join(f"{value:.6f}" for value in row) + "\n" for row in rows))
    return path


def berkeley_folder(root: Path, trial: str, top: str) -> Path:
    folder = root / top / "/".join(part.upper() for part in trial.split("_"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_bayer(root: Path, trial: str, images: list[NDArray[np.uint8]], *, cluster: int = 1, camera: int = 1) -> Path:
    folder = berkeley_folder(root, trial, f"Camera/Cluster{cluster:02}/Cam{camera:02}")
    for number, raw in enumerate(images):
        write_pgm(folder / f"img_l{cluster:02}_c{camera:02}_{trial}_{number:05}.pgm", raw)
    return folder


def write_kinect(root: Path, trial: str, depth_mm: list[NDArray[np.uint16]]) -> Path:
    folder = berkeley_folder(root, trial, "Kinect/Kin01")
    for number, image in enumerate(depth_mm):
        write_pgm(folder / f"kin_k01_{trial}_depth_{number:05}.pgm", image)
        (folder / f"kin_k01_{trial}_color_{number:05}.ppm").write_bytes(b"P6 1 1 255\n\0\0\0")
    return folder


def write_pgm(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    largest = 255 if image.dtype == np.uint8 else 4095
    rows, columns = image.shape
    header = f"P5\n# a comment\n{columns} {rows}\n{largest}\n".encode()
    path.write_bytes(header + image.astype(image.dtype.newbyteorder(">")).tobytes())


def write_watch(root: Path, place: str, *, samples: int = 250, folder: str = "acc_watch_clip") -> Path:
    """``subject1/scene1/session1/carrying`` as acc_watch_clip/subject1/scene1/session1/carrying.csv, in m/s^2."""
    path = root / folder / f"{place}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    time_s, reading_g = wrist(samples, 100, seed=sum(map(ord, place)))
    start = datetime(2018, 10, 25, 23, 59, 59, 500_000)
    lines = []
    for now_s, row in zip(time_s, reading_g * G, strict=True):
        moment = start + timedelta(microseconds=round(now_s * 1e6))
        lines.append(",".join([moment.strftime("%Y%m%d_%H:%M:%S.%f"), *(f"{value:.5f}" for value in row)]))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_mmact_video(root: Path, place: str, *, camera: int = 1, prefix: str = "") -> Path:
    subject, _, rest = place.partition("/")
    path = root / prefix / subject / f"cam{camera}" / f"{rest}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.random.default_rng(0).integers(0, 256, (75, 1, 1), dtype=np.uint8)
    write_avi(path, np.broadcast_to(grey, (75, 36, 64)).copy(), rate_hz=30)
    return path
