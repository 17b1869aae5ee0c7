"""A continuous stream out of single recordings of one subject: pause, recording, pause, recording, ..., pause.

The recordings are in a random order, unchanged, with their own timestamps one after the other. A pause is a wrist that
rests and turns slowly. It is made up, and so that it holds nothing that no sensor makes:

- **Gravity** rests as it did at the end of the recording before (the mean of its last ``REST_S``), then turns to where
  it is at the start of the next one, on the shortest way, at ``TURN_DEG_S`` on average, with a soft start and stop. Its
  length is the subject's own: the median in the quietest tenth of all stretches of ``STRETCH_S``.
- **No jump**: over ``SETTLE_S`` the last reading goes over into rest, and rest into the first reading of the next one,
  along half a cosine.
- **Noise** is white, each axis with the level of the same quietest stretches: the root mean square of their second
  differences, over the square root of 6, which is white noise's. Chosen as the quietest, they are up to a third quieter
  than the sensor.
- **Samples** come at the median interval of the recording before.

Where the readings hold no gravity, a pause is noise alone. A subject who truly rests moves more than this, so false
events in real pauses are more frequent than in these. Where some recordings of a data set were made on another limb
(UTD-MHAD: six of 27 actions on the thigh), the pause turns from one to the other all the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vskd.errors import ConfigError, DataError
from vskd_training.data.experiment import Experiment
from vskd_training.datasets.recording import Gravity, Span

Float64 = NDArray[np.float64]
Side = Literal["test", "validation"]

REST_S = 0.5
STRETCH_S = 0.4
SETTLE_S = 0.3
TURN_DEG_S = 45.0
#: Two settlings and a moment of rest.
SHORTEST_PAUSE_S = 1.0
_QUIETEST = 0.1
#: A mean reading that is shorter has no direction: the wrist fell or was thrown.
_DIRECTED_G = 0.2
#: Second differences need three samples.
_FEWEST_SAMPLES = 4


@dataclass(frozen=True)
class StreamSettings:
    """How recordings are joined.

    Attributes
    ----------
    seed : of the order of the recordings, the pauses and their noise; each subject has its own numbers of it
    shortest_pause_s, longest_pause_s : a pause is drawn between them, evenly; it becomes longer where the turn needs it
    """

    seed: int = 0
    shortest_pause_s: float = 3.0
    longest_pause_s: float = 8.0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError(f"the seed of streams must not be negative, got {self.seed}")
        if not SHORTEST_PAUSE_S <= self.shortest_pause_s <= self.longest_pause_s < np.inf:
            raise ConfigError(
                f"pauses last from {SHORTEST_PAUSE_S:g} s on, the shorter limit first, "
                f"got {self.shortest_pause_s:g} to {self.longest_pause_s:g} s",
                hint="Give two such lengths: --pause 3 8",
            )


@dataclass(frozen=True)
class Piece:
    """One recording to join: its name, what it shows, times (n,), s, and readings (n, 3), g."""

    name: str
    label: str
    time_s: Float64
    acceleration_g: Float64


@dataclass(frozen=True)
class JoinedStream:
    """A continuous stream and its truth.

    Attributes
    ----------
    subject : whose recordings are in it
    time_s, acceleration_g : (n,), s, strictly increasing, and (n, 3), g
    spans : the recordings, in order; between two there is a pause
    """

    subject: str
    time_s: Float64
    acceleration_g: Float64
    spans: tuple[Span, ...]


def subject_streams(
    experiment: Experiment,
    settings: StreamSettings,
    *,
    side: Side = "test",
    subjects: Sequence[str] = (),
    longest_s: float = np.inf,
) -> tuple[JoinedStream, ...]:
    """One stream of each test subject, of all test recordings and of the activities in ``data.unknown_labels``.

    Parameters
    ----------
    experiment : whose split says who is tested
    settings : how recordings are joined
    side : ``validation`` takes those subjects, on whom decision rules may be chosen, without unknown activities
    subjects : these of them only; empty: all
    longest_s : of each recording its first so many seconds

    Raises
    ------
    ConfigError : a subject who is not on that side, or nobody is
    DataError : a recording of fewer than four samples
    """
    there: tuple[str, ...] = getattr(experiment.split, f"{side}_subjects")
    if not there:
        raise ConfigError(f"this run has no {side} subjects", hint="Train without data.train_on_validation")
    for subject in subjects:
        if subject not in there:
            raise ConfigError(f"{subject!r} is not a {side} subject", hint=f"These are: {', '.join(there)}")
    unknown = experiment.sides.unknown if side == "test" else ()
    rows = sorted((*getattr(experiment.split, side), *unknown))
    infos, prepared = experiment.prepared.infos, experiment.prepared
    streams = []
    for subject in subjects or there:
        pieces = [
            Piece(infos[row].id, infos[row].label, *_begun(*prepared.sensor(row), longest_s))
            for row in rows
            if infos[row].subject == subject
        ]
        rng = np.random.default_rng([settings.seed, zlib.crc32(subject.encode())])
        streams.append(join(subject, pieces, gravity=prepared.gravity, settings=settings, rng=rng))
    return tuple(streams)


def _begun(time_s: Float64, acceleration_g: Float64, longest_s: float) -> tuple[Float64, Float64]:
    kept = time_s - time_s[0] < longest_s
    return time_s[kept], acceleration_g[kept]


def join(
    subject: str, pieces: Sequence[Piece], *, gravity: Gravity, settings: StreamSettings, rng: np.random.Generator
) -> JoinedStream:
    """Join recordings of one subject.

    Raises
    ------
    DataError : a recording of fewer than four samples
    """
    for piece in pieces:
        if len(piece.time_s) < _FEWEST_SAMPLES:
            raise DataError(
                f"{piece.name} has {len(piece.time_s)} samples; a stream is joined from {_FEWEST_SAMPLES} on",
                hint="Leave the recording out of the data set",
            )
    rest = _Rest.of(pieces, gravity)
    order = [pieces[index] for index in rng.permutation(len(pieces))]
    times, readings, spans = [], [], []
    next_s = 0.0  # of the next sample
    for before, after in zip((None, *order), (*order, None), strict=True):
        step_s = _interval_s(before or order[0])
        if before is not None:
            times.append(before.time_s - before.time_s[0] + next_s)
            readings.append(before.acceleration_g)
            spans.append(Span(float(times[-1][0]), float(times[-1][-1]), before.label))
            next_s = float(times[-1][-1]) + step_s
        drawn_s = rng.uniform(settings.shortest_pause_s, settings.longest_pause_s)
        readings.append(_pause(rest, before, after, step_s, drawn_s, rng))
        times.append(next_s + step_s * np.arange(len(readings[-1])))
        next_s = float(times[-1][-1]) + step_s
    return JoinedStream(subject, np.concatenate(times), np.concatenate(readings), tuple(spans))


@dataclass(frozen=True)
class _Rest:
    """A subject's wrist at rest: the length of gravity, g, and the noise of each axis (3,), g."""

    gravity_g: float
    noise_g: Float64

    @classmethod
    def of(cls, pieces: Sequence[Piece], gravity: Gravity) -> _Rest:
        """Measured in the quietest stretches of all recordings."""
        stretches = [stretch for piece in pieces for stretch in _stretches(piece)]
        noise_g = np.array([np.sqrt((np.diff(one, n=2, axis=0) ** 2).mean(axis=0) / 6) for one in stretches])
        mean_g = np.array([np.linalg.norm(one.mean(axis=0)) for one in stretches])
        level = np.linalg.norm(noise_g, axis=1)
        quiet = level <= np.quantile(level, _QUIETEST)
        return cls(float(np.median(mean_g[quiet])) if gravity == "included" else 0.0, np.median(noise_g[quiet], axis=0))

    def vector(self, near_g: Float64, whole_g: Float64) -> Float64:
        """Gravity (3,) at one end of a recording: as in the readings near it, or else in the whole recording."""
        for readings in (near_g, whole_g):
            mean = readings.mean(axis=0)
            if np.linalg.norm(mean) >= _DIRECTED_G:
                return np.asarray(mean / np.linalg.norm(mean) * self.gravity_g)
        return np.array([0.0, 0.0, self.gravity_g])


