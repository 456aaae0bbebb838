# SPDX-License-Identifier: Apache-2.0
"""Reduced meshes of a body.

Computed once: for the open body when it is built, for SMPL-X when its files are converted.

Edges are collapsed by meshoptimizer (quadric error metric, Garland and Heckbert, SIGGRAPH 1997)
onto one of their own ends, so that a reduced mesh uses a subset of the body's vertices. Hands and
head are enlarged for the reduction to keep their detail, and the body is bent, so that vertices
remain where joints bend.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.body.kinematics import Array
from pear_ros.body.model import BodyModel
from pear_ros.body.normals import vertex_normals
from pear_ros.core.parameters import MESH_DETAILS
from pear_ros.core.people import SMPLX_JOINT_NAMES

Faces = npt.NDArray[np.int32]

TRIANGLES = {"medium": 7000, "low": 2000}
"""Target numbers of triangles, for each of MESH_DETAILS but full."""

REDUCED = tuple(detail for detail in MESH_DETAILS if detail != "full")
"""The levels of detail of reduced meshes."""

_HANDS_ENLARGED, _HEAD_ENLARGED = 2.2, 1.6
"""Factors for the reduction. Greater ones take triangles from elbows and knees."""

_BENT = {
    **{"left_shoulder": (0, 0, -0.54), "right_shoulder": (0, 0, 0.54)},
    **{"left_elbow": (0, -0.72, 0), "right_elbow": (0, 0.72, 0)},
    **{f"{side}_hip": (-0.5, 0, 0) for side in ("left", "right")},
    **{f"{side}_knee": (0.72, 0, 0) for side in ("left", "right")},
    **{
        f"{side}_{finger}{phalanx}": (0, 0, curl)
        for side, curl in (("left", -0.43), ("right", 0.43))
        for finger in ("index", "middle", "ring", "pinky")
        for phalanx in (1, 2, 3)
    },
}
"""Axis-angle of joints, half of their usual range: suits straight and bent limbs alike."""

_HEAD = ("head", "jaw", "left_eye_smplhf", "right_eye_smplhf")

_TRIALS, _FEWER = 20, 10
"""Number of attempts, and by how many triangles each is smaller than the one before."""
_MANY_FLAWS = 0.01
"""Share of flawed triangles above which there is no further attempt."""
_MAX_PASSES = 10
"""Passes over the folded triangles; a few suffice."""


def reduce_faces(body: BodyModel) -> dict[str, Faces]:
    """Return the triangles (F, 3) of the body's reduced meshes, by the names in REDUCED.

    They are all of the body's own if it has no more than the target. Raises ImportError where
    meshoptimizer cannot be imported.
    """
    straight, _ = _posed(body, {})
    bent, joints = _posed(body, _BENT)
    enlarged = _enlarged(body, bent, joints)
    shapes = [(shape, vertex_normals(shape, body.faces)) for shape in (straight, bent)]
    return {detail: _best(enlarged, body.faces, TRIANGLES[detail], shapes) for detail in REDUCED}


def _posed(body: BodyModel, bends: dict[str, tuple[float, float, float]]) -> tuple[Array, Array]:
    """Return vertices (V, 3) and joints (J, 3) of the mean body, bent at the named joints."""
    pose = np.zeros((1, len(body.parents), 3), np.float32)
    for name, bend in bends.items():
        pose[0, SMPLX_JOINT_NAMES.index(name)] = bend
    nothing = (np.zeros((1, n), np.float32) for n in (body.num_betas, body.num_expression, 3))
    arguments = (pose, *nothing)
    return body.vertices(*arguments)[0], body.joints(*arguments)[0]


def _enlarged(body: BodyModel, vertices: Array, joints: Array) -> Array:
    """Return the vertices (V, 3) with hands and head enlarged about wrists and head joint."""
    names = SMPLX_JOINT_NAMES
    regions = {
        _HEAD: _HEAD_ENLARGED,
        **{
            (f"{side}_wrist", *(n for n in names[25:] if n.startswith(side))): _HANDS_ENLARGED
            for side in ("left", "right")
        },
    }
    result = vertices.copy()
    for region, factor in regions.items():
        indices = [names.index(name) for name in region]
        share = body.weights[:, indices].sum(axis=1).astype(np.float32)
        result += (factor - 1.0) * share[:, None] * (vertices - joints[indices[0]])
    return result


def _best(vertices: Array, faces: Faces, count: int, shapes: list[tuple[Array, Array]]) -> Faces:
    """Return the first mesh of about `count` triangles without flaws, or that with the fewest.

    `vertices` (V, 3): geometry for the error metric; `shapes`: vertices (V, 3) and their normals
    on the body itself, in each of several poses.
    """
    best, fewest = faces, len(faces)
    if len(faces) <= count:
        return best
    for trial in range(_TRIALS):
        found = _unfolded(_simplified(vertices, faces, count - trial * _FEWER), shapes)
        flaws = int((_upright(found, shapes) < 0.0).sum()) + _non_manifold_edges(found)
        if flaws < fewest:
            best, fewest = found, flaws
        if not flaws or flaws > _MANY_FLAWS * count:
            break
    return best


def _non_manifold_edges(faces: Faces) -> int:
    """Return the number of edges with more than two triangles, of which a surface has none."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    return int((counts > 2).sum())


