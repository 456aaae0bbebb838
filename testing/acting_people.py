# SPDX-License-Identifier: Apache-2.0
"""Open bodies that make a gesture, for tests and benchmarks of the recognisers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.body.kinematics import JointTree
from pear_ros.core.people import Array
from pear_ros.training.poses import FACING_CAMERA, sample_rotations
from testing.open_people import JOINT, batch, open_body, pose_of

Float64 = npt.NDArray[np.float64]
Random = np.random.Generator

FINGERS = ("index", "middle", "pinky", "ring")
SIGN = {"left": 1.0, "right": -1.0}
UP, FRONT = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])


class Actor:
    """A body whose limbs are moved; axes: x to the body's left, y up, z out of the chest."""

    def __init__(self, rng: Random, kind: str = "standing") -> None:
        """Take a random pose of `kind` (pear_ros.training.poses)."""
        self.rng = rng
        self.rotations = sample_rotations(rng, kind)
        self._tree = JointTree(np.asarray(open_body().parents), np.asarray)

    def joints(self) -> Float64:
        """Return the joints (55, 3), metres."""
        parameters = batch(pose_of(self.rotations), (0.0, 0.0, 0.0))
        return np.asarray(open_body().joints(*parameters)[0], np.float64)

    def stretch(self, side: str, direction: npt.ArrayLike, bend: float = 0.1) -> None:
        """Stretch an arm along a direction, its elbow bent a little."""
        along = _unit(np.asarray(direction, float))
        aside = _unit(np.cross(np.cross(along, UP + 0.1 * FRONT), along))
        self._place(side, along, _unit(np.cos(bend) * along + np.sin(bend) * aside))

    def reach(self, side: str, target: Float64, pole: npt.ArrayLike) -> None:
        """Move a wrist to `target` (3,), the elbow towards `pole` (3,) of the line to it."""
        joints = self.joints()
        shoulder, elbow, wrist = (joints[JOINT[f"{side}_{part}"]] for part in _ARM)
        upper, lower = np.linalg.norm(elbow - shoulder), np.linalg.norm(wrist - elbow)
        line = target - shoulder
        far = float(np.clip(np.linalg.norm(line), abs(upper - lower) + 0.01, upper + lower - 0.01))
        along = _unit(line)
        out = np.asarray(pole, float)
        out = _unit(out - (out @ along) * along)
        share = (upper**2 + far**2 - lower**2) / (2 * far)  # of the line, to below the elbow
        middle = share * along + np.sqrt(max(upper**2 - share**2, 0.0)) * out
        self._place(side, _unit(middle), _unit(far * along - middle))

    def _place(self, side: str, upper: Float64, lower: Float64) -> None:
        """Turn the upper arm and the forearm into these unit vectors (3,)."""
        sign = SIGN[side]
        across = lower - (lower @ upper) * upper
        z = _unit(across) if np.linalg.norm(across) > 1e-6 else FRONT
        frame = np.stack([sign * upper, np.cross(z, sign * upper), z], axis=1)
        self._turn(f"{side}_shoulder", frame)
        bend = np.arccos(np.clip(upper @ lower, -1.0, 1.0))
        self.rotations[JOINT[f"{side}_elbow"]] = _turned([0.0, -sign * bend, 0.0])
        self.rotations[JOINT[f"{side}_wrist"]] = np.eye(3)

    def turn_hand(self, side: str, along: npt.ArrayLike, thumb: npt.ArrayLike) -> None:
        """Turn a hand: fingers along one vector, the side of the thumb to the other."""
        x = SIGN[side] * _unit(np.asarray(along, float))
        z = np.asarray(thumb, float)
        z = _unit(z - (z @ x) * x)
        self._turn(f"{side}_wrist", np.stack([x, np.cross(z, x), z], axis=1))

    def legs(self, flexion: float, knee: float, abduction: float = 5.0, twist: float = 0.0) -> None:
        """Bend both hips and knees, degrees; `twist` turns the lower legs inwards."""
        for side, sign in SIGN.items():
            spread = _turned([0.0, 0.0, sign * np.radians(abduction)])
            turn = _turned([0.0, -sign * np.radians(twist), 0.0])
            self.rotations[JOINT[f"{side}_hip"]] = (
                _turned([-np.radians(flexion), 0.0, 0.0]) @ spread @ turn
            )
            self.rotations[JOINT[f"{side}_knee"]] = _turned([np.radians(knee), 0.0, 0.0])

    def balance(self) -> None:
        """Lean until the middle of the body is above the feet."""
        lean = self.rotations[0].copy()
        for degrees in np.arange(-30.0, 60.0):
            self.rotations[0] = _turned([np.radians(degrees), 0.0, 0.0]) @ lean
            joints = self.joints()
            if joints[:22, 2].mean() > joints[[JOINT["left_foot"], JOINT["left_ankle"]], 2].mean():
                return

    def lie_down(self, turn: float) -> None:
        """Lie on the back, turned about the spine by `turn` radians."""
        fall = _turned([-np.pi / 2, 0.0, 0.0]) @ _turned([0.0, turn, 0.0])
        self.rotations[0] = fall @ self.rotations[0]

    def curl(self, side: str, degrees: float, *fingers: str) -> None:
        """Bend each joint of fingers."""
        for finger in fingers or FINGERS:
            for phalanx in (1, 2, 3):
                turn = [0.0, 0.0, -SIGN[side] * np.radians(degrees)]
                self.rotations[JOINT[f"{side}_{finger}{phalanx}"]] = _turned(turn)

    def point_thumb(self, side: str, direction: npt.ArrayLike) -> None:
        """Turn a straight thumb into a direction."""
        for phalanx in (1, 2, 3):
            self.rotations[JOINT[f"{side}_thumb{phalanx}"]] = np.eye(3)
        joints, name = self.joints(), f"{side}_thumb1"
        now = _unit(joints[JOINT[f"{side}_thumb3"]] - joints[JOINT[name]])
        wanted = _unit(np.asarray(direction, float))
        axis = np.cross(now, wanted)
        angle = np.arccos(np.clip(now @ wanted, -1.0, 1.0))
        turn = _turned(axis / max(float(np.linalg.norm(axis)), 1e-9) * angle)
        self._turn(name, turn @ self._orientations()[JOINT[name]])

    def _turn(self, name: str, orientation: Float64) -> None:
        """Give a joint this orientation (3, 3) in the body's axes."""
        parent = int(open_body().parents[JOINT[name]])
        self.rotations[JOINT[name]] = self._orientations()[parent].T @ orientation

    def _orientations(self) -> Float64:
        return np.asarray(self._tree.orientations(self.rotations[None])[0])

    def seen(self, yaw: float = 0.0, distance: float = 3.0) -> tuple[Array, Array]:
        """Return pose (55, 3) and joints (55, 3) before a level camera, turned by `yaw` radians."""
        rotations = self.rotations.copy()
        rotations[0] = FACING_CAMERA @ _turned([0.0, yaw, 0.0]) @ rotations[0]
        pose = pose_of(rotations)
        return pose, open_body().joints(*batch(pose, (0.0, 0.0, distance)))[0]


