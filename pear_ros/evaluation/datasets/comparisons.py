# SPDX-License-Identifier: Apache-2.0
"""The metrics of 3DPW, and of whole bodies in SMPL-X's layout (EHF, UBody), for one person."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from pear_ros.body.array_files import check_indices, read_npy, read_npz
from pear_ros.core.people import SMPLX_JOINT_NAMES
from pear_ros.evaluation.datasets.mesh_metrics import greatest_distance, hands_pa_pve, pa_pve
from pear_ros.evaluation.datasets.people import (
    SMPL_VERTICES,
    SMPLX_VERTICES,
    FoundBody,
    TruePerson,
)
from pear_ros.evaluation.datasets.reading import read_pickle
from pear_ros.evaluation.datasets.vertex_matrix import read_regressor, read_transfer
from pear_ros.evaluation.labels import Doubles
from pear_ros.evaluation.pose_metrics import aligned, mpjpe, pa_mpjpe, root_relative_error
from pear_ros.evaluation.reading import damage_of
from pear_ros.pear.unpickle import PickleKind

H36M_JOINTS = 17
H36M_HIPS = (1, 4)
LSP_14 = (1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16)
"""The 14 joints of LSP among Human3.6M's 17: ankles, knees, hips, wrists, elbows, shoulders, neck,
head."""
SHARED_JOINTS = tuple(
    SMPLX_JOINT_NAMES.index(name)
    for name in (
        *("neck", "head"),
        *(
            f"{side}_{joint}"
            for joint in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
            for side in ("left", "right")
        ),
    )
)
"""14 joints that SMPL and SMPL-X have by the same names and indices."""
HIPS = tuple(SMPLX_JOINT_NAMES.index(f"{side}_hip") for side in ("left", "right"))
LIPS = slice(31, 51)
"""Landmarks of the lips among SMPL-X's 51 static landmarks of the face."""
THREE_DPW_FILES = ("smpl_male", "smpl_female", "h36m", "transfer")
WHOLE_BODY_FILES = ("smplx_regressor", "hands", "face", "j14")
_INDICES = PickleKind("SMPL-X's vertices of hands")


class ThreeDpwComparison:
    """Metrics of 3DPW: 14 joints regressed from SMPL's vertices, relative to the hips.

    Those of SMPL-X are mapped to SMPL's first. Without the files for that, joints of the same names
    are compared, which are not quite the same places.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        """Use PROTOCOL_FILES by their keys; all of THREE_DPW_FILES or none. Raises LabelError."""
        self._regressor: sparse.csr_array | None = None
        if all(key in files for key in THREE_DPW_FILES):
            self._regressor = read_regressor(files["h36m"], H36M_JOINTS, SMPL_VERTICES)
            self._transfer = read_transfer(files["transfer"])

    def __call__(self, found: FoundBody, truth: TruePerson) -> dict[str, float]:
        """Return the errors of one person by the names of the figures, mm."""
        errors: dict[str, float] = {}
        if self._regressor is not None:
            errors = dict.fromkeys(("MPJPE", "PA-MPJPE", "PVE"), float("nan"))
            if len(found.vertices) == SMPLX_VERTICES:
                errors = self._paper(self._regressor, found.vertices, truth.mesh())
        if truth.joints is not None:
            joints = found.person.joints.astype(np.float64)
            errors.update(_same_names(joints, truth.joints))
        return errors

    def _paper(
        self, regressor: sparse.csr_array, vertices: Doubles, mesh: Doubles
    ) -> dict[str, float]:
        smpl = np.asarray(self._transfer @ vertices)
        joints, true_joints = np.asarray(regressor @ smpl), np.asarray(regressor @ mesh)
        hips, true_hips = (one[list(H36M_HIPS)].mean(axis=0) for one in (joints, true_joints))
        body, true_body = joints[list(LSP_14)], true_joints[list(LSP_14)]
        return {
            "MPJPE": root_relative_error(body, true_body, hips, true_hips),
            "PA-MPJPE": pa_mpjpe(body, true_body),
            "PVE": root_relative_error(smpl, mesh, hips, true_hips),
        }


def _same_names(joints: Doubles, truth: Doubles) -> dict[str, float]:
    hips, true_hips = (one[list(HIPS)].mean(axis=0) for one in (joints, truth))
    body, true_body = joints[list(SHARED_JOINTS)], truth[list(SHARED_JOINTS)]
    return {
        "MPJPE, model's joints": root_relative_error(body, true_body, hips, true_hips),
        "PA-MPJPE, model's joints": pa_mpjpe(body, true_body),
    }


class WholeBodyComparison:
    """Metrics of whole bodies in SMPL-X's layout, as Hand4Whole (Moon et al., CVPRW 2022) has them.

    What a file is missing for is left out.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        """Use those of WHOLE_BODY_FILES that are in `files`, by key. Raises LabelError."""
        self._pelvis = self._j14 = self._hands = self._face = self._landmarks = None
        if "smplx_regressor" in files:
            self._pelvis = _pelvis(files["smplx_regressor"])
            self._landmarks = FaceLandmarks(files["smplx_regressor"])
        if "hands" in files:
            self._hands = _hands(files["hands"])
        if "face" in files:
            self._face = _indices(files["face"])
        if "j14" in files:
            self._j14 = read_regressor(files["j14"], 14, SMPLX_VERTICES)

    def __call__(self, found: FoundBody, truth: TruePerson) -> dict[str, float]:
        """Return the errors of one person by the names of the figures, mm."""
        if len(found.vertices) != SMPLX_VERTICES:
            return {"PA-PVE": float("nan")}
        vertices, mesh = found.vertices, truth.mesh()
        seen = truth.visible(mesh) if truth.visible is not None else None
        errors = {"PA-PVE": pa_pve(vertices, mesh, seen)}
        if self._pelvis is not None:
            moved = vertices - self._pelvis @ vertices + self._pelvis @ mesh
            errors["PVE"] = mpjpe(moved, mesh) if seen is None else mpjpe(moved[seen], mesh[seen])
        if self._hands is not None:
            errors["hands' PA-PVE"] = hands_pa_pve(vertices, mesh, self._hands, seen)
        if self._face is not None:
            counted = None if seen is None else seen[self._face]
            errors["head's PA-PVE"] = pa_pve(vertices[self._face], mesh[self._face], counted)
        if self._j14 is not None:
            errors["PA-MPJPE"] = pa_mpjpe(
                np.asarray(self._j14 @ vertices), np.asarray(self._j14 @ mesh)
            )
        if self._landmarks is not None:
            errors.update(self._landmarks.errors(vertices, mesh))
        return errors


