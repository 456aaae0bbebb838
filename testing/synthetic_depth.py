# SPDX-License-Identifier: Apache-2.0
"""Synthetic scenes of one person: a depth image with typical errors and an estimate of the person.

The person has a known size and stands in front of a wall, perhaps with an occluder in between. The
depth image is rendered, and noise as of a stereo camera, holes and outliers are added. The estimate
has errors in pose, shape and place, and its size is that of its own shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.body import BodyModel, load_open_body
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Person, SmplxParams, TrackingState, stack
from pear_ros.pear.placement import place
from pear_ros.rendering.raster import rasterize
from pear_ros.training.poses import FACING_CAMERA, sample_rotations
from testing.raster_maps import depth_map

Random = np.random.Generator
Doubles = npt.NDArray[np.float64]

CAMERA = Camera(640, 480, 525.0, 525.0, 319.5, 239.5)
_BODY_JOINTS = 22
"""The first joints are those of the body, without the many of the hands."""

OCCLUDERS = ("nothing", "board", "table", "person")


@dataclass(frozen=True)
class EstimateErrors:
    """Standard deviations of the errors of an estimate."""

    degrees: float = 4.0
    """Rotation of each joint and of the whole body about each axis, degrees."""
    betas: float = 1.0
    """Each shape coefficient; those of people have a standard deviation of 1."""
    pixels: float = 2.5
    """Position in the image along each axis, pixels."""


@dataclass(frozen=True)
class DepthErrors:
    """Errors of a depth image."""

    noise: float = 0.004
    """Standard deviation at one metre, metres; grows with the square of distance."""
    outliers: float = 0.05
    """Share of pixels with a random depth from 0.3 to 10 m."""
    holes: float = 0.3
    """Share of pixels without depth, in connected areas."""


@dataclass(frozen=True)
class Scene:
    """A person in front of a camera."""

    camera: Camera
    depth: Array
    """(height, width) measured depth, metres; NaN where unknown."""
    person: Person
    """The estimate, at scale 1."""
    distance: float
    """True z of the pelvis, metres."""
    height: float
    """True standing height, metres."""
    covered: float
    """Share of the person's pixels that are occluded."""


class OpenBodyEstimator:
    """The part of an estimator with the open body that ScaledBodies uses."""

    def __init__(self) -> None:
        self.body: BodyModel = load_open_body()

    def joints(self, persons: Sequence[Person]) -> Array:
        """Return (N, 55, 3) joints, metres, at scale 1."""
        smplx = stack([person.smplx for person in persons])
        joints: Array = self.body.joints(smplx.pose, smplx.betas, smplx.expression, smplx.transl)
        return joints

    def meshes(self, persons: Sequence[Person]) -> Array:
        """Return (N, V, 3) vertices, metres, at scale 1."""
        smplx = stack([person.smplx for person in persons])
        vertices: Array = self.body.vertices(
            smplx.pose, smplx.betas, smplx.expression, smplx.transl
        )
        return vertices

    def heights(self, persons: Sequence[Person]) -> Array:
        """Return (N,) standing heights, metres, at scale 1."""
        return self.body.heights(np.array([person.smplx.betas for person in persons]))


