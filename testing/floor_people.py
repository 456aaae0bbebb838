# SPDX-License-Identifier: Apache-2.0
"""People on a floor before a tilted camera: exactly known, and as the body fit sees them.

The body's landmarks are projected into the image with noise, and the package's own fit makes an
estimate of them; no picture is drawn and no landmark model is run, which would take a hundred times
as long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.body import BodyModel
from pear_ros.core import quaternions
from pear_ros.core.camera import Camera
from pear_ros.core.ground import GroundPlane
from pear_ros.core.people import NUM_JOINTS, Array, Person, SmplxParams, TrackingState
from pear_ros.fitting.body_fitter import BodyFit, BodyFitter
from pear_ros.fitting.landmark_places import landmark_points
from pear_ros.fitting.pose_prior import PosePrior
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS, BodyState, Skeleton
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.topology import Pose
from pear_ros.landmarks.types import PoseLandmarks
from pear_ros.training.poses import sample_rotations

Random = np.random.Generator
Doubles = npt.NDArray[np.float64]

CAMERA = Camera(1280, 720, 900.0, 900.0, 639.5, 359.5)
_LEGS = [
    Pose[f"{side}_{name}"]
    for side in ("LEFT", "RIGHT")
    for name in ("KNEE", "ANKLE", "HEEL", "FOOT_INDEX")
]
_UNSEEN = 0.02
"""Visibility of a landmark that is hidden."""


@dataclass(frozen=True)
class LandmarkNoise:
    """Standard deviations of the errors of landmarks."""

    image: float = 0.01
    """In the image, as a share of the person's height in it."""
    pixels: float = 0.7
    """In the image, pixels."""
    world: float = 0.02
    """Of world landmarks across the line of sight, metres."""
    depth: float = 0.05
    """Of world landmarks along it, metres."""


@dataclass(frozen=True)
class FloorScene:
    """A person on the floor, and the estimate of them."""

    ground: GroundPlane
    """The true floor, as exact."""
    person: Person
    """The estimate, at scale 1."""
    pelvis: Doubles
    """(3,) true position, metres, in the optical frame."""
    height: float
    """True standing height, metres."""

    def distance_error(self, person: Person) -> float:
        """Return the relative error of the distance of `person`, this one at some scale."""
        return float(person.joints[0, 2]) / float(self.pelvis[2]) - 1.0


