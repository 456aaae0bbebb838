# SPDX-License-Identifier: Apache-2.0
"""The command `pear evaluate`, from labels to report and picture sheets."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pear_ros.cli import main
from pear_ros.core.camera import Camera
from pear_ros.core.people import SMPLX_JOINT_NAMES, Image, TrackingState
from pear_ros.evaluation.coco_regressor import coco_joints
from pear_ros.evaluation.figures import Figure, percentage
from pear_ros.evaluation.keypoint_names import COCO_KEYPOINTS, COCO_OF_POSE, HAND_JOINTS
from pear_ros.evaluation.mediapipe import _found
from pear_ros.evaluation.methods import PipelineMethod, found_person
from pear_ros.evaluation.report import Report
from pear_ros.io.downloads import AssetError, landmark_model
from pear_ros.landmarks.topology import Pose
from pear_ros.training.studio import SyntheticStudio
from testing.open_people import CAMERA, OpenPipeline, person, t_pose
from testing.tiny_pipeline import picture

try:
    landmark_model("pose_landmark_full")
except AssetError as error:
    pytest.skip(str(error), allow_module_level=True)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two renders of people, a picture of nobody, and COCO labels of all."""
    folder = tmp_path_factory.mktemp("rendered")
    rng = np.random.default_rng([2026, 7])
    studio = SyntheticStudio()
    images, annotations = [], []
    for number, kind in enumerate(("standing", "walking")):
        one = studio.shoot(rng, kind, 10.0, (640, 480), 1.2)
        cv2.imwrite(str(folder / f"{number}.png"), one.image)
        images.append({"id": number, "file_name": f"{number}.png"})
        pixels = one.camera.project(one.joints)
        points = np.zeros((17, 3))
        for index, name in enumerate(COCO_KEYPOINTS):
            if name in SMPLX_JOINT_NAMES:
                points[index] = [*pixels[SMPLX_JOINT_NAMES.index(name)], 2]
        outline = one.camera.project(one.vertices)
        low, high = outline.min(axis=0), outline.max(axis=0)
        annotations.append(
            {
                "id": number + 1,
                "image_id": number,
                "category_id": 1,
                "bbox": [*low.tolist(), *(high - low).tolist()],
                "keypoints": points.ravel().tolist(),
                "num_keypoints": 12,
                "area": float(np.prod(high - low) / 2),
                "iscrowd": 0,
            }
        )
    cv2.imwrite(str(folder / "nobody.png"), np.full((200, 300, 3), 128, np.uint8))
    images.append({"id": 9, "file_name": "nobody.png"})
    (folder / "labels.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    return folder


def test_renders_are_found_and_reported(
    rendered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["evaluate", str(rendered / "labels.json"), "--output", str(out)]
    assert main([*arguments, "--estimator", "landmarks"]) == 0
    text = capsys.readouterr().out
    assert "labels: 3 pictures with 2 labelled people" in text
    report = json.loads((out / "report.json").read_text())
    (method,) = report["methods"].values()
    assert method["People found, % (recall)"]["all of 60 px and more"] == {"value": 100, "count": 2}
    assert method["Pictures without people"]["with a false alarm, %"] == {"value": 0, "count": 1}
    assert method["Keypoints of the found"]["PCK@0.1 of the box, %"]["value"] > 90
    assert method["Their landmarks, before the fit"]["PCK@0.1 of the box, %"]["value"] > 80
    assert method["All people"]["OKS-AP50, %"]["value"] == 100
    sheet = cv2.imread(str(out / "keypoints.jpg"))
    assert sheet is not None and sheet.std() > 5
    assert not (out / "missed.jpg").exists()
    markdown = (out / "report.md").read_text()
    assert "![keypoints](keypoints.jpg)" in markdown
    assert "| all of 60 px and more | 2 | 100.0 |" in markdown


def test_wrong_labels_are_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "labels.json"
    file.write_text("{}")
    assert main(["evaluate", str(file), "--output", str(tmp_path / "out")]) == 1
    assert "is not in COCO's format" in capsys.readouterr().err
    arguments = ["evaluate", str(file), "--output", str(tmp_path / "out"), "--points", "p.npz"]
    assert main(arguments) == 1
    assert "--points belong to a calibration" in capsys.readouterr().err


class Still(OpenPipeline):
    """A pipeline whose last person leaves."""

    model_id = "still/1"


def test_the_pipeline_is_a_method() -> None:
    pipeline = Still()
    method = PipelineMethod(pipeline, meshes=True)
    image: Image = picture(1, 3)
    camera = Camera.from_field_of_view(image.shape[1], image.shape[0])
    found = method(image, camera, 0.0)
    assert len(found) == 2 and method.name == "still/1"
    for one in found:
        assert one.vertices is not None and one.vertices.shape[1] == 3
        left = COCO_KEYPOINTS.index("left_hip")
        assert one.joints[left].tolist() != [0, 0, 0]
    method.reset()
    method.close()


def test_keypoints_lie_where_the_body_has_them() -> None:
    """The T-pose faces the camera: its left is on the right of the image."""
    one = person(t_pose())
    found = found_person(one, CAMERA)
    points = dict(zip(COCO_KEYPOINTS, found.keypoints, strict=True))
    joints = dict(zip(SMPLX_JOINT_NAMES, one.keypoints, strict=True))
    # Labels of knees and wrists are at the joints, those of hips and shoulders are not.
    pixel = np.linalg.norm(joints["left_shoulder"] - joints["right_shoulder"]) / 0.35  # per metre
    for name in ("left_elbow", "right_wrist", "left_knee", "right_ankle"):
        np.testing.assert_allclose(points[name], joints[name], atol=0.03 * pixel)
    for joint in ("hip", "shoulder"):
        assert points[f"left_{joint}"][1] < joints[f"left_{joint}"][1]
    assert points["left_hip"][0] > points["right_hip"][0]
    assert points["left_ear"][0] > points["left_eye"][0] > points["nose"][0]
    assert points["nose"][0] > points["right_eye"][0] > points["right_ear"][0]
    assert points["nose"][1] > points["left_eye"][1]
    assert points["left_wrist"][0] > points["left_shoulder"][0]
    # Thumb and little finger of the left hand in COCO-WholeBody's order.
    np.testing.assert_allclose(found.hands[1], joints["left_thumb1"])
    np.testing.assert_allclose(found.hands[19], joints["left_pinky3"])
    np.testing.assert_allclose(found.hands[21 + 5], joints["right_index1"])
    assert np.isnan(found.hands[[4, 8, 12, 16, 20]]).all() and len(HAND_JOINTS) == 32
    forward = found.orientation[:, 2] if found.orientation is not None else np.zeros(3)
    assert forward[2] < -0.9


def test_keypoints_grow_with_the_body() -> None:
    one = person(t_pose())
    large = dataclasses.replace(one, joints=2.0 * one.joints)
    np.testing.assert_allclose(coco_joints(large), 2.0 * coco_joints(one), atol=1e-5)


def test_keypoints_turn_with_the_body() -> None:
    """A half turn about the vertical: left and right change sides, what is in front is behind."""
    one = person(t_pose())
    half = np.diag([-1.0, 1.0, -1.0])
    root = Rotation.from_rotvec(one.smplx.pose[0]).as_matrix()
    pose = one.smplx.pose.copy()
    pose[0] = Rotation.from_matrix(half @ root).as_rotvec()
    turned = dataclasses.replace(
        one, smplx=dataclasses.replace(one.smplx, pose=pose), joints=one.joints @ half.T
    )
    np.testing.assert_allclose(coco_joints(turned), coco_joints(one) @ half.T, atol=1e-5)


def test_boxes_end_at_the_edge_of_the_image() -> None:
    """Of a person near the camera most is below the image; labels show what is in it."""
    near = dataclasses.replace(person(t_pose()), box=np.float32([-100.0, 50.0, 900.0, 5000.0]))
    edges = found_person(near, CAMERA).box
    np.testing.assert_allclose(edges, [0.0, 50.0, CAMERA.width, CAMERA.height])


def test_bodies_that_could_not_be_read_are_marked() -> None:
    unread = dataclasses.replace(person(t_pose()), pose_observed=False)
    assert not found_person(unread, CAMERA).observed


def test_ended_tracks_are_not_found() -> None:
    pipeline = Still()
    method = PipelineMethod(pipeline)
    image = picture(1)
    camera = Camera.from_field_of_view(image.shape[1], image.shape[0])
    people = pipeline(image, camera, 0.0)
    lost = [dataclasses.replace(one, state=TrackingState.LOST) for one in people.persons]
    pipeline.__class__ = type(
        "Lost", (Still,), {"__call__": lambda *_: dataclasses.replace(people, persons=lost)}
    )
    assert method(image, camera, 1.0) == []


def test_mediapipes_landmarks_are_pixels_and_metres() -> None:
    points = [[0.1 + 0.02 * n, 0.2, 0.9] for n in range(33)]
    points[Pose.LEFT_WRIST] = [2.0, 0.5, 0.1]
    world = [[0.01 * n, 0.0, -0.1] for n in range(33)]
    found = _found(points, world, 200, 100)
    nose = COCO_OF_POSE.index(Pose.NOSE)
    np.testing.assert_allclose(found.keypoints[nose], [19.5, 19.5])
    np.testing.assert_allclose(found.joints[COCO_KEYPOINTS.index("right_wrist")], [0.16, 0, -0.1])
    assert found.box[2] < 200 and not found.placed


def test_a_report_has_a_column_for_each_method(tmp_path: Path) -> None:
    ours: Sequence[Figure] = [percentage("a", [True, False]), Figure("b", float("nan"), 0)]
    theirs = [percentage("a", [True, True, False, False, True])]
    report = Report("set", ["about"], {"ours": {"Table": ours}, "theirs": {"Table": theirs}})
    assert "| a | 2/5 | 50.0 | 60.0 |" in report.as_markdown()
    assert "| b | 0 | - | - |" in report.as_markdown()
    assert json.loads(report.as_json())["methods"]["ours"]["Table"]["b"]["value"] is None
    assert [path.exists() for path in report.save(tmp_path)] == [True, True]
