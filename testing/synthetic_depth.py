# SPDX-License-Identifier: Apache-2.0
"""Depth images of the open body with all that goes wrong with them, and estimates to be mended.

A scene has one person of known size before a wall, perhaps with something in front of them. Its
depth image is rendered and then spoilt: noise as of a stereo camera, holes, outliers. The estimate
of the person is wrong in pose, shape and place, and its size is that of its own shape.
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
from testing.synthetic_people import FACING_CAMERA, sample_rotations

Random = np.random.Generator
Doubles = npt.NDArray[np.float64]

CAMERA = Camera(640, 480, 525.0, 525.0, 319.5, 239.5)
_BODY_JOINTS = 22
"""The first joints are those of the body, without the many of the hands."""

OCCLUDERS = ("nothing", "board", "table", "person")


@dataclass(frozen=True)
class Wrongness:
    """How wrong an estimate is: standard deviations."""

    degrees: float = 4.0
    """Of each joint and of the body as a whole, about each axis."""
    betas: float = 1.0
    """Of each shape coefficient; those of people have a standard deviation of 1."""
    pixels: float = 2.5
    """Of its place in the image, along each axis."""


@dataclass(frozen=True)
class Spoilt:
    """What is wrong with a depth image."""

    noise: float = 0.004
    """Standard deviation at one metre, metres; grows with the square of distance."""
    outliers: float = 0.05
    """Share of pixels that have any depth from 0.3 to 10 m."""
    holes: float = 0.3
    """Share of pixels without depth, in blotches."""


@dataclass(frozen=True)
class Scene:
    """A person before the camera."""

    camera: Camera
    depth: Array
    """(height, width) metres, as measured; NaN: unknown."""
    person: Person
    """As estimated, not scaled."""
    distance: float
    """True z of the pelvis, metres."""
    height: float
    """True standing height, metres."""
    covered: float
    """Share of the person's pixels that something hides."""


class OpenPeople:
    """The open body behind what pear_ros.body.scaled_bodies asks of an estimator."""

    def __init__(self) -> None:
        self.body: BodyModel = load_open_body()

    def joints(self, persons: Sequence[Person]) -> Array:
        """See pear_ros.core.estimator.Estimator."""
        smplx = stack([person.smplx for person in persons])
        joints: Array = self.body.joints(smplx.pose, smplx.betas, smplx.expression, smplx.transl)
        return joints

    def meshes(self, persons: Sequence[Person]) -> Array:
        """See pear_ros.core.estimator.Estimator."""
        smplx = stack([person.smplx for person in persons])
        vertices: Array = self.body.vertices(
            smplx.pose, smplx.betas, smplx.expression, smplx.transl
        )
        return vertices

    def heights(self, persons: Sequence[Person]) -> Array:
        """See pear_ros.core.estimator.Estimator."""
        return self.body.heights(np.array([person.smplx.betas for person in persons]))


class DepthStudio:
    """Makes scenes."""

    def __init__(self, people: OpenPeople) -> None:
        self._people = people
        self._body = people.body

    def shape(self, rng: Random) -> Array:
        """(num_betas,) of somebody."""
        return rng.normal(0, 1, self._body.num_betas).astype(np.float32)

    def guess(self, rng: Random, betas: Array, wrong: Wrongness) -> Array:
        """(num_betas,) of what an estimator takes them for."""
        off = betas + rng.normal(0, wrong.betas, len(betas))
        guessed: Array = (off / (1 + wrong.betas**2)).astype(np.float32)
        return guessed

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
        guessed: Array | None = None,
        wrong: Wrongness | None = None,
        spoilt: Spoilt | None = None,
        camera: Camera = CAMERA,
    ) -> Scene:
        """Somebody of the given standing `height` (metres), whose pelvis is at z = `distance`.

        `kind` of pose as in testing.synthetic_people; `occluder` of OCCLUDERS hides about a share
        `cover` of them; `betas` (num_betas,) true and `guessed` ones, by chance when not given.
        """
        wrong, spoilt = wrong or Wrongness(), spoilt or Spoilt()
        betas = self.shape(rng) if betas is None else betas
        rotations = self._rotations(rng, kind)
        truth = self._person(rotations, betas)
        size = height / float(self._people.heights([truth])[0])
        seen_at = rng.uniform((0.3, 0.4), (0.7, 0.6)) * (camera.width, camera.height)
        pelvis = distance * np.append(camera.rays(seen_at), 1.0)
        joints, vertices = self._people.joints([truth])[0], self._people.meshes([truth])[0]
        shift = pelvis - size * joints[0]
        joints, vertices = size * joints + shift, size * vertices + shift

        body = rasterize(vertices, self._body.faces, camera).depth_map()
        wall = distance + rng.uniform(0.6, 3.0)
        depth = np.minimum(body, np.float32(wall))
        in_front = self._occluder(rng, occluder, cover, body, pelvis, camera)
        hidden = np.isfinite(body) & (in_front < body)
        depth = spoil(rng, np.minimum(depth, in_front), spoilt)

        turned = rotations @ _turns(rng, wrong.degrees, len(rotations))
        guessed = self.guess(rng, betas, wrong) if guessed is None else guessed
        estimate = self._person(turned, guessed)
        pixels = camera.project(joints) + rng.normal(0, wrong.pixels, 2)
        found = self._people.joints([estimate])[:, :_BODY_JOINTS]
        there = place(found, pixels[None, :_BODY_JOINTS].astype(float), camera)[0]
        estimate = self._person(turned, guessed, there, camera)
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
        sure = np.ones(len(joints), np.float32)
        return Person(
            0.9, box, smplx, joints, sure, keypoints, id="h1", state=TrackingState.TRACKED
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
        """(height, width) depth of what is in front of the person, infinity where nothing is."""
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
            other = self._person(self._rotations(rng, "standing"), self.shape(rng))
            vertices = self._people.meshes([other])[0]
            front = float(np.ptp(vertices[:, 2]))
            z = max(at - front / 2, 0.8 * front)
            # From beside the person towards them, until enough of them is hidden.
            side = rng.choice((-1, 1))
            for apart in np.linspace(1.0, 0.0, 41):
                middle = (pelvis[0] / pelvis[2] + side * apart / pelvis[2]) * z
                moved = vertices + np.array([middle, pelvis[1], z], np.float32)
                found = rasterize(moved, self._body.faces, camera).depth_map()
                if (found < body)[rows, columns].mean() >= cover:
                    break
            return found
        return np.full(body.shape, np.inf, np.float32)


def spoil(rng: Random, depth: Array, spoilt: Spoilt) -> Array:
    """A depth image as a camera would have it."""
    shape = depth.shape
    measured = depth + spoilt.noise * depth**2 * _blotches(rng, shape, 1.0)
    wild = rng.random(shape) < spoilt.outliers
    measured[wild] = rng.uniform(0.3, 10.0, int(wild.sum()))
    if spoilt.holes:
        blotches = _blotches(rng, shape, 4.0)
        measured[blotches < np.quantile(blotches, spoilt.holes)] = np.nan
    return np.asarray(measured, np.float32)


def _blotches(rng: Random, shape: tuple[int, ...], size: float) -> Array:
    """Noise of standard deviation 1 that is alike within some pixels."""
    noise = cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), size)
    return np.asarray(noise / noise.std(), np.float32)


def _turns(rng: Random, degrees: float, count: int) -> Doubles:
    """(count, 3, 3) small rotations."""
    return np.asarray(
        Rotation.from_rotvec(rng.normal(0, degrees, (count, 3)), degrees=True).as_matrix()
    )
