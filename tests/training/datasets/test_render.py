from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vskd_training.datasets.synthetic.render import draw_bones

HEIGHT, WIDTH = 12, 16


def draw(joints: Any, bones: Any, *, radius: Any = 1.5, light: Any = 200.0, height: int = HEIGHT, width: int = WIDTH):
    joints = np.asarray(joints, dtype=np.float64)
    return draw_bones(
        joints,
        bones,
        radius_px=np.broadcast_to(np.asarray(radius, dtype=np.float64), (len(bones),)),
        brightness=np.broadcast_to(np.asarray(light, dtype=np.float64), (len(joints), len(bones))),
        height=height,
        width=width,
    )


def drawn_pixel_by_pixel(joints, bones, radius: float, light: float):
    """The definition, one pixel at a time, in float64: the distance to the nearest of many points on the bone."""
    image = np.zeros((len(joints), HEIGHT, WIDTH))
    for frame, row, column in np.ndindex(*image.shape):
        for first, second in bones:
            start, end = joints[frame][first], joints[frame][second]
            # So many points that none of a bone is farther than 0.002 px from the next: half a grey level.
            share = np.linspace(0, 1, 8001)
            across = start[0] + share * (end[0] - start[0]) - column - 0.5
            down = start[1] + share * (end[1] - start[1]) - row - 0.5
            distance = float(np.hypot(across, down).min())
            coverage = min(max(radius + 0.5 - distance, 0.0), 1.0)
            image[frame, row, column] = max(image[frame, row, column], coverage * light)
    return image


coordinates = st.tuples(st.floats(-6, WIDTH + 6), st.floats(-6, HEIGHT + 6))


@settings(max_examples=12)
@given(st.lists(coordinates, min_size=3, max_size=3), st.floats(0.3, 4.0))
@example([(0.0, 0.0), (0.0, 6.0), (18.0, 0.0)], 0.5)  # pixel centres that lie on the bone
def test_frames_are_those_of_the_definition(joints, radius):
    bones = [(0, 1), (1, 2)]
    expected = drawn_pixel_by_pixel([joints], bones, radius, 200.0)
    assert np.abs(draw([joints], bones, radius=radius) - expected).max() <= 1.5


def test_a_level_bone_covers_the_rows_within_its_radius():
    image = draw([[(4.0, 6.0), (12.0, 6.0)]], [(0, 1)], radius=2.0, light=100.0)[0]
    # Pixel centres lie 0.5, 1.5 and 2.5 px from the bone: covered fully, fully (2 + 0.5 - 1.5 = 1) and not at all.
    assert image[:, 8].tolist() == [0, 0, 0, 0, 100, 100, 100, 100, 0, 0, 0, 0]


def test_the_edge_is_soft():
    image = draw([[(4.0, 6.0), (12.0, 6.0)]], [(0, 1)], radius=1.75, light=100.0)[0]
    assert image[4:8, 8].tolist() == [75, 100, 100, 75]


@pytest.mark.parametrize("angle_deg", [0, 17, 45, 90])
def test_the_area_of_a_capsule_is_that_of_geometry(angle_deg):
    angle = math.radians(angle_deg)
    end = (40 + 20 * math.cos(angle), 40 + 20 * math.sin(angle))
    image = draw([[(40.0, 40.0), end]], [(0, 1)], radius=4.0, light=250.0, height=80, width=80)
    assert image.sum() / 250.0 == pytest.approx(2 * 4.0 * 20.0 + math.pi * 4.0**2, rel=0.02)


def test_a_brighter_bone_lies_over_a_darker_one_in_either_order():
    joints = [[(2.0, 6.0), (14.0, 6.0), (8.0, 1.0), (8.0, 11.0)]]
    for bones, light in (([(0, 1), (2, 3)], (90.0, 210.0)), ([(2, 3), (0, 1)], (210.0, 90.0))):
        image = draw(joints, bones, light=light)[0]
        assert image[6, 8] == 210
        assert image[6, 3] == 90


def test_each_frame_has_its_own_brightness_and_place():
    image = draw([[(4.0, 6.0)], [(12.0, 6.0)]], [(0, 0)], light=[[50.0], [255.0]])
    assert image[0].max() == 50
    assert image[1].max() == 255
    assert image[0, :, 8:].max() == 0
    assert image[1, :, :8].max() == 0


def test_bones_outside_the_frame_leave_it_black():
    image = draw([[(-50.0, -50.0), (-40.0, -40.0), (90.0, 5.0), (99.0, 5.0)]], [(0, 1), (2, 3)])
    assert image.shape == (1, HEIGHT, WIDTH)
    assert not image.any()
