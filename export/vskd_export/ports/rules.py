"""Every number that a core in another language needs, from one contract and from the runtime's own constants.

The Python runtime defines the rules; here their numbers are collected, by import, so that none is written twice. What
follows from the contract alone is computed here, and a core computes nothing at its start. A contract that a core
cannot hold is refused.

``exp`` of a softmax is part of the rules, so that every core computes the same bits. For x <= 0:

    below ``exp_least`` the result is 0
    n = floor(x * exp_log2_e + 0.5)
    r = (x - n * exp_ln2_high) - n * exp_ln2_low
    p = Horner's scheme in r over ``exp_terms``, the highest power first: p = terms[0], then p = p * r + term
    the result is p * 2^n, which is exact
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from vskd.classifier import SAME_TIME_S
from vskd.contract import Contract, DecisionSpec, ExamplesSpec, SignalSpec
from vskd.errors import ContractError
from vskd.stream import PLAUSIBLE_G, UNIT_CHECK_SAMPLES, judge, order, signal_checks
from vskd.stream.delivery import USED_UP
from vskd.stream.health import RATE_CHECK_S
from vskd.stream.samples import LARGEST, factor_to_g
from vskd.wearer.features import AMPLITUDES, SHORTEST
from vskd.wearer.profile import MOST_EXAMPLES
from vskd.wearer.recording import STILL_G
from vskd.wearer.rule import FULL, NOTHING

#: A core's label is one byte, and the last values of it are no activities.
MOST_CLASSES = 120

#: Samples of a window, and marks of the rate's measurement (``Rules.marks``), that a core reserves at the most.
MOST_SAMPLES = 4096
MOST_MARKS = 4096


@dataclass(frozen=True)
class Rules:
    """The rules of one contract, as plain numbers.

    Lengths are in g, times in s and rates in Hz where a name says nothing else. A group whose switch is off has
    numbers, too, which mean nothing.

    Attributes
    ----------
    labels : the activities, in the order of the logits
    axes : the contract's axes
    samples : samples of a window
    hop : samples between the starts of two windows
    rate_hz : of the regular samples
    metre_to_g : g in one m/s^2
    largest : a reading or time beyond this is not finite
    has_gravity : the readings hold gravity
    range_g : readings at or beyond this are saturated
    sorts : samples are put in order; else they are taken as they come
    max_gap_s : a longer step starts a segment
    reorder_s : how late a sample may come
    opening : samples that open a segment
    prompt : a step of at most so many periods plainly follows
    room : share of a packet's duration that must be free for it to be spread; and how far a measured period may be off
    longest : samples held at the most
    strays : samples at the most of which each has a clock of its own
    taps : half of the low-pass filter, from its middle to its end; empty where there is none
    taps_per_s : taps to a second
    half_periods : half of the filter, in regular samples
    half_s : the same
    period_s : of the regular samples
    filter_above : a sensor is filtered from so many times the rate on
    rate_opening : samples from which on the sensor's rate is judged at the end of a window
    unit_samples : samples whose median length tells the unit; 0 where nothing does
    plausible_low_g, plausible_high_g : between which that median is believed
    rate_steps : regular samples over which rate and saturation are measured
    marks : places that this measurement remembers at the most
    rate_check_s : before so much time the mean rate of all samples is not told
    is_judged : windows are judged
    columns_step : the judge first looks at every so-many-th column
    columns : so many they are
    columns_middle : the first of the four in the middle
    near_zero_square : g^2; a smaller mean square is no signal
    frozen_share, zero_share, saturated_share : of the contract
    cut_off_share : share of samples that stay at an end of the readings, from which on they are cut off
    in_a_row : so often in a row a reading is read where it stays
    cut_off_above_g : above this one end of the six is enough
    near_the_largest : an end is at least such a share of the largest reading
    slowest_hz, fastest_hz : between these nothing is said of the rate
    filtered_hz : from here on the filter is used, and nothing is said either; infinite without one
    min_rate_hz : below it the window is unknown
    calm_share_square : a stretch is calm up to this share of the squared mean, or of 1 g^2
    gravity_low_g, gravity_low_square, gravity_high_square : of gravity's length in a calm stretch, and squared
    no_gravity_square : without gravity a calm mean is at most so long, squared
    steady_share_square : without gravity, a mean as long as gravity varies by more than this
    least_share_square : the squared mean is at least this share of the mean square
    smallest_limit_square : below it neither limit of the training is passed; infinite without one
    largest_mean_g, largest_rms_g : limits of the training; 0 where there is none
    is_long : a window is long enough for its own slow part
    slow_needed_s : so much time the running average must cover; 0 where windows are long
    slow_newest : weight of the newest window in it
    overlapping : windows, until one that an earlier one does not overlap
    direction_windows : so many that do not overlap tell gravity's direction
    has_direction : the contract has one
    direction_x, direction_y, direction_z : gravity's direction in training
    direction_cosine : a mean reading whose cosine to it is smaller points elsewhere
    shortest_mean_g : a shorter mean reading has no direction
    temperature, smoothing, min_lead, min_dwell_windows, unknown_below, unknown_below_cosine : of the contract
    no_signal_after_s, still_below_g : of the contract; 0 turns each off
    window_s : length of a window
    delay_s : how far a decision lags behind a change of activity, without the filter
    batch_s : the largest batch that is believed; 0 where silence begins at the latest sample
    used_up : a sensor's clock may be so much slower or faster than the wall's
    same_time_s : times closer than this are one
    exp_least, exp_log2_e, exp_ln2_high, exp_ln2_low, exp_terms : see the module
    examples : of a wearer, held at the most; 0 without a profile
    uses_means, uses_ridge : an activity's score is the cosine to the mean of its examples, or of a ridge regression;
        else the cosine to the nearest
    ridge : the regression's penalty
    example_logits, example_weights, example_neutral : by an activity's number of examples, from 1 on; the last ones
        also with more
    spectrum : share of the window's spectrum in a cosine
    amplitudes : of each axis in the spectrum
    shortest : a shorter vector is taken to be so long
    full : the largest integer of a rounded feature
    nothing : a feature without a larger entry says nothing
    still_g : a window whose axes vary by less, all together, is no example
    """

    labels: tuple[str, ...]
    axes: tuple[str, ...]
    samples: int
    hop: int
    rate_hz: float
    metre_to_g: float
    largest: float
    has_gravity: bool
    range_g: float
    sorts: bool
    max_gap_s: float
    reorder_s: float
    opening: int
    prompt: float
    room: float
    longest: int
    strays: int
    taps: tuple[float, ...]
    taps_per_s: float
    half_periods: int
    half_s: float
    period_s: float
    filter_above: float
    rate_opening: int
    unit_samples: int
    plausible_low_g: float
    plausible_high_g: float
    rate_steps: int
    marks: int
    rate_check_s: float
    is_judged: bool
    columns_step: int
    columns: int
    columns_middle: int
    near_zero_square: float
    frozen_share: float
    zero_share: float
    saturated_share: float
    cut_off_share: float
    in_a_row: int
    cut_off_above_g: float
    near_the_largest: float
    slowest_hz: float
    fastest_hz: float
    filtered_hz: float
    min_rate_hz: float
    calm_share_square: float
    gravity_low_g: float
    gravity_low_square: float
    gravity_high_square: float
    no_gravity_square: float
    steady_share_square: float
    least_share_square: float
    smallest_limit_square: float
    largest_mean_g: float
    largest_rms_g: float
    is_long: bool
    slow_needed_s: float
    slow_newest: float
    overlapping: int
    direction_windows: int
    has_direction: bool
    direction_x: float
    direction_y: float
    direction_z: float
    direction_cosine: float
    shortest_mean_g: float
    temperature: float
    smoothing: float
    min_lead: float
    min_dwell_windows: int
    unknown_below: float
    unknown_below_cosine: float
    no_signal_after_s: float
    still_below_g: float
    window_s: float
    delay_s: float
    batch_s: float
    used_up: float
    same_time_s: float
    exp_least: float
    exp_log2_e: float
    exp_ln2_high: float
    exp_ln2_low: float
    exp_terms: tuple[float, ...]
    examples: int
    uses_means: bool
    uses_ridge: bool
    ridge: float
    example_logits: tuple[float, ...]
    example_weights: tuple[float, ...]
    example_neutral: tuple[float, ...]
    spectrum: float
    amplitudes: int
    shortest: float
    full: int
    nothing: float
    still_g: float

    def features(self, embedding: int) -> int:
        """Integers of one example, of a model whose embedding has so many values."""
        return embedding + (len(self.axes) * (1 + self.amplitudes) if self.spectrum else 0)


def rules_of(contract: Contract, *, examples: int = 0) -> Rules:
    """Collect the rules of a contract.

    Parameters
    ----------
    contract : of a bundle
    examples : of a wearer, that a core shall hold; 0 for one without a profile

    Raises
    ------
    ContractError : a core cannot hold it
    """
    _refuse(contract, examples)
    return Rules(
        labels=contract.labels,
        axes=contract.sensor.axes,
        same_time_s=SAME_TIME_S,
        used_up=USED_UP,
        **_of_samples(contract),
        **_of_order(contract),
        **_of_low_pass(contract),
        **_of_rate(contract),
        **_of_judge(contract, contract.signal),
        **_of_gravity(contract, contract.signal or SignalSpec()),
        **_of_direction(contract, contract.signal or SignalSpec()),
        **_of_decision(contract, contract.decision),
        **_of_exp(),
        **_of_examples(contract.examples, examples),
    )


def _refuse(contract: Contract, examples: int) -> None:
    """What a core cannot hold."""
    window = contract.window
    if window.mode != "sliding":
        raise ContractError(
            "this contract decides on whole recordings, which a device's stream does not have",
            hint="Port a bundle that was trained on sliding windows (window.mode = 'sliding')",
        )
    marks = _marks(contract)
    for what, value, most, way_out in (
        ("labels", len(contract.labels), MOST_CLASSES, "Train on fewer activities"),
        ("samples in a window", window.samples, MOST_SAMPLES, "Lower window.samples"),
        ("marks of the sensor's rate", marks, MOST_MARKS, "Raise window.hop_samples or lower window.rate_hz"),
        ("examples of the wearer", examples, MOST_EXAMPLES, "Ask for fewer examples"),
    ):
        if value > most:
            raise ContractError(f"a core holds at most {most} {what}, and this one needs {value}", hint=way_out)
    if examples and contract.examples is None:
        raise ContractError(
            "this contract does not say how a wearer's examples count, and the core shall hold some",
            hint="Ask for 0 examples, or train with validation subjects by this version of vskd",
        )


def _of_samples(contract: Contract) -> dict[str, Any]:
    window, sensor = contract.window, contract.sensor
    has_gravity = sensor.gravity == "included"
    return {
        "samples": window.samples,
        "hop": window.hop_samples,
        "rate_hz": window.rate_hz,
        "metre_to_g": factor_to_g("m/s^2"),
        "largest": LARGEST,
        "has_gravity": has_gravity,
        "range_g": sensor.range_g,
        "unit_samples": min(UNIT_CHECK_SAMPLES, window.samples) if has_gravity else 0,
        "plausible_low_g": PLAUSIBLE_G[0],
        "plausible_high_g": PLAUSIBLE_G[1],
    }


def _of_order(contract: Contract) -> dict[str, Any]:
    resampling = contract.resampling
    return {
        "sorts": resampling.reorder_s > 0,
        "max_gap_s": resampling.max_gap_s,
        "reorder_s": resampling.reorder_s,
        "opening": min(order.OPENING, contract.window.samples),
        "prompt": order.PROMPT,
        "room": order.ROOM,
        "longest": order.LONGEST,
        "strays": order.STRAYS,
        "batch_s": resampling.batch_s if contract.decision.no_signal_after_s > 0 else 0.0,
    }


def _of_low_pass(contract: Contract) -> dict[str, Any]:
    spec, rate_hz = contract.resampling.low_pass, contract.window.rate_hz
    half_periods = spec.half_periods if spec else 0
    return {
        "taps": spec.taps if spec else (),
        "taps_per_s": spec.taps_per_period * rate_hz if spec else 0.0,
        "half_periods": half_periods,
        "half_s": half_periods / rate_hz,
        "period_s": 1 / rate_hz,
        "filter_above": spec.above if spec else 0.0,
        "filtered_hz": spec.above * rate_hz if spec else math.inf,
    }


def _rate_steps(contract: Contract) -> int:
    return max(contract.window.samples - 1, math.ceil(RATE_CHECK_S * contract.window.rate_hz))


def _marks(contract: Contract) -> int:
    """One each window over the steps and one before; while the filter begins or ends, the grid jumps by half of it."""
    spec = contract.resampling.low_pass
    return (_rate_steps(contract) + (spec.half_periods if spec else 0)) // contract.window.hop_samples + 4


def _of_rate(contract: Contract) -> dict[str, Any]:
    window, tolerance = contract.window, contract.resampling.rate_tolerance
    min_rate_hz = contract.signal.min_rate_hz if contract.signal else 0.0
    return {
        "rate_opening": order.OPENING,
        "rate_steps": _rate_steps(contract),
        "marks": _marks(contract),
        "rate_check_s": RATE_CHECK_S,
        "slowest_hz": max(min_rate_hz, (1 - tolerance) * window.rate_hz),
        "fastest_hz": (1 + tolerance) * window.rate_hz,
        "min_rate_hz": min_rate_hz,
    }


def _of_judge(contract: Contract, signal: SignalSpec | None) -> dict[str, Any]:
    samples = contract.window.samples
    step = max(1, samples // judge.COLUMNS)
    limits = signal or SignalSpec()
    return {
        "is_judged": signal is not None,
        "columns_step": step,
        "columns": -(-samples // step),
        "columns_middle": samples // 2 // step - 1,
        "near_zero_square": judge.NEAR_ZERO_G * judge.NEAR_ZERO_G,
        "frozen_share": limits.frozen_share,
        "zero_share": limits.zero_share,
        "saturated_share": limits.saturated_share,
        "cut_off_share": signal_checks.CUT_OFF_SHARE,
        "in_a_row": signal_checks.IN_A_ROW,
        "cut_off_above_g": signal_checks.CUT_OFF_ABOVE_G,
        "near_the_largest": signal_checks.NEAR_THE_LARGEST,
    }


def _of_gravity(contract: Contract, signal: SignalSpec) -> dict[str, Any]:
    window, slow_s = contract.window, signal_checks.SLOW_S
    low, high = signal_checks.GRAVITY_G
    is_long = window.duration_s >= slow_s
    limits_g = [limit_g for limit_g in (signal.largest_mean_g, signal.largest_rms_g) if limit_g]
    return {
        "calm_share_square": signal_checks.CALM_SHARE * signal_checks.CALM_SHARE,
        "gravity_low_g": low,
        "gravity_low_square": low * low,
        "gravity_high_square": high * high,
        "no_gravity_square": signal_checks.NO_GRAVITY_G * signal_checks.NO_GRAVITY_G,
        "steady_share_square": signal_checks.STEADY_SHARE * signal_checks.STEADY_SHARE,
        "least_share_square": signal.least_mean_share * signal.least_mean_share,
        "smallest_limit_square": min(limits_g, default=math.inf) ** 2,
        "largest_mean_g": signal.largest_mean_g,
        "largest_rms_g": signal.largest_rms_g,
        "is_long": is_long,
        "slow_needed_s": 0.0 if is_long else slow_s,
        "slow_newest": min(1.0, window.hop_samples / window.rate_hz / slow_s),
    }


def _of_direction(contract: Contract, signal: SignalSpec) -> dict[str, Any]:
    window = contract.window
    overlapping = -(-window.samples // window.hop_samples)
    hop_s = window.hop_samples / window.rate_hz
    x, y, z = signal.gravity_direction or (0.0, 0.0, 0.0)
    return {
        "overlapping": overlapping,
        "direction_windows": max(1, round(judge.DIRECTION_S / (overlapping * hop_s))),
        "has_direction": bool(signal.gravity_direction),
        "direction_x": x,
        "direction_y": y,
        "direction_z": z,
        "direction_cosine": _least_cosine(signal.gravity_within_deg),
        "shortest_mean_g": judge.SHORTEST_MEAN_G,
    }


def _least_cosine(within_deg: float) -> float:
    """The smallest float64 cosine of an angle of at most so many degrees, as ``math.acos`` finds the angle."""
    beyond, within = -1.0, 1.0
    if within_deg >= 180:
        return beyond
    while beyond < (middle := (beyond + within) / 2) < within:
        if math.degrees(math.acos(middle)) <= within_deg:
            within = middle
        else:
            beyond = middle
    return within


def _of_decision(contract: Contract, spec: DecisionSpec) -> dict[str, Any]:
    window = contract.window
    waiting = (1 / spec.smoothing - 1) + (spec.min_dwell_windows - 1)
    return {
        "temperature": spec.temperature,
        "smoothing": spec.smoothing,
        "min_lead": spec.min_lead,
        "min_dwell_windows": spec.min_dwell_windows,
        "unknown_below": spec.unknown_below,
        "unknown_below_cosine": spec.unknown_below_cosine,
        "no_signal_after_s": spec.no_signal_after_s,
        "still_below_g": spec.still_below_g,
        "window_s": window.duration_s,
        "delay_s": window.duration_s + waiting * (window.hop_samples / window.rate_hz),
    }


def _of_exp() -> dict[str, Any]:
    return {
        "exp_least": -700.0,
        "exp_log2_e": 1 / math.log(2),
        "exp_ln2_high": math.floor(math.log(2) * 2**32) / 2**32,  # few bits, so that n times it is exact
        "exp_ln2_low": 1.9082149292705877e-10,  # ln 2 less that, which float64 does not hold
        "exp_terms": tuple(1 / math.factorial(power) for power in range(13, -1, -1)),
    }


def _of_examples(spec: ExamplesSpec | None, examples: int) -> dict[str, Any]:
    weights = spec.weights if spec else ()
    return {
        "examples": examples,
        "uses_means": spec is not None and spec.score == "means",
        "uses_ridge": spec is not None and spec.score == "ridge",
        "ridge": spec.ridge if spec else 0.0,
        "example_logits": tuple(one.logits for one in weights),
        "example_weights": tuple(one.examples for one in weights),
        "example_neutral": tuple(one.neutral for one in weights),
        "spectrum": spec.spectrum if spec else 0.0,
        "amplitudes": AMPLITUDES,
        "shortest": SHORTEST,
        "full": FULL,
        "nothing": NOTHING,
        "still_g": STILL_G,
    }
