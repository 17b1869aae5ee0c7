"""Virtual windows: what a sensor on a training subject's skeleton would have read while the real one did.

Every window of a student's table gets a virtual one of the same time, from the joints of the same clip, so label and
target are those of the real window. A virtual window can be varied where a real one cannot: the strap rotated around
the limb, longer limbs, another sensor's offset.

How the real strap sat is no part of a skeleton. It is found by least squares: one rotation for each subject and limb
that takes the virtual readings to the real ones of the same windows (Kabsch, Acta Crystallographica 1976); for subjects
without a real sensor, one of all others. Gravity is in the readings, so the rotation is well determined. A rotation
that changes within a clip (a twisted forearm), impacts and motion above 3 Hz are missing.

This module sees the recordings of a table and no others. A label is read only to tell where the sensor sat, which is
known of every recording, labelled or not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vskd.errors import ConfigError, DataError
from vskd_training.data.labels import draw_subjects
from vskd_training.data.protocols import natural
from vskd_training.data.virtual_wrist import limb_parts_g
from vskd_training.data.windows import WindowTable
from vskd_training.datasets.data_set import Limb, Skeleton
from vskd_training.datasets.prepared import Prepared
from vskd_training.datasets.registry import data_set
from vskd_training.datasets.skeleton_joints import joints_in_torsos
from vskd_training.settings import Config, VirtualConfig

Float64 = NDArray[np.float64]

#: From hip to neck, which is the unit of the joints, m; a Kinect measures 0.39 to 0.42 on UTD-MHAD.
TORSO_M = 0.4
#: How far virtual windows vary: largest rotation of the strap around the limb, either way; standard deviation of a
#: factor on all lengths of the body; standard deviations of a window's constant offset and of white noise, g.
STRAP_RAD, LENGTH, BIAS_G, NOISE_G = 0.35, 0.1, 0.03, 0.02


@dataclass(frozen=True)
class VirtualWindows:
    """Virtual sensors beside the windows of a table.

    Attributes
    ----------
    rows : (n,), the row of the table that each belongs to; some rows have none
    motion_g : (n, 3, samples), in the limb's own axes, of a body whose torso measures 1 m
    gravity_g : (n, 3, samples), in the limb's own axes
    strap : (n, 3, 3), from the limb's axes to those of the real sensor
    without_sensor : rows of the table whose real windows are not used
    left_out : recordings whose joints no sensor could be put on
    config : how many there are for each real one, and who has no sensor
    """

    rows: Tensor
    motion_g: Tensor
    gravity_g: Tensor
    strap: Tensor
    without_sensor: frozenset[int]
    left_out: tuple[str, ...]
    config: VirtualConfig

    def __len__(self) -> int:
        return len(self.rows)

    def card(self) -> dict[str, Any]:
        """What a run's card keeps of them, ready for JSON."""
        without = list(self.config.without_sensor)
        return {"windows": len(self), "without_sensor": without, "left_out": list(self.left_out)}

    def to(self, device: torch.device) -> VirtualWindows:
        """The same on another device."""
        moved = {name: getattr(self, name).to(device) for name in ("rows", "motion_g", "gravity_g", "strap")}
        return dataclasses.replace(self, **moved)

    def draw(self, chosen: Tensor, generator: torch.Generator) -> Tensor:
        """Readings of some of them, each varied in its own way.

        Parameters
        ----------
        chosen : which, by their place among the n, on the device of these windows
        generator : source of all randomness, of the same device

        Returns
        -------
        (chosen, 3, samples), float32, g
        """
        count, device = len(chosen), self.motion_g.device

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, device=device)

        length_m = TORSO_M * (1 + LENGTH * normal(count, 1, 1))
        motion_g, gravity_g, strap = (
            values.index_select(0, chosen) for values in (self.motion_g, self.gravity_g, self.strap)
        )
        limb_g = length_m * motion_g + gravity_g
        angle = STRAP_RAD * (2 * torch.rand(count, generator=generator, device=device) - 1)
        rotated = strap @ _about_x(angle) @ limb_g
        offset = BIAS_G * normal(count, 3, 1)
        return rotated + offset + NOISE_G * normal(*rotated.shape)


@dataclass(frozen=True)
class _Sensor:
    """One virtual sensor in the time of one window: motion and gravity (3, samples), in the limb's own axes."""

    row: int
    motion_g: Float64
    gravity_g: Float64
    limb: Limb


def virtual_windows(prepared: Prepared, table: WindowTable, config: VirtualConfig) -> VirtualWindows:
    """Put virtual sensors on the skeletons of a table's recordings.

    Parameters
    ----------
    prepared : the data, in the view ``joints``
    table : windows of training subjects
    config : ``[virtual]`` of the config

    Raises
    ------
    ConfigError : the data set has no joints; a subject without a sensor is no training subject, or all are
    DataError : no sensor can be put on any recording
    """
    if prepared.view != "joints":
        raise ConfigError(
            f"[virtual] needs the joints of a skeleton, and the view of {prepared.name} is {prepared.view!r}",
            hint="Set data.view = 'joints' (utd-mhad), or virtual.per_real = 0",
        )
    worn = _worn(table, config)
    sensors: list[_Sensor] = []
    left_out = []
    for recording in dict.fromkeys(table.recordings.tolist()):
        try:
            sensors += _sensors_on(prepared, table, recording)
        except DataError:
            left_out.append(prepared.infos[recording].id)
    if not sensors:
        raise DataError(
            "no skeleton of the training subjects bears a virtual sensor", hint="`vskd data check` tells more"
        )
    return VirtualWindows(
        rows=torch.tensor([sensor.row for sensor in sensors]),
        motion_g=_tensor([sensor.motion_g for sensor in sensors]),
        gravity_g=_tensor([sensor.gravity_g for sensor in sensors]),
        strap=_tensor(_straps(table, worn, sensors)),
        without_sensor=frozenset(np.flatnonzero(~worn).tolist()),
        left_out=tuple(left_out),
        config=config,
    )


