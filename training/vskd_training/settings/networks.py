"""``[student]``, ``[teacher]``, their trainings and ``[quantization]``: the networks, and how each is optimised."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Literal

from vskd.errors import ConfigError

#: Keys of ``[student]`` that shape a raw network alone.
RAW_KEYS = ("channels", "growth", "blocks", "kernel", "stride", "segments", "branches")
#: ``package.module:factory``
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True)
class StudentConfig:
    """The student.

    Attributes
    ----------
    family : ``gaf-resnet`` (the paper's: a ResNet on the images of ``[gaf]``), ``raw-resnet`` (residual convolutions
        over time, on the channels of ``[raw]``), or ``raw-separable`` (depthwise-separable ones)
    features : width of the feature behind every family's trunk, which distillation compares; 300 as in the paper
    width : of ``gaf-resnet`` alone: the factor on the channels of ResNet
    depth : of ``gaf-resnet`` alone: its layers with weights
    channels : of the raw families: channels of the first of three stages
    growth : of the raw families: the factor on the channels from stage to stage
    blocks : of the raw families: blocks in each stage
    kernel : of the raw families: samples that a convolution sees
    stride : of the raw families: the step of the first convolution, samples
    segments : of the raw families: parts of the window whose means are handed on side by side; one mean over all of it
        forgets in which order things happened
    branches : of the raw families: networks side by side, each with its share of ``features``; the loss falls on each
    module : ``package:factory``, a network of one's own in place of a family, see ``vskd_training.models.own``
    """

    family: Literal["gaf-resnet", "raw-resnet", "raw-separable"] = "gaf-resnet"
    features: int = 300
    width: float = 1.0
    depth: Literal[10, 18, 34] = 18
    channels: int = 32
    growth: float = 1.5
    blocks: int = 2
    kernel: int = 9
    stride: int = 2
    segments: int = 1
    branches: Literal[1, 2, 3, 4] = 1
    module: str = ""

    def __post_init__(self) -> None:
        if not 0.125 <= self.width <= 2:
            raise ConfigError(f"student.width must lie in [0.125, 2], got {self.width}")
        if not 8 <= self.features <= 1024 or self.features % self.branches:
            raise ConfigError(
                f"student.features must lie in [8, 1024] and be a multiple of student.branches = {self.branches}, "
                f"got {self.features}",
                hint="96 and 300 are multiples of every number of branches",
            )
        if not 4 <= self.channels <= 512:
            raise ConfigError(f"student.channels must lie in [4, 512], got {self.channels}")
        if not (1 <= self.growth <= 2 and 1 <= self.blocks <= 4):
            raise ConfigError(
                f"student.growth must lie in [1, 2] and student.blocks in [1, 4], got {self.growth:g} and {self.blocks}"
            )
        if not (3 <= self.kernel <= 63 and self.kernel % 2):
            raise ConfigError(f"student.kernel must be odd and lie in [3, 63], got {self.kernel}")
        if not 1 <= self.segments <= 16:
            raise ConfigError(f"student.segments must lie in [1, 16], got {self.segments}")
        if not 1 <= self.stride <= 8:
            raise ConfigError(f"student.stride must lie in [1, 8], got {self.stride}")
        if self.module:
            self._check_module()
        else:
            self._refuse_raw_keys_of_an_image_student()

    @property
    def is_raw(self) -> bool:
        """Whether the network takes the window itself, and no image."""
        return bool(self.module) or self.family != "gaf-resnet"

    def _check_module(self) -> None:
        if not _MODULE.fullmatch(self.module):
            raise ConfigError(
                f"student.module must name a package and a factory, got {self.module!r}",
                hint='For example student.module = "my_package.networks:make"',
            )
        for item in fields(self):
            if item.name != "module" and getattr(self, item.name) != item.default:
                raise ConfigError(
                    f"student.{item.name} = {getattr(self, item.name)} has no meaning beside student.module",
                    hint=f"Leave module alone in [student], or give --set 'student={{module=\"{self.module}\"}}'",
                )

    def _refuse_raw_keys_of_an_image_student(self) -> None:
        """``width`` of a raw student is left alone, as ``[gaf]`` is: presets have it, and one key picks the family."""
        known = {item.name: item.default for item in fields(self)}
        for name in () if self.is_raw else RAW_KEYS:
            if getattr(self, name) != known[name]:
                raise ConfigError(
                    f"student.{name} = {getattr(self, name)} has no meaning for student.family = {self.family!r}",
                    hint="Set student.family to raw-separable or raw-resnet; the image student has width and depth",
                )


@dataclass(frozen=True)
class TeacherConfig:
    """The teacher.

    Attributes
    ----------
    backbone : ``bn-inception`` (the paper's), ``small`` (a narrow ResNet18, for CPUs), or ``joints`` (temporal
        convolutions, for ``data.view = "joints"`` or ``"sensors"``)
    width : factor on the channels of ``small`` and ``joints``
    segments : frames per clip, for images
    steps : instants per clip, for joints and sensors
    motion : give the small backbone the differences to the frames before and after as well
    dropout : share of the values that are left out in training, ahead of the relation module or of the joints' feature
    imagenet_weights : a file with BN-Inception's weights; empty trains from scratch
    """

    backbone: Literal["bn-inception", "small", "joints"] = "small"
    width: float = 0.5
    segments: int = 8
    steps: int = 64
    motion: bool = True
    dropout: float = 0.5
    imagenet_weights: str = ""


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained. There is no early stopping: the last weights are the result.

    Attributes
    ----------
    epochs : passes over the training windows
    batch : windows in a step
    steps : steps in all, whatever the number of windows, in place of ``epochs``; 0 goes by epochs. Arms that know more
        recordings than others are compared at equal steps
    learning_rate : the peak of the schedule
    optimiser : ``adamw``, or ``adam``, whose decay is a part of the gradient
    schedule : ``one-cycle`` (up to the rate and down to nearly 0), ``constant``, or ``step`` (a tenth from half on)
    weight_decay : on all weights but biases and norms
    clip_norm : largest norm of the gradient; 0 turns it off
    bf16 : bfloat16 autocast; refused on a device without it
    """

    epochs: int = 40
    steps: int = 0
    batch: int = 32
    learning_rate: float = 2e-3
    optimiser: Literal["adamw", "adam"] = "adamw"
    schedule: Literal["one-cycle", "constant", "step"] = "one-cycle"
    weight_decay: float = 0.05
    clip_norm: float = 20.0
    bf16: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2:
            raise ConfigError(
                f"epochs must be at least 1 and batch at least 2, got {self.epochs} and {self.batch}",
                hint="To train for fewer steps than an epoch has, set steps",
            )
        if self.steps < 0:
            raise ConfigError(f"steps must not be negative, got {self.steps}")


@dataclass(frozen=True)
class QuantizationConfig:
    """The fine-tuning that prepares a student for int8, after its training; see ``quantization.finetune``.

    Attributes
    ----------
    epochs : passes over the windows with weights and activations rounded as in the int8 model; 0 leaves it out
    learning_rate : the peak of the schedule, which falls to nearly 0
    """

    epochs: int = 0
    learning_rate: float = 2e-4

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise ConfigError(f"quantization.epochs must not be negative, got {self.epochs}", hint="0 leaves it out")
        if not 0 < self.learning_rate <= 0.1:
            raise ConfigError(
                f"quantization.learning_rate must lie in (0, 0.1], got {self.learning_rate:g}",
                hint="2e-4 is the default",
            )
