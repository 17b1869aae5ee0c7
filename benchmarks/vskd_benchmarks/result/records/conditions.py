"""The conditions of a run: its options, the machine, the bundles, and the device profile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from vskd_benchmarks.device.confinement import AppliedSetting, UnappliedSetting
from vskd_benchmarks.device.profiles import Relation
from vskd_benchmarks.measure.latency import WarmUpRule
from vskd_benchmarks.measure.settings import Mode

#: What two bundles must agree in to pose the same task.
TASK = ("window_mode", "window_samples", "hop_samples", "rate_hz", "classes")


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The options of a run, with defaults filled in.

    Attributes
    ----------
    command : as typed, to repeat it
    mode : single-stream: back to back; paced: one window each 1 / rate_hz; soak: for duration_s
    quick : a shorter run
    engines, recipes : that were named; empty: all
    threads : computing threads, each measured
    comparison : whether other pipelines were measured too
    rate_hz : windows a second; null: back to back
    batch : windows computed at one wake-up; always 1, and kept because committed results hold it
    duration_s : of each case, in modes paced and soak
    order_seed : of the order of the cases
    order : ids in the order of loading; each round has an order of its own, drawn from the same seed
    discarded_per_round : calls at the start of each round that only bring caches back
    warm_up_rule : steady: the medians of ``agreeing`` blocks of ``block`` calls in a row lie within ``tolerance``
        (relative); after ``ceiling_s`` the measurement starts all the same
    """

    command: str
    mode: Mode
    quick: bool
    engines: tuple[str, ...]
    recipes: tuple[str, ...]
    threads: tuple[int, ...]
    comparison: bool
    rate_hz: float | None
    batch: int = 1
    duration_s: float | None
    order_seed: int
    order: tuple[str, ...]
    discarded_per_round: int
    warm_up_rule: WarmUpRule


@dataclass(frozen=True)
class Machine:
    """What does not change during a run; null where unknown.

    Attributes
    ----------
    board : model in the device tree
    cpu, cpu_part : name of the processor, ARM part number
    features : instructions that bear on speed
    architecture : e.g. aarch64
    cores : online
    affinity : cores that this process may use
    memory_bytes : in all
    virtual_machine : whether there is a hypervisor
    system : of Python's platform module
    python, implementation : version and kind of Python
    versions : of the packages
    """

    board: str | None
    cpu: str | None
    cpu_part: str | None
    features: tuple[str, ...]
    architecture: str
    cores: int | None
    affinity: tuple[int, ...] | None
    memory_bytes: int | None
    virtual_machine: bool | None
    system: str
    python: str
    implementation: str
    versions: dict[str, str]

    @property
    def name(self) -> str:
        """The board, else the processor, else the architecture."""
        return self.board or self.cpu or self.architecture


@dataclass(frozen=True)
class MachineState:
    """What changes during a run; null where unknown.

    Attributes
    ----------
    load_average : /proc/loadavg, of 1, 5 and 15 minutes
    governors : of every processor's frequency, each once, sorted
    frequency_khz : highest of all processors
    highest_frequency_khz : that the hardware allows
    temperature_c : hottest thermal zone, degrees Celsius
    throttled : vcgencmd get_throttled, e.g. 0x0
    swap_used_bytes : swap in use
    swapped_pages : pages swapped in and out since the machine started
    """

    load_average: tuple[float, ...] | None
    governors: tuple[str, ...]
    frequency_khz: int | None
    highest_frequency_khz: int | None
    temperature_c: float | None
    throttled: str | None
    swap_used_bytes: int | None
    swapped_pages: int | None


@dataclass(frozen=True)
class Reading:
    """The machine during the run.

    Attributes
    ----------
    at_s : since the start of the run, on the clock of the raw ``started`` arrays
    frequency_khz : highest of all processors
    temperature_c : hottest thermal zone
    """

    at_s: float
    frequency_khz: int | None
    temperature_c: float | None


@dataclass(frozen=True)
class Environment:
    """The machine.

    Attributes
    ----------
    machine : what does not change
    before, after : the run
    readings : once a second, or more seldom in a run of hours
    """

    machine: Machine
    before: MachineState
    after: MachineState
    readings: tuple[Reading, ...]

    @property
    def governors(self) -> tuple[str, ...]:
        """Before and after the run, each once, sorted."""
        return tuple(sorted({*self.before.governors, *self.after.governors}))

    @property
    def swapped_pages(self) -> int | None:
        """During the run."""
        before, after = self.before.swapped_pages, self.after.swapped_pages
        return None if before is None or after is None else after - before


