"""UTD-MHAD: 27 actions, 8 subjects, one inertial sensor, a Kinect. See ``reader``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vskd_training.datasets.data_set import About, DataSet, Skeleton, SourceOptions

if TYPE_CHECKING:
    from vskd_training.datasets.recording import Source

#: The official numbering: action 1 is the first. Never taken from the order of files.
ACTIONS = (
    "swipe_left", "swipe_right", "wave", "two_hand_front_clap", "throw", "arm_cross", "basketball_shoot", "draw_x",
    "draw_circle_clockwise", "draw_circle_counter_clockwise", "draw_triangle", "bowling", "front_boxing",
    "baseball_swing", "tennis_forehand", "arm_curl", "tennis_serve", "push", "knock", "catch", "pick_up_and_throw",
    "jog", "walk", "sit_to_stand", "stand_to_sit", "lunge", "squat",
)  # fmt: skip
#: Actions with the sensor on the right wrist. In the other six it sat on the right thigh, which gives the group away.
WRIST_LABELS = ACTIONS[:21]
#: Rows of the Kinect's joints, from 0: right shoulder, elbow and wrist.
RIGHT_ARM = (8, 9, 10)
#: The other hip, the right hip, and the right knee.
RIGHT_THIGH = (12, 16, 17)


def _open(options: SourceOptions, root: Path) -> Source:
    from vskd_training.datasets.utd_mhad.reader import UtdMhadSource

    return UtdMhadSource.open(root, view=options.view, height=options.height, width=options.width)


SKELETON = Skeleton(
    hip=3,
    neck=1,
    limbs={"arm": RIGHT_ARM, "thigh": RIGHT_THIGH},
    wrist_labels=WRIST_LABELS,
    up=(0.0, 1.0, 0.0),
)
DATA_SET = DataSet(
    name="utd-mhad",
    views=("joints", "depth", "rgb", "none"),
    open=_open,
    label_groups={"wrist": WRIST_LABELS},
    skeleton=SKELETON,
    about=About(
        title="UTD-MHAD",
        description="27 actions of 8 subjects, with a Kinect and an inertial sensor on wrist or thigh.",
        url="https://personal.utdallas.edu/~kehtar/UTD-MHAD.html",
        citation="Chen, Jafari, Kehtarnavaz: UTD-MHAD: A Multimodal Dataset for Human Action Recognition Utilizing a "
        "Depth Camera and a Wearable Inertial Sensor. ICIP 2015",
    ),
)
