# SPDX-License-Identifier: Apache-2.0
"""The example: weights of `pear train`, by which PEAR's path sees people in the demo clip."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from pear_ros.core.camera import Camera
from pear_ros.core.configuration import EstimatorChoice, RuntimeChoice
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import People
from pear_ros.estimators.factory import make_estimator
from pear_ros.estimators.landmark_estimator import LandmarkEstimator
from pear_ros.evaluation.pose_metrics import pa_mpjpe
from pear_ros.io.downloads import AssetError, demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.pear.files import EXAMPLE
from pear_ros.pear.origin import peek_origin
from pear_ros.pipeline import Pipeline

BODY = slice(1, 22)

try:
    CLIP = demo_clip()
except AssetError as error:
    pytest.skip(str(error), allow_module_level=True)


def test_it_is_small_and_says_what_it_is() -> None:
    assert EXAMPLE.stat().st_size < 12_000_000
    origin = peek_origin(EXAMPLE)
    assert origin.model == "pear-train/example" and origin.body == "anny-smplx/2"


def test_people_of_the_demo_clip_are_near_those_of_the_default() -> None:
    parameters = Parameters(estimator="example", runtime="onnxruntime", strict_runtime=True)
    frames = [*islice(FrameSource(str(CLIP)), 60, 200, 20)]

    def seen(pipeline: Pipeline) -> list[People]:
        height, width = frames[0][1].shape[:2]
        camera = Camera.from_field_of_view(width, height)
        found = []
        for stamp, image in frames:
            pipeline.reset()
            found.append(pipeline(image, camera, stamp))
        pipeline.close()
        return found

    example = seen(Pipeline(make_estimator(EstimatorChoice.of(parameters)), settings=parameters))
    default = seen(Pipeline(LandmarkEstimator()))
    for people in example:
        assert people.model_id.startswith("pear-train/example/"), "never PEAR's"
        assert "/onnxruntime-" in people.model_id
    assert all(people.body_model == "anny-smplx/2" for people in example)
    errors, apart = [], []
    for ours, theirs in zip(example, default, strict=True):
        for person in ours.persons:
            place = np.array(
                [np.abs(person.keypoints - o.keypoints).mean() for o in theirs.persons]
            )
            nearest = theirs.persons[int(place.argmin())]
            errors.append(pa_mpjpe(person.joints[BODY], nearest.joints[BODY]))
            height = np.ptp(nearest.keypoints[:, 1])
            apart.append(np.linalg.norm(person.keypoints - nearest.keypoints, axis=1) / height)
    assert len(errors) >= 12, "two people in seven images"
    assert np.median(errors) < 60.0, "millimetres"
    assert np.median(apart) < 0.06, "of a person's height"


def test_it_ignores_the_folder_of_pear(tmp_path: object) -> None:
    choice = EstimatorChoice("example", tmp_path, runtime=RuntimeChoice("torch"))  # type: ignore[arg-type]
    estimator = make_estimator(choice)
    assert estimator.model_id.startswith("pear-train/example")
    estimator.close()
