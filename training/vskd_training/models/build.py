"""Networks from a config, with initial weights. A new student or teacher is added here."""

from __future__ import annotations

from pathlib import Path

from vskd.contract import Contract
from vskd.errors import ConfigError
from vskd_training.data.joints import ARMS
from vskd_training.models.own import own_student
from vskd_training.models.raw import RawResnet, RawSeparable, RawShape
from vskd_training.models.skeleton import SkeletonTeacher
from vskd_training.models.student import BranchedStudent, Student, gaf_resnet
from vskd_training.models.trn import BnInceptionBackbone, SmallBackbone, Teacher
from vskd_training.settings import Config, StudentConfig

#: Points in space and time that the temporal network takes from each view: the Kinect's joints; the accelerometer's
#: and the gyroscope's vectors.
_POINTS = {"joints": 20, "sensors": 2}
#: Which of them it also takes relative to another one.
_CHAINS: dict[str, tuple[tuple[int, tuple[int, ...]], ...]] = {"joints": ARMS, "sensors": ()}


def build_student(config: StudentConfig, contract: Contract) -> Student:
    """The student that a config describes: windows of the contract in, its classes out.

    Raises
    ------
    ConfigError : ``module`` names no network, see ``own_student``
    """
    if config.module:
        return own_student(config.module, contract)
    if config.family == "gaf-resnet":
        return gaf_resnet(contract, width=config.width, depth=config.depth, features=config.features)
    trunk = {"raw-resnet": RawResnet, "raw-separable": RawSeparable}[config.family]
    shape = RawShape(config.channels, config.growth, config.blocks, config.kernel, config.stride, config.segments)
    steps = shape.steps_left(contract.window.samples)
    if steps < config.segments:
        raise ConfigError(
            f"student.segments = {config.segments} are more than the {steps} instants that the last block gives for "
            f"{contract.window.samples} samples",
            hint=f"Give at most {steps}, or a smaller student.stride",
        )
    trunks = [trunk(contract.encoded_shape[0], shape) for _ in range(config.branches)]
    if len(trunks) == 1:
        return Student(contract, trunks[0], features=config.features)
    return BranchedStudent(contract, trunks, features=config.features)


def build_teacher(config: Config, classes: int) -> Teacher | SkeletonTeacher:
    """The teacher that a config describes.

    Raises
    ------
    ConfigError : the backbone does not fit the view, or the weights do not fit the backbone
    """
    teacher, view = config.teacher, config.data.view
    if (teacher.backbone == "joints") != (view in _POINTS):
        raise ConfigError(
            f"the teacher {teacher.backbone!r} does not take the view {view!r}",
            hint="teacher.backbone = 'joints' is for data.view = 'joints' or 'sensors', the others are for images",
        )
    if teacher.imagenet_weights and teacher.backbone != "bn-inception":
        raise ConfigError(f"teacher.imagenet_weights fit the backbone bn-inception, not {teacher.backbone}")
    if teacher.backbone == "joints":
        return SkeletonTeacher(
            _POINTS[view], classes, width=teacher.width, dropout=teacher.dropout, chains=_CHAINS[view]
        )
    backbone: BnInceptionBackbone | SmallBackbone
    if teacher.backbone == "bn-inception":
        backbone = BnInceptionBackbone(weights=Path(teacher.imagenet_weights) if teacher.imagenet_weights else None)
    else:
        backbone = SmallBackbone(motion=teacher.motion, width=teacher.width)
    return Teacher(backbone, classes, segments=teacher.segments, dropout=teacher.dropout)
