# SPDX-License-Identifier: Apache-2.0
"""Pictures of dressed people of exactly known pose, shape and camera, made from the open body.

They train the pose prior and measure the fit: whatever is claimed about 3D is held against them.
Poses are drawn from ranges that human joints allow, by kind (standing, walking, sitting, ...).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.body import BodyModel, load_open_body
from pear_ros.body.kinematics import rotation_matrices
from pear_ros.body.model_files import load_surface_points
from pear_ros.core.camera import Camera
from pear_ros.core.people import SMPLX_JOINT_NAMES, Array, Image
from pear_ros.rendering.raster import rasterize

Random = np.random.Generator
Range = tuple[float, float]

# Upper arm elevation (-90 hanging, 0 horizontal) and direction (0 sideways, 90 forward), twist
# about the upper arm, elbow flexion; degrees.
ARMS: dict[str, tuple[Range, Range, Range, Range]] = {
    "down": ((-88, -60), (-20, 45), (-40, 40), (0, 50)),
    "side": ((-30, 30), (-25, 50), (-50, 50), (0, 60)),
    "front": ((-40, 50), (50, 110), (-45, 45), (0, 80)),
    "up": ((30, 88), (-20, 90), (-45, 45), (0, 70)),
    "hip": ((-62, -38), (-25, 15), (0, 50), (70, 110)),
    "folded": ((-75, -50), (20, 60), (-40, 40), (75, 130)),
    "any": ((-85, 85), (-35, 120), (-60, 60), (0, 120)),
}
# Hip flexion, abduction, twist about the thigh, knee flexion; degrees.
LEGS: dict[str, tuple[Range, Range, Range, Range]] = {
    "straight": ((-8, 12), (0, 12), (-15, 15), (0, 15)),
    "seated": ((70, 100), (0, 25), (-15, 15), (65, 110)),
    "crouched": ((50, 115), (0, 30), (-15, 15), (60, 135)),
    "front": ((25, 95), (0, 20), (-12, 12), (10, 110)),
    "back": ((-30, 20), (0, 15), (-12, 12), (0, 60)),
    "side": ((-15, 30), (5, 50), (-20, 20), (0, 60)),
    "any": ((-35, 115), (-10, 50), (-25, 25), (0, 130)),
    "stretched": ((70, 105), (0, 30), (-15, 15), (0, 40)),
    "crossed": ((75, 110), (20, 50), (25, 60), (90, 140)),
    "kneeling": ((-5, 40), (0, 20), (-15, 15), (80, 125)),
    "on heels": ((55, 95), (0, 20), (-10, 10), (125, 150)),
    "folded": ((30, 90), (0, 15), (-10, 10), (0, 45)),
}
# For each kind: choices for each arm, the two legs, forward bend of the spine in degrees.
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, str], Range]] = {
    "standing": (("down", "down", "hip", "folded", "any"), ("straight", "straight"), (-6, 10)),
    "walking": (("down",), ("front", "back"), (-2, 10)),
    "sitting": (("down", "front", "folded", "any"), ("seated", "seated"), (-5, 25)),
    "arms up": (("up", "up", "side"), ("straight", "straight"), (-8, 8)),
    "reaching": (("front", "any", "up", "down"), ("straight", "side"), (-5, 45)),
    "crouching": (("front", "down", "any"), ("crouched", "crouched"), (0, 40)),
    "lunging": (("any", "side", "front", "down"), ("front", "back"), (-5, 20)),
    "balancing": (("side", "side", "any", "up"), ("straight", "side"), (-12, 12)),
    "anything": (("any",), ("any", "any"), (-15, 50)),
}
# Kinds that the benchmarks do not draw from.
RARE_KINDS: dict[str, tuple[tuple[str, ...], tuple[str, str], Range]] = {
    "carrying": (("front", "folded", "hip"), ("straight", "front"), (-10, 15)),
    "bending": (("any", "front", "down"), ("folded", "folded"), (10, 60)),
    "on the floor": (("down", "front", "hip", "any"), ("crossed", "stretched"), (-5, 40)),
    "cross-legged": (("down", "front", "folded", "any"), ("crossed", "crossed"), (-5, 30)),
    "kneeling": (("down", "front", "any"), ("kneeling", "on heels"), (-5, 35)),
    "on one knee": (("down", "front", "any"), ("kneeling", "seated"), (-5, 30)),
    "lying": (("down", "any", "up", "folded"), ("straight", "any"), (-10, 30)),
}
# Points of MediaPipe's face mesh.
_BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
_LIPS = (61, 91, 84, 17, 314, 321, 291, 270, 267, 0, 37, 40, 13, 14, 81, 311, 178, 402)

STRIDE = 30.0
"""Largest hip angle of a walking step, degrees."""

# Optical axes (x right, y down, z forward) from body axes (x left, y up, z out of the chest) of
# a person who faces the camera.
FACING_CAMERA = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class SyntheticPerson:
    """One picture and the truth about it."""

    image: Image
    camera: Camera
    kind: str
    yaw: float
    """Degrees about the vertical: 0 faces the camera, 90 shows the right side, 180 the back."""
    rotations: Array
    """(55, 3, 3) joint rotations; the first turns body axes into the optical frame."""
    betas: Array
    expression: Array
    joints: Array
    """(55, 3) in the optical frame, metres."""
    vertices: Array
    """(V, 3) of the undressed body in the optical frame, metres."""


def sample_rotations(rng: Random, kind: str) -> npt.NDArray[np.float64]:
    """(55, 3, 3) local rotations of a pose of the given kind, the root upright and facing +z."""
    arm_choices, legs, bend_range = (KINDS | RARE_KINDS)[kind]
    rotations = np.tile(np.eye(3), (55, 1, 1))
    index = {name: number for number, name in enumerate(SMPLX_JOINT_NAMES)}
    bend = rng.uniform(*bend_range)
    twist, side_bend = rng.normal(0, 10), rng.normal(0, 6)
    for name in ("spine1", "spine2", "spine3"):
        share = np.array([bend, twist, side_bend]) / 3 + rng.normal(0, 3, 3)
        rotations[index[name]] = _axis_angle(share)
    gaze = np.array([rng.normal(0, 10) - 0.2 * bend, rng.normal(0, 20), rng.normal(0, 8)])
    rotations[index["neck"]] = rotations[index["head"]] = _axis_angle(gaze / 2)
    if rng.random() < 0.5:
        legs = legs[::-1]
    phase = rng.uniform(0, 2 * np.pi)
    for side, name, leg, step in zip((1, -1), ("left", "right"), legs, (0, np.pi), strict=True):
        arm = [rng.uniform(*r) for r in ARMS[str(rng.choice(arm_choices))]]
        limb = [rng.uniform(*r) for r in LEGS[leg]]
        swing = 0.0
        if kind == "walking":
            stride = STRIDE * rng.uniform(0.5, 1.2) * np.sin(phase + step)
            limb = [
                stride,
                rng.uniform(0, 6),
                rng.normal(0, 6),
                max(0.0, 30 * np.cos(phase + step)),
            ]
            swing = -stride
        _pose_arm(rng, rotations, index, side, name, arm, swing)
        _pose_leg(rng, rotations, index, side, name, limb)
        curl = rng.uniform(0, 60)
        for finger in ("index", "middle", "pinky", "ring"):
            for phalanx in (1, 2, 3):
                rotations[index[f"{name}_{finger}{phalanx}"]] = _axis_angle([0, 0, -side * curl])
    lean = (30.0, 25.0) if kind == "anything" else (5.0, 4.0)
    rotations[0] = _axis_angle([rng.normal(0, lean[0]), 0, rng.normal(0, lean[1])])
    return rotations


def _pose_arm(
    rng: Random,
    rotations: npt.NDArray[np.float64],
    index: dict[str, int],
    side: int,
    name: str,
    angles: list[float],
    swing: float,
) -> None:
    elevation, forward, twist, elbow = np.radians(angles)
    along = np.array([side, 0.0, 0.0])
    direction = np.array(
        [
            side * np.cos(elevation) * np.cos(forward),
            np.sin(elevation),
            np.cos(elevation) * np.sin(forward),
        ]
    )
    shoulder = _shortest_turn(along, direction) @ _axis_angle(np.degrees(along * twist))
    rotations[index[f"{name}_shoulder"]] = _axis_angle([-swing, 0, 0]) @ shoulder
    pronation = _axis_angle([side * rng.normal(0, 25), 0, 0])
    rotations[index[f"{name}_elbow"]] = _axis_angle([0, -side * np.degrees(elbow), 0]) @ pronation
    shrug = np.array([0.0, 0.0, side * max(0.0, angles[0]) * 0.15])
    rotations[index[f"{name}_collar"]] = _axis_angle(rng.normal(0, (4, 6, 6)) + shrug)
    rotations[index[f"{name}_wrist"]] = _axis_angle(rng.normal(0, (15, 12, 20)))


def _pose_leg(
    rng: Random,
    rotations: npt.NDArray[np.float64],
    index: dict[str, int],
    side: int,
    name: str,
    angles: list[float],
) -> None:
    flexion, abduction = np.radians(angles[:2])
    direction = np.array(
        [
            side * np.sin(abduction),
            -np.cos(abduction) * np.cos(flexion),
            np.cos(abduction) * np.sin(flexion),
        ]
    )
    hip = _shortest_turn(np.array([0.0, -1.0, 0.0]), direction)
    rotations[index[f"{name}_hip"]] = hip @ _axis_angle([0, side * angles[2], 0])
    rotations[index[f"{name}_knee"]] = _axis_angle([angles[3], 0, 0])
    rotations[index[f"{name}_ankle"]] = _axis_angle(rng.normal(0, (14, 8, 7)))
    rotations[index[f"{name}_foot"]] = _axis_angle([rng.normal(0, 6), 0, 0])


def _axis_angle(degrees: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.asarray(Rotation.from_rotvec(np.asarray(degrees), degrees=True).as_matrix())


def _shortest_turn(
    start: npt.NDArray[np.float64], end: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    axis = np.cross(start, end)
    sine = float(np.linalg.norm(axis))
    angle = np.degrees(np.arctan2(sine, float(start @ end)))
    return _axis_angle(axis / max(sine, 1e-9) * angle)


class Wardrobe:
    """Clothes, hair and skin painted on the open body's vertices."""

    def __init__(self, body: BodyModel) -> None:
        rest = body.rest_joints(
            np.zeros((1, body.num_betas), np.float32),
            np.zeros((1, body.num_expression), np.float32),
        )[0]
        joint = {name: rest[number] for number, name in enumerate(body.joint_names)}
        owner = np.array(body.joint_names)[np.asarray(body.weights.argmax(axis=1)).ravel()]
        vertex = body.v_template
        self._vertex = vertex

        def belongs(*names: str) -> npt.NDArray[np.bool_]:
            return np.isin(owner, names)

        def both(name: str) -> npt.NDArray[np.bool_]:
            return belongs(f"left_{name}", f"right_{name}")

        self._eyes = both("eye_smplhf")
        self._head = belongs("head", "jaw") | self._eyes
        self._feet = both("ankle") | both("foot")
        hip, knee, ankle = (joint[f"left_{name}"][1] for name in ("hip", "knee", "ankle"))
        shoulder, wrist = joint["left_shoulder"][0], joint["left_wrist"][0]
        # How far down the arm and the leg a vertex lies: 0 shoulder or hip, 1 wrist or ankle.
        arm = both("shoulder") | both("elbow")
        self._down_arm = np.where(
            arm,
            (np.abs(vertex[:, 0]) - shoulder) / (wrist - shoulder),
            np.where(both("wrist"), 2, 0),
        )
        leg = both("hip") | both("knee") | self._feet
        self._down_leg = np.where(leg, (hip - vertex[:, 1]) / (hip - ankle), 0.0)
        trunk = belongs("spine1", "spine2", "spine3") | both("collar") | arm
        self._top = trunk & (vertex[:, 1] < joint["neck"][1] - 0.03)
        self._hips = belongs("pelvis")
        self._leg = leg
        self._knee = (hip - knee) / (hip - ankle)
        height, depth = (vertex - vertex[self._head].mean(axis=0))[:, 1:].T
        behind = (depth < 0.015) & (height > -0.04)
        self._hair = self._head & ~self._eyes & ((height > 0.06) | behind)
        front = vertex[self._eyes, 2].max() - 0.004
        self._irises = self._eyes & (vertex[:, 2] > front)
        self._brows = self._near_face_landmarks(_BROWS)
        self._lips = self._near_face_landmarks(_LIPS)

    def _near_face_landmarks(self, landmarks: Sequence[int]) -> npt.NDArray[np.bool_]:
        """(V,) whether a vertex is one of those around some points of MediaPipe's face mesh."""
        near = np.zeros(len(self._vertex), bool)
        near[load_surface_points().face_corners[list(landmarks)]] = True
        return near

    def dress(self, rng: Random) -> tuple[Array, Array]:
        """Colours (V, 3) in 0..1, BGR, and how far clothes and hair stand out (V,), metres."""
        count = len(self._vertex)
        skin = np.array([0.45, 0.58, 0.82]) * rng.uniform(0.25, 1.1) + rng.normal(0, 0.02, 3)
        colour = np.tile(skin, (count, 1))
        thickness = np.zeros(count)
        colour[self._lips] *= (0.6, 0.6, 0.85)
        colour[self._eyes] = 0.85
        colour[self._irises] = rng.uniform(0.02, 0.3)
        hair = np.array([0.08, 0.1, 0.14]) * rng.uniform(0.2, 4)
        colour[self._brows] = 0.3 * colour[self._brows] + 0.7 * hair
        hem = rng.choice([0.0, 0.15, self._knee, 0.95])
        sleeve = rng.choice([0.05, 0.3, 1.1])
        trousers = self._hips | (self._leg & ~self._feet & (self._down_leg < max(hem, 0.25)))
        shirt = (self._top & (self._down_arm < sleeve)) | (self._hips & (rng.random() < 0.6))
        garments = (
            (trousers, rng.uniform(0.002, 0.02)),
            (shirt, rng.uniform(0.004, 0.03)),
            (self._feet & (rng.random() < 0.85), 0.008),
        )
        for worn, stand_out in garments:
            colour[worn] = self._cloth(rng)[worn]
            thickness[worn] = stand_out * (1 + 0.4 * self._waves(rng, 6, 25)[worn])
        if rng.random() < 0.9:
            colour[self._hair] = hair
            thickness[self._hair] = rng.uniform(0.005, 0.03)
        colour *= (1 + 0.08 * self._waves(rng, 20, 90))[:, None]
        return np.clip(colour, 0.005, 1).astype(np.float32), thickness.astype(np.float32)

    def _cloth(self, rng: Random) -> npt.NDArray[np.float64]:
        cloth = np.tile(_colour(rng), (len(self._vertex), 1))
        if rng.random() < 0.4:
            cloth[self._waves(rng, 40, 200) > rng.uniform(-0.5, 0.5)] = _colour(rng)
        return cloth

    def _waves(self, rng: Random, low: float, high: float) -> npt.NDArray[np.float64]:
        """Smooth noise of unit spread over the rest body, `low` to `high` radians per metre."""
        directions = rng.normal(0, 1, (3, 5))
        directions *= rng.uniform(low, high, 5) / np.linalg.norm(directions, axis=0)
        phases = rng.uniform(0, 2 * np.pi, 5)
        return np.asarray(np.sin(self._vertex @ directions + phases).sum(axis=1) / np.sqrt(2.5))