def _stretches(piece: Piece) -> list[Float64]:
    length = min(max(round(STRETCH_S / _interval_s(piece)), _FEWEST_SAMPLES), len(piece.time_s))
    starts = range(0, len(piece.time_s) - length + 1, max(length // 2, 1))
    return [piece.acceleration_g[start : start + length] for start in starts]


def _interval_s(piece: Piece) -> float:
    return float(np.median(np.diff(piece.time_s)))


def _pause(
    rest: _Rest, before: Piece | None, after: Piece | None, step_s: float, drawn_s: float, rng: np.random.Generator
) -> Float64:
    """Readings (n, 3) of a pause; the next recording begins one step after the last."""
    start = None if before is None else _end_of(before, rest, last=True)
    stop = None if after is None else _end_of(after, rest, last=False)
    (from_g, last_g), (to_g, first_g) = start or _still(stop), stop or _still(start)
    angle = _angle(from_g, to_g)
    turn_s = float(np.degrees(angle)) / TURN_DEG_S
    count = max(int(np.ceil(max(drawn_s, turn_s + SHORTEST_PAUSE_S) / step_s)) - 1, 1)
    at_s, length_s = step_s * np.arange(1, count + 1), step_s * (count + 1)
    turn_from_s = rng.uniform(SETTLE_S, length_s - SETTLE_S - turn_s)
    readings = _turned(from_g, to_g, angle * _soft((at_s - turn_from_s) / max(turn_s, step_s)))
    from_edge, to_edge = np.outer(_settled(at_s), last_g - from_g), np.outer(_settled(length_s - at_s), first_g - to_g)
    return np.asarray(readings + from_edge + to_edge + rng.normal(size=readings.shape) * rest.noise_g)


def _end_of(piece: Piece, rest: _Rest, *, last: bool) -> tuple[Float64, Float64]:
    """Gravity at one end of a recording, and the reading there."""
    count = min(max(round(REST_S / _interval_s(piece)), 1), len(piece.time_s))
    near = piece.acceleration_g[-count:] if last else piece.acceleration_g[:count]
    return rest.vector(near, piece.acceleration_g), piece.acceleration_g[-1 if last else 0]


def _still(neighbour: tuple[Float64, Float64] | None) -> tuple[Float64, Float64]:
    """At an end of the stream: gravity as at the other end of the pause, and nothing to settle from."""
    gravity_g = np.zeros(3) if neighbour is None else neighbour[0]
    return gravity_g, gravity_g


def _angle(from_g: Float64, to_g: Float64) -> float:
    return float(np.arctan2(np.linalg.norm(np.cross(from_g, to_g)), from_g @ to_g))


def _turned(from_g: Float64, to_g: Float64, angles: Float64) -> Float64:
    """``from_g`` turned towards ``to_g`` by angles (n,), rad; (n, 3)."""
    length = np.linalg.norm(from_g)
    across = to_g - from_g * (from_g @ to_g) / max(length**2, np.finfo(float).tiny)
    if np.linalg.norm(across) <= 1e-9 * length:  # the same direction, or the opposite one: about any axis
        other = np.eye(3)[np.argmin(np.abs(from_g))]
        across = np.cross(from_g, other)
    across = across / max(np.linalg.norm(across), np.finfo(float).tiny) * length
    return np.asarray(np.outer(np.cos(angles), from_g) + np.outer(np.sin(angles), across))


def _soft(part: NDArray[Any]) -> Float64:
    """From 0 to 1 without a jerk."""
    x = np.clip(part, 0, 1)
    return np.asarray(x**3 * (10 - 15 * x + 6 * x**2))


def _settled(away_s: NDArray[Any]) -> Float64:
    """How much of a recording's edge is left so long after it: from 1 to 0."""
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * np.clip(away_s / SETTLE_S, 0, 1)))