def with_subjects(config: Config, table: WindowTable) -> VirtualConfig:
    """``[virtual]`` of a config with the names of the training subjects without a sensor.

    Raises
    ------
    ConfigError : more sensors than subjects
    """
    virtual = config.virtual
    if not virtual.sensor_count:
        return virtual
    subjects = sorted(set(table.subjects), key=natural)
    if virtual.sensor_count > len(subjects):
        raise ConfigError(
            f"virtual.sensor_count is {virtual.sensor_count}, and there are {len(subjects)} training subjects"
        )
    worn = draw_subjects(subjects, virtual.sensor_count, seed=config.labels.seed, fold=config.data.fold)
    without = tuple(subject for subject in subjects if subject not in worn)
    return dataclasses.replace(virtual, without_sensor=without, sensor_count=0)


def _worn(table: WindowTable, config: VirtualConfig) -> NDArray[np.bool_]:
    """(rows,): whether the window of the real sensor is used."""
    subjects = sorted(set(table.subjects))
    for subject in config.without_sensor:
        if subject not in subjects:
            raise ConfigError(
                f"virtual.without_sensor names {subject!r}, who is no training subject",
                hint=f"Name some of: {', '.join(subjects)}",
            )
    worn: NDArray[np.bool_] = ~np.isin(table.subjects, config.without_sensor)
    if not worn.any():
        raise ConfigError("virtual.without_sensor names all training subjects", hint="Leave one with a sensor")
    return worn


def _skeleton(prepared: Prepared) -> Skeleton:
    """The joints that the view ``joints`` of the data set declares."""
    skeleton = data_set(prepared.name).skeleton
    if skeleton is None:
        raise ConfigError(f"{prepared.name} declares no skeleton", hint="Declare it in its DATA_SET")
    return skeleton


def _sensors_on(prepared: Prepared, table: WindowTable, recording: int) -> list[_Sensor]:
    """The virtual sensors on one recording, in the time of each of its windows."""
    rows = np.flatnonzero(table.recordings == recording)
    time_s, frames = prepared.video(recording)
    skeleton = _skeleton(prepared)
    limb = skeleton.limb_of(prepared.infos[recording].label)
    first_s, last_s = table.spans_s[rows].T
    at_s = np.linspace(first_s, last_s, table.samples.shape[2], axis=1).ravel().clip(time_s[0], time_s[-1])
    limb_m = joints_in_torsos(frames, skeleton)[:, skeleton.limbs[limb]]
    parts = limb_parts_g(time_s, limb_m, limb=limb, at_s=at_s, up=skeleton.up)
    motion, gravity = (np.split(part.T, len(rows), axis=1) for part in parts)
    return [_Sensor(int(row), motion[place], gravity[place], limb) for place, row in enumerate(rows)]


def _straps(table: WindowTable, worn: NDArray[np.bool_], sensors: Sequence[_Sensor]) -> list[Float64]:
    """Of every sensor the rotation (3, 3) onto the real one: its subject's, or that of all others."""
    products: dict[tuple[str, Limb], Float64] = {}
    for sensor in sensors:
        if worn[sensor.row]:
            virtual = TORSO_M * sensor.motion_g + sensor.gravity_g
            key = table.subjects[sensor.row], sensor.limb
            products[key] = products.get(key, 0) + table.samples[sensor.row].astype(np.float64) @ virtual.T
    of_all: dict[Limb, Float64] = {}
    for (_, limb), product in products.items():
        of_all[limb] = of_all.get(limb, 0) + product
    if missing := {sensor.limb for sensor in sensors} - set(of_all):
        raise DataError(
            f"no real sensor of a training subject sat on the {', '.join(sorted(missing))}, so the strap is unknown",
            hint="Take other subjects out of virtual.without_sensor",
        )
    found = {key: nearest_rotation(product) for key, product in products.items()}
    shared = {limb: nearest_rotation(product) for limb, product in of_all.items()}
    return [found.get((table.subjects[sensor.row], sensor.limb), shared[sensor.limb]) for sensor in sensors]


def nearest_rotation(product: Float64) -> Float64:
    """The rotation R that makes the sum of |real - R virtual|^2 smallest; (3, 3) of the sum of real virtual^T."""
    left, _, right = np.linalg.svd(product)
    rotation: Float64 = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    return rotation


def _about_x(angle: Tensor) -> Tensor:
    """(n, 3, 3) rotations about x, along the limb; angles (n,), rad."""
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    return torch.stack([one, zero, zero, zero, cosine, -sine, zero, sine, cosine], dim=1).view(-1, 3, 3)


def _tensor(values: Sequence[Float64]) -> Tensor:
    return torch.from_numpy(np.stack(values).astype(np.float32))
