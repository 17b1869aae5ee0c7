"""The training config: one closed TOML file holds every choice of a run.

Sections are frozen dataclasses; an unknown key is an error with a suggestion. What a device must know is in the
contract, which is built from here once and travels with the run and the bundle.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from vskd.closed import from_mapping
from vskd.contract import Contract, DecisionSpec, GafSpec, ResamplingSpec, SensorSpec, WindowSpec
from vskd.errors import ConfigError, DataError
from vskd_training.data.augment import Augmentation
from vskd_training.datasets.berkeley_mhad import BerkeleySettings
from vskd_training.datasets.mmact import MmactSettings
from vskd_training.datasets.registry import data_set
from vskd_training.datasets.synthetic import SyntheticSettings
from vskd_training.distillation.losses import LossWeights


@dataclass(frozen=True)
class DataConfig:
    """Which recordings, and who is on which side.

    Attributes
    ----------
    dataset : one of ``datasets.registry.NAMES``: ``synthetic`` is the embedded default, ``folder`` your own recordings
    view : what the teacher sees: images (``rendered``, ``depth``, ``rgb``, ``skeleton``, ``video``), ``joints``,
        ``sensors`` (accelerometer and gyroscope), or ``none``; one of the data set's ``views``
    protocol : one of ``protocols.PROTOCOLS``, or of the data set's own ``splits``
    fold : what is left out: the person of ``leave-one-subject-out``, the number of one of ``subject-folds``, the value
        of a ``column``
    fold_count : of ``subject-folds``
    split_column : of ``column``
    train_subjects, test_subjects : of ``fixed``; no training people take everybody else
    people : only these take part, on any side; nobody else's recordings are used. Empty: everybody. Choices are made
        among people who are not those of the reported run's test
    allow_leak : take a split with the same people in training and test; every report is stamped LEAKY
    validation_subjects : out of the training people; empty takes the protocol's default
    train_on_validation : the reported run, after every choice was made on the validation people: train on them too
    unknown_labels : activities that the network does not know: no class, not trained on, no say in any choice. The test
        people's recordings of them show whether it can be seen that they are unknown
    frame_height, frame_width : of the teacher's frames, pixels
    synthetic : settings of the generator
    berkeley, mmact : which sensor and camera of these data sets
    """

    dataset: str
    view: str
    protocol: str = "cross-subject"
    fold: str = ""
    fold_count: int = 5
    split_column: str = ""
    train_subjects: tuple[str, ...] = ()
    test_subjects: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    allow_leak: bool = False
    validation_subjects: tuple[str, ...] = ()
    train_on_validation: bool = False
    unknown_labels: tuple[str, ...] = ()
    frame_height: int = 60
    frame_width: int = 80
    synthetic: SyntheticSettings = field(default_factory=SyntheticSettings)
    berkeley: BerkeleySettings = field(default_factory=BerkeleySettings)
    mmact: MmactSettings = field(default_factory=MmactSettings)

    def __post_init__(self) -> None:
        data_set(self.dataset).check_view(self.view, height=self.frame_height, width=self.frame_width)

    def reading(self) -> DataConfig:
        """What of it names recordings; the rest, which says who is on which side, takes its defaults."""
        names = ["dataset", "view", "frame_height", "frame_width", data_set(self.dataset).section]
        return DataConfig(**{name: getattr(self, name) for name in names if name})


@dataclass(frozen=True)
class LabelsConfig:
    """Whose labels are known; with neither ``people`` nor ``count``, everybody's. See ``labels``.

    Attributes
    ----------
    people : the training people with labels; the others stay as recordings without
    count : instead of names, so many of the training people, drawn by ``seed`` and the fold
    seed : of the draw; not the run's, so that all seeds of a study know the same labels
    """

    people: tuple[str, ...] = ()
    count: int = 0
    seed: int = 0

    RETIRED: ClassVar[Mapping[str, str]] = {"left_out": "It was removed with teaching.cross_fitted"}

    def __post_init__(self) -> None:
        if self.count < 0 or self.seed < 0:
            raise ConfigError(f"labels.count and labels.seed must not be negative, got {self.count} and {self.seed}")
        if self.people and self.count:
            raise ConfigError("labels.people and labels.count exclude each other", hint="Name people, or draw some")
        if len(set(self.people)) < len(self.people):
            raise ConfigError(f"labels.people names somebody twice: {', '.join(self.people)}")


#: How several teachers' probabilities become one.
Mean = Literal["arithmetic", "geometric"]


@dataclass(frozen=True)
class TeachingConfig:
    """What the student hears of its teacher.

    Attributes
    ----------
    pairing : ``own`` (the teacher's view of the same recording), or a control: ``shuffled`` (of any other recording)
        or ``shuffled-within-class`` (of another recording of the same class)
    mean : of several teachers' probabilities: ``arithmetic``, or ``geometric``, where a class that one teacher
        rules out is out
    """

    pairing: Literal["own", "shuffled", "shuffled-within-class"] = "own"
    mean: Mean = "arithmetic"

    RETIRED: ClassVar[Mapping[str, str]] = {
        "cross_fitted": "It was removed: no study used it",
        "consistent": "It was removed: no study used it",
    }


@dataclass(frozen=True)
class VirtualConfig:
    """Virtual windows beside the real ones in a student's training, see ``virtual_windows``. For ``view = "joints"``.

    Attributes
    ----------
    per_real : virtual windows in a batch for each real one; 0 turns them off
    torso_m : from hip to neck, which is the unit of the joints, m; a Kinect measures 0.39 to 0.42 on UTD-MHAD's people
    strap_rad : largest turn of the strap round the limb, either way
    length : standard deviation of a factor on all lengths of the body around 1
    bias_g, noise_g : standard deviations of a window's constant offset and of white noise, g
    without_sensor : training people of whom only the skeleton is used; nobody sees their real windows
    sensor_count : instead of names, so many of the training people have a sensor, drawn as ``labels.count`` is
    """

    per_real: float = 0.0
    torso_m: float = 0.4
    strap_rad: float = 0.35
    length: float = 0.1
    bias_g: float = 0.03
    noise_g: float = 0.02
    without_sensor: tuple[str, ...] = ()
    sensor_count: int = 0

    RETIRED: ClassVar[Mapping[str, str]] = {"both_sides": "It was removed: no study used it"}

    def __post_init__(self) -> None:
        for name in ("per_real", "strap_rad", "length", "bias_g", "noise_g", "sensor_count"):
            if getattr(self, name) < 0:
                raise ConfigError(f"virtual.{name} must not be negative, got {getattr(self, name)}")
        if self.per_real > 8:
            raise ConfigError(f"virtual.per_real must be 8 at most, got {self.per_real}")
        if not self.torso_m > 0:
            raise ConfigError(f"virtual.torso_m must be above 0 m, got {self.torso_m}")
        if self.without_sensor and self.sensor_count:
            raise ConfigError("virtual.without_sensor and sensor_count exclude each other", hint="Name or draw people")
        if (self.without_sensor or self.sensor_count) and not self.per_real:
            raise ConfigError("people without a sensor need virtual windows", hint="Set virtual.per_real above 0")


@dataclass(frozen=True)
class StudentConfig:
    """The student: ``width`` is the factor on the channels of ResNet, ``depth`` its layers with weights."""

    width: float = 1.0
    depth: Literal[10, 18, 34] = 18

    def __post_init__(self) -> None:
        if not 0.125 <= self.width <= 2:
            raise ConfigError(f"student.width must lie in [0.125, 2], got {self.width}")


@dataclass(frozen=True)
class TeacherConfig:
    """The teacher.

    Attributes
    ----------
    backbone : ``bn-inception`` (the paper's), ``small`` (a narrow ResNet18, for CPUs), or ``joints`` (temporal
        convolutions on the skeleton, for ``data.view = "joints"``)
    width : factor on the channels of ``small`` and ``joints``
    segments : frames per clip, for pictures
    steps : instants per clip, for joints
    motion : show the small backbone the differences to the frames before and after as well
    dropout : ahead of the relation module; for joints, ahead of the feature
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
class Optimisation:
    """How a network is trained. There is no early stopping: the last weights are the result.

    Attributes
    ----------
    epochs, batch : passes over the clips, clips per step
    steps : steps in all, whatever the number of clips, in place of ``epochs``; 0 goes by epochs. Arms that know more
        recordings than others are compared at equal steps
    learning_rate : the peak
    optimiser : ``adamw``; ``adam``, whose decay is a part of the gradient; or ``sgd`` with a momentum of 0.9
    schedule : ``one-cycle`` (up to the rate and down to nearly 0), ``constant``, or ``step`` (a tenth from half on)
    weight_decay : none on biases and norms
    clip_norm : largest norm of the gradient; 0 turns it off
    bf16 : bfloat16 autocast; refused on a CPU without it
    """

    epochs: int = 40
    steps: int = 0
    batch: int = 32
    learning_rate: float = 2e-3
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    schedule: Literal["one-cycle", "constant", "step"] = "one-cycle"
    weight_decay: float = 0.05
    clip_norm: float = 20.0
    bf16: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2:
            raise ConfigError(f"epochs must be at least 1 and batch at least 2, got {self.epochs} and {self.batch}")
        if self.steps < 0:
            raise ConfigError(f"steps must not be negative, got {self.steps}")


@dataclass(frozen=True)
class Config:
    """Everything that a run depends on, but the code and the recordings."""

    data: DataConfig
    labels: LabelsConfig = field(default_factory=LabelsConfig)
    window: WindowSpec = field(default_factory=WindowSpec)
    gaf: GafSpec = field(default_factory=GafSpec)
    sensor: SensorSpec = field(default_factory=SensorSpec)
    decision: DecisionSpec = field(default_factory=DecisionSpec)
    augment: Augmentation = field(default_factory=Augmentation)
    student: StudentConfig = field(default_factory=StudentConfig)
    student_training: Optimisation = field(default_factory=Optimisation)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    teacher_training: Optimisation = field(default_factory=Optimisation)
    loss: LossWeights = field(default_factory=LossWeights)
    teaching: TeachingConfig = field(default_factory=TeachingConfig)
    virtual: VirtualConfig = field(default_factory=VirtualConfig)
    seed: int = 0
    threads: int = 2

    def __post_init__(self) -> None:
        if self.virtual.sensor_count and (self.labels.people or self.labels.count):
            raise ConfigError(
                "virtual.sensor_count and [labels] exclude each other: with a teacher there are more people to draw "
                "from than without, and arms would not be paired",
                hint="Name the people in virtual.without_sensor",
            )
        if self.window.mode == "whole":
            if self.augment.rate:
                raise ConfigError(
                    f"augment.rate is {self.augment.rate}, and window.mode = 'whole' stretches each recording to its "
                    "window, whatever its clock says",
                    hint="Set augment.rate = 0; crop and time_warp change the tempo of whole recordings",
                )
            return
        longest_s = (self.augment.dropped_run + 1) / self.window.rate_hz
        if self.augment.dropped and longest_s > ResamplingSpec().max_gap_s:
            raise ConfigError(
                f"augment.dropped_run = {self.augment.dropped_run} leaves {longest_s:g} s between two samples, and the "
                f"stream bridges no more than {ResamplingSpec().max_gap_s:g} s",
                hint="Lower augment.dropped_run",
            )

    def contract(self, labels: tuple[str, ...], dataset_name: str) -> Contract:
        """The contract of a student trained with this config."""
        return Contract(
            labels=labels,
            sensor=self.sensor,
            window=self.window,
            gaf=self.gaf,
            decision=self.decision,
            trained_on=dataset_name,
        )


def load_config(path: Path, *, changes: tuple[str, ...] = ()) -> Config:
    """Read a config file.

    Parameters
    ----------
    path : TOML
    changes : ``"section.key=value"`` overrides, the value in TOML

    Raises
    ------
    DataError : the file cannot be read
    ConfigError : not TOML, or a key or value that does not exist
    """
    try:
        mapping = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read the config {path}: {error.strerror}", hint="See training/presets") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    for change in changes:
        _apply(mapping, change)
    return from_mapping(Config, mapping, where=path.name)


def with_seed(config: Config, seed: int) -> Config:
    """The same config with another seed."""
    return dataclasses.replace(config, seed=seed)


def _apply(mapping: dict[str, Any], change: str) -> None:
    """Override one key; what it means is checked with the rest."""
    key, equals, value = change.partition("=")
    if not equals:
        raise ConfigError(f"--set takes section.key=value, got {change!r}", hint="For example --set gaf.size=96")
    *sections, name = key.strip().split(".")
    for section in sections:
        mapping = mapping.setdefault(section, {})
        if not isinstance(mapping, dict):
            raise ConfigError(f"--set {change}: {section!r} is no section")
    try:
        given = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        given = value.strip()  # a bare word is a string, as on any command line
    mapping[name] = _as_names(given) if key.strip() in _NAMES else given


#: Keys that hold names of people and groups, which often are numbers; quotes around them are hard to get past a shell.
_NAMES = (
    "data.fold",
    "data.people",
    "data.train_subjects",
    "data.test_subjects",
    "data.validation_subjects",
    "data.unknown_labels",
    "labels.people",
    "virtual.without_sensor",
)


def _as_names(given: Any) -> Any:
    if isinstance(given, list):
        return [_as_names(one) for one in given]
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else given