_ARM = ("shoulder", "elbow", "wrist")


def _unit(vector: Float64) -> Float64:
    return np.asarray(vector / np.linalg.norm(vector))


def _turned(rotation_vector: npt.ArrayLike) -> Float64:
    return np.asarray(Rotation.from_rotvec(rotation_vector).as_matrix())


def _side(rng: Random) -> str:
    return str(rng.choice(["left", "right"]))


def none(rng: Random) -> Actor:
    """Arms that hang, swing, are on the hips, folded, or carry something."""
    return Actor(rng, str(rng.choice(["walking", "carrying"])))


def _raise(actor: Actor, side: str) -> None:
    rng = actor.rng
    upper = [SIGN[side] * rng.uniform(0.2, 1.2), rng.uniform(-0.2, 1.2), rng.uniform(-0.2, 0.6)]
    lower = [SIGN[side] * rng.uniform(-0.2, 0.4), 1.0, rng.uniform(-0.2, 0.4)]
    actor._place(side, _unit(np.array(upper)), _unit(np.array(lower)))


def left_hand_raised(rng: Random) -> Actor:
    """The left hand above the shoulder."""
    actor = Actor(rng)
    _raise(actor, "left")
    actor.stretch("right", [-rng.uniform(0.1, 0.3), -1.0, 0.1])
    return actor


def right_hand_raised(rng: Random) -> Actor:
    """The right hand above the shoulder."""
    actor = Actor(rng)
    _raise(actor, "right")
    actor.stretch("left", [rng.uniform(0.1, 0.3), -1.0, 0.1])
    return actor


def both_hands_raised(rng: Random) -> Actor:
    """Hands up."""
    actor = Actor(rng)
    for side in SIGN:
        _raise(actor, side)
    return actor


def arms_crossed(rng: Random) -> Actor:
    """Each forearm on the other upper arm, before the chest."""
    actor = Actor(rng)
    joints = actor.joints()
    for side, other, far in (("left", "right", 0.03), ("right", "left", 0.0)):
        shoulder = joints[JOINT[f"{other}_shoulder"]]
        place = np.add(shoulder, (SIGN[side] * rng.uniform(0.0, 0.06), 0.0, 0.14 + far))
        place[1] -= rng.uniform(0.16, 0.24)
        actor.reach(side, place, [SIGN[side] * 0.6, -1.0, -0.3])
    return actor


