# SPDX-License-Identifier: Apache-2.0
"""The default modules: NanoDet and MediaPipe's landmark models."""

from __future__ import annotations

import numpy as np

from pear_ros.annotation.modules import Modules, View
from pear_ros.annotation.wholebody import points_of_landmarks
from pear_ros.core.estimator import Detection
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import Array, Image
from pear_ros.detection.nanodet_detector import NanoDetDetector
from pear_ros.io.downloads import AssetError
from pear_ros.landmarks.detected_pose import FOLLOWING_MARGIN, framed, read_pose
from pear_ros.landmarks.face import FaceModel
from pear_ros.landmarks.hands import HandModel
from pear_ros.landmarks.person_mask import PersonMaskModel, warped
from pear_ros.landmarks.pose import PoseModel, visible_box
from pear_ros.landmarks.types import FaceLandmarks, HandLandmarks, PoseLandmarks
from pear_ros.pear.crop import INPUT_SIZE


class Detector:
    """NanoDet, on each image alone."""

    name = "nanodet"

    def __init__(self, min_score: float) -> None:
        """Load the detector; `min_score`: least score of a person, 0 to 1."""
        self._detect = NanoDetDetector(min_score)

    def __call__(self, image: Image) -> list[Detection]:
        """Return the people in an image (height, width, 3) uint8 BGR."""
        self._detect.reset()
        return self._detect(image, 0, [], 0.0)


class Body:
    """BlazePose, the heavy network after the full one where it has been downloaded."""

    def __init__(self, threads: int, model: str) -> None:
        """Load the networks; `model`: one of LANDMARKS in pear_ros.core.parameters."""
        self._full = PoseModel(threads, "heavy" if model == "heavy" else "full")
        self._heavy: PoseModel | None = None
        if model == "auto":
            try:
                self._heavy = PoseModel(threads, "heavy")
            except AssetError:
                self._heavy = None
        accurate = model == "heavy" or self._heavy is not None
        self.name = f"blazepose_{'heavy' if accurate else 'full'}"

    def __call__(self, view: View) -> PoseLandmarks | None:
        """Return the landmarks of the person in the box; None: they do not fill it."""
        read = read_pose(view.image, view.box, self._full, refine=self._heavy)
        return read.pose if read.believed else None


class Hand:
    """MediaPipe Hands, for one side."""

    name = "mediapipe_hands"

    def __init__(self, model: HandModel, side: str) -> None:
        """Use `model` for the "LEFT" or "RIGHT" `side`."""
        self._model, self._side = model, side

    def __call__(self, view: View, pose: PoseLandmarks) -> HandLandmarks | None:
        """Return the landmarks of the hand; None: hidden, too small or not found."""
        return self._model(view.image, pose, self._side, None)


class Face:
    """MediaPipe Face Mesh."""

    name = "mediapipe_face_mesh"

    def __init__(self, threads: int) -> None:
        """Load the network."""
        self._model = FaceModel(threads)

    def __call__(self, view: View, pose: PoseLandmarks) -> FaceLandmarks | None:
        """Return the landmarks of the face; None: too small, turned away or not found."""
        return self._model(view.image, pose, None)


class Points:
    """The 2D points of the landmarks."""

    name = "landmarks"

    def __call__(
        self,
        view: View,
        pose: PoseLandmarks,
        left_hand: HandLandmarks | None,
        right_hand: HandLandmarks | None,
        face: FaceLandmarks | None,
    ) -> Array:
        """Return the points (133, 3) x, y, confidence, pixels."""
        return points_of_landmarks(pose, left_hand, right_hand, face)


class Mask:
    """BlazePose's mask."""

    name = "blazepose_full_mask"

    def __init__(self, threads: int) -> None:
        """Load the network."""
        self._model = PersonMaskModel(threads)

    def __call__(self, view: View, pose: PoseLandmarks, square: Array) -> Array:
        """Return the probability (256, 256) that a pixel of the crop shows the person, 0 to 1."""
        roi = framed(pose.roi, _both(view.box, visible_box(pose)), view.image, FOLLOWING_MARGIN)
        step = float(square[2]) / INPUT_SIZE
        to_image = np.array([[step, 0.0, square[0]], [0.0, step, square[1]]])
        return warped(self._model(view.image, roi), pose.roi, to_image, INPUT_SIZE)


def default_modules(
    threads: int = 1,
    landmarks: str = Parameters.landmarks,
    min_score: float = Parameters.min_detection_score,
) -> Modules:
    """Load the default modules, each network for `threads` threads.

    `landmarks`: one of LANDMARKS in pear_ros.core.parameters; `min_score`: least score of a person,
    0 to 1. Raises pear_ros.io.downloads.AssetError where a network's file is missing.
    """
    hands = HandModel(threads)
    return Modules(
        detector=Detector(min_score),
        body=Body(threads, landmarks),
        left_hand=Hand(hands, "LEFT"),
        right_hand=Hand(hands, "RIGHT"),
        face=Face(threads),
        points=Points(),
        mask=Mask(threads),
    )


def _both(a: Array, b: Array) -> Array:
    """Return the box (4,) around two boxes."""
    return np.concatenate([np.minimum(a[:2], b[:2]), np.maximum(a[2:], b[2:])])
