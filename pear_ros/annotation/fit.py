# SPDX-License-Identifier: Apache-2.0
"""The fit that makes the parts of one person agree: body, then head, face and hands on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pear_ros.body import BodyModel
from pear_ros.core.camera import Camera
from pear_ros.core.people import NUM_JOINTS, Array, FlameParams, Image, SmplxParams
from pear_ros.fitting import BodyFit, BodyFitter, PartFitter
from pear_ros.fitting.joint_visibility import joint_visibility
from pear_ros.landmarks.types import FaceLandmarks, HandLandmarks, PersonLandmarks, PoseLandmarks
from pear_ros.landmarks.undistort import undistorted_part, undistorted_pose


@dataclass(frozen=True)
class Evidence:
    """What the modules found of one person; None: not found, or rejected by a check."""

    pose: PoseLandmarks
    left_hand: HandLandmarks | None
    right_hand: HandLandmarks | None
    face: FaceLandmarks | None
    points: Array
    """(133, 3) x, y, confidence, as pear_ros.annotation.sample.AnnotatedPerson.points."""


@dataclass(frozen=True)
class Fitted:
    """The body of one person, fitted to evidence or given by a user."""

    smplx: SmplxParams
    scale: float
    """Size over that of the posed body."""
    body: BodyModel | None
    """The body that the parameters belong to; None: its file is not at hand."""
    body_model: str
    """Name of that body."""
    joints: Array
    """(55, 3) metres in the optical frame; NaN: unknown."""
    joint_confidence: Array
    """(55,) 0 to 1."""
    flame: FlameParams | None = None
    state: BodyFit | None = None
    """State for the next image of the same person; None: the body was given."""

    def vertices(self) -> Array | None:
        """Return the vertices (V, 3) of the mesh, metres; None: the body is not at hand."""
        if self.body is None:
            return None
        smplx = self.smplx
        origin = np.zeros((1, 3), np.float32)
        posed = self.body.vertices(
            smplx.pose[None], smplx.betas[None], smplx.expression[None], origin
        )[0]
        vertices: Array = np.float32(self.scale) * posed + smplx.transl
        return vertices


class EvidenceFitter:
    """Fits the open body to evidence; keeps nothing from person to person."""

    name = "fit/2"

    def __init__(self) -> None:
        """Load the open body and the pose prior."""
        self._fit = BodyFitter()
        self._fit_parts = PartFitter(self._fit)

    @property
    def body(self) -> BodyModel:
        """The open body."""
        return self._fit.body

    def __call__(
        self,
        evidence: Evidence,
        camera: Camera,
        image: Image,
        previous: BodyFit | None,
        elapsed: float,
    ) -> Fitted | None:
        """Return the fitted body; None: its landmarks have no rays through the lens of `camera`.

        `previous`: the same person's fit `elapsed` seconds earlier, None for a new person.
        """
        pose = undistorted_pose(evidence.pose, camera)
        if pose is None:
            return None
        fit = self._fit(pose, camera.pinhole, previous, elapsed)
        person = PersonLandmarks(
            pose,
            evidence.left_hand and undistorted_part(evidence.left_hand, camera),
            evidence.right_hand and undistorted_part(evidence.right_hand, camera),
            evidence.face and undistorted_part(evidence.face, camera),
            vouched=True,
        )
        smplx, confidence = self._fit_parts(fit, person, camera.pinhole)
        confidence = confidence * joint_visibility(evidence.pose, image)
        joints = joints_of(self.body, smplx, 1.0)
        return Fitted(smplx, 1.0, self.body, self.body.name, joints, confidence, state=fit)


def joints_of(body: BodyModel, smplx: SmplxParams, scale: float) -> Array:
    """Return the joints (55, 3) of one person of this size, metres, in the optical frame."""
    origin = np.zeros((1, 3), np.float32)
    posed = body.joints(smplx.pose[None], smplx.betas[None], smplx.expression[None], origin)[0]
    joints: Array = np.float32(scale) * posed[:NUM_JOINTS] + smplx.transl
    return joints