def hands_on_face(rng: Random) -> Actor:
    """Both hands before the face."""
    actor = Actor(rng)
    face = actor.joints()[JOINT["head"]]
    for side, sign in SIGN.items():
        place = np.add(face, (sign * 0.07, rng.uniform(-0.06, 0.02), 0.14))
        actor.reach(side, place, [sign * 0.8, -1.0, 0.0])
    return actor


def pointing(rng: Random) -> Actor:
    """One arm stretched, with the index finger, anywhere between down before the feet and up."""
    actor, side = Actor(rng), _side(rng)
    aside = rng.uniform(-0.3, 1.2)
    direction = [SIGN[side] * np.sin(aside), np.sin(rng.uniform(-0.5, 0.6)), np.cos(aside)]
    actor.stretch(side, direction, rng.uniform(0.0, 0.35))
    actor.curl(side, rng.uniform(65, 85))
    actor.curl(side, rng.uniform(0, 10), "index")
    other = "right" if side == "left" else "left"
    actor.stretch(other, [SIGN[other] * 0.2, -1.0, 0.1])
    return actor


def thumb_up(rng: Random) -> Actor:
    """A closed hand before the body, the thumb up."""
    actor, side = Actor(rng), _side(rng)
    joints = actor.joints()
    place = joints[JOINT[f"{side}_shoulder"]] + [
        0.0,
        -rng.uniform(0.1, 0.3),
        rng.uniform(0.25, 0.4),
    ]
    actor.reach(side, place, [SIGN[side] * 0.5, -1.0, 0.0])
    lean = rng.uniform(-0.3, 0.3, 2)
    actor.turn_hand(side, [-SIGN[side] * rng.uniform(0.0, 1.0), 0.0, 1.0], [lean[0], 1.0, lean[1]])
    actor.curl(side, rng.uniform(65, 85))
    actor.point_thumb(side, [lean[0], 1.0, lean[1]])
    other = "right" if side == "left" else "left"
    actor.stretch(other, [SIGN[other] * 0.2, -1.0, 0.1])
    return actor


GESTURES: dict[str, Callable[[Random], Actor]] = {
    "NONE": none,
    "LEFT_HAND_RAISED": left_hand_raised,
    "RIGHT_HAND_RAISED": right_hand_raised,
    "BOTH_HANDS_RAISED": both_hands_raised,
    "HANDS_ON_FACE": hands_on_face,
    "ARMS_CROSSED": arms_crossed,
    "POINTING": pointing,
    "THUMB_UP": thumb_up,
}
"""Actors by the name of the gesture (pear_ros.hri.gestures.Gesture)."""


def _standing(rng: Random) -> Actor:
    return Actor(rng, str(rng.choice(["standing", "walking", "arms up", "carrying"])))


def _sitting(rng: Random) -> Actor:
    """On a chair, on the floor with stretched legs, or cross-legged."""
    actor = Actor(rng, "sitting")
    where = rng.choice(["chair", "chair", "floor", "cross-legged"])
    if where == "chair":
        actor.legs(rng.uniform(75, 100), rng.uniform(70, 100), rng.uniform(0, 20))
    elif where == "floor":
        actor.legs(rng.uniform(80, 100), rng.uniform(0, 30), rng.uniform(0, 20))
    else:
        actor.legs(rng.uniform(85, 100), rng.uniform(110, 130), rng.uniform(30, 45), 85.0)
    return actor


def _crouching(rng: Random) -> Actor:
    """Squatting, kneeling, or on one knee."""
    kind = str(rng.choice(["squatting", "kneeling", "on one knee"]))
    if kind != "squatting":
        return Actor(rng, kind)
    actor = Actor(rng, "sitting")
    actor.legs(rng.uniform(95, 125), rng.uniform(110, 145), rng.uniform(0, 25))
    actor.balance()
    return actor


def _lying(rng: Random) -> Actor:
    """On the back, the face or a side; legs stretched or, but on the face, drawn up."""
    actor = Actor(rng, "lying")
    turn = float(rng.choice([0.0, np.pi / 2, np.pi, -np.pi / 2]))
    bend = 0.0 if turn == np.pi else rng.uniform(0, 60)
    actor.legs(bend, rng.uniform(0, 30) + bend)
    actor.lie_down(turn)
    return actor


POSTURES: dict[str, Callable[[Random], Actor]] = {
    "STANDING": _standing,
    "SITTING": _sitting,
    "CROUCHING": _crouching,
    "LYING": _lying,
}
"""Actors by the name of the posture (pear_ros.hri.posture.Posture)."""
