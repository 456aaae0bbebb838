# SPDX-License-Identifier: Apache-2.0
"""Draw docs/frames.png: a person before a camera, with the frames of messages and /tf.

Body, axes and places are the package's own, drawn to scale and in perspective.

    python -m tools.draw_frames
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.body import load_open_body
from pear_ros.body.joint_frames import root_frames
from pear_ros.core.camera import Camera
from pear_ros.core.people import SMPLX_JOINT_NAMES, Array, Image
from pear_ros.rendering.raster import Faces, rasterize
from pear_ros.rendering.shading import shade

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "frames.png"

Point = tuple[float, float, float]
Colour = tuple[int, int, int]

WIDTH, HEIGHT, INSET = 1000, 760, 500
PAPER: Colour = (255, 255, 255)
INK: Colour = (50, 45, 40)
SOFT: Colour = (105, 98, 92)
FAINT: Colour = (216, 211, 206)
SEEN: Colour = (190, 170, 120)
SKIN = (206, 214, 224)
CASE = (90, 85, 80)
AXES: tuple[Colour, ...] = ((40, 40, 205), (60, 150, 40), (200, 90, 30))
"""BGR colours of x, y and z: red, green and blue, as in RViz."""

FLOOR = 1.2
"""Distance of the floor below the camera, metres."""
DISTANCE = 2.4
LINK_TO_OPTICAL = Rotation.from_quat([-0.5, 0.5, -0.5, 0.5])
"""REP-103: from camera_link (x forward, y left, z up) to the optical frame."""


@dataclass(frozen=True)
class Mesh:
    """A surface in the optical frame."""

    vertices: Array
    faces: Faces


@dataclass(frozen=True)
class Frame:
    """A coordinate frame to draw, given in the optical frame."""

    origin: Array
    axes: npt.NDArray[np.floating]
    """(3, 3) rotation, with the axes x, y and z as columns."""


class View:
    """An image of the scene, seen from `eye` towards `target`."""

    def __init__(self, width: int, height: int, eye: Point, target: Point, focal: float) -> None:
        self.image: Image = np.full((height, width, 3), PAPER, np.uint8)
        self._eye = np.array(eye)
        forward = np.subtract(target, eye)
        forward = forward / np.linalg.norm(forward)
        right = np.cross((0.0, 1.0, 0.0), forward)  # y is down
        right /= np.linalg.norm(right)
        self._turn = np.stack([right, np.cross(forward, right), forward])
        self._camera = Camera(width, height, focal, focal, width / 2, height / 2)

    def pixels(self, points: npt.ArrayLike) -> Array:
        """Return the projections (..., 2) of points (..., 3), pixels."""
        return self._camera.project((np.asarray(points) - self._eye) @ self._turn.T)

    def line(self, points: npt.ArrayLike, colour: Colour, width: int = 1) -> None:
        """Draw a line through points (N, 3)."""
        corners = np.round(self.pixels(points) * 16).astype(np.int32)
        cv2.polylines(self.image, [corners], False, colour, width, cv2.LINE_AA, 4)

    def mesh(self, mesh: Mesh, colour: tuple[float, float, float]) -> None:
        """Draw a shaded surface with a soft outline."""
        fine = 3
        camera = self._camera
        size = camera.width * fine, camera.height * fine
        focal, centre = fine * camera.fx, (fine * camera.cx, fine * camera.cy)
        large = Camera(*size, focal, focal, *centre)
        vertices = ((mesh.vertices - self._eye) @ self._turn.T).astype(np.float32)
        raster = rasterize(vertices, mesh.faces, large)
        picture = cv2.resize(self.image, size, interpolation=cv2.INTER_NEAREST)
        lit = shade(raster, vertices, mesh.faces, colour)
        picture.reshape(-1, 3)[raster.pixel] = lit.astype(np.uint8)
        small = cv2.resize(picture, self.image.shape[1::-1], interpolation=cv2.INTER_AREA)
        self.image[:] = small

    def frame(self, frame: Frame, length: float = 0.45) -> None:
        """Draw a frame as three arrows with their letters."""
        for axis, (colour, letter) in enumerate(zip(AXES, "xyz", strict=True)):
            tip = frame.origin + length * frame.axes[:, axis]
            start, end = self.pixels([frame.origin, tip])
            along = (end - start) / max(float(np.linalg.norm(end - start)), 1e-6)
            across = np.array([-along[1], along[0]])
            neck = end - 16 * along
            cv2.line(self.image, _fixed(start), _fixed(neck), colour, 4, cv2.LINE_AA, 4)
            head = np.array([_fixed(end), _fixed(neck + 7 * across), _fixed(neck - 7 * across)])
            cv2.fillPoly(self.image, [head], colour, cv2.LINE_AA, 4)
            place = end + 22 * along + (-9, 9)
            for dx, dy in ((-2, 0), (2, 0), (0, -2), (0, 2)):
                self.text(letter, np.add(place, (dx, dy)), 32, PAPER, bold=True)
            self.text(letter, place, 32, colour, bold=True)
        centre = _fixed(self.pixels(frame.origin))
        cv2.circle(self.image, centre, 6 * 16, INK, cv2.FILLED, cv2.LINE_AA, 4)

    def caption(self, name: str, words: Sequence[str], place: tuple[int, int]) -> None:
        """Write a frame's name and lines of explanation."""
        self.text(name, place, 34, bold=True)
        for number, line in enumerate(words, 1):
            self.text(line, (place[0], place[1] + 8 + 36 * number), 29, SOFT)

    def text(
        self, words: str, place: npt.ArrayLike, size: int, colour: Colour = INK, bold: bool = False
    ) -> None:
        """Write text from `place` on, the left end of the baseline in pixels."""
        left, base = (round(float(value)) for value in np.asarray(place))
        weight = 700 if bold else 400
        cv2.putText(self.image, words, (left, base), colour, cv2.FontFace(), size, weight)


