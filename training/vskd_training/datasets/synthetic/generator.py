"""The embedded default data set: synthetic subjects, seen by a camera and by an accelerometer on the right wrist.

No packaged data set has video beside a wrist sensor, so this one is generated: a subject goes through the key poses of
an action (``actions``, ``subject``), angles become joints (``kinematics``), the wrist is differentiated
(``virtual_sensor``) and the joints are drawn (``camera``). Its numbers say that the path from training to the wrist
works. They say nothing about real subjects, and are called synthetic wherever they are shown.

Its difficulty was chosen, not found. A data set that the wrist alone solves would show nothing of a teacher:

- Three pairs of actions share the right wrist's movement and differ where only the camera looks: swipe and clap, front
  boxing and push (the left arm), lunge and squat (the legs). Most of the student's errors lie there.
- Subjects differ in size, tempo, amplitude, posture, abruptness and where the strap sits; each does every action in a
  way of their own; each repetition is a little off. What the student confuses beyond the pairs is mostly this.
- The sensor's bias, noise and jitter are those of a cheap watch. They add little, and are not a knob of difficulty.
- The camera stands still and sees nothing but the subject, a little from the side. A teacher has it easier than on
  real video; that is the premise of distillation, not a finding.

The wrist's accelerometer does carry something of each pair (the trunk moves along), so the best possible student is
unknown, and so is the best possible teacher.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from vskd.closed import to_mapping
from vskd.errors import ConfigError
from vskd_training.datasets.fingerprint import fingerprint
from vskd_training.datasets.recording import Defect, Gravity, Recording, RecordingInfo, Span
from vskd_training.datasets.synthetic import DATA_SET, SyntheticSettings, virtual_sensor
from vskd_training.datasets.synthetic.actions import ACTIONS
from vskd_training.datasets.synthetic.camera import frames_of
from vskd_training.datasets.synthetic.kinematics import JOINTS, Motion, forward_kinematics
from vskd_training.datasets.synthetic.subject import Subject, draw_style, draw_subject, key_poses, smooth_track

Float64 = NDArray[np.float64]

#: Raise this by one whenever a change here, or in the body, the sensor or the renderer, changes a single byte of any
#: recording: prepared caches are keyed by it.
GENERATOR_VERSION = 1

SENSOR_RATE_HZ = 50.0
FRAME_RATE_HZ = 15.0
#: Rate at which the body is computed: a multiple of the frame rate, and fine enough to differentiate twice.
_MOTION_RATE_HZ = 300
_MOTION_STEPS_PER_FRAME = 20
#: The motion is computed this much beyond both ends, so that no sample and no frame lies at an edge.
_MARGIN_S = 0.5
#: No subject takes longer from one key pose to the next. Key poses begin this early and end this late.
_LONGEST_STRETCH_S = 3.0
#: In ``continuous``: how long each activity lasts, and how near a change of activity key poses are left out: there one
#: goes over into the other.
_EACH_S = 10.0
_HALF_TRANSITION_S = 0.25

LABELS: tuple[str, ...] = tuple(ACTIONS)


class SyntheticSource:
    """The data set as a ``Source``.

    Parameters
    ----------
    settings : what is generated
    """

    name = DATA_SET.name
    view = DATA_SET.views[0]
    labels = LABELS
    placement = "right wrist"
    gravity: Gravity = "included"

    def __init__(self, settings: SyntheticSettings) -> None:
        self.settings = settings

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the settings and the generator's version."""
        content = {"generator": GENERATOR_VERSION, "settings": to_mapping(self.settings)}
        return fingerprint(content)

    def infos(self) -> tuple[RecordingInfo, ...]:
        """Every recording, by activity, subject and trial."""
        return tuple(
            RecordingInfo(id=f"a{action}_s{subject}_t{trial}", subject=str(subject), label=label, trial=trial)
            for action, label in enumerate(self.labels, start=1)
            for subject in range(1, self.settings.subjects + 1)
            for trial in range(1, self.settings.trials + 1)
        )

    def defects(self) -> tuple[Defect, ...]:
        """None: nothing is read from disk."""
        return ()

    def recordings(self) -> Iterator[Recording]:
        """Generate them one by one; the same settings give the same bytes."""
        for info in self.infos():
            yield _record(self.settings, info)


