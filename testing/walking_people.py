# SPDX-License-Identifier: Apache-2.0
"""People who walk on a floor: exactly known poses whose feet neither slide nor sink.

Footsteps are planned, and the legs reach them by inverse kinematics. In each cycle a foot comes
down flat, its heel rises while the toes stay, and it swings to the next footstep.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.body import BodyModel
from pear_ros.core.ground import GroundPlane
from pear_ros.core.people import SMPLX_JOINT_NAMES, SmplxParams

Doubles = npt.NDArray[np.float64]

_STANCE = 0.62
"""Share of the cycle in which a foot is on the floor."""
_HEEL_OFF = 0.4
"""Share of the cycle after which the heel rises."""
_PITCH = 0.5
"""Greatest pitch of a foot on its toes, radians."""
_LIFT = 0.06
"""Height to which a foot swings, metres."""
_CROUCH = 0.06
"""Height by which hips are lower than in the T-pose, metres."""
_BALL_AHEAD = 0.1
"""How far the ball of a foot is ahead of the pelvis in the middle of the stance, metres."""
_STANCE_WIDTH = 0.1
"""Distance of each foot from the line on which the person walks, metres."""
_INDEX = {name: number for number, name in enumerate(SMPLX_JOINT_NAMES)}


@dataclass(frozen=True)
class WalkingScene:
    """A walking person at T times, in the camera's optical frame."""

    smplx: list[SmplxParams]
    """T times, at scale 1: a body multiplied by `size`, then translated."""
    size: float
    contact: npt.NDArray[np.bool_]
    """(T, 4) of left heel, left toes, right heel, right toes."""


def walking_scene(
    rng: np.random.Generator,
    body: BodyModel,
    ground: GroundPlane,
    times: Doubles,
    distance: float,
) -> WalkingScene:
    """Return a person who walks past `distance` metres in front of the camera, in any direction.

    `ground`: exact, of a camera that does not roll; `times` (T,): seconds.
    """
    zeros = [np.zeros((1, n), np.float32) for n in (body.num_betas, body.num_expression, 3)]
    rest = body.joints(np.zeros((1, 55, 3), np.float32), *zeros)[0].astype(np.float64)
    floor = float(body.vertices(np.zeros((1, 55, 3), np.float32), *zeros)[0, :, 1].min())
    cycle, step = rng.uniform(1.0, 1.2), rng.uniform(0.4, 0.5)
    middle = 0.5 * (times[0] + times[-1])
    # Axes of the walk: x left, y up, z ahead; its origin is on the floor below the start.
    ahead = 2.0 * step / cycle * (times - middle)
    pose = np.zeros((len(times), 55, 3))
    pose[:, _INDEX["left_shoulder"], 2], pose[:, _INDEX["right_shoulder"], 2] = -1.2, 1.2
    pelvis = np.stack([0.0 * times, 0.0 * times + rest[0, 1] - floor - _CROUCH, ahead], axis=1)
    contact = []
    for number, side in enumerate(("left", "right")):
        phase = (times - middle) / cycle + 0.5 * number
        ball, pitch, in_contact = _footsteps(phase, 2.0 * step)
        # The ankle is about below the hip in the middle of the stance.
        ball[:, 2] += 0.5 * (_STANCE - number) * 2.0 * step + _BALL_AHEAD
        ball[:, 0] = (1.0 if side == "left" else -1.0) * _STANCE_WIDTH
        foot = Rotation.from_rotvec(np.stack([pitch, 0.0 * pitch, 0.0 * pitch], axis=1))
        hip, knee, ankle, toes = (
            rest[_INDEX[f"{side}_{name}"]] for name in ("hip", "knee", "ankle", "foot")
        )
        ball[:, 1] += toes[1] - floor
        target = ball - foot.apply(toes - ankle)
        thigh, shank = _leg(target - (pelvis + hip - rest[0]), knee - hip, ankle - knee)
        pose[:, _INDEX[f"{side}_hip"]] = thigh.as_rotvec()
        pose[:, _INDEX[f"{side}_knee"]] = (thigh.inv() * shank).as_rotvec()
        pose[:, _INDEX[f"{side}_ankle"]] = (shank.inv() * foot).as_rotvec()
        contact += [in_contact & (pitch == 0.0), in_contact]
    up = ground.normal
    forward = np.array([0.0, 0.0, 1.0]) - up[2] * up
    forward /= np.linalg.norm(forward)
    heading = Rotation.from_rotvec(up * rng.uniform(-np.pi, np.pi)).as_matrix() @ forward
    axes = np.column_stack([np.cross(up, heading), up, heading])
    pose[:, 0] = Rotation.from_matrix(axes).as_rotvec()
    size = float(rng.uniform(0.92, 1.08))
    origin = distance * forward - ground.height * up
    # A body is posed about its own origin, in which the pelvis is at rest[0].
    transl = size * (pelvis @ axes.T - rest[0]) + origin
    betas, expression = zeros[0][0], zeros[1][0]
    smplx = [
        SmplxParams(p.astype(np.float32), betas, expression, t.astype(np.float32))
        for p, t in zip(pose, transl, strict=True)
    ]
    return WalkingScene(smplx, size, np.stack(contact, axis=1))


def _footsteps(phase: Doubles, stride: float) -> tuple[Doubles, Doubles, npt.NDArray[np.bool_]]:
    """Ball of a foot (T, 3) over its place at rest, pitch (T,), and contact of the toes (T,)."""
    cycle, phase = np.floor(phase), phase % 1.0
    swing = np.clip((phase - _STANCE) / (1.0 - _STANCE), 0.0, 1.0)
    rise = np.clip((phase - _HEEL_OFF) / (_STANCE - _HEEL_OFF), 0.0, 1.0)
    eased = swing**3 * (10.0 - 15.0 * swing + 6.0 * swing**2)
    ball = np.zeros((len(phase), 3))
    ball[:, 1] = _LIFT * np.sin(np.pi * swing) ** 2
    ball[:, 2] = (cycle + eased) * stride
    pitch = _PITCH * rise**2 * (1.0 - eased)
    return ball, pitch, phase < _STANCE


def _leg(target: Doubles, thigh: Doubles, shank: Doubles) -> tuple[Rotation, Rotation]:
    """Rotations of thigh and shank that bring the ankle to `target` (T, 3) from the hip.

    `thigh`, `shank` (3,): the bones at rest. The knee bends forwards.
    """
    l_1, l_2 = np.linalg.norm(thigh), np.linalg.norm(shank)
    d = np.linalg.norm(target, axis=1)
    cosine = (l_1**2 + l_2**2 - d**2) / (2.0 * l_1 * l_2)
    if (np.abs(cosine) > 1.0).any():
        raise ValueError("A footstep is out of the leg's reach: make the steps shorter")
    straight = np.arctan2(*(np.cross(thigh, shank)[0], thigh @ shank))
    bend = Rotation.from_rotvec(np.stack([np.pi - np.arccos(cosine) - straight, 0 * d, 0 * d], 1))
    for _ in range(20):  # Bones are not quite in one plane, so the angle is found by iteration.
        error = np.linalg.norm(thigh + bend.apply(shank), axis=1) - d
        bend = Rotation.from_rotvec(2.0 * error[:, None] * [1.0, 0.0, 0.0]) * bend
    bent = thigh + bend.apply(shank)
    normal = np.cross(bent, target)
    sine = np.linalg.norm(normal, axis=1)
    angle = np.arctan2(sine, (bent * target).sum(axis=1))
    turn = Rotation.from_rotvec(normal * (angle / np.maximum(sine, 1e-12))[:, None])
    return turn, turn * bend
