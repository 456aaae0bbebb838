# SPDX-License-Identifier: Apache-2.0
"""Positions of the landmarks of MediaPipe's face mesh on the open body.

The landmark model detects them in renders of the head from several sides; they are traced back
to the surface. The mouth is a little open and painted, so that the landmarks of each lip come to
lie on that lip, and only skin is hit, so that those of the eyelids do not come to lie on the
eyeballs: the landmarks then move with the jaw and with blinking.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from pear_ros.body.normals import vertex_normals
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Image
from pear_ros.io.downloads import landmark_model
from pear_ros.landmarks.face import MIN_SCORE, roi_from_face
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.tflite_model import TfliteModel, sigmoid
from pear_ros.landmarks.topology import NUM_FACE
from pear_ros.rendering.raster import Raster, rasterize
from pear_ros.rendering.shading import shade

Mask = npt.NDArray[np.bool_]

YAWS = (0.0, -40.0, -20.0, 20.0, 40.0)
PITCHES = (0.0, -12.0, 12.0)
"""Yaw and pitch of the views, degrees; the first one is frontal."""
DISTANCE = 1.0
CENTRE = np.array([0.0, -0.03, -0.06])
"""Middle of the images, from the point between the eyes; metres."""
FIELD_OF_VIEW = 20.0
PIXELS = 900
REFINEMENTS = 3

LIGHT = (0.0, -0.3, -1.0)
BACKGROUND = 150
SKIN, LIPS, CAVITY = (120, 150, 205), (95, 85, 165), (30, 20, 60)
EYEBALL, IRIS = (235, 235, 235), (40, 50, 60)
"""BGR."""
LIP_WIDTH = 0.012
IRIS_RADIUS = 0.0065

AGREEMENT = 0.003
"""Metres: views that disagree by more than this with the others count less."""
ITERATIONS = 5


@dataclass(frozen=True)
class Head:
    """The body whose face landmarks are detected, mouth slightly open, and its head's parts."""

    vertices: Array
    """(V, 3) vertices in the T-pose, y up, z forward, metres."""
    faces: npt.NDArray[np.int64]
    skin: Mask
    """(F,) outer skin of the head."""
    mouth_cavity: Mask
    """(F,)"""
    inner: Mask
    """(F,) cavities behind lips and eyelids, and the tongue."""
    eyeballs: Mask
    """(F,)"""
    eyes: Array
    """(2, 3) front of the left and the right eyeball."""

    def colours(self) -> Array:
        """Return (V, 3) colours with which the landmark model detects the face."""
        colours = np.tile(np.array(SKIN, np.float32), (len(self.vertices), 1))
        skin = np.unique(self.faces[self.skin])
        edge = np.intersect1d(skin, self.faces[self.mouth_cavity])
        between_corners = np.abs(self.vertices[:, 0]) < np.abs(self.vertices[edge, 0]).max()
        near_mouth = KDTree(self.vertices[edge]).query(self.vertices)[0] < LIP_WIDTH
        colours[between_corners & near_mouth] = LIPS
        colours[np.setdiff1d(self.faces[self.inner], skin)] = CAVITY
        eyeballs = np.unique(self.faces[self.eyeballs])
        colours[eyeballs] = EYEBALL
        colours[eyeballs[KDTree(self.eyes).query(self.vertices[eyeballs])[0] < IRIS_RADIUS]] = IRIS
        return colours


@dataclass(frozen=True)
class _View:
    """One render, reduced to the skin that it shows (K pixels), and the landmarks found in it."""

    towards: Array
    """(3,) unit direction to the camera, in the body's axes."""
    face: npt.NDArray[np.intp]
    barycentric: Array
    points: Array
    """(K, 3) on the surface, in the body's axes."""
    normals: Array
    """(K, 3)"""
    hit: npt.NDArray[np.intp]
    """(468,) index of the pixel nearest to each landmark."""


def embed_face(head: Head) -> tuple[npt.NDArray[np.uint16], Array]:
    """Return triangles (468,) and barycentric weights (468, 3) of the face mesh's landmarks.

    A landmark's place is the mean of those in all views, weighted by how much the surface there
    faces the camera and by agreement with the mean, which is computed iteratively.
    """
    model = TfliteModel(landmark_model("face_landmark").read_bytes(), outputs=(0, 1))
    colours = head.colours()
    views = [
        _render_view(head, colours, model, *angles) for angles in itertools.product(YAWS, PITCHES)
    ]
    found = np.stack([view.points[view.hit] for view in views])
    towards = np.stack([view.towards for view in views])
    points = np.concatenate([view.points for view in views])
    normals = np.concatenate([view.normals for view in views])
    surface = KDTree(points)
    mean = found[0]
    for _ in range(ITERATIONS):
        facing = towards @ normals[surface.query(mean)[1]].T
        distance = np.linalg.norm(found - mean, axis=2)
        weights = np.clip(facing, 1e-3, 1.0) ** 4 / (1.0 + (distance / AGREEMENT) ** 2)
        mean = np.einsum("vl,vlc->lc", weights / weights.sum(axis=0), found)
    nearest = surface.query(mean)[1]
    faces = np.concatenate([view.face for view in views])[nearest]
    barycentric = np.concatenate([view.barycentric for view in views])[nearest]
    return faces.astype(np.uint16), barycentric.astype(np.float32)


def _render_view(head: Head, colours: Array, model: TfliteModel, yaw: float, pitch: float) -> _View:
    to_optical = np.diag([1.0, -1.0, -1.0])
    turn = to_optical @ Rotation.from_euler("xy", [pitch, yaw], degrees=True).as_matrix()
    seen = (head.vertices - head.eyes.mean(axis=0) - CENTRE) @ turn.T + (0.0, 0.0, DISTANCE)
    seen = seen.astype(np.float32)
    camera = Camera.from_field_of_view(PIXELS, PIXELS, FIELD_OF_VIEW)
    raster = rasterize(seen, head.faces, camera)
    image = np.full((PIXELS, PIXELS, 3), BACKGROUND, np.uint8)
    image.reshape(-1, 3)[raster.pixel] = shade(raster, seen, head.faces, colours, light=LIGHT)
    found = _find_face(model, image, f"yaw {yaw}, pitch {pitch}")
    return _traced(head, raster, found, -turn[2])


def _find_face(model: TfliteModel, image: Image, view: str) -> Array:
    """Return landmarks (468, 2), pixels; the head is centred and half as wide as the image."""
    roi = Roi(PIXELS / 2, PIXELS / 2, 0.6 * PIXELS)
    for _ in range(REFINEMENTS):
        raw, logit = model(roi.crop(image, model.pixels))
        points = roi.uncrop(raw.reshape(NUM_FACE, 3), model.pixels)[:, :2]
        roi = roi_from_face(points)
    if float(sigmoid(logit).item()) < MIN_SCORE:
        raise RuntimeError(f"no face was found in the render with {view} degrees")
    return points


def _traced(head: Head, raster: Raster, landmarks: Array, towards: Array) -> _View:
    skin = np.flatnonzero(head.skin[raster.face])
    normals = raster.interpolate(vertex_normals(head.vertices, head.faces), head.faces)[skin]
    row, column = np.divmod(raster.pixel[skin], raster.width)
    return _View(
        towards,
        raster.face[skin],
        raster.barycentric[skin],
        raster.interpolate(head.vertices, head.faces)[skin],
        normals / np.linalg.norm(normals, axis=1, keepdims=True),
        KDTree(np.column_stack([column, row])).query(landmarks)[1],
    )
