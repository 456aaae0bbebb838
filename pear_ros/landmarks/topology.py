# SPDX-License-Identifier: Apache-2.0
"""Names of the landmarks: indices into the arrays of pear_ros.landmarks.types.

Left and right are always the person's own. The orders are those of MediaPipe's models:
BlazePose (Bazarevsky et al., 2020), MediaPipe Hands (Zhang et al., 2020) and Face Mesh
(Kartynnik et al., 2019).
"""

from __future__ import annotations

import enum


class Pose(enum.IntEnum):
    """The 33 landmarks of the body."""

    NOSE = 0
    LEFT_EYE_INNER = 1
    LEFT_EYE = 2
    LEFT_EYE_OUTER = 3
    RIGHT_EYE_INNER = 4
    RIGHT_EYE = 5
    RIGHT_EYE_OUTER = 6
    LEFT_EAR = 7
    RIGHT_EAR = 8
    MOUTH_LEFT = 9
    MOUTH_RIGHT = 10
    LEFT_SHOULDER = 11
    RIGHT_SHOULDER = 12
    LEFT_ELBOW = 13
    RIGHT_ELBOW = 14
    LEFT_WRIST = 15
    RIGHT_WRIST = 16
    LEFT_PINKY = 17
    RIGHT_PINKY = 18
    LEFT_INDEX = 19
    RIGHT_INDEX = 20
    LEFT_THUMB = 21
    RIGHT_THUMB = 22
    LEFT_HIP = 23
    RIGHT_HIP = 24
    LEFT_KNEE = 25
    RIGHT_KNEE = 26
    LEFT_ANKLE = 27
    RIGHT_ANKLE = 28
    LEFT_HEEL = 29
    RIGHT_HEEL = 30
    LEFT_FOOT_INDEX = 31
    RIGHT_FOOT_INDEX = 32


class Hand(enum.IntEnum):
    """The 21 landmarks of a hand; PINKY, INDEX and THUMB of Pose are knuckles (MCP, thumb IP)."""

    WRIST = 0
    THUMB_CMC = 1
    THUMB_MCP = 2
    THUMB_IP = 3
    THUMB_TIP = 4
    INDEX_MCP = 5
    INDEX_PIP = 6
    INDEX_DIP = 7
    INDEX_TIP = 8
    MIDDLE_MCP = 9
    MIDDLE_PIP = 10
    MIDDLE_DIP = 11
    MIDDLE_TIP = 12
    RING_MCP = 13
    RING_PIP = 14
    RING_DIP = 15
    RING_TIP = 16
    PINKY_MCP = 17
    PINKY_PIP = 18
    PINKY_DIP = 19
    PINKY_TIP = 20


class Face(enum.IntEnum):
    """Named landmarks of the 468 of the face mesh."""

    NOSE_TIP = 1
    UPPER_LIP_INNER = 13
    LOWER_LIP_INNER = 14
    FOREHEAD = 10
    CHIN = 152
    RIGHT_EYE_OUTER = 33
    RIGHT_EYE_INNER = 133
    RIGHT_EYE_UPPER_LID = 159
    RIGHT_EYE_LOWER_LID = 145
    LEFT_EYE_INNER = 362
    LEFT_EYE_OUTER = 263
    LEFT_EYE_UPPER_LID = 386
    LEFT_EYE_LOWER_LID = 374
    MOUTH_RIGHT = 61
    MOUTH_LEFT = 291
    RIGHT_CHEEK = 234
    LEFT_CHEEK = 454


NUM_POSE = len(Pose)
NUM_HAND = len(Hand)
NUM_FACE = 468
