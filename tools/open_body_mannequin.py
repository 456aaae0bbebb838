# SPDX-License-Identifier: Apache-2.0
"""Turns the open body into a mannequin: the same skeleton under a smooth, neutral surface.

The surface is drawn over pictures of real people, so it shows no anatomical detail: below the neck
it is smoothed, and it is filled in smoothly where chest, navel, groin and buttocks are. The face is
left as it is, since expressions, eyelids and lips have to be seen.

Smoothing minimises, over the surface of the mean body,

    integral of  keep |x' - x|^2 + length^4 |Laplacian x'|^2,

the energy of a thin plate (Botsch and Kobbelt, "An intuitive framework for real-time freeform
modeling", SIGGRAPH 2004) that is held to the body by springs: `length` says how small a detail has
to be to vanish, and where `keep` is 0 the plate spans what surrounds it. The result is linear in x,
with a matrix that depends on the mean body alone. So template and shape directions are smoothed by
the same matrix, and no shape brings detail back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import nnls
from scipy.sparse.linalg import splu
from scipy.spatial import KDTree

from pear_ros.core.people import SMPLX_JOINT_NAMES
from tools.open_body_rig import FINGERS, SIDES, Array

Mask = npt.NDArray[np.bool_]
Smoother = Callable[[Array], Array]
"""Smooths values (V, C) at the vertices of a surface."""

LIMB, COLLAR, TRUNK = 0.022, 0.03, 0.042
HAND, FINGERTIP, FOOT = 0.003, 0.0042, 0.0045
"""Smoothing lengths of parts of the body, metres; half of a part's radius keeps its thickness."""

HEAD_FADE_HEIGHT, HEAD_FADE_SLOPE, HEAD_FADE = 0.43, 0.5, 0.14
"""Smoothing fades out over the last of these, metres, above a plane that rises by the slope from
the first of these at the middle to both shoulders: the head stays as it is, the shoulders do not.
"""


@dataclass(frozen=True)
class Patch:
    """Ellipsoid on the left side, and its mirror image, within which detail is removed."""

    centre: tuple[float, float, float]
    """In the axes of the T-pose, from the pelvis, metres."""
    radii: tuple[float, float, float]
    core: float
    """Share of the radii within which no detail is left; from there on it fades in."""
    length: float
    """Smoothing length, metres."""

    def mask(self, vertices: Array) -> Array:
        """Return (V,) between 0, outside, and 1, in the core."""
        places = vertices.copy()
        places[:, 0] = np.abs(places[:, 0])
        distance = np.linalg.norm((places - self.centre) / self.radii, axis=1)
        return 1.0 - _smooth_step((distance - self.core) / (1.0 - self.core))


PATCHES = (
    Patch((0.08, 0.325, 0.17), (0.10, 0.12, 0.10), 0.6, 0.10),  # breast
    Patch((0.0, 0.34, 0.15), (0.05, 0.13, 0.08), 0.6, 0.10),  # breastbone
    Patch((0.11, 0.39, 0.12), (0.11, 0.09, 0.09), 0.1, 0.07),  # fold in front of the armpit
    Patch((0.0, 0.128, 0.16), (0.035, 0.04, 0.05), 0.6, 0.05),  # navel
    Patch((0.0, -0.065, 0.11), (0.055, 0.075, 0.09), 0.5, 0.07),  # groin, front
    Patch((0.0, -0.095, 0.04), (0.04, 0.04, 0.12), 0.5, 0.07),  # groin, below
    Patch((0.0, -0.04, -0.04), (0.15, 0.17, 0.10), 0.45, 0.09),  # buttocks
    Patch((0.09, -0.13, -0.03), (0.13, 0.15, 0.12), 0.0, 0.07),  # fold below the buttocks
)

SKINNING_PATCHES = (
    Patch((0.0, -0.065, 0.11), (0.10, 0.11, 0.12), 0.3, 0.03),
    Patch((0.0, -0.095, 0.04), (0.10, 0.10, 0.17), 0.3, 0.03),
    Patch((0.06, -0.06, -0.04), (0.16, 0.18, 0.13), 0.3, 0.03),
)
"""Where skinning weights belong to folds that are no longer there: groin and buttocks. Smoothing by
more would let the groin follow the thighs and wrinkle when a person sits."""

