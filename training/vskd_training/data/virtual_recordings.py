"""Skeletons to sensor recordings: a folder in the layout of a user's own recordings, made from UTD-MHAD's skeletons.

Every recording becomes one of a virtual watch on the right wrist, also those six actions whose real sensor sat on the
thigh. This module knows files and the skeleton's joints; the physics is in ``virtual_wrist``.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vskd.errors import DataError
from vskd_training.data.stream_files import write_samples
from vskd_training.data.virtual_wrist import limb_parts_g
from vskd_training.datasets.folder.table import DESCRIPTION, TABLE
from vskd_training.datasets.recording import MISSING_TRIAL, Defect
from vskd_training.datasets.utd_mhad import RIGHT_ARM, SKELETON
from vskd_training.datasets.utd_mhad.reader import SENSOR_RATE_HZ, UtdMhadSource

_DESCRIBED = """# A virtual watch on the right wrist of UTD-MHAD's skeletons, not worn by a subject.
name = "utd-mhad-virtual"
unit = "g"
gravity = true
placement = "right wrist (virtual)"
"""


def write_virtual(
    source: UtdMhadSource, out: Path, *, progress: Callable[[int, int], None]
) -> tuple[int, tuple[Defect, ...]]:
    """Write a folder of virtual recordings.

    Parameters
    ----------
    source : in the view ``joints``
    out : the folder; must not exist, or be empty
    progress : called as ``progress(recordings done, recordings in all)``

    Returns
    -------
    how many were written, and what was left out, beside the trials that were never there

    Raises
    ------
    DataError : the folder holds something already, or cannot be written
    """
    if out.exists() and any(out.iterdir()):
        raise DataError(f"{out} holds something already", hint="Give another --out")
    total = len(source.infos())
    unusable = []
    rows = [("clip", "subject", "label", "sensor", "video")]
    for done, (info, time_s, joints_m) in enumerate(source.skeletons(), start=1):
        arm_m = joints_m[:, RIGHT_ARM]
        samples = int((time_s[-1] - time_s[0]) * SENSOR_RATE_HZ + 1e-9) + 1
        at_s = time_s[0] + np.arange(samples) / SENSOR_RATE_HZ
        progress(done, total)
        try:
            motion_g, gravity_g = limb_parts_g(time_s, arm_m, limb="arm", at_s=at_s, up=SKELETON.up)
        except DataError as error:
            unusable.append(Defect(info.id, str(error), "unusable skeleton"))
            continue
        write_samples(out / "sensors" / f"{info.id}.csv", at_s, motion_g + gravity_g, columns="ax ay az")
        rows.append((info.id, info.subject, info.label, f"sensors/{info.id}.csv", ""))
    if len(rows) == 1:
        raise DataError(f"{source.root} holds no skeleton that can be read", hint="`vskd data check` says why")
    try:
        (out / DESCRIPTION).write_text(_DESCRIBED, encoding="utf-8")
        with (out / TABLE).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows(rows)
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror}") from error
    left_out = (defect for defect in source.defects() if defect.kind != MISSING_TRIAL)
    return len(rows) - 1, (*left_out, *unusable)
