"""A whole training config: its sections, and what must fit between them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from vskd.contract import Contract, DecisionSpec, GafSpec, RawSpec, ResamplingSpec, SensorSpec, WindowSpec
from vskd.errors import ConfigError
from vskd_training.settings.augmentation import Augmentation
from vskd_training.settings.data import DataConfig, LabelsConfig
from vskd_training.settings.loss import DistillationConfig, LossWeights
from vskd_training.settings.networks import QuantizationConfig, StudentConfig, TeacherConfig, TrainingConfig
from vskd_training.settings.resampling import todays_resampling
from vskd_training.settings.virtual import VirtualConfig

#: A ResNet halves an image four times ahead of its last stage. Where a single column is left, the bfloat16 gradient of
#: that stage's 3 x 3 convolution with stride 2 holds whatever was in memory (torch 2.13 on CPUs).
SMALLEST_BF16_PX = 17


@dataclass(frozen=True)
class Config:
    """Everything that a run depends on, except the code and the recordings.

    What a device must know (``window``, ``sensor``, ``decision``, and ``gaf`` or ``raw``) becomes the contract, which
    is built here once and travels with the run and the bundle.

    Attributes
    ----------
    seed : of the first weights, the order of the windows and their augmentation
    threads : of torch; fewer leave cores to other trainings
    """

    data: DataConfig
    labels: LabelsConfig = field(default_factory=LabelsConfig)
    window: WindowSpec = field(default_factory=WindowSpec)
    gaf: GafSpec = field(default_factory=GafSpec)
    raw: RawSpec = field(default_factory=RawSpec)
    sensor: SensorSpec = field(default_factory=SensorSpec)
    decision: DecisionSpec = field(default_factory=DecisionSpec)
    augment: Augmentation = field(default_factory=Augmentation)
    student: StudentConfig = field(default_factory=StudentConfig)
    student_training: TrainingConfig = field(default_factory=TrainingConfig)
    quantization: QuantizationConfig = field(default_factory=QuantizationConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    teacher_training: TrainingConfig = field(default_factory=TrainingConfig)
    loss: LossWeights = field(default_factory=LossWeights)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)
    virtual: VirtualConfig = field(default_factory=VirtualConfig)
    seed: int = 0
    threads: int = 2

    RETIRED: ClassVar[Mapping[str, str]] = {"teaching": "The section is called distillation now"}

    def __post_init__(self) -> None:
        if self.virtual.sensor_count and (self.labels.subjects or self.labels.count):
            raise ConfigError(
                "virtual.sensor_count and [labels] exclude each other: with a teacher there are more subjects to draw "
                "from than without, and arms would not be paired",
                hint="Name the subjects in virtual.without_sensor",
            )
        if self.student.module and self.raw.transforms not in (("g",), RawSpec().transforms):
            raise ConfigError(
                f"raw.transforms = {list(self.raw.transforms)} has no meaning beside student.module: a network of "
                "one's own takes the window in g",
                hint="Remove it, and do in the network what it needs",
            )
        self._check_bf16()
        if self.window.mode == "whole":
            self._check_whole()
        else:
            self._check_sliding()

    def _check_bf16(self) -> None:
        """Refuse images that reach a ResNet's last stage as a single column."""
        images = {"student_training": ("gaf.size", self.gaf.size)}
        if self.teacher.backbone == "small":
            images["teacher_training"] = ("data.frame_width", self.data.frame_width)
        for section, (key, width) in images.items():
            if getattr(self, section).bf16 and width < SMALLEST_BF16_PX:
                raise ConfigError(
                    f"{section}.bf16 is set, and {key} is {width}: below {SMALLEST_BF16_PX} pixels torch's bfloat16 "
                    "gradients hold random numbers on CPUs",
                    hint=f"Set {section}.bf16 = false, or raise {key}",
                )

    def _check_whole(self) -> None:
        if self.augment.clock_skew:
            raise ConfigError(
                f"augment.clock_skew is {self.augment.clock_skew}, and window.mode = 'whole' stretches each recording "
                "to its window, whatever its clock says",
                hint="Set augment.clock_skew = 0; crop and time_warp change the tempo of whole recordings",
            )

    def _check_sliding(self) -> None:
        longest_s = (self.augment.sample_dropout_run + 1) / self.window.rate_hz
        if self.augment.sample_dropout and longest_s > ResamplingSpec().max_gap_s:
            raise ConfigError(
                f"augment.sample_dropout_run = {self.augment.sample_dropout_run} leaves {longest_s:g} s between two "
                f"samples, and the stream bridges no more than {ResamplingSpec().max_gap_s:g} s",
                hint="Lower augment.sample_dropout_run",
            )

    def contract(self, labels: tuple[str, ...], dataset_name: str) -> Contract:
        """The contract of a student trained with this config."""
        return Contract(
            labels=labels,
            sensor=self.sensor,
            window=self.window,
            resampling=todays_resampling(),
            gaf=None if self.student.is_raw else self.gaf,
            raw=self._raw() if self.student.is_raw else None,
            decision=self.decision,
            trained_on=dataset_name,
        )

    def _raw(self) -> RawSpec:
        """What the network takes: a user's own one the readings themselves, in g."""
        return dataclasses.replace(self.raw, transforms=("g",)) if self.student.module else self.raw