def _simplified(vertices: Array, faces: Faces, count: int) -> Faces:
    """Return about `count` triangles (F', 3) between some of the `vertices`."""
    import meshoptimizer

    indices = np.ascontiguousarray(faces, np.uint32).ravel()
    result = np.empty_like(indices)
    size = meshoptimizer.simplify(
        result,
        indices,
        np.ascontiguousarray(vertices, np.float32),
        target_index_count=3 * count,
        target_error=1.0,  # whatever the count requires
    )
    return result[:size].reshape(-1, 3).astype(np.int32)


def _unfolded(faces: Faces, shapes: list[tuple[Array, Array]]) -> Faces:
    """Return the surface with edges flipped where a triangle lies upside down.

    `shapes`: vertices (V, 3) and their normals on the body itself, in each of several poses. A
    collapse may fold the surface between vertices that are close, as at lips and between toes;
    then one of the folded triangle's edges is flipped to connect the two opposite corners.
    """
    faces = faces.copy()
    for _ in range(_MAX_PASSES):
        upright = _upright(faces, shapes)
        folded = np.flatnonzero(upright < 0.0)
        if not _flip_edges(faces, folded[upright[folded].argsort()], upright, shapes):
            break
    return faces


def _flip_edges(
    faces: Faces,
    folded: npt.NDArray[np.intp],
    upright: Array,
    shapes: list[tuple[Array, Array]],
) -> bool:
    """Flip one edge of each folded triangle where that is better; return whether any was."""
    ends = zip(faces.ravel().tolist(), np.roll(faces, -1, axis=1).ravel().tolist(), strict=True)
    owner = {edge: number // 3 for number, edge in enumerate(ends)}
    changed: set[int] = set()
    for triangle in folded.tolist():
        best, swap = upright[triangle], None
        for corner in range(3):
            a, b, c = np.roll(faces[triangle], -corner).tolist()
            other = owner.get((b, a))
            # `owner` is out of date around triangles that were changed.
            if other is None or changed & {triangle, other}:
                continue
            d = int(faces[other].sum()) - a - b
            if d == c or (c, d) in owner or (d, c) in owner:
                continue
            pair = np.array([(c, a, d), (d, b, c)], np.int32)
            if (score := _upright(pair, shapes).min()) > best:
                best, swap = score, ([triangle, other], pair)
        if swap is not None:
            numbers, pair = swap
            faces[numbers] = pair
            changed |= {*numbers, *(owner[edge] for edge in _around(pair) if edge in owner)}
    return bool(changed)


def _around(faces: Faces) -> list[tuple[int, int]]:
    """Return the directed edges of triangles as their neighbours have them."""
    before, after = np.roll(faces, -1, axis=1).ravel(), faces.ravel()
    return list(zip(before.tolist(), after.tolist(), strict=True))


def _upright(faces: Faces, shapes: list[tuple[Array, Array]]) -> Array:
    """Return the least cosine (F,), over the shapes, between triangle and body normals.

    The body's is the mean of the normals at the triangle's corners, not normalised.
    """
    cosines = []
    for vertices, normals in shapes:
        a, b, c = vertices[faces].transpose(1, 0, 2)
        across = np.cross(b - a, c - a)
        length = np.maximum(np.linalg.norm(across, axis=1), np.finfo(np.float32).tiny)
        cosines.append((normals[faces].mean(axis=1) * across).sum(axis=1) / length)
    least: Array = np.min(cosines, axis=0)
    return least