def main() -> None:
    """Write the image."""
    pose = np.zeros((1, len(SMPLX_JOINT_NAMES), 3), np.float32)
    pose[0, 0] = (np.pi, 0.0, 0.0)  # faces the camera
    for side, sign in (("left", -1.0), ("right", 1.0)):
        pose[0, SMPLX_JOINT_NAMES.index(f"{side}_shoulder")] = (0.0, 0.0, sign * 1.0)
        pose[0, SMPLX_JOINT_NAMES.index(f"{side}_elbow")] = (0.0, 0.3 * sign, 0.0)
    body = load_open_body()
    shape = (np.zeros((1, body.num_betas), np.float32), np.zeros((1, body.num_expression), "f4"))
    soles = body.vertices(pose, *shape, np.zeros((1, 3), np.float32))[0, :, 1].max()
    place = np.array([[0.0, FLOOR - soles, DISTANCE]], np.float32)
    person = Mesh(body.vertices(pose, *shape, place)[0], body.faces)
    joints = body.joints(pose, *shape, place)

    hips = root_frames(pose, joints)[0, 0]
    optical = Frame(np.zeros(3, np.float32), np.eye(3))
    link = Frame(optical.origin, LINK_TO_OPTICAL.inv().as_matrix())
    tf_body = Frame(hips[:3], Rotation.from_quat(hips[3:]).as_matrix())
    root = Frame(joints[0, 0], Rotation.from_rotvec(pose[0, 0]).as_matrix())

    panels = [_scene(person, optical, tf_body), _insets(person, link, root)]
    picture = np.concatenate(panels, axis=1)
    cv2.imwrite(str(PICTURE), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB")


def _scene(person: Mesh, optical: Frame, body: Frame) -> Image:
    """Draw camera and person on a floor with a grid of half a metre."""
    view = View(WIDTH, HEIGHT, (-3.0, -0.95, -0.5), (0.0, 0.3, 1.12), 900.0)
    for step in (-0.5, 0.0, 0.5):
        view.line([(step, FLOOR, -0.5), (step, FLOOR, 3.0)], FAINT)
    for step in np.arange(-0.5, 3.01, 0.5).tolist():
        view.line([(-0.5, FLOOR, step), (0.5, FLOOR, step)], FAINT)
    view.line([(0.0, FLOOR, -0.04), (0.0, 0.0, -0.04)], (150, 145, 140), 4)
    corners = [(-0.3, -0.22, 0.7), (0.3, -0.22, 0.7), (0.3, 0.22, 0.7), (-0.3, 0.22, 0.7)]
    view.line([*corners, corners[0]], SEEN, 2)
    for corner in corners:
        view.line([(0.0, 0.0, 0.0), corner], SEEN, 2)
    view.mesh(person, SKIN)
    view.mesh(_box(), CASE)
    view.frame(optical)
    view.frame(body)
    view.caption(
        "the image's frame_id",
        ("optical frame of the camera:", "x right, y down, z forward"),
        (580, 60),
    )
    view.caption(
        "body_h1 in /tf",
        ("midway between the hips:", "x out of the chest, y to the left, z up"),
        (24, 60),
    )
    view.text("squares of 0.5 m", (24, HEIGHT - 24), 26, SOFT)
    return view.image


def _insets(person: Mesh, link: Frame, root: Frame) -> Image:
    """Draw close-ups of the other two frames."""
    half = HEIGHT // 2
    upper = View(INSET, half, (-1.2, -0.55, -0.75), (0.05, -0.06, 0.17), 520.0)
    upper.mesh(_box(), CASE)
    upper.frame(link)
    upper.caption("camera_link", ("x forward,", "y left, z up"), (24, 60))
    lower = View(INSET, half, (-1.3, -0.35, 1.05), (-0.08, 0.0, DISTANCE + 0.12), 480.0)
    lower.mesh(person, SKIN)
    lower.frame(root)
    lower.caption(
        "root_pose",
        ("SMPL-X,", "at the pelvis:", "x left,", "y up,", "z out of", "the chest"),
        (24, 60),
    )
    for inset in (upper, lower):
        cv2.rectangle(inset.image, (0, 0), (INSET - 1, half - 1), FAINT, 2)
    return np.concatenate([upper.image, lower.image])


def _box() -> Mesh:
    """Return the camera's surface: 9 x 6 x 8 cm, its lens at the origin."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 0)], np.float32)
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([t for a, b, c, d in sides for t in ((a, b, c), (a, c, d))])
    return Mesh(corners * np.array([0.045, 0.03, 0.08], np.float32), faces)


def _fixed(pixel: npt.NDArray[np.floating]) -> tuple[int, int]:
    """Return a pixel in fixed point with 4 fractional bits, for OpenCV."""
    return round(float(pixel[0]) * 16), round(float(pixel[1]) * 16)


if __name__ == "__main__":
    main()
