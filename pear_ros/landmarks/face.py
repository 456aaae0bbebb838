# SPDX-License-Identifier: Apache-2.0
"""Face landmarks: MediaPipe Face Mesh (Kartynnik et al., 2019) in regions from the body's."""

from __future__ import annotations

import math

from pear_ros.core.people import Array, Image
from pear_ros.io.downloads import landmark_model
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.tflite_model import TfliteModel, sigmoid
from pear_ros.landmarks.topology import NUM_FACE, Face, Pose
from pear_ros.landmarks.types import FaceLandmarks, PoseLandmarks

MIN_SCORE = 0.5
"""Least score of the face model; lower for a face that is turned away."""
MIN_ROI = 40.0
"""Least side of the region from the body's landmarks, pixels.

The face is then about 22 wide, and its landmarks are off by 4 % of that (measured on images of
standing people, scaled down).
"""

_ROI_SCALE_FROM_POSE = 2.0
_ROI_SCALE_FROM_FACE = 1.5
_WIDER = 1.3
_HEAD = slice(Pose.NOSE, Pose.MOUTH_RIGHT + 1)


class FaceModel:
    """Detects the landmarks of a person's face; not thread-safe."""

    def __init__(self, num_threads: int = 1) -> None:
        """Load the model. Raises pear_ros.io.downloads.AssetError when its file is missing."""
        content = landmark_model("face_landmark").read_bytes()
        self._model = TfliteModel(content, (0, 1), num_threads=num_threads)

    def __call__(
        self, image: Image, pose: PoseLandmarks, previous: FaceLandmarks | None
    ) -> FaceLandmarks | None:
        """Return the landmarks of the face; None: too small, turned away or not found.

        The region comes from `previous`, the landmarks in the image before, where it agrees with
        the body's landmarks, else from these.
        """
        roi = roi_from_pose(pose)
        if roi.size < MIN_ROI:
            return None
        if previous is not None and _agree(previous.roi, roi):
            return self._in_region(image, previous.roi)
        # A second, wider region: landmarks of the body squeeze some heads.
        rough = self._in_region(image, roi) or self._in_region(image, roi.scaled(_WIDER))
        return None if rough is None else self._in_region(image, rough.roi)

    def _in_region(self, image: Image, roi: Roi) -> FaceLandmarks | None:
        pixels = self._model.pixels
        raw, logit = self._model(roi.crop(image, pixels))
        score = float(sigmoid(logit).item())
        if score < MIN_SCORE:
            return None
        points = roi.uncrop(raw.reshape(NUM_FACE, 3), pixels)
        return FaceLandmarks(points, score, roi_from_face(points))


def roi_from_pose(pose: PoseLandmarks) -> Roi:
    """Return a rough region from the body's eyes, ears, nose and mouth, eyes above the mouth.

    The line from mouth to eyes gives the angle: unlike the line between the eyes it keeps its
    length in profile.
    """
    points = pose.image[:, :2]
    eyes = points[[Pose.LEFT_EYE, Pose.RIGHT_EYE]].mean(axis=0)
    mouth = points[[Pose.MOUTH_LEFT, Pose.MOUTH_RIGHT]].mean(axis=0)
    dx, dy = eyes - mouth
    tight = Roi.around(points[_HEAD], math.atan2(dx, -dy))
    return tight.shifted(0.0, -0.1).scaled(_ROI_SCALE_FROM_POSE)


def roi_from_face(points: Array) -> Roi:
    """Return the region, eyes level, of a face with landmarks (468, 2 or more), pixels."""
    flat = points[:, :2]
    dx, dy = flat[Face.LEFT_EYE_OUTER] - flat[Face.RIGHT_EYE_OUTER]
    return Roi.around(flat, math.atan2(dy, dx), _ROI_SCALE_FROM_FACE)


def _agree(previous: Roi, from_pose: Roi) -> bool:
    """Return whether the region of the previous image agrees with the rough one in this image."""
    distance = math.hypot(previous.x - from_pose.x, previous.y - from_pose.y)
    ratio = previous.size / from_pose.size
    return distance < 0.35 * from_pose.size and 0.5 < ratio < 2.0
