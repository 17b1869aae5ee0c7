"""Recordings in the layouts of well-known recorders and data sets, written after their public descriptions."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

G = 9.80665
EPOCH_S = 1_600_000_000
PEOPLE, LABELS = ("ann", "bob"), ("walk", "sit")


@dataclass(frozen=True)
class Take:
    """One recording: time_s (samples,), s from its start, and xyz (samples, 3), g with gravity."""

    subject: str
    label: str
    time_s: Float64
    xyz: Float64


def take(subject: str, label: str, rate_hz: float, seconds: float = 8.0) -> Take:
    rng = np.random.default_rng([len(subject), ord(subject[0]), ord(label[0])])
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    down = np.array([0.3, -0.75, 0.59]) / np.linalg.norm([0.3, -0.75, 0.59])
    swing = 0.25 * np.sin(2 * np.pi * (1.9 if label == "walk" else 0.3) * time_s)[:, np.newaxis] * rng.normal(size=3)
    return Take(subject, label, time_s, down + swing + 0.01 * rng.normal(size=(len(time_s), 3)))


def moments(one: Take, form: str, digits: int = 3) -> list[str]:
    start = datetime(2020, 2, 29, 23, 59, 58, tzinfo=UTC)
    made = [(start + timedelta(seconds=float(at))).strftime(form) for at in one.time_s]
    return [text[: len(text) - 6 + digits] for text in made]


def lines(head: list[str], rows: list[list[object]], separator: str = ",", end: str = "") -> str:
    return "\n".join([*head, *(separator.join(map(str, row)) + end for row in rows)]) + "\n"


def six(values: Float64, factor: float = 1.0, digits: int = 6) -> list[list[str]]:
    return [[f"{value * factor:.{digits}f}" for value in row] for row in values]


def sensor_logger(root: Path, one: Take) -> None:
    """A folder for each recording; z comes first, and the acceleration without gravity lies beside the total one."""
    folder = root / f"{one.subject}_{one.label}-2023-05-01_10-00-00"
    folder.mkdir(parents=True)
    ns = [EPOCH_S * 10**9 + round(at * 1e9) for at in one.time_s]
    for name, values in (("TotalAcceleration", one.xyz * G), ("Accelerometer", (one.xyz - one.xyz.mean(axis=0)) * G)):
        rows = [[at, f"{s:.6f}", z, y, x] for at, s, (x, y, z) in zip(ns, one.time_s, six(values), strict=True)]
        (folder / f"{name}.csv").write_text(lines(["time,seconds_elapsed,z,y,x"], rows))
    (folder / "Gyroscope.csv").write_text(lines(["time,seconds_elapsed,z,y,x"], [[at, 0, 0, 0, 0] for at in ns]))
    (folder / "Metadata.csv").write_text("version,device name\n3,phone\n")


def phyphox(root: Path, one: Take) -> None:
    head = ['"Time (s)";"Acceleration x (m/s^2)";"Acceleration y (m/s^2)";"Acceleration z (m/s^2)"']
    rows = [[f"{value:.9E}".replace(".", ",") for value in row] for row in np.column_stack([one.time_s, one.xyz * G])]
    (root / f"{one.subject}_{one.label}.csv").write_text(lines(head, rows, ";"))


def sensor_log(root: Path, one: Take) -> None:
    """Apple's: gravity and the user's acceleration apart, both with the opposite sign."""
    still = np.tile(one.xyz.mean(axis=0), (len(one.xyz), 1))
    names = [f"motion{what}{axis}(G)" for what in ("UserAcceleration", "Gravity", "RotationRate") for axis in "XYZ"]
    head = ["loggingTime(txt),loggingSample(N)," + ",".join(names)]
    stamps = moments(one, "%Y-%m-%d %H:%M:%S.%f")
    parts = zip(stamps, six(still - one.xyz), six(-still), six(0 * still), strict=True)
    rows = [[f"{at} +0100", index, *user, *gravity, *turn] for index, (at, user, gravity, turn) in enumerate(parts)]
    (root / f"{one.subject}_{one.label}.csv").write_text(lines(head, rows))


def actigraph(root: Path, one: Take) -> None:
    head = [
        "------------ Data File Created By ActiGraph GT3X+ ActiLife v6.13.3 date format M/d/yyyy at 30 Hz -----------",
        "Serial Number: X", "Start Time 00:00:00", "Start Date 1/1/2020", "Epoch Period (hh:mm:ss) 00:00:00",
        "Download Time 10:00:00", "Download Date 1/8/2020", "Current Memory Address: 0",
        "Current Battery Voltage: 4.01     Mode = 12", "--------------------------------------------------",
        "Accelerometer X,Accelerometer Y,Accelerometer Z",
    ]  # fmt: skip
    (root / f"{one.subject}_{one.label}.csv").write_text(lines(head, six(one.xyz, digits=3)))  # type: ignore[arg-type]


def geneactiv(root: Path, one: Take) -> None:
    head = ["Device Type,GENEActiv", "Device Model,1.1", "Measurement Frequency,50.0", *["Note,x"] * 97]
    stamps = moments(one, "%Y-%m-%d %H:%M:%S:%f")
    rows = [[at, *values, 12, 0, 31.2] for at, values in zip(stamps, six(one.xyz, digits=4), strict=True)]
    (root / f"{one.subject}_{one.label}.csv").write_text(lines(head, rows))


def axivity(root: Path, one: Take) -> None:
    stamps = moments(one, "%Y-%m-%d %H:%M:%S.%f")
    rows = [[at, *values] for at, values in zip(stamps, six(one.xyz), strict=True)]
    with gzip.open(root / f"{one.subject}_{one.label}.csv.gz", "wt") as file:
        file.write(lines(["time,x,y,z"], rows))


def empatica(root: Path, one: Take) -> None:
    folder = root / one.subject / one.label
    folder.mkdir(parents=True)
    head = [f"{EPOCH_S}.000000, {EPOCH_S}.000000, {EPOCH_S}.000000", "32.000000, 32.000000, 32.000000"]
    rows = np.round(one.xyz * 64).astype(int).tolist()
    (folder / "ACC.csv").write_text(lines(head, rows))
    (folder / "BVP.csv").write_text(f"{EPOCH_S}.000000\n64.000000\n-0.0\n")
    (folder / "EDA.csv").write_text(f"{EPOCH_S}.000000\n4.000000\n0.0\n")


def wisdm(root: Path, one: Take) -> None:
    """All people in one file, each line with a semicolon at its end."""
    start = 49_105_000_000_000 + 10**12 * (PEOPLE.index(one.subject) * 2 + LABELS.index(one.label))
    rows = [
        [33 + PEOPLE.index(one.subject), one.label, start + round(at * 1e9), *values]
        for at, values in zip(one.time_s, six(one.xyz, G), strict=True)
    ]
    with (root / "WISDM_raw.txt").open("a") as file:
        file.write(lines([], rows, end=";"))


def pamap2(root: Path, one: Take) -> None:
    """54 columns without names, with holes; all activities of a person in one file."""
    path = root / f"subject10{1 + PEOPLE.index(one.subject)}.dat"
    start_s = 8.38 + 100 * LABELS.index(one.label)
    rest = "NaN " * 44
    with path.open("a") as file:
        for index, (at, values) in enumerate(zip(one.time_s, six(one.xyz, G), strict=True)):
            pulse = "NaN" if index % 10 else "104"
            xyz = " ".join(values)
            file.write(f"{start_s + at:.2f} {4 - LABELS.index(one.label)} {pulse} 30.375 {xyz} {xyz} {rest.strip()}\n")


def clocks(at_s: float) -> list[int]:
    return [1424696633000 + round(1000 * at_s), 27920678471000 + round(1e9 * at_s)]


def hhar(root: Path, one: Take) -> None:
    """All people in one file, with two clocks."""
    path = root / "Watch_accelerometer.csv"
    if not path.exists():
        path.write_text("Index,Arrival_Time,Creation_Time,x,y,z,User,Model,Device,gt\n")
    later_s = 1000 * (PEOPLE.index(one.subject) * 2 + LABELS.index(one.label))
    rows = [
        [index, *clocks(later_s + at), *values, one.subject, "gear", "gear_1", one.label]
        for index, (at, values) in enumerate(zip(one.time_s, six(one.xyz, G), strict=True))
    ]
    with path.open("a") as file:
        file.write(lines([], rows))


def plain(root: Path, one: Take) -> None:
    rows = [[f"{at:.3f}", *values] for at, values in zip(one.time_s, six(one.xyz), strict=True)]
    (root / f"{one.subject}_{one.label}.csv").write_text(lines(["time_s,ax,ay,az"], rows))


def plain_ms(root: Path, one: Take) -> None:
    rows = [[round(at * 1000), *values] for at, values in zip(one.time_s, six(one.xyz, G), strict=True)]
    (root / f"{one.subject}_{one.label}.tsv").write_text(lines(["# my logger", "timestamp\tgFx\tgFy\tgFz"], rows, "\t"))


def whole_seconds(root: Path, one: Take) -> None:
    rows = [[EPOCH_S + int(at), *values] for at, values in zip(one.time_s, six(one.xyz), strict=True)]
    (root / f"{one.subject}_{one.label}.csv").write_text(lines(["time_s,ax,ay,az"], rows))


def meta_motion(root: Path, one: Take) -> None:
    """Clocks whose names say little, with raw counts of a 16-bit sensor."""
    rows = [
        [EPOCH_S * 1000 + round(1000 * at), f"{at:.3f}", *(round(16384 * value) for value in values)]
        for at, values in zip(one.time_s, one.xyz.tolist(), strict=True)
    ]
    (root / f"{one.subject}_{one.label}.csv").write_text(lines(["epoc (ms),elapsed,x-axis,y-axis,z-axis"], rows))


@dataclass(frozen=True)
class Recorder:
    """A layout: how one recording is written, at which rate, how exactly, and what its own names are."""

    write: Callable[[Path, Take], None]
    rate_hz: float
    error_g: float = 1e-4
    subjects: tuple[str, str] = PEOPLE
    labels: tuple[str, str] = LABELS


RECORDERS = {
    "Sensor Logger": Recorder(sensor_logger, 100),
    "phyphox": Recorder(phyphox, 50),
    "SensorLog": Recorder(sensor_log, 50),
    "ActiGraph": Recorder(actigraph, 30, error_g=6e-4),
    "GENEActiv": Recorder(geneactiv, 50),
    "Axivity": Recorder(axivity, 100),
    "Empatica": Recorder(empatica, 32, error_g=0.5 / 64 + 1e-9),
    "WISDM": Recorder(wisdm, 20, subjects=("33", "34")),
    "PAMAP2": Recorder(pamap2, 100, subjects=("subject101", "subject102"), labels=("4", "3")),
    "HHAR": Recorder(hhar, 100),
    "plain": Recorder(plain, 50),
    "plain, ms": Recorder(plain_ms, 50),
    "MetaMotion": Recorder(meta_motion, 50),
    "whole seconds": Recorder(whole_seconds, 50),
}


def write_all(root: Path, recorder: Recorder) -> list[Take]:
    """Two people, two activities, in a folder."""
    takes = [take(subject, label, recorder.rate_hz) for subject in PEOPLE for label in LABELS]
    root.mkdir()
    for one in takes:
        recorder.write(root, one)
    return takes
