# SPDX-License-Identifier: Apache-2.0
"""Draw docs/mesh_detail.jpg: the open body in each mesh_detail, as RViz and Foxglove show it.

python -m tools.draw_mesh_detail [FILE]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pear_ros.body import BodyModel, load_open_body
from pear_ros.core.camera import Camera
from pear_ros.core.parameters import MESH_DETAILS
from pear_ros.core.people import SMPLX_JOINT_NAMES, Array, Image
from pear_ros.rendering.raster import rasterize
from pear_ros.rendering.shading import shade

OUTPUT = Path(__file__).parents[1] / "docs" / "mesh_detail.jpg"
WIDTH, HEIGHT = 300, 360
SUPERSAMPLING = 3
DISTANCE = 8.0
"""Distance of the camera, metres; far, for little perspective."""
PAPER, INK, SKIN = 246, (90, 90, 90), (205, 160, 90)
JPEG_QUALITY = 88

POSE = {
    **{"left_shoulder": (0.0, 0.0, -0.7), "right_shoulder": (0.0, 0.0, -0.9)},
    **{"left_elbow": (0.0, -1.7, 0.0), "right_elbow": (0.0, 0.3, 0.0)},
    **{"left_hip": (-1.2, 0.0, 0.0), "left_knee": (1.6, 0.0, 0.0)},
    **{f"right_{finger}{k}": (0.0, 0.0, 0.25) for finger in ("index", "ring") for k in (1, 2, 3)},
    **{f"right_middle{k}": (0.0, 0.0, 0.1) for k in (1, 2, 3)},
    **{f"right_pinky{k}": (0.0, 0.0, 0.45) for k in (1, 2, 3)},
}
EXPRESSION = {"jawOpen": 0.25, "mouthSmileLeft": 0.7, "mouthSmileRight": 0.7}


@dataclass(frozen=True)
class View:
    """A view of a part of the body."""

    joint: str
    """Joint in the centre of the image, apart from `offset`."""
    height: float
    """Height of the visible part, metres."""
    yaw: float
    """Angle by which the body is turned to its left, radians."""
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Offset of the centre in the body's axes, metres."""


VIEWS = (
    View("pelvis", 2.2, 0.0, (-0.15, 0.08, 0.0)),
    View("right_middle1", 0.27, 1.2),
    View("head", 0.34, 0.3, (0.0, 0.05, 0.0)),
    View("left_elbow", 0.55, 0.5, (0.05, 0.0, 0.0)),
    View("left_knee", 0.55, 1.1, (0.0, -0.03, -0.08)),
)


def posed(body: BodyModel) -> tuple[Array, Array]:
    """Return the posed body's vertices (V, 3) and joints (55, 3), metres."""
    pose = np.zeros((1, 55, 3), np.float32)
    for joint, bend in POSE.items():
        pose[0, SMPLX_JOINT_NAMES.index(joint)] = bend
    expression = np.zeros((1, body.num_expression), np.float32)
    for name, strength in EXPRESSION.items():
        expression[0, body.expression_names.index(name)] = strength
    rest = np.zeros((1, body.num_betas), np.float32), expression, np.zeros((1, 3), np.float32)
    return body.vertices(pose, *rest)[0], body.joints(pose, *rest)[0]


def draw(vertices: Array, faces: npt.NDArray[np.int32], centre: Array, view: View) -> Image:
    """Return an image with flat shading, as viewers draw meshes without vertex normals."""
    turn = np.array(
        [
            [np.cos(view.yaw), 0.0, np.sin(view.yaw)],
            [0.0, 1.0, 0.0],
            [-np.sin(view.yaw), 0.0, np.cos(view.yaw)],
        ]
    )
    seen = (vertices - centre) @ turn.T * (1.0, -1.0, -1.0) + (0.0, 0.0, DISTANCE)
    width, height = SUPERSAMPLING * WIDTH, SUPERSAMPLING * HEIGHT
    focal = height / view.height * DISTANCE
    camera = Camera(width, height, focal, focal, width / 2, height / 2)
    corners = seen[faces].reshape(-1, 3).astype(np.float32)
    apart = np.arange(len(corners)).reshape(-1, 3)
    raster = rasterize(corners, apart, camera)
    picture = np.full((height, width, 3), PAPER, np.uint8)
    picture.reshape(-1, 3)[raster.pixel] = shade(raster, corners, apart, SKIN, ambient=0.35)
    return np.asarray(cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def main() -> None:
    """Write the image."""
    body = load_open_body()
    vertices, joints = posed(body)
    rows = []
    for detail in MESH_DETAILS:
        faces = body.faces_of(detail)
        row = np.hstack(
            [
                draw(vertices, faces, joints[SMPLX_JOINT_NAMES.index(v.joint)] + v.offset, v)
                for v in VIEWS
            ]
        )
        label = f"{detail}: {len(faces):,} triangles"
        cv2.putText(
            row, label, (10, HEIGHT - 12), cv2.FONT_HERSHEY_SIMPLEX, 0.6, INK, 1, cv2.LINE_AA
        )
        rows.append(row)
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    path.write_bytes(cv2.imencode(".jpg", np.vstack(rows), quality)[1].tobytes())
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
