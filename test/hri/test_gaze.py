# SPDX-License-Identifier: Apache-2.0
"""Where people look, and how engaged they are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pear_ros.hri.engagement import Engagement, Level, attends
from pear_ros.hri.gaze import angles_to, facings, gazed_at, gazes
from testing.open_people import person, t_pose

CAMERA = np.zeros((1, 3))


def turned(head: float, body: float, x: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Pose and joints of a person whose body and head are turned, degrees."""
    pose = t_pose(head=(0.0, math.radians(head), 0.0))
    half = math.radians(body) / 2  # facing the camera is a half turn about x
    turn = np.array([math.pi * math.cos(half), 0.0, math.pi * math.sin(half)])
    pose[0] = turn
    return pose, person(pose, (x, 0.0, 3.0)).joints


@pytest.mark.parametrize(("head", "body"), [(0, 0), (40, 0), (0, -50), (30, -30), (0, 180)])
def test_gaze_is_the_direction_of_the_head(head: float, body: float) -> None:
    pose, joints = turned(head, body)
    origins, directions = gazes(pose[None], joints[None])
    target = origins - (0.0, 0.0, 5.0)
    (angle,) = angles_to(origins, directions, target)[0]
    assert math.degrees(angle) == pytest.approx(abs(head + body), abs=0.1)
    (angle,) = angles_to(origins, facings(pose[None]), target)[0]
    assert math.degrees(angle) == pytest.approx(abs(body), abs=0.1)


def test_people_look_at_the_nearest_target_or_none() -> None:
    one, two = turned(0, 0, -0.5), turned(0, 90, 0.5)
    poses, joints = (np.stack(both) for both in zip(one, two, strict=True))
    origins, directions = gazes(poses, joints)
    targets = np.concatenate([[[-0.5, origins[0, 1], 0.0]], origins])
    angles = angles_to(origins, directions, targets)
    assert np.isnan(angles[[0, 1], [1, 2]]).all()  # nobody looks at their own head
    looks = gazed_at(angles)
    assert looks[0] == 0
    assert looks[1] in (-1, 1)  # to one side: either at the other person or away
    assert {looks[1], gazed_at(angles_to(*gazes(*_other_way()), targets))[1]} == {-1, 1}


def _other_way() -> tuple[np.ndarray, np.ndarray]:
    one, two = turned(0, 0, -0.5), turned(0, -90, 0.5)
    poses, joints = (np.stack(both) for both in zip(one, two, strict=True))
    return poses, joints


def test_unknown_head_looks_nowhere() -> None:
    pose, joints = turned(0, 0)
    pose[3] = np.nan
    origins, directions = gazes(pose[None], joints[None])
    assert np.isnan(directions).all()
    assert gazed_at(angles_to(origins, directions, CAMERA)) == [-1]


def test_attention_needs_head_body_and_nearness() -> None:
    assert attends(0.1, 0.2, 2.0) == 1.0
    assert attends(1.0, 0.2, 2.0) == attends(0.1, 2.0, 2.0) == attends(0.1, 0.2, 9.0) == 0.0
    assert math.isnan(attends(math.nan, 0.2, 2.0))


def levels(attention: list[tuple[float, float]]) -> list[Level]:
    """Distinct levels over pieces of (seconds, attention) at 10 images a second."""
    engagement, seconds, found = Engagement(), 0.0, list[Level]()
    for duration, value in attention:
        for _ in range(round(10 * duration)):
            seconds += 0.1
            level = engagement.update(seconds, value)
            if not found or found[-1] is not level:
                found.append(level)
    return found


def test_engagement_goes_through_all_levels() -> None:
    assert levels([(1, 0.0), (3, 1.0), (3, 0.0)]) == [
        Level.DISENGAGED,
        Level.ENGAGING,
        Level.ENGAGED,
        Level.DISENGAGING,
        Level.DISENGAGED,
    ]


def test_glances_do_not_engage_nor_disengage() -> None:
    assert levels([(1, 0.0), (0.5, 1.0), (2, 0.0)]) == [
        Level.DISENGAGED,
        Level.ENGAGING,
        Level.DISENGAGED,
    ]
    assert levels([(1, 0.0), (3, 1.0), (0.2, 0.0), (2, 1.0)])[-1] is Level.ENGAGED
    assert levels([(1, 0.0), (3, 1.0), (0.6, 0.0), (2, 1.0)])[-2:] == [
        Level.DISENGAGING,
        Level.ENGAGED,
    ]


def test_long_ignorance_is_unknown() -> None:
    engagement = Engagement()
    assert engagement.update(0.0, math.nan) is Level.UNKNOWN
    for tenth in range(30):
        level = engagement.update(tenth / 10, 1.0)
    assert level is Level.ENGAGED
    assert engagement.update(4.0, math.nan) is Level.ENGAGED
    assert engagement.update(5.1, math.nan) is Level.UNKNOWN
    assert engagement.update(5.2, 1.0) is not Level.ENGAGED
    assert engagement.update(1.0, math.nan) is Level.UNKNOWN  # stamps jumped back
