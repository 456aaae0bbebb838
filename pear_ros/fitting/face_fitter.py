# SPDX-License-Identifier: Apache-2.0
"""Fits head orientation, jaw and expression to the 468 landmarks of a face.

The landmarks that no expression moves give the orientation and the scale (Umeyama). What is left is
explained by the jaw, by the person's own features, and by non-negative expression coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from scipy.spatial.transform import Rotation

from pear_ros.body import BodyModel
from pear_ros.core.people import NUM_JOINTS, SMPLX_JOINT_NAMES, Array
from pear_ros.landmarks.topology import Face

# Forehead, bridge and tip of the nose, corners of the eyes: no expression moves them.
_RIGID = (
    *(Face.FOREHEAD, 151, 9, 8, 168, 6, 197, 195, 5, 4, Face.NOSE_TIP),
    *(Face.RIGHT_EYE_OUTER, Face.RIGHT_EYE_INNER, Face.LEFT_EYE_INNER, Face.LEFT_EYE_OUTER),
)
_JAW_STEP = 0.2
"""Radians of jaw opening from which the movement of the landmarks per radian is computed."""
_MAX_JAW = 0.6
"""Greatest opening of the jaw, radians."""
# Expressions that 468 landmarks distinguish; the jaw joint takes the place of jawOpen.
_FITTED = (
    *("browInnerUp", "cheekPuff", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight"),
    *(
        f"{unit}{side}"
        for unit in ("browDown", "browOuterUp", "eyeBlink", "eyeSquint", "eyeWide")
        for side in ("Left", "Right")
    ),
    *(
        f"{unit}{side}"
        for unit in ("mouthFrown", "mouthSmile", "mouthUpperUp", "mouthLowerDown", "noseSneer")
        for side in ("Left", "Right")
    ),
)
_RIDGE = 0.0004
"""Weight of the ridge penalty of a coefficient, metres of landmark movement per unit."""


@dataclass(frozen=True)
class FaceFit:
    """Head orientation, jaw and expression of one face."""

    orientation: Array
    """(3, 3) rotation of the head, from the body's axes at rest to the optical frame."""
    jaw: float
    """Opening of the jaw joint, radians."""
    expression: Array
    """(num_expression,) coefficients, 0 to 1."""


class FaceFitter:
    """Fits the face of a body model to landmarks.

    A person's own features are modelled as a quadratic map of the neutral face and projected out;
    expressions explain the rest.
    """

    def __init__(self, body: BodyModel, corners: npt.NDArray[np.intp], barycentric: Array) -> None:
        """Factorise the least-squares problem of the expressions.

        `corners` (468, 3) vertex indices and `barycentric` (468, 3) coordinates: the places of the
        landmarks on the mesh.
        """
        self._corners = corners
        self._weights = barycentric[..., None].astype(np.float64)
        self._neutral = self._landmarks(body.v_template)
        moves = np.zeros((body.vertex_count, 3, body.num_expression), np.float32)
        moves[body.exprdirs_vertices] = body.exprdirs
        self._fitted = [body.expression_names.index(name) for name in _FITTED]
        self._num_expression = body.num_expression
        units = [self._landmarks(moves[:, :, number]).ravel() for number in self._fitted]
        expression = np.stack(units, axis=1)
        self._jaw = self._jaw_movement(body)
        identity = _quadratic_maps(self._neutral)
        # Min |A x - b|^2 + |ridge x|^2 over x >= 0, with the features projected out of A: stack
        # [A; ridge] = Q R.
        basis, _ = np.linalg.qr(identity)
        self._identity = basis
        free = expression - basis @ (basis.T @ expression)
        ridge = np.full(free.shape[1], _RIDGE * np.sqrt(len(self._neutral)))
        self._factor, triangle = np.linalg.qr(np.vstack([free, np.diag(ridge)]))
        self._factor = self._factor[: len(free)]
        self._triangle = triangle

    def _landmarks(self, vertices: Array) -> npt.NDArray[np.float64]:
        """Return the landmarks (468, 3) of a mesh with vertices (V, 3)."""
        return np.asarray((vertices[self._corners] * self._weights).sum(axis=1))

    def _jaw_movement(self, body: BodyModel) -> npt.NDArray[np.float64]:
        """Return the movement (468, 3) of the landmarks per radian of jaw opening, metres."""
        pose = np.zeros((1, NUM_JOINTS, 3), np.float32)
        pose[0, SMPLX_JOINT_NAMES.index("jaw"), 0] = _JAW_STEP
        betas = np.zeros((1, body.num_betas), np.float32)
        expression = np.zeros((1, body.num_expression), np.float32)
        opened = body.vertices(pose, betas, expression, np.zeros((1, 3), np.float32))[0]
        return (self._landmarks(opened) - self._landmarks(body.v_template)) / _JAW_STEP

    def __call__(self, points: Array, view: Array) -> FaceFit:
        """Fit the face to landmarks `points` (468, 3) in pixels, z away from the camera.

        `view` (3, 3) rotates from a camera that looks at the face to the optical frame.
        """
        rigid = list(_RIGID)
        seen = points - points[rigid].mean(axis=0)
        model = self._neutral - self._neutral[rigid].mean(axis=0)
        rotation, _ = Rotation.align_vectors(seen[rigid], model[rigid])
        turned = seen @ rotation.as_matrix()
        scale = (turned[rigid] * model[rigid]).sum() / (turned[rigid] ** 2).sum()
        moved = turned * scale - model
        # The jaw from the lips alone: its smooth movement of the face is also a quadratic map.
        jaw = float(np.clip(_lip_gap(moved) / _lip_gap(self._jaw), 0.0, _MAX_JAW))
        difference = (moved - jaw * self._jaw).ravel()
        difference -= self._identity @ (self._identity.T @ difference)
        coefficients, _ = nnls(self._triangle, self._factor.T @ difference)
        expression = np.zeros(self._num_expression, np.float32)
        expression[self._fitted] = np.minimum(coefficients, 1.0)
        return FaceFit(
            orientation=(view @ rotation.as_matrix()).astype(np.float32),
            jaw=jaw,
            expression=expression,
        )


def _lip_gap(moved: npt.NDArray[np.float64]) -> float:
    """Return how much a movement of the landmarks (468, 3) parts the lips along the body's y."""
    return float(moved[Face.UPPER_LIP_INNER, 1] - moved[Face.LOWER_LIP_INNER, 1])


def _quadratic_maps(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return a basis (3 N, 30) of the movements of points (N, 3) under quadratic maps of space."""
    x, y, z = ((points - points.mean(axis=0)) / points.std(axis=0)).T
    terms = np.stack([np.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, y * z, x * z], axis=1)
    maps = np.zeros((len(points), 3, 3, terms.shape[1]))
    for axis in range(3):
        maps[:, axis, axis] = terms
    return maps.reshape(3 * len(points), -1)
