"""The contract: what a window is, from the sensor's axes to the decision, so that a device can keep it.

A bundle carries one contract, and so do both model files. Everything that is needed to feed the model is here,
and nothing about its training. This module imports no numerics.

Inside vskd acceleration is in g (1 g = 9.80665 m/s^2) and *includes gravity* unless the contract says that it was
removed: a wrist at rest reads 1 g upwards (the reaction to gravity, as every MEMS accelerometer reports it). Streams in
other units are converted at the door.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from vskd.closed import Bounds, check_numbers, from_mapping, number, to_mapping
from vskd.errors import ConfigError, ContractError
from vskd.untrusted.documents import read_json
from vskd.untrusted.text import label_problem, name_problem

SCHEMA_VERSION = 1
STANDARD_GRAVITY_M_S2 = 9.80665

#: The text of a contract, and a screen that lists its labels, stay of a size that can be read.
MOST_LABELS = 1000

#: Characters of a contract: of the most and longest labels a tenth.
LONGEST_CONTRACT = 2**20

#: Bound of a low-pass filter's memory and delay, in periods of the contract.
MOST_HALF_PERIODS = 16

#: Weights that an activity's number of examples can choose among.
MOST_EXAMPLE_WEIGHTS = 16

Field = Literal["gasf", "gadf"]
Scaling = Literal["minmax", "range", "tanh"]
Transform = Literal["g", "tanh", "centred"]
Unit = Literal["g", "m/s^2"]
ExampleScore = Literal["nearest", "means", "ridge"]


def refuse_name(name: str, what: str, problem_of: Callable[[str], str]) -> None:
    """Refuse a name that a contract cannot hold: those of labels, axes and places are printed and compared.

    Raises
    ------
    ContractError
    """
    if problem := problem_of(name):
        raise ContractError(f"{what} {name[:120]!r} {problem}", hint="Name it otherwise")


@dataclass(frozen=True)
class GafSpec:
    """How a window becomes an image (``vskd.encoders.gaf`` is the one encoder).

    Attributes
    ----------
    fields : the Gramian angular fields, in the order of the image channels; every field adds one channel per axis
    scaling : ``minmax`` (per axis and window, as in the paper), ``range`` (fixed, saturating) or ``tanh`` (soft range)
    scale_g : half the width of the fixed range (``range``), or the acceleration that maps to tanh(1) (``tanh``);
        without meaning under ``minmax``
    size : side of the image, pixels
    """

    fields: tuple[Field, ...] = ("gadf",)
    scaling: Scaling = "tanh"
    scale_g: float = number(2.0, 0.001, 1000, "g")
    size: int = number(64, 8, 1024, "pixels")

    def __post_init__(self) -> None:
        if not self.fields or len(set(self.fields)) != len(self.fields):
            raise ConfigError(f"gaf.fields must name gasf, gadf or both, once each, got {list(self.fields)}")
        check_numbers(self, "gaf")

    def image_channels(self, sensor_channels: int) -> int:
        """Channels of the image for a sensor with so many axes."""
        return len(self.fields) * sensor_channels


@dataclass(frozen=True)
class RawSpec:
    """What of a window a raw network takes (``vskd.encoders.raw`` is the one encoder).

    Attributes
    ----------
    transforms : in the order of the channels; every transform adds one channel per axis. ``g``: the reading, g,
        at most ``clip_g``. ``tanh``: tanh(reading / scale_g). ``centred``: the same less its mean over the window
    scale_g : the acceleration that maps to tanh(1); without meaning for ``g``
    clip_g : readings of ``g`` beyond this are held at it, so that a broken sensor cannot blow up the network
    """

    transforms: tuple[Transform, ...] = ("tanh",)
    scale_g: float = number(2.0, 0.001, 1000, "g")
    clip_g: float = number(16.0, 0.001, 1000, "g")

    def __post_init__(self) -> None:
        if not self.transforms or len(set(self.transforms)) != len(self.transforms):
            raise ConfigError(
                f"raw.transforms must name some of g, tanh and centred, once each, got {list(self.transforms)}"
            )
        check_numbers(self, "raw")


@dataclass(frozen=True)
class WindowSpec:
    """What the network decides on.

    Attributes
    ----------
    mode : ``sliding``: ``samples`` at ``rate_hz``, one window every ``hop_samples``; as on a watch.
        ``whole``: one recording is one window, stretched to ``samples``; the paper's protocol
    samples : samples in a window
    rate_hz : the rate to which a stream is resampled (``sliding`` only)
    hop_samples : samples between the starts of two windows (``sliding`` only)
    """

    mode: Literal["sliding", "whole"] = "sliding"
    samples: int = number(128, 8, 16384)
    rate_hz: float = number(50.0, 1, 2000, "Hz")
    hop_samples: int = number(32, 1, 16384)

    def __post_init__(self) -> None:
        check_numbers(self, "window")
        if not 1 <= self.hop_samples <= self.samples:
            raise ConfigError(
                f"window.hop_samples must lie between 1 and the window's {self.samples} samples, got {self.hop_samples}"
            )

    @property
    def duration_s(self) -> float:
        """Length of a sliding window, s."""
        return self.samples / self.rate_hz


@dataclass(frozen=True)
class SensorSpec:
    """What the model expects of the sensor.

    Attributes
    ----------
    axes : the axes in the order of the model's input, in the frame of the device's screen
        (x to the right, y to the top, z out of the screen)
    unit : of the model's input; always g
    gravity : ``included``: a sensor at rest reads +1 g along the axis that points up. ``removed``: it reads 0, as
        Android's linear acceleration does; then no wrong unit can be seen
    placement : where the training sensor sat
    range_g : readings beyond this were never seen in training
    """

    axes: tuple[str, ...] = ("x", "y", "z")
    unit: Literal["g"] = "g"
    gravity: Literal["included", "removed"] = "included"
    placement: str = "right wrist"
    range_g: float = number(8.0, 0.01, 1000, "g")

    def __post_init__(self) -> None:
        if len(self.axes) != 3 or len(set(self.axes)) != 3:
            raise ConfigError(f"sensor.axes must name three axes, each once, got {list(self.axes)}")
        for name in (*self.axes, *filter(None, [self.placement])):
            refuse_name(name, "the sensor's axis or placement", name_problem)
        check_numbers(self, "sensor")


@dataclass(frozen=True)
class LowPassSpec:
    """A symmetric FIR filter ahead of the resampling of a sensor that is well faster than the contract.

    Attributes
    ----------
    taps : half of its impulse response, from the middle to the end, which is 0; between two taps it is a line
    taps_per_period : so many taps to a period of ``window.rate_hz``
    above : it is used where the sensor's rate is at least so many times the contract's
    """

    taps: tuple[float, ...]
    taps_per_period: int = number(16, 1, 64)
    above: float = number(1.15, 1.01, 10)

    def __post_init__(self) -> None:
        check_numbers(self, "low_pass")
        periods, rest = divmod(len(self.taps) - 1, self.taps_per_period)
        if rest or not 1 <= periods <= MOST_HALF_PERIODS:
            raise ConfigError(
                f"low_pass.taps must be one more than 1 to {MOST_HALF_PERIODS} times taps_per_period, "
                f"{self.taps_per_period}, got {len(self.taps)}"
            )
        if not (all(abs(tap) <= self.taps[0] for tap in self.taps) and 0 < self.taps[0] <= 1 and self.taps[-1] == 0):
            raise ConfigError("low_pass.taps must begin with the largest, above 0 and at most 1, and end with 0")

    @property
    def half_periods(self) -> int:
        """Half of the filter's length, in periods of the contract's rate: its delay."""
        return (len(self.taps) - 1) // self.taps_per_period


@dataclass(frozen=True)
class ResamplingSpec:
    """How an irregular stream becomes a regular one: linear interpolation on a grid that starts with the stream.

    Attributes
    ----------
    max_gap_s : a longer pause between two samples empties the window instead of inventing samples
    rate_tolerance : relative difference between the measured rate and the contract's that is reported as a defect
    reorder_s : a sample that comes late by at most so much sensor time is sorted in, samples that share a time are
        spread, and a single wild time costs one sample, see ``vskd.stream.order``; 0: samples are taken as they come
    batch_s : a live source may hand over up to so much sensor time at once, and is silent only when that would be used
        up; 0: it is silent from its latest sample on
    low_pass : filters a sensor that is well faster than the contract, in place of the interpolation; None: nothing does
    """

    max_gap_s: float = number(0.25, 0.001, 60, "s")
    rate_tolerance: float = number(0.2, 0, 1)
    reorder_s: float = number(0.0, 0, 60, "s")
    batch_s: float = number(0.0, 0, 3600, "s")
    low_pass: LowPassSpec | None = None

    def __post_init__(self) -> None:
        check_numbers(self, "resampling")
        if self.reorder_s > self.max_gap_s:
            raise ConfigError(
                f"resampling.reorder_s must lie between 0 and max_gap_s, {self.max_gap_s} s, got {self.reorder_s}"
            )
        if self.low_pass is not None and not self.reorder_s:
            raise ConfigError(
                "resampling.low_pass needs resampling.reorder_s above 0: the sensor's rate is measured where samples "
                "are put in order",
                hint="Set resampling.reorder_s = 0.2",
            )


@dataclass(frozen=True)
class SignalSpec:
    """What a window must be like to get an activity; the rules are in ``vskd.stream.signal_checks`` and ``judge``.

    Attributes
    ----------
    frozen_share : a longer stretch of the window in which no axis changes, as a share of it, is ``no signal``
    zero_share : the same for a stretch of zeros on every axis
    saturated_share : a larger share of samples at the sensor's range or beyond is ``unknown``
    min_rate_hz : over the last seconds a lower rate of the sensor is ``unknown`` (``sliding`` only); 0 turns it off
    least_mean_share : with gravity, a mean reading over seconds that is a smaller share of the root mean square of |a|
        is ``unknown``, as one of a sensor without gravity
    largest_mean_g : a longer mean reading over seconds is ``unknown``; 0 turns it off
    largest_rms_g : a larger root mean square of |a| over seconds is ``unknown``; 0 turns it off
    gravity_direction : unit vector in the contract's axes, the training recordings' mean reading; empty where there
        was none
    gravity_within_deg : a wearer's mean reading that points further from it is named as a defect
    """

    frozen_share: float = number(0.5, 0.5, 1)
    zero_share: float = number(0.2, 0.1, 1)
    saturated_share: float = number(0.1, 0, 1)
    min_rate_hz: float = number(0.0, 0, 10000, "Hz")
    least_mean_share: float = number(0.1, 0, 1)
    largest_mean_g: float = number(0.0, 0, 1000, "g")
    largest_rms_g: float = number(0.0, 0, 1000, "g")
    gravity_direction: tuple[float, ...] = ()
    gravity_within_deg: float = number(180.0, 1, 180, "degrees")

    def __post_init__(self) -> None:
        check_numbers(self, "signal")
        if self.gravity_direction and not self._has_unit_vector():
            raise ConfigError(
                f"signal.gravity_direction must be a unit vector of three or empty, got {list(self.gravity_direction)}"
            )

    def _has_unit_vector(self) -> bool:
        return len(self.gravity_direction) == 3 and abs(math.hypot(*self.gravity_direction) - 1) < 1e-3


@dataclass(frozen=True)
class RecordingSpec:
    """What a whole recording must be like to get an activity: as the training recordings were, with a margin.

    Attributes
    ----------
    shortest_s, longest_s : duration
    lowest_rate_hz : samples over duration
    largest_gap_s : longest time between two samples
    """

    shortest_s: float = number(0.0, 0, 1e6, "s")
    longest_s: float = number(1e6, 0, 1e6, "s")
    lowest_rate_hz: float = number(0.0, 0, 10000, "Hz")
    largest_gap_s: float = number(1e6, 0.001, 1e6, "s")

    def __post_init__(self) -> None:
        check_numbers(self, "recording")
        if self.shortest_s > self.longest_s:
            raise ConfigError(
                f"recording.shortest_s must be at most longest_s, got {self.shortest_s} and {self.longest_s}"
            )


@dataclass(frozen=True)
class DecisionSpec:
    """From logits to a label. Every rule is off by default.

    Attributes
    ----------
    temperature : logits are divided by it before the softmax (Guo et al., ICML 2017); fitted on validation subjects
    unknown_below : a smoothed probability below this is reported as ``unknown``; 0 turns it off
    unknown_below_cosine : an activity of which the wearer gave examples is ``unknown`` where the smoothed cosine to the
        nearest of all examples is below this; 0 turns it off
    smoothing : weight of the newest window in the exponential average of the probabilities; 1 turns it off
    min_lead : hysteresis: a new label must lead the reported one by so much in smoothed probability; 0 turns it off
    min_dwell_windows : a new label is reported after it has led for so many windows in a row; 1 turns it off
    no_signal_after_s : a longer time without samples is an event ``no signal``; 0 turns it off
    still_below_g : motion gate: a window whose |a| has a smaller standard deviation is ``still``, and the network does
        not run; 0 turns it off
    """

    DROPPED: ClassVar[Mapping[str, Any]] = {"smoothing_rule": "exponential", "majority_windows": 1}
    RETIRED: ClassVar[Mapping[str, str]] = dict.fromkeys(
        DROPPED, "The majority of several windows was removed: smooth with decision.smoothing"
    )

    temperature: float = number(1.0, 0.001, 1000)
    unknown_below: float = number(0.0, 0, 1)
    unknown_below_cosine: float = number(0.0, 0, 1)
    smoothing: float = number(1.0, 0.001, 1)
    min_lead: float = number(0.0, 0, 0.999)
    min_dwell_windows: int = number(1, 1, 10_000)
    no_signal_after_s: float = number(0.0, 0, 86_400, "s")
    still_below_g: float = number(0.0, 0, 100, "g")

    def __post_init__(self) -> None:
        check_numbers(self, "decision")


def _required(low: float, high: float) -> Any:
    """A number that has bounds and no default: it is fitted, never guessed."""
    return field(metadata={"bounds": Bounds(low, high)})


@dataclass(frozen=True)
class ExampleWeights:
    """What an activity of which the wearer has given so many examples is decided by; see ``vskd.wearer.rule``.

    Attributes
    ----------
    logits : weight of the network's logit, from 0, left out, to 1, as it is
    examples : weight of the score that the examples give
    neutral : the score that speaks neither for the activity nor against it
    """

    logits: float = _required(0, 1)
    examples: float = _required(0, 1000)
    neutral: float = _required(-1, 1)

    def __post_init__(self) -> None:
        check_numbers(self, "examples.weights")


@dataclass(frozen=True)
class ExamplesSpec:
    """How the wearer's own examples and the network decide together; fitted on validation subjects.

    Attributes
    ----------
    score : of an activity: the cosine to its ``nearest`` example or to the mean of its examples (``means``), or a
        ``ridge`` regression on the examples
    weights : of an activity with one example, with two, ...; the last ones also with more
    ridge : the regression's penalty; without meaning for the other scores
    spectrum : share of the window's own spectrum in a cosine, beside the embedding's; see ``vskd.wearer.features``
    """

    score: ExampleScore
    weights: tuple[ExampleWeights, ...]
    ridge: float = number(1.0, 1e-6, 1e6)
    spectrum: float = number(0.0, 0, 1)

    def __post_init__(self) -> None:
        check_numbers(self, "examples")
        if not 1 <= len(self.weights) <= MOST_EXAMPLE_WEIGHTS:
            raise ConfigError(
                f"examples.weights must hold 1 to {MOST_EXAMPLE_WEIGHTS} entries, got {len(self.weights)}"
            )


@dataclass(frozen=True)
class Contract:
    """Everything a device must keep to get the answers that were measured.

    Attributes
    ----------
    labels : activity names, in the order of the logits
    gaf : how the window becomes an image; None where the network is raw
    raw : what a raw network takes of the window; None where the network takes an image
    signal : what a window must be like to get an activity; None in contracts from before these rules, which ask the
        network of every window
    recording : the same of a whole recording; None beside sliding windows, and from before these rules
    examples : how the wearer's own examples decide along; None where that was not fitted, and no profile can be used
    logit_tolerance : largest difference between a float model's logits and the golden ones
    trained_on : name of the data set; a synthetic one has it in its name
    """

    labels: tuple[str, ...]
    sensor: SensorSpec = field(default_factory=SensorSpec)
    window: WindowSpec = field(default_factory=WindowSpec)
    resampling: ResamplingSpec = field(default_factory=ResamplingSpec)
    gaf: GafSpec | None = field(default_factory=GafSpec)
    raw: RawSpec | None = None
    signal: SignalSpec | None = None
    recording: RecordingSpec | None = None
    examples: ExamplesSpec | None = None
    decision: DecisionSpec = field(default_factory=DecisionSpec)
    logit_tolerance: float = number(1e-4, 0, 0.01)
    trained_on: str = ""
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise ContractError(f"a contract needs at least two different labels, got {list(self.labels)[:20]}")
        if len(self.labels) > MOST_LABELS:
            raise ContractError(f"a contract has at most {MOST_LABELS} labels, got {len(self.labels)}")
        for label in self.labels:
            refuse_name(label, "the label", label_problem)
        if self.trained_on:
            refuse_name(self.trained_on, "the data set's name", name_problem)
        check_numbers(self, "contract")
        if (self.gaf is None) == (self.raw is None):
            raise ContractError(
                f"a contract has one encoder, gaf or raw, and this one has {'neither' if self.raw is None else 'both'}",
                hint="Set the other one to null",
            )
        if self.gaf is not None and self.gaf.size > self.window.samples:
            raise ContractError(
                f"an image of {self.gaf.size} pixels cannot be drawn from {self.window.samples} samples",
                hint="Lower gaf.size or raise window.samples",
            )
        silence_s = self.decision.no_signal_after_s
        if 0 < silence_s < self.resampling.max_gap_s:
            raise ContractError(
                f"decision.no_signal_after_s is {silence_s} s, but a pause of up to {self.resampling.max_gap_s} s "
                "(resampling.max_gap_s) is bridged",
                hint="Raise it to that or more; 0 turns it off",
            )
        if self.schema_version != SCHEMA_VERSION:
            raise ContractError(
                f"this contract has schema version {self.schema_version}, this vskd reads {SCHEMA_VERSION}",
                hint="Install the vskd that wrote the bundle, or export the run again",
            )

    @property
    def window_shape(self) -> tuple[int, int]:
        """(channels, samples) of one window."""
        return len(self.sensor.axes), self.window.samples

    @property
    def image_spec(self) -> GafSpec:
        """How the window becomes an image.

        Raises
        ------
        ContractError : the network is raw
        """
        if self.gaf is None:
            raise ContractError("this model takes no image: its network is raw")
        return self.gaf

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image; errors as for ``image_spec``."""
        spec = self.image_spec
        return spec.image_channels(len(self.sensor.axes)), spec.size, spec.size

    @property
    def encoded_shape(self) -> tuple[int, ...]:
        """What the network takes: (channels, height, width) of an image, or (channels, samples) of a raw window."""
        if self.raw is None:
            return self.image_shape
        return len(self.raw.transforms) * len(self.sensor.axes), self.window.samples

    def to_json(self) -> str:
        """The contract as JSON text; equal contracts give equal text."""
        return json.dumps(to_mapping(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, *, where: str = "contract") -> Contract:
        """Read what ``to_json`` wrote.

        Raises
        ------
        ContractError : not JSON, an unknown key, or a value out of its range
        """
        try:
            mapping = read_json(text, longest=LONGEST_CONTRACT)
        except ValueError as error:
            raise ContractError(f"{where} cannot be read as JSON: {error}") from error
        return cls.from_mapping(mapping, where=where)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, where: str = "contract") -> Contract:
        """Read the mapping form; errors as in ``from_json``."""
        try:
            return from_mapping(cls, mapping, where=where)
        except ConfigError as error:
            raise ContractError(error.message, hint=error.hint) from error

    def with_decision(self, **changes: Any) -> Contract:
        """A copy whose decision rules differ, e.g. ``with_decision(smoothing=0.5)``.

        Raises
        ------
        ConfigError : no such rule, or a value that it cannot have
        ContractError : a value that does not fit the rest of the contract
        """
        rules = from_mapping(DecisionSpec, {**to_mapping(self.decision), **changes}, where="decision")
        return dataclasses.replace(self, decision=rules)