LEAST_KEEP = 1e-6
"""Spring in the core of a patch; keeps the system well-conditioned where nothing is held."""
INFLUENCES = 6
LEAST_INFLUENCE = 1e-3

MOVED = 1e-9
"""Metres: a joint whose vertices moved less keeps its row of the regressor."""
CANDIDATES = 600
NEARNESS = 1e-6
"""Weight of the preference for near vertices in the regressor, against metres of error."""


@dataclass(frozen=True)
class Mannequin:
    """The smooth body."""

    shapes: Array
    """(1 + K, V, 3) mean body and directions, metres."""
    weights: Array
    """(V, 55) for skinning; rows sum to 1."""
    regressor: Array
    """(55, V) from vertices to joints, rows >= 0 that sum to 1."""

    @classmethod
    def of(
        cls,
        shapes: Array,
        faces: npt.NDArray[np.int64],
        weights: Array,
        regressor: Array,
        expressive: Mask,
    ) -> Mannequin:
        """Smooth a body; its joints stay where they are, for all shapes and expressions.

        The arguments are as in this class, `faces` (F, 3); `expressive` (V,): vertices that
        expressions move.
        """
        surface = _Surface(shapes[0], faces)
        smooth = _shape_smoother(surface, shapes[0], weights)
        columns = shapes.transpose(1, 0, 2).reshape(len(weights), -1)
        once = smooth(columns)
        # Adding what smoothing takes from the rest (Tukey's twicing) keeps limbs from shrinking.
        twice = once + smooth(columns - once)
        smoothed = twice.reshape(len(weights), -1, 3).transpose(1, 0, 2)
        targets = regressor @ shapes
        fitted = _fit_regressor(regressor, targets, smoothed, shapes, ~expressive)
        kept = _keep_joints(smoothed, fitted, targets, smooth)
        return cls(kept, _smooth_weights(surface, shapes[0], weights), fitted)


def _shape_smoother(surface: _Surface, vertices: Array, weights: Array) -> Smoother:
    """Return what smooths shapes: below the head, most in the patches."""
    length = weights @ _lengths()
    keep: Array = np.ones(len(length))
    for patch in PATCHES:
        mask = patch.mask(vertices)
        length = np.maximum(length, patch.length * mask)
        keep = np.minimum(keep, 1.0 - mask)
    x, y, _ = vertices.T
    fade = (y - HEAD_FADE_HEIGHT - HEAD_FADE_SLOPE * np.abs(x)) / HEAD_FADE
    return surface.smoother(length * (1.0 - _smooth_step(fade)), keep, fade >= 1.0)


def _smooth_weights(surface: _Surface, vertices: Array, weights: Array) -> Array:
    """Return the skinning weights (V, 55), smoothed over groin and buttocks.

    `vertices` (V, 3): the mean body before smoothing. Rows sum to 1 and have at most INFLUENCES
    joints.
    """
    lengths = [patch.length * patch.mask(vertices) for patch in SKINNING_PATCHES]
    length: Array = np.max(lengths, axis=0)
    inside = length > 0.0
    smooth = surface.smoother(length, np.ones(len(length)), ~inside)
    smoothed: Array = smooth(weights)[inside]
    threshold = np.maximum(np.sort(smoothed, axis=1)[:, -INFLUENCES], LEAST_INFLUENCE)
    smoothed[smoothed < threshold[:, np.newaxis]] = 0.0
    result: Array = weights.copy()
    result[inside] = smoothed / smoothed.sum(axis=1, keepdims=True)
    return result


def _fit_regressor(
    regressor: Array, targets: Array, after: Array, before: Array, candidates: Mask
) -> Array:
    """Return a regressor (55, V) that gives the joints `targets` (1 + K, 55, 3), nearly.

    `regressor` gives them from `before`, (1 + K, V, 3), and rows whose vertices stay are kept;
    `after` are the shapes of the smooth body; `candidates` (V,): vertices that may be used.
    """
    moved = np.abs(after - before).max(axis=(0, 2)) > MOVED
    result = regressor.copy()
    for joint, row in enumerate(result):
        if not moved[row > 0.0].any():
            continue
        distance = np.linalg.norm(after[0] - targets[0, joint], axis=1)
        distance[~candidates] = np.inf
        near = np.argsort(distance, kind="stable")[:CANDIDATES]
        system = [*after[:, near].transpose(0, 2, 1), np.ones((1, len(near)))]
        system.append(NEARNESS * np.diag(distance[near]))
        goal = np.concatenate([targets[:, joint].ravel(), [1.0], np.zeros(len(near))])
        solution, _ = nnls(np.concatenate(system), goal, maxiter=20000)
        row[:] = 0.0
        row[near] = solution / solution.sum()
    return result