def _colour(rng: Random) -> npt.NDArray[np.float64]:
    if rng.random() < 0.35:
        return np.clip(rng.uniform(0.03, 0.95) + rng.normal(0, 0.03, 3), 0.01, 1)
    return rng.uniform(0.02, 0.95, 3)


class SyntheticStudio:
    """Draws people, dresses them and takes their picture before a random background."""

    def __init__(self, photographs: list[Image] | None = None) -> None:
        """`photographs`: pictures without people, of which pieces serve as backgrounds."""
        self.body = load_open_body()
        self._wardrobe = Wardrobe(self.body)
        self._photographs = photographs or []

    def shoot(
        self,
        rng: Random,
        kind: str,
        yaw: float,
        size: tuple[int, int] = (480, 480),
        margin: float = 1.35,
        close_up: bool = False,
    ) -> SyntheticPerson:
        """One person turned by `yaw` degrees, in an image of `size` (width, height).

        The camera's focal length (0.8 to 2 image widths), height and tilt are random; the person
        fills 1 / `margin` of the image at most and, below 1, is cut by the image's edge.
        A close-up shows the head and some of the body below it, as a camera on a desk does.
        """
        width, height = size
        focal = width * rng.uniform(0.8, 2.0)
        camera = Camera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
        rotations = sample_rotations(rng, kind)
        pitch, roll = rng.normal(0, 12), rng.normal(0, 3)
        view = _axis_angle([pitch, 0, 0]) @ _axis_angle([0, 0, roll]) @ FACING_CAMERA
        rotations[0] = view @ _axis_angle([0, yaw, 0]) @ rotations[0]
        betas = np.clip(rng.normal(0, 1, self.body.num_betas), -2.5, 2.5).astype(np.float32)
        expression = np.zeros(self.body.num_expression, np.float32)
        pose = Rotation.from_matrix(rotations).as_rotvec().astype(np.float32)
        arguments = (pose[None], betas[None], expression[None])
        origin = np.zeros((1, 3), np.float32)
        centred = self.body.vertices(*arguments, origin)[0]
        framed = centred
        if close_up:
            framed = centred[self.body.v_template[:, 1] > rng.uniform(-0.4, 0.35)]
        transl = self.place(rng, camera, framed, margin)
        vertices = centred + transl
        image = self.picture(rng, camera, vertices)
        return SyntheticPerson(
            image=image,
            camera=camera,
            kind=kind,
            yaw=yaw,
            rotations=rotation_matrices(pose),
            betas=betas,
            expression=expression,
            joints=self.body.joints(*arguments, transl[None])[0],
            vertices=vertices,
        )

    @staticmethod
    def place(rng: Random, camera: Camera, framed: Array, margin: float) -> Array:
        """Translation that puts vertices near the middle of the image, at a random size."""
        low, high = framed.min(axis=0), framed.max(axis=0)
        extent = (high - low)[:2]
        fill = np.array([camera.width, camera.height]) / (margin * rng.uniform(1.0, 1.5))
        distance = float(np.max(extent * camera.fx / fill)) + (high - low)[2] / 2
        middle = (low + high) / 2
        free = np.array([camera.width, camera.height]) - extent * camera.fx / distance
        # A body larger than the image is shifted as well: it is cut at its feet or at its head.
        offset = rng.uniform(-0.35, 0.35, 2) * np.abs(free) * distance / camera.fx
        return np.array([*(offset - middle[:2]), distance - middle[2]], np.float32)

    def picture(
        self,
        rng: Random,
        camera: Camera,
        vertices: Array,
        dress: tuple[Array, Array] | None = None,
    ) -> Image:
        """Picture of a body with these vertices (V, 3), dressed, before a background.

        `dress`: what `Wardrobe.dress` returned; None: something new.
        """
        faces = self.body.faces
        colour, thickness = dress or self._wardrobe.dress(rng)
        dressed = vertices + _normals(vertices, faces) * thickness[:, None]
        normals = _normals(dressed, faces)
        light = np.full((len(dressed), 1), rng.uniform(0.25, 0.6), np.float32)
        for strength in (rng.uniform(0.3, 0.9), rng.uniform(0.1, 0.4)):
            direction = rng.normal(0, 1, 3) - [0, 0.7, 0.7]
            facing = normals @ (direction / np.linalg.norm(direction)).astype(np.float32)
            light += strength * np.clip(facing, 0, None)[:, None]
        raster = rasterize(dressed, faces, camera)
        picture = self._background(rng, camera.width, camera.height)
        picture.reshape(-1, 3)[raster.pixel] = raster.interpolate(colour * light, faces)
        blurred = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 1.1))
        exposed = blurred * rng.uniform(0.75, 1.2) + rng.normal(0, 0.015, picture.shape)
        image: Image = (np.clip(exposed, 0, 1) * 255).astype(np.uint8)
        return image

    def _background(self, rng: Random, width: int, height: int) -> Array:
        if self._photographs and rng.random() < 0.6:
            photograph = self._photographs[rng.integers(len(self._photographs))]
            rows, columns = photograph.shape[:2]
            scale = rng.uniform(0.3, 1.0) * min(rows / height, columns / width)
            piece_height, piece_width = int(height * scale), int(width * scale)
            top = rng.integers(rows - piece_height + 1)
            left = rng.integers(columns - piece_width + 1)
            piece = photograph[top : top + piece_height, left : left + piece_width]
            if rng.random() < 0.5:
                piece = piece[:, ::-1]
            resized = cv2.resize(np.ascontiguousarray(piece), (width, height))
            return np.asarray(resized * (rng.uniform(0.6, 1.1) / 255), np.float32)
        ramp = np.linspace(0, 1, height)[:, None, None]
        wall = np.tile(_colour(rng) * ramp + _colour(rng) * (1 - ramp), (1, width, 1))
        background = np.ascontiguousarray(wall, np.float32)
        background[rng.integers(height // 2, height) :] = _colour(rng)
        for _ in range(rng.integers(0, 8)):
            x, y = int(rng.integers(width)), int(rng.integers(height))
            far = (x + int(rng.integers(10, width // 2)), y + int(rng.integers(10, height)))
            cv2.rectangle(background, (x, y), far, _colour(rng).tolist(), -1)
        return background


def _normals(vertices: Array, faces: npt.NDArray[np.int32]) -> Array:
    """(V, 3) unit vertex normals, pointing outwards."""
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.stack(
        [
            np.bincount(faces.ravel(), np.repeat(across[:, axis], 3), len(vertices))
            for axis in range(3)
        ],
        axis=1,
    )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray(total / np.maximum(length, 1e-12), np.float32)