class SceneRenderer:
    """Renders synthetic scenes of the open body."""

    def __init__(self, bodies: OpenBodyEstimator) -> None:
        self._bodies = bodies
        self._body = bodies.body

    def random_betas(self, rng: Random) -> Array:
        """Return random betas (num_betas,) of a person."""
        return rng.normal(0, 1, self._body.num_betas).astype(np.float32)

    def estimated_betas(self, rng: Random, betas: Array, errors: EstimateErrors) -> Array:
        """Return a noisy estimate of `betas` (num_betas,), shrunk towards the mean body."""
        noisy = betas + rng.normal(0, errors.betas, len(betas))
        estimated: Array = (noisy / (1 + errors.betas**2)).astype(np.float32)
        return estimated

    def scene(
        self,
        rng: Random,
        kind: str,
        distance: float,
        height: float,
        occluder: str = "nothing",
        cover: float = 0.0,
        *,
        betas: Array | None = None,
        estimated_betas: Array | None = None,
        estimate_errors: EstimateErrors | None = None,
        depth_errors: DepthErrors | None = None,
        camera: Camera = CAMERA,
    ) -> Scene:
        """Return a scene of a person of standing `height` at z = `distance`, both in metres.

        `kind` of pose as in pear_ros.training.poses; `occluder`, one of OCCLUDERS, hides about a
        share `cover` of the person; `betas` and `estimated_betas` (num_betas,) are random if None.
        """
        estimate_errors = estimate_errors or EstimateErrors()
        betas = self.random_betas(rng) if betas is None else betas
        rotations = self._rotations(rng, kind)
        truth = self._person(rotations, betas)
        size = height / float(self._bodies.heights([truth])[0])
        pixel = rng.uniform((0.3, 0.4), (0.7, 0.6)) * (camera.width, camera.height)
        pelvis = distance * np.append(camera.rays(pixel), 1.0)
        joints, vertices = self._bodies.joints([truth])[0], self._bodies.meshes([truth])[0]
        shift = pelvis - size * joints[0]
        joints, vertices = size * joints + shift, size * vertices + shift

        body = depth_map(rasterize(vertices, self._body.faces, camera))
        wall = distance + rng.uniform(0.6, 3.0)
        depth = np.minimum(body, np.float32(wall))
        in_front = self._occluder(rng, occluder, cover, body, pelvis, camera)
        hidden = np.isfinite(body) & (in_front < body)
        depth = corrupt_depth(rng, np.minimum(depth, in_front), depth_errors or DepthErrors())

        estimated_rotations = rotations @ _small_rotations(
            rng, estimate_errors.degrees, len(rotations)
        )
        if estimated_betas is None:
            estimated_betas = self.estimated_betas(rng, betas, estimate_errors)
        estimate = self._person(estimated_rotations, estimated_betas)
        pixels = camera.project(joints) + rng.normal(0, estimate_errors.pixels, 2)
        at_origin = self._bodies.joints([estimate])[:, :_BODY_JOINTS]
        transl = place(at_origin, pixels[None, :_BODY_JOINTS].astype(float), camera)[0]
        estimate = self._person(estimated_rotations, estimated_betas, transl, camera)
        covered = hidden.sum() / max(np.isfinite(body).sum(), 1)
        return Scene(camera, depth, estimate, distance, height, float(covered))

    def _rotations(self, rng: Random, kind: str) -> Doubles:
        rotations = sample_rotations(rng, kind)
        tilt = Rotation.from_euler("x", rng.normal(0, 8), degrees=True).as_matrix()
        yaw = Rotation.from_euler("y", rng.uniform(0, 360), degrees=True).as_matrix()
        rotations[0] = tilt @ FACING_CAMERA @ yaw @ rotations[0]
        return rotations

    def _person(
        self,
        rotations: Doubles,
        betas: Array,
        transl: npt.ArrayLike = (0.0, 0.0, 0.0),
        camera: Camera = CAMERA,
    ) -> Person:
        smplx = SmplxParams(
            pose=Rotation.from_matrix(rotations).as_rotvec().astype(np.float32),
            betas=betas,
            expression=np.zeros(self._body.num_expression, np.float32),
            transl=np.asarray(transl, np.float32),
        )
        joints: Array = self._body.joints(
            smplx.pose[None], betas[None], smplx.expression[None], smplx.transl[None]
        )[0]
        keypoints = camera.project(joints)
        box = np.concatenate([keypoints.min(axis=0), keypoints.max(axis=0)])
        confidence = np.ones(len(joints), np.float32)
        return Person(
            0.9, box, smplx, joints, confidence, keypoints, id="h1", state=TrackingState.TRACKED
        )

    def _occluder(
        self,
        rng: Random,
        name: str,
        cover: float,
        body: Array,
        pelvis: Doubles,
        camera: Camera,
    ) -> Array:
        """(height, width) depth of the occluder, metres, infinity where there is none."""
        rows, columns = np.nonzero(np.isfinite(body))
        nearest = float(body.min())
        share = rng.uniform(0.4, 1.0)
        at = share * (nearest - 0.15) if nearest > 0.6 else 0.5 * nearest
        v, u = np.mgrid[: camera.height, : camera.width]
        if name == "board":
            across, values = (u, columns) if rng.random() < 0.7 else (v, rows)
            side = rng.choice((-1, 1))
            border = np.quantile(side * values, cover)
            return np.where(side * across < border, at, np.inf).astype(np.float32)
        if name == "table":
            # Its top rises in the image as it goes away from the camera.
            edge = np.quantile(rows, 1.0 - cover)
            away = np.clip((camera.height - v) / max(camera.height - edge, 1.0), 0.0, 1.0)
            top = at * (0.7 + 0.3 * away)
            return np.where(v >= edge, top, np.inf).astype(np.float32)
        if name == "person":
            other = self._person(self._rotations(rng, "standing"), self.random_betas(rng))
            vertices = self._bodies.meshes([other])[0]
            front = float(np.ptp(vertices[:, 2]))
            z = max(at - front / 2, 0.8 * front)
            # Moved towards the person until enough of the person is hidden.
            side = rng.choice((-1, 1))
            for apart in np.linspace(1.0, 0.0, 41):
                middle = (pelvis[0] / pelvis[2] + side * apart / pelvis[2]) * z
                moved = vertices + np.array([middle, pelvis[1], z], np.float32)
                found = depth_map(rasterize(moved, self._body.faces, camera))
                if (found < body)[rows, columns].mean() >= cover:
                    break
            return found
        return np.full(body.shape, np.inf, np.float32)


def corrupt_depth(rng: Random, depth: Array, errors: DepthErrors) -> Array:
    """Return a depth image (height, width), metres, with noise, outliers and holes."""
    shape = depth.shape
    measured = depth + errors.noise * depth**2 * _correlated_noise(rng, shape, 1.0)
    outlier = rng.random(shape) < errors.outliers
    measured[outlier] = rng.uniform(0.3, 10.0, int(outlier.sum()))
    if errors.holes:
        noise = _correlated_noise(rng, shape, 4.0)
        measured[noise < np.quantile(noise, errors.holes)] = np.nan
    return np.asarray(measured, np.float32)


def _correlated_noise(rng: Random, shape: tuple[int, ...], size: float) -> Array:
    """Noise of standard deviation 1, correlated over `size` pixels."""
    noise = cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), size)
    return np.asarray(noise / noise.std(), np.float32)


def _small_rotations(rng: Random, degrees: float, count: int) -> Doubles:
    """(count, 3, 3) rotations of some degrees (standard deviation) about each axis."""
    return np.asarray(
        Rotation.from_rotvec(rng.normal(0, degrees, (count, 3)), degrees=True).as_matrix()
    )
