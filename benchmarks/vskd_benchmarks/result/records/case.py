"""One thing that was measured: what it was, what was recorded of it, and what follows from that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from vskd.errors import ConfigError
from vskd_benchmarks.measure.latency import Statistics, WarmUp
from vskd_benchmarks.measure.settings import Mode
from vskd_benchmarks.result.records.energy import BatteryUse, CaseEnergy
from vskd_benchmarks.result.records.validity import Audits, Validity

#: What is timed. sensor_to_label: raw samples to the label; model_only: the engine's call on a ready input;
#: bare_call: the library's own call; the encoders: a window to its image.
Scope = Literal["sensor_to_label", "model_only", "bare_call", "numpy_encoder", "pyts_encoder"]

#: The parts of sensor_to_label.
Stage = Literal["resample", "encode", "infer", "decide"]

#: A case's id is the name of a file.
_ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,119}")


@dataclass(frozen=True)
class MedianInterval:
    """A median with its interval of 95 % confidence from order statistics, ns."""

    p50_ns: int | None
    low_ns: int | None
    high_ns: int | None


@dataclass(frozen=True)
class CaseModel:
    """The file that was run.

    Attributes
    ----------
    file : within the bundle; made for the run where it has no such name
    sha256, size_bytes : of the file
    macs : multiply-accumulates of one window
    """

    file: str
    sha256: str
    size_bytes: int
    macs: int | None


@dataclass(frozen=True)
class Signal:
    """What the case was fed.

    Attributes
    ----------
    source : where the windows come from
    different_windows : before the signal starts again
    timestamp_jitter_periods : largest deviation of a timestamp
    """

    source: Literal["golden windows", "synthetic"]
    different_windows: int
    timestamp_jitter_periods: float


@dataclass(frozen=True, kw_only=True)
class Cpu:
    """Of the case's process during its blocks.

    Attributes
    ----------
    busy_ns : computing time of all its threads
    wall_ns : of the blocks
    voluntary_switches : context switches that it asked for: wake-ups, in mode paced
    involuntary_switches : times that the core was taken away
    other_cores : cores that other processes kept busy meanwhile; null where it is unknown
    load_source : case: /proc/stat around its own rounds; group: around those of its whole group, where its own are too
        short; none: /proc/stat is closed
    share : busy over wall; in mode paced this is the share of a core that a wearable would spend
    """

    busy_ns: int
    wall_ns: int
    voluntary_switches: int
    involuntary_switches: int
    other_cores: float | None
    load_source: Literal["case", "group", "none"]
    share: float


@dataclass(frozen=True, kw_only=True)
class ColdStart:
    """Fresh processes to their first label, files in the disk's cache.

    Attributes
    ----------
    readings_ns : each process, from its start
    import_ns, open_ns, first_window_ns : medians of the parts
    median_ns : of the readings
    """

    readings_ns: tuple[int, ...]
    import_ns: int
    open_ns: int
    first_window_ns: int
    median_ns: int


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Peak resident memory.

    Attributes
    ----------
    peak_bytes : of the process
    library_bytes : of a process that holds numpy and the engine's library only
    source : VmHWM
    over_library_bytes : the difference
    """

    peak_bytes: int
    library_bytes: int | None
    source: str
    over_library_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Soak:
    """Mode soak: memory over time. Latency over time is in the raw arrays, temperature in environment.readings.

    Attributes
    ----------
    resident_bytes : after each round
    at_s : when, since the start of the run
    limit_bytes : what is no growth
    growth_bytes : last less the one after a tenth of the rounds
    """

    resident_bytes: tuple[int, ...]
    at_s: tuple[float, ...]
    limit_bytes: int
    growth_bytes: int


@dataclass(frozen=True, kw_only=True)
class CaseYardstick:
    """The yardstick beside a case, in the case's own process, and the case in its units.

    Attributes
    ----------
    round_p50_ns : median of each round's readings
    median_ns : of the rounds
    variation : coefficient of variation of the rounds: their standard deviation over their mean; 0 for one round
    sensor_to_label : median latency in units of each round's own yardstick; null below eleven readings
    """

    round_p50_ns: tuple[int, ...]
    median_ns: int
    variation: float
    sensor_to_label: float | None


@dataclass(frozen=True, kw_only=True)
class CaseFacts:
    """What one case was, and what was recorded of it.

    Attributes
    ----------
    id : letters in lower case, digits, ``_``, ``.``, ``-``
    name : for people
    kind : bundle: a model with its encoder inside; image-input: the same network behind vskd's numpy encoder;
        usual-pipeline: pyts and ResNet18 as published; student: other networks; encoder: encoders alone
    bundle : id of the bundle whose contract and windows it was fed
    engine, engine_version : e.g. onnxruntime, litert, torch, numpy; version of its library
    recipe : numeric form
    threads : computing threads
    mode : as in the configuration
    group : cases of one group were measured in turns; ratios exist within a group only
    network, weights : what computes; random weights: latency only
    encoder : where the image is drawn; graph: inside the model, so encode is part of infer
    model : the file that was run
    options : of the engine's session
    signal : what it was fed
    warm_up : how the warm-up went
    first_inference_ns : the process's first window after loading, sensor to label
    rounds, calls_per_round : blocks, and readings in each
    cpu : processor time during the blocks
    cold_start : fresh processes to their first label; null where the case is no model of a bundle
    memory : peak of the process
    soak : memory over time; null in other modes
    raw : its raw file, raw/ID.npz
    """

    id: str
    name: str
    kind: Literal["bundle", "image-input", "usual-pipeline", "student", "encoder"]
    bundle: str
    engine: str
    engine_version: str
    recipe: str
    threads: int
    mode: Mode
    group: int
    network: str
    weights: Literal["trained", "random", "none"]
    encoder: Literal["graph", "numpy", "pyts", "none"]
    model: CaseModel | None
    options: dict[str, bool | int | float | str]
    signal: Signal
    warm_up: WarmUp
    first_inference_ns: int
    rounds: int
    calls_per_round: int
    cpu: Cpu
    cold_start: ColdStart | None
    memory: Memory
    soak: Soak | None
    raw: str

    def __post_init__(self) -> None:
        if _ID.fullmatch(self.id) is None:
            hint = "Letters in lower case, digits, '_', '.', '-', at most 120"
            raise ConfigError(f"{self.id!r} is no id of a case", hint=hint)
        if self.raw != f"raw/{self.id}.npz":
            raise ConfigError(f"the raw file of {self.id} is raw/{self.id}.npz, got {self.raw!r}")


@dataclass(frozen=True, kw_only=True)
class Case(CaseFacts):
    """One case, with what follows from its records and raw numbers.

    Attributes
    ----------
    scopes : sensor_to_label: raw samples to the label; model_only: the engine's call on a ready input; bare_call: the
        library's own call; the encoders: a window to its image
    stages : split of sensor_to_label; null where a stage does not exist or lies inside infer
    overhead : of the runtime over the bare call
    audits : each must pass, or the case is invalid
    energy, battery : null where there are no figures
    yardstick : how quick the machine was beside the case; null in results of schema version 2
    validity : the case's own reasons; its status is the worst of them and of the run's own reasons
    """

    scopes: dict[Scope, Statistics]
    stages: dict[Stage, Statistics | None]
    overhead: MedianInterval | None
    audits: Audits
    energy: CaseEnergy | None = None
    battery: BatteryUse | None = None
    yardstick: CaseYardstick | None = None
    validity: Validity

    @property
    def sensor_to_label(self) -> Statistics | None:
        """The statistics of the whole path; None for encoders alone."""
        return self.scopes.get("sensor_to_label")