class FloorStudio:
    """Puts people on the floor and fits bodies to them."""

    def __init__(self) -> None:
        self._fit = BodyFitter()
        self.body: BodyModel = self._fit.body
        self._skeleton = Skeleton(self.body)
        self._points = landmark_points(PosePrior())

    def scene(
        self,
        rng: Random,
        kind: str,
        distance: float,
        *,
        height: float | None = None,
        camera_height: float = 1.2,
        tilt: float = 0.1,
        lift: float = 0.0,
        hidden_legs: bool = False,
        noise: LandmarkNoise | None = None,
        camera: Camera = CAMERA,
    ) -> FloorScene:
        """Return a person on the floor in a `kind` of pose, their pelvis `distance` metres away.

        `height`: standing height, metres; None: 1.7 m with a deviation of 0.09 m. The camera is
        `camera_height` metres above the floor and looks down by `tilt` radians. `lift`: height of
        the lowest body part above the floor, metres. `hidden_legs`: nothing below the hips is seen.
        """
        height = float(rng.normal(1.7, 0.09)) if height is None else height
        ground = GroundPlane.from_tilt(camera_height, tilt, 0.0, 0.0)
        smplx, size = self._on_floor(rng, kind, ground, distance, height, lift)
        arguments = (smplx.pose[None], smplx.betas[None], smplx.expression[None])
        origin = np.zeros((1, 3), np.float32)
        pelvis = size * self.body.joints(*arguments, origin)[0, 0] + smplx.transl
        rotations = Rotation.from_rotvec(smplx.pose[:NUM_BODY_JOINTS]).as_matrix()
        state = BodyState(rotations.astype(np.float32), smplx.betas, np.zeros(3, np.float32))
        points = self._skeleton.points(self._skeleton.pose(state), self._points)  # (33, 3)
        errors = np.hstack([rng.normal(0.0, 1.0, (len(points), axes)) for axes in (2, 3)])
        landmarks = self._landmarks(
            errors, points, size, smplx.transl, camera, hidden_legs, noise or LandmarkNoise()
        )
        return FloorScene(ground, self.estimate(landmarks, camera), pelvis.astype(float), height)

    def landmarks(
        self, errors: Doubles, smplx: SmplxParams, size: float, camera: Camera
    ) -> PoseLandmarks:
        """Return the landmarks of the body of `smplx`, multiplied by `size`, then translated.

        `errors` (33, 5): of each landmark, in standard deviations of LandmarkNoise, 2 in the image
        and 3 in the world.
        """
        rotations = Rotation.from_rotvec(smplx.pose[:NUM_BODY_JOINTS]).as_matrix()
        state = BodyState(rotations.astype(np.float32), smplx.betas, np.zeros(3, np.float32))
        points = self._skeleton.points(self._skeleton.pose(state), self._points)
        return self._landmarks(errors, points, size, smplx.transl, camera, False, LandmarkNoise())

    def fit(
        self, landmarks: PoseLandmarks, camera: Camera, previous: BodyFit | None, elapsed: float
    ) -> BodyFit:
        """Return the package's fit to `landmarks`, `elapsed` seconds after the `previous` one."""
        return self._fit(landmarks, camera, previous, elapsed)

    def estimate(self, landmarks: PoseLandmarks, camera: Camera) -> Person:
        """Return the person that the package's fit makes of `landmarks` in one image."""
        return self.person(self.fit(landmarks, camera, None, 0.0), camera)

    def person(self, fit: BodyFit, camera: Camera) -> Person:
        """Return the person of a fit."""
        pose = np.zeros((NUM_JOINTS, 3), np.float32)
        pose[:NUM_BODY_JOINTS] = Rotation.from_matrix(fit.state.rotations).as_rotvec()
        smplx = SmplxParams(
            pose,
            np.asarray(fit.state.betas, np.float32),
            np.zeros(self.body.num_expression, np.float32),
            np.asarray(fit.state.transl, np.float32),
        )
        confidence = np.full(NUM_JOINTS, fit.joint_confidence[0], np.float32)
        confidence[:NUM_BODY_JOINTS] = fit.joint_confidence
        joints = self.body.joints(
            pose[None], smplx.betas[None], smplx.expression[None], smplx.transl[None]
        )[0]
        keypoints = camera.project(joints)
        box = np.concatenate([keypoints.min(axis=0), keypoints.max(axis=0)])
        return Person(
            0.9, box, smplx, joints, confidence, keypoints, id="h1", state=TrackingState.TRACKED
        )

    def _on_floor(
        self,
        rng: Random,
        kind: str,
        ground: GroundPlane,
        distance: float,
        height: float,
        lift: float,
    ) -> tuple[SmplxParams, float]:
        """The true body, with the size by which it is multiplied before it is translated."""
        up = ground.normal
        ahead = np.array([0.0, 0.0, 1.0]) - up[2] * up
        ahead /= np.linalg.norm(ahead)
        # Body axes (x left, y up, z out of the chest) of a person who faces the camera.
        facing = np.column_stack([np.cross(up, -ahead), up, -ahead])
        yaw = Rotation.from_euler("y", rng.uniform(0, 360), degrees=True).as_matrix()
        rotations = sample_rotations(rng, kind)
        if kind == "lying":
            rotations[0] = Rotation.from_euler("x", -90, degrees=True).as_matrix() @ rotations[0]
        rotations[0] = facing @ yaw @ rotations[0]
        pose = Rotation.from_matrix(rotations).as_rotvec().astype(np.float32)
        betas = np.clip(rng.normal(0, 1, self.body.num_betas), -2.5, 2.5).astype(np.float32)
        expression = np.zeros(self.body.num_expression, np.float32)
        arguments = (pose[None], betas[None], expression[None], np.zeros((1, 3), np.float32))
        size = height / float(self.body.heights(betas[None])[0])
        heading = Rotation.from_rotvec(up * rng.uniform(-0.25, 0.25)).as_matrix() @ ahead
        pelvis = size * self.body.joints(*arguments)[0, 0]
        vertices = size * self.body.vertices(*arguments)[0]
        across = distance * heading - (pelvis - (pelvis @ up) * up)
        drop = ground.height - lift - float(ground.below(vertices).max())
        return SmplxParams(pose, betas, expression, (across - drop * up).astype(np.float32)), size

    def _landmarks(
        self,
        errors: Doubles,
        points: Array,
        size: float,
        transl: Array,
        camera: Camera,
        hidden_legs: bool,
        noise: LandmarkNoise,
    ) -> PoseLandmarks:
        """Landmarks of body points (33, 3), which are multiplied by `size` and translated."""
        pixels = camera.project(size * points + transl)
        in_image = float(np.ptp(pixels, axis=0).max())
        inside = ((pixels >= 0.0) & (pixels < (camera.width, camera.height))).all(axis=1)
        visibility = np.where(inside, 0.98, _UNSEEN).astype(np.float32)
        std = np.full(len(points), np.hypot(noise.image * in_image, noise.pixels))
        if hidden_legs:
            visibility[_LEGS] = _UNSEEN
            std[_LEGS] *= 8.0
        image = np.zeros((len(points), 3), np.float32)
        image[:, :2] = pixels + errors[:, :2] * std[:, None]
        world = points - points[[Pose.LEFT_HIP, Pose.RIGHT_HIP]].mean(axis=0)
        # World landmarks are as seen through the centre of the person.
        middle = size * points.mean(axis=0) + transl
        ray = middle / np.linalg.norm(middle)
        turn = Rotation.from_quat(quaternions.between(ray, (0.0, 0.0, 1.0)))
        world = turn.apply(world)
        world += errors[:, 2:] * (noise.world, noise.world, noise.depth)
        image[:, 2] = world[:, 2] * in_image / 1.7
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        roi = Roi(*map(float, (low + high) / 2.0), float((high - low).max()) * 1.25)
        return PoseLandmarks(image, world.astype(np.float32), visibility, visibility, 0.99, roi)
