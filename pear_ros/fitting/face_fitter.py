# SPDX-License-Identifier: Apache-2.0
"""Head orientation, jaw and expression from the 468 landmarks of a face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from scipy.spatial.transform import Rotation

from pear_ros.body import BodyModel
from pear_ros.core.people import NUM_JOINTS, SMPLX_JOINT_NAMES, Array
from pear_ros.landmarks.topology import Face

# Forehead, bridge and tip of the nose, corners of the eyes: what no expression moves.
_RIGID = (
    *(Face.FOREHEAD, 151, 9, 8, 168, 6, 197, 195, 5, 4, Face.NOSE_TIP),
    *(Face.RIGHT_EYE_OUTER, Face.RIGHT_EYE_INNER, Face.LEFT_EYE_INNER, Face.LEFT_EYE_OUTER),
)
_JAW_STEP = 0.2
"""Radians of jaw opening over which the movement of the landmarks is taken as linear."""
_MAX_JAW = 0.6
# What 468 landmarks can tell apart; the jaw joint takes the place of jawOpen.
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
_EFFORT = 0.0004
"""Metres of landmark movement that a coefficient of one must explain to be worth it (ridge)."""


@dataclass(frozen=True)
class FaceFit:
    """What a face says of its head."""

    orientation: Array
    """(3, 3) of the head, from body axes to the optical frame."""
    jaw: float
    """Opening of the jaw joint, radians."""
    expression: Array
    """(num_expression,) 0 to 1."""


class FaceFitter:
    """Fits the face of a body model.

    A person's own features are not an expression: they are explained by smooth changes of the whole
    face (a quadratic map of the neutral face), expressions by what is left.
    """

    def __init__(self, body: BodyModel, corners: npt.NDArray[np.intp], barycentric: Array) -> None:
        """`corners` (468, 3) vertices and `barycentric` (468, 3): where the landmarks lie."""
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
        # The person's own features are projected out; the ridge is folded into the matrix.
        basis, _ = np.linalg.qr(identity)
        self._identity = basis
        free = expression - basis @ (basis.T @ expression)
        ridge = np.full(free.shape[1], _EFFORT * np.sqrt(len(self._neutral)))
        self._factor, triangle = np.linalg.qr(np.vstack([free, np.diag(ridge)]))
        self._factor = self._factor[: len(free)]
        self._triangle = triangle

    def _landmarks(self, vertices: Array) -> npt.NDArray[np.float64]:
        """(468, 3) where the landmarks lie on vertices (V, 3)."""
        return np.asarray((vertices[self._corners] * self._weights).sum(axis=1))

    def _jaw_movement(self, body: BodyModel) -> npt.NDArray[np.float64]:
        """(468, 3) movement of the landmarks per radian of jaw opening."""
        pose = np.zeros((1, NUM_JOINTS, 3), np.float32)
        pose[0, SMPLX_JOINT_NAMES.index("jaw"), 0] = _JAW_STEP
        betas = np.zeros((1, body.num_betas), np.float32)
        expression = np.zeros((1, body.num_expression), np.float32)
        opened = body.vertices(pose, betas, expression, np.zeros((1, 3), np.float32))[0]
        return (self._landmarks(opened) - self._landmarks(body.v_template)) / _JAW_STEP

    def __call__(self, points: Array, view: Array) -> FaceFit:
        """Fit landmarks `points` (468, 3) in pixels, z away from the camera.

        `view` (3, 3) turns from the ray through the face to the optical frame.
        """
        rigid = list(_RIGID)
        seen = points - points[rigid].mean(axis=0)
        model = self._neutral - self._neutral[rigid].mean(axis=0)
        rotation, _ = Rotation.align_vectors(seen[rigid], model[rigid])
        turned = seen @ rotation.as_matrix()
        scale = (turned[rigid] * model[rigid]).sum() / (turned[rigid] ** 2).sum()
        moved = turned * scale - model
        # The jaw from the lips alone: as a smooth change of the face it would pass for a feature.
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
    """How much further the lips are apart when landmarks (468, 3) have moved so, along body y."""
    return float(moved[Face.UPPER_LIP_INNER, 1] - moved[Face.LOWER_LIP_INNER, 1])


def _quadratic_maps(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(3 N, 30) the movements of points (N, 3) under any quadratic map of space."""
    x, y, z = ((points - points.mean(axis=0)) / points.std(axis=0)).T
    terms = np.stack([np.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, y * z, x * z], axis=1)
    maps = np.zeros((len(points), 3, 3, terms.shape[1]))
    for axis in range(3):
        maps[:, axis, axis] = terms
    return maps.reshape(3 * len(points), -1)