class FaceLandmarks:
    """The 51 static landmarks of the face that SMPL-X's file places on its triangles."""

    def __init__(self, file: Path) -> None:
        """Read them from SMPL-X's NPZ. Raises LabelError."""
        names = ["f", "lmk_faces_idx", "lmk_bary_coords"]
        with damage_of(file):
            found = read_npz(file, names, "an SMPL-X file")
            check_indices(file, "f", found["f"], SMPLX_VERTICES)
            check_indices(file, "lmk_faces_idx", found["lmk_faces_idx"], len(found["f"]))
            self._corners = found["f"].astype(np.intp)[found["lmk_faces_idx"].astype(np.intp)]
            self._weights = found["lmk_bary_coords"].astype(np.float64)
            if self._weights.shape != (LIPS.stop, 3) or self._corners.shape != (LIPS.stop, 3):
                raise ValueError(f"it has to have {LIPS.stop} landmarks of the face")

    def __call__(self, vertices: Doubles) -> Doubles:
        """Return the landmarks (51, 3) of a mesh (10475, 3)."""
        points: Doubles = np.einsum("nki,nk->ni", vertices[self._corners], self._weights)
        return points

    def errors(self, vertices: Doubles, mesh: Doubles) -> dict[str, float]:
        """Return the errors of the landmarks after their best similarity transform, mm."""
        found, truth = self(vertices), self(mesh)
        if not np.isfinite(found + truth).all():
            return {}
        moved = aligned(found, truth)
        return {
            "face's landmarks, PA": mpjpe(moved, truth),
            "lips' landmarks, greatest, PA": greatest_distance(moved[LIPS], truth[LIPS]),
        }


def _pelvis(file: Path) -> Doubles:
    """(10475,) weights of the vertices that make the pelvis."""
    with damage_of(file):
        regressor = read_npz(file, ["J_regressor"], "an SMPL-X file")["J_regressor"]
        if regressor.shape != (len(SMPLX_JOINT_NAMES), SMPLX_VERTICES):
            raise ValueError(f"'J_regressor' is {regressor.shape}")
        weights: Doubles = regressor[0].astype(np.float64)
    return weights


def _hands(file: Path) -> list[npt.NDArray[np.intp]]:
    found = read_pickle(file, _INDICES, ("left_hand", "right_hand"))
    with damage_of(file):
        hands = [np.asarray(found[f"{side}_hand"]) for side in ("left", "right")]
        for hand in hands:
            check_indices(file, "a hand", hand, SMPLX_VERTICES)
        return [hand.astype(np.intp) for hand in hands]


def _indices(file: Path) -> npt.NDArray[np.intp]:
    with damage_of(file):
        found = read_npy(file, "a list of SMPL-X's vertices")
        check_indices(file, "the list", found, SMPLX_VERTICES)
        return found.astype(np.intp)