def continuous(settings: SyntheticSettings, *, subject: str) -> tuple[Recording, tuple[Span, ...]]:
    """One subject goes through all activities without a cut.

    Parameters
    ----------
    settings : its seed fixes the subjects; ``trials`` and ``duration_s`` have no meaning here
    subject : one of the settings' subjects

    Returns
    -------
    recording : labelled ``"continuous"``
    spans : the truth; they tile the recording from 0 to its end

    Raises
    ------
    ConfigError : there is no such subject
    """
    if subject not in map(str, range(1, settings.subjects + 1)):
        raise ConfigError(
            f"there is no synthetic subject {subject!r}",
            hint=f"Take 1 to {settings.subjects} (data.synthetic.subjects)",
        )
    spans = tuple(Span(index * _EACH_S, (index + 1) * _EACH_S, label) for index, label in enumerate(LABELS))
    info = RecordingInfo(id=f"continuous_s{subject}_1", subject=subject, label="continuous", trial=1)
    return _perform(settings, info, spans, _rng(settings, _PERFORMANCE, int(subject), info.trial)), spans


def _record(settings: SyntheticSettings, info: RecordingInfo) -> Recording:
    rng = _rng(settings, _TRIAL, int(info.subject), LABELS.index(info.label), info.trial)
    return _perform(settings, info, (Span(0.0, settings.duration_s, info.label),), rng)


#: What a stream of random numbers is for; streams of different purposes never meet.
_SUBJECT, _STYLE, _TRIAL, _PERFORMANCE = range(4)


def _rng(settings: SyntheticSettings, *key: int) -> np.random.Generator:
    return np.random.default_rng([settings.seed, *key])


def _perform(
    settings: SyntheticSettings, info: RecordingInfo, spans: Sequence[Span], rng: np.random.Generator
) -> Recording:
    """Let one subject go through the spans, and record it with both sensors."""
    number = int(info.subject)
    subject = draw_subject(_rng(settings, _SUBJECT, number))
    duration_s = spans[-1].end_s
    grid_s = _motion_grid(duration_s)
    keys = [_span_keys(settings, number, subject, span, duration_s, rng) for span in spans]
    times, poses = (np.concatenate(part) for part in zip(*keys, strict=True))
    track = smooth_track(times, poses, grid_s, smoothness_s=subject.smoothness_s)
    motion = forward_kinematics(track, subject.limbs)
    time_s, acceleration_g = _wear_watch(grid_s, motion, subject, duration_s, rng)
    frame_index = np.arange(int(np.floor(duration_s * FRAME_RATE_HZ + 1e-9)) + 1)
    first = round(_MARGIN_S * _MOTION_RATE_HZ)
    seen = motion.joints_m[first + frame_index * _MOTION_STEPS_PER_FRAME]
    return Recording(info, time_s, acceleration_g, frame_index / FRAME_RATE_HZ, frames_of(seen, rng))


def _motion_grid(duration_s: float) -> Float64:
    margin = round(_MARGIN_S * _MOTION_RATE_HZ)
    inside = int(np.ceil(duration_s * _MOTION_RATE_HZ))
    return np.arange(-margin, inside + margin + 1) / _MOTION_RATE_HZ


def _span_keys(
    settings: SyntheticSettings,
    number: int,
    subject: Subject,
    span: Span,
    duration_s: float,
    rng: np.random.Generator,
) -> tuple[Float64, Float64]:
    """Key poses of one span; the first and the last span run on beyond the recording."""
    style = draw_style(_rng(settings, _STYLE, number, LABELS.index(span.label)))
    start_s = -_LONGEST_STRETCH_S if span.start_s == 0 else span.start_s + _HALF_TRANSITION_S
    end_s = duration_s + _LONGEST_STRETCH_S if span.end_s == duration_s else span.end_s - _HALF_TRANSITION_S
    return key_poses(span.label, subject, style, start_s=start_s, end_s=end_s, rng=rng)


def _wear_watch(
    grid_s: Float64, motion: Motion, subject: Subject, duration_s: float, rng: np.random.Generator
) -> tuple[Float64, Float64]:
    """Times and readings of the watch on the right wrist."""
    slip_rad = rng.normal(0.0, 1.0, 3) * np.radians(_SLIP_DEG)
    strap = Rotation.from_rotvec(subject.strap_rad + slip_rad).as_matrix()
    time_s = virtual_sensor.sampling_times(duration_s, SENSOR_RATE_HZ, rng=rng)
    reading_g = virtual_sensor.specific_force_g(
        grid_s,
        motion.joints_m[:, JOINTS.index("right_wrist")],
        motion.watch_to_world @ strap,
        at_s=time_s,
    )
    return time_s, virtual_sensor.with_errors(reading_g, rng)


#: How far the strap slips from one recording to the next, degrees, about each of the watch's axes.
_SLIP_DEG = (5.0, 2.0, 2.0)