def _keep_joints(shapes: Array, regressor: Array, targets: Array, smooth: Smoother) -> Array:
    """Return the shapes (1 + K, V, 3), moved smoothly so that their joints are `targets`.

    `regressor` (55, V) gives the joints; `smooth` makes a smooth displacement of one at a vertex.
    """
    missing = targets - regressor @ shapes
    rows = np.flatnonzero(np.abs(missing).max(axis=(0, 2)) > MOVED)
    bumps = smooth(regressor[rows].T)
    moves: Array = bumps @ np.linalg.solve(regressor[rows] @ bumps, missing[:, rows])
    joint, vertex = (1000.0 * np.linalg.norm(each, axis=2).max() for each in (missing, moves))
    print(f"mannequin: joints are off by up to {joint:.1f} mm,")
    print(f"  put right by moving vertices by up to {vertex:.1f} mm")
    return np.asarray(shapes + moves)


class _Surface:
    """Differential geometry of a mesh that is symmetric about x = 0."""

    def __init__(self, vertices: Array, faces: npt.NDArray[np.int64]) -> None:
        count = len(vertices)
        area = np.zeros(count)
        stiffness = sparse.csr_array((count, count))
        for corner in range(3):
            at, one, other = (faces[:, (corner + k) % 3] for k in range(3))
            first, second = vertices[one] - vertices[at], vertices[other] - vertices[at]
            double_area = np.linalg.norm(np.cross(first, second), axis=1)
            # Bounded, since nearly degenerate triangles would make the system ill-conditioned.
            cotangent = np.clip((first * second).sum(axis=1) / double_area, 0.02, 20.0)
            stiffness = stiffness + sparse.csr_array((cotangent / 2, (one, other)), stiffness.shape)
            np.add.at(area, at, double_area / 6.0)
        # The mean with the mirror image: quads are not split into triangles symmetrically.
        mirrored = KDTree(vertices).query(vertices * (-1.0, 1.0, 1.0))[1]
        stiffness = stiffness + stiffness.T
        stiffness = (stiffness + stiffness[mirrored][:, mirrored]) / 2.0
        self._area: Array = (area + area[mirrored]) / 2.0
        self._stiffness = sparse.diags_array(stiffness.sum(axis=1)) - stiffness

    def smoother(self, length: Array, keep: Array, fixed: Mask) -> Smoother:
        """Return the function that smooths values (V, C) on the surface.

        `length` (V,), metres, and `keep` (V,) as in this module's description; values at the
        vertices `fixed` (V,) stay as they are.
        """
        bending = sparse.diags_array(length**2 / np.sqrt(self._area)) @ self._stiffness
        springs = self._area * (keep + LEAST_KEEP)
        matrix = sparse.csr_array(sparse.diags_array(springs) + bending.T @ bending)
        free, held = np.flatnonzero(~fixed), np.flatnonzero(fixed)
        rows = matrix[free]
        factors, to_held = splu(sparse.csc_array(rows[:, free])), rows[:, held]

        def smooth(values: Array) -> Array:
            result = values.copy()
            pull = springs[free, np.newaxis] * values[free] - to_held @ values[held]
            result[free] = factors.solve(pull)
            return result

        return smooth


def _lengths() -> Array:
    """Return (55,) smoothing lengths of what each joint moves, metres."""
    sided = {"collar": COLLAR, "wrist": HAND, "ankle": FOOT, "foot": FOOT}
    sided |= {f"{finger}{phalanx}": HAND for finger in FINGERS for phalanx in (1, 2)}
    sided |= {f"{finger}3": FINGERTIP for finger in FINGERS}
    lengths = {
        **{f"{side}_{joint}": length for side in SIDES for joint, length in sided.items()},
        **dict.fromkeys(("pelvis", "spine1", "spine2", "spine3"), TRUNK),
    }
    return np.array([lengths.get(name, LIMB) for name in SMPLX_JOINT_NAMES])


def _smooth_step(x: Array) -> Array:
    """Return 0 below 0, 1 above 1, and 3 x^2 - 2 x^3 between."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3.0 - 2.0 * x))