@dataclass(frozen=True)
class ModelFile:
    """A model of a bundle.

    Attributes
    ----------
    file : name within the bundle
    format, recipe : e.g. onnx and w8a8-static-pc
    sha256, size_bytes : of the file
    macs : multiply-accumulates of one window; null where the bundle's report does not hold it
    accuracy : engine of the export -> the model's own held-out accuracy and macro_f1; empty where the report lacks it
    """

    file: str
    format: Literal["onnx", "tflite"]
    recipe: str
    sha256: str
    size_bytes: int
    macs: int | None
    accuracy: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class MeasuredBundle:
    """A bundle that was measured.

    Attributes
    ----------
    id : letters in lower case, digits, ``_``, ``.``, ``-``
    name : of its folder
    sha256 : of its manifest.json: its identity
    contract_sha256 : of its contract.json
    trained_on : data set
    window_mode, window_samples, hop_samples, rate_hz : of the windows
    encoded_shape : what the network takes: (channels, height, width) of an image, (channels, samples) of a raw window
    scaling : of the image's encoder; null where the network is raw
    transforms : of a raw network's encoder; empty for an image
    classes : how many labels
    logit_tolerance : of the contract
    temperature : of the decision, by which margins are computed
    models : all of them, measured or not
    accuracy : held-out accuracy and macro_f1 of the trained network, by the bundle's report; null without one
    """

    id: str
    name: str
    sha256: str
    contract_sha256: str
    trained_on: str
    window_mode: Literal["whole", "sliding"]
    window_samples: int
    hop_samples: int
    rate_hz: float
    encoded_shape: tuple[int, ...]
    scaling: str | None
    classes: int
    logit_tolerance: float
    temperature: float
    models: tuple[ModelFile, ...]
    accuracy: dict[str, float] | None
    transforms: tuple[str, ...] = ()

    @property
    def is_raw(self) -> bool:
        """Whether the network takes the window, and no image of it."""
        return bool(self.transforms)

    def accuracy_of(self, file: str, engine: str) -> dict[str, float]:
        """A model's own scores: in that engine, else in another that runs the file; empty where none is known."""
        known = next((model.accuracy for model in self.models if model.file == file), {})
        return known.get(engine) or next(iter(known.values()), {})

    @property
    def task(self) -> tuple[object, ...]:
        """What it must have in common with a bundle that it is to be compared with."""
        return tuple(getattr(self, name) for name in TASK)


@dataclass(frozen=True)
class Yardstick:
    """A fixed kernel, timed beside every case in each of its rounds: how quick the machine was just then.

    Attributes
    ----------
    version : of the kernel; figures of different versions cannot be compared
    machine : fingerprint of what a best round belongs to
    known_best_ns : this machine's best round before this run; null where none was kept
    best_ns : the best round of this run
    """

    version: int
    machine: str
    known_best_ns: int | None
    best_ns: int | None = None

    @property
    def reference_ns(self) -> int | None:
        """The best round that is known: this machine's, or this run's where that is better."""
        known = [best for best in (self.known_best_ns, self.best_ns) if best is not None]
        return min(known, default=None)


@dataclass(frozen=True)
class ProfileFigure:
    """A figure of a device profile.

    Attributes
    ----------
    value : in the unit of its name
    kind : stated by the maker, reported by others, Linux source, or assumed
    text : title of the source, or why it is assumed
    url : empty for an assumption
    """

    value: float
    kind: Literal["stated", "reported", "kernel", "assumption"]
    text: str
    url: str


@dataclass(frozen=True)
class AppliedProfile:
    """The device whose limits the machine was held to.

    Attributes
    ----------
    name, title : for --profile, and for people
    note : what to know before comparing
    sha256 : of the profile's file
    relation : what the machine is to the device; other: no figure here is one of the device
    statement : that, in words
    figures : every figure of the profile with its source
    applied, not_applied : its settings
    """

    name: str
    title: str
    note: str
    sha256: str
    relation: Relation
    statement: str
    figures: dict[str, ProfileFigure]
    applied: tuple[AppliedSetting, ...]
    not_applied: tuple[UnappliedSetting, ...]
