# SPDX-License-Identifier: Apache-2.0
"""Accuracy of the default estimator in 3D on renders of the open body with known pose.

    python -m benchmarks.fit_accuracy

Images of dressed people in named poses, taken from all sides by cameras of different focal length
and height, go through detector and estimator, each image alone. Compared with the ground truth, on
the same images in the same run: our joints and MediaPipe's own 3D world landmarks, both after the
best similarity transform (PA-MPJPE) over the 12 joints that both have; and our root orientation.
None of the images is in the training set (other seeds). Writes benchmarks/results/fit_accuracy.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from benchmarks.report import write_report
from pear_ros.core.estimator import Region
from pear_ros.core.people import SMPLX_JOINT_NAMES
from pear_ros.detection.blazepose import PersonDetector
from pear_ros.estimators.landmark_estimator import LandmarkEstimator
from pear_ros.evaluation.pose_metrics import pa_mpjpe
from pear_ros.landmarks.holistic import HolisticLandmarks
from pear_ros.landmarks.topology import Pose
from pear_ros.training.studio import SyntheticPerson, SyntheticStudio
from tools.pose_prior_renders import background

KINDS = ("standing", "walking", "sitting", "arms up", "reaching", "crouching")
VIEWS = {"front": 0, "front-right": 45, "right": 90, "back-right": 135}
VIEWS |= {"back": 180, "back-left": 225, "left": 270, "front-left": 315}
REPEATS = 8
SIZE = (640, 480)
RIGHT_WITHIN = 20.0
"""Greatest error of a root orientation that counts as right, degrees."""

_NAMES = [
    f"{side}_{joint}"
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
]
OURS = [SMPLX_JOINT_NAMES.index(name) for name in _NAMES]
THEIRS = [Pose[name.upper()] for name in _NAMES]


@dataclass(frozen=True)
class Result:
    """Errors in one image; NaN where no person was found."""

    kind: str
    view: str
    ours: float
    """PA-MPJPE of our joints, millimetres."""
    mediapipe: float
    """PA-MPJPE of MediaPipe's world landmarks, millimetres."""
    root: float
    """Error of the root orientation, degrees."""


def measure(
    person: SyntheticPerson,
    view: str,
    estimator: LandmarkEstimator,
    detector: PersonDetector,
    mediapipe: HolisticLandmarks,
) -> Result:
    """Return the errors in one image of detector and estimator, and of the landmarks alone."""
    detections = detector.detect(person.image, detector.windows(*SIZE))
    estimator.reset()
    regions = [Region("h1", detection.box) for detection in detections[:1]]
    estimates = estimator.estimate(person.image, person.camera, regions, 0.0)
    landmarks = list(mediapipe(person.image, [d.roi for d in detections[:1]]))
    if not estimates or estimates[0] is None or landmarks[0] is None:
        return Result(person.kind, view, np.nan, np.nan, np.nan)
    estimate = estimates[0]
    truth = person.joints[OURS]
    root = Rotation.from_rotvec(estimate.smplx.pose[0]).as_matrix()
    turn = Rotation.from_matrix(root.T @ person.rotations[0])
    return Result(
        person.kind,
        view,
        pa_mpjpe(estimate.joints[OURS], truth),
        pa_mpjpe(landmarks[0].pose.world[THEIRS], truth),
        float(np.degrees(turn.magnitude())),
    )


def summary(results: Sequence[Result], key: Callable[[Result], str]) -> list[list[str]]:
    """Return the rows of a table: one for each value of `key`, then one for all."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    rows = []
    for name, group in [*groups.items(), ("**all**", list(results))]:
        found = [r for r in group if np.isfinite(r.ours)]
        ours = np.mean([r.ours for r in found])
        theirs = np.mean([r.mediapipe for r in found])
        roots = np.array([r.root for r in group])
        right = np.mean(np.nan_to_num(roots, nan=np.inf) <= RIGHT_WITHIN)
        rows.append(
            [
                name,
                f"{len(found)} / {len(group)}",
                f"{theirs:.1f}",
                f"{ours:.1f}",
                f"{100 * (ours / theirs - 1):+.0f} %",
                f"{np.nanmedian(roots):.1f}",
                f"{100 * right:.0f} %",
            ]
        )
    return rows


def main() -> None:
    """Measure and write the report."""
    studio = SyntheticStudio([background()])
    estimator, detector, mediapipe = LandmarkEstimator(), PersonDetector(), HolisticLandmarks()
    cases = [(k, v) for _ in range(REPEATS) for k in KINDS for v in VIEWS]
    rng = np.random.default_rng([2026, 7])
    results = []
    for kind, view in tqdm(cases, unit="image"):
        yaw = VIEWS[view] + rng.uniform(-15, 15)
        person = studio.shoot(rng, kind, yaw, SIZE, rng.uniform(1.05, 1.3))
        results.append(measure(person, view, estimator, detector, mediapipe))
    head = [
        *("found", "MediaPipe world, PA-MPJPE mm", "ours, PA-MPJPE mm", "change"),
        *("root error, median degrees", f"root within {RIGHT_WITHIN:.0f} degrees"),
    ]
    write_report(
        "fit_accuracy",
        __doc__ or "",
        {
            "By pose": (["pose", *head], summary(results, lambda r: r.kind)),
            "By view": (["view", *head], summary(results, lambda r: r.view)),
        },
    )


if __name__ == "__main__":
    main()
