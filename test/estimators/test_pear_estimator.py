# SPDX-License-Identifier: Apache-2.0
"""PEAR from picture to people and meshes, on made-up weights and bodies: garbage poses, but all of
the plumbing.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PEAR needs torch")

from pear_ros.body.ehm import EhmBody
from pear_ros.body.model import BodyModel
from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.configuration import EstimatorChoice, EstimatorError, RuntimeChoice
from pear_ros.core.device_image import DeviceImage
from pear_ros.core.estimator import Estimator, Region
from pear_ros.core.people import Array, Image, TrackingState
from pear_ros.estimators.factory import make_estimator, make_estimators
from pear_ros.estimators.pear import PearEstimator
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.pear.crop import Squares, squares
from pear_ros.pear.placement import image_points
from pear_ros.pear.prediction import VECTOR_SIZE, Prediction
from pear_ros.pear.runtimes.runtime import Runtime
from pear_ros.pipeline import Pipeline

TORCH = RuntimeChoice("torch", strict=True)
"""The quickest to load."""

FIRST, LAST = 50, 54
"""A piece of the demo clip in which a man and a woman are in sight."""
MAN = Region("h1", np.array([452, 29, 841, 459], np.float32))
"""He in the first of its pictures."""


@pytest.fixture(scope="module")
def frames() -> list[tuple[float, Image]]:
    return [frame for n, frame in enumerate(FrameSource(str(demo_clip()))) if FIRST <= n < LAST]


@pytest.fixture(scope="module")
def estimator(pear_models: Path) -> PearEstimator:
    estimator = make_estimator(EstimatorChoice("pear", pear_models, runtime=TORCH))
    assert isinstance(estimator, PearEstimator)
    return estimator


def camera_of(image: Image) -> Camera:
    camera = Camera.from_field_of_view(image.shape[1], image.shape[0])
    return dataclasses.replace(camera, source=IntrinsicsSource.CAMERA_INFO)


def test_people_of_the_demo_clip(
    estimator: PearEstimator, frames: list[tuple[float, Image]]
) -> None:
    pipeline = Pipeline(estimator)
    results = [pipeline(image, camera_of(image), stamp) for stamp, image in frames]
    ids = [{person.id for person in people.persons} for people in results]
    assert all(present == ids[0] and len(present) == 2 for present in ids)
    people = results[-1]
    assert re.fullmatch(r"pear/[0-9a-f]{8}/torch-fp32", people.model_id)
    assert people.body_model == "ehm-s/1"
    assert {p.state for p in people.persons} == {TrackingState.TRACKED}
    man, woman = sorted(people.persons, key=lambda p: p.box[0])
    assert man.box[3] < woman.box[3] - 200, "he stands on a roof"
    for person in people.persons:
        assert np.isnan(person.joint_confidence).all(), "PEAR does not say how sure it is"
        assert person.smplx.betas.shape == (200,) and person.smplx.expression.shape == (50,)
        np.testing.assert_array_equal(person.smplx.pose[22:25], 0.0)
        assert person.flame is not None and person.flame.shape.shape == (300,)
        np.testing.assert_allclose(
            people.camera.project(person.joints), person.keypoints, atol=1e-3
        )


def test_published_parameters_are_those_of_the_crop(
    estimator: PearEstimator, frames: list[tuple[float, Image]]
) -> None:
    """Parameters and places are those of the network's own crop camera."""
    _, image = frames[0]
    (estimate,) = estimator.estimate(image, camera_of(image), [MAN], 0.0)
    assert estimate is not None and estimate.flame is not None
    places = squares(estimate.box[None], image.shape[1], image.shape[0])
    seen = Prediction.from_vectors(estimator._runtime.infer(image, places))
    np.testing.assert_allclose(estimate.smplx.betas, seen.betas[0], atol=1e-5)
    np.testing.assert_allclose(estimate.flame.jaw, seen.jaw[0], atol=1e-5)
    # Where the network saw the joints, and where the placed body has them.
    body = estimator.body
    assert isinstance(body, EhmBody)
    pixels = image_points(body.joints(seen.parameters()), seen.camera, places)[0]
    off = np.linalg.norm(pixels - estimate.keypoints, axis=1) / places[0, 2]
    # Not nearer, as garbage poses reach far in depth at three metres' distance.
    assert off[:22].mean() < 0.05


def test_diagnostics_contain_the_gpus_free_memory(
    estimator: PearEstimator, monkeypatch: pytest.MonkeyPatch
) -> None:
    diagnostics = dict(estimator.diagnostics)
    assert diagnostics["runtime"].startswith("torch") and "GPU memory" not in diagnostics
    for free, shown in ((3.14e9, "3.1"), (2.0e9, "2.0")):
        monkeypatch.setattr(
            estimator._runtime, "memory", lambda free=free: (int(free), 7_400_000_000)
        )
        assert estimator.diagnostics == {**diagnostics, "GPU memory": f"{shown} of 7.4 GB free"}


def test_meshes_are_the_bodies(estimator: PearEstimator, frames: list[tuple[float, Image]]) -> None:
    pipeline = Pipeline(estimator)
    stamp, image = frames[0]
    people = pipeline(image, camera_of(image), stamp)
    meshes = pipeline.meshes(people)
    assert meshes.shape == (2, 10475, 3) and meshes.dtype == np.float32
    for person, mesh in zip(people.persons, meshes, strict=True):
        alone = pipeline.meshes(dataclasses.replace(people, persons=(person,)))[0]
        np.testing.assert_allclose(alone, mesh, atol=1e-5)
        middle = mesh.mean(axis=0)
        assert np.linalg.norm(middle - person.joints[:22].mean(axis=0)) < 0.3
    empty = dataclasses.replace(people, persons=())
    assert pipeline.meshes(empty).shape == (0, 10475, 3)


def test_plain_smplx_has_smplx_own_head(
    pear_models: Path, frames: list[tuple[float, Image]]
) -> None:
    estimator = make_estimator(EstimatorChoice("pear", pear_models, "smplx", TORCH))
    pipeline = Pipeline(estimator)
    stamp, image = frames[0]
    people = pipeline(image, camera_of(image), stamp)
    assert people.body_model == "smplx-neutral-2020"
    body = estimator.body
    assert isinstance(body, BodyModel)
    person = people.persons[0]
    smplx = person.smplx
    parameters = (smplx.pose, smplx.betas, smplx.expression, smplx.transl)
    expected = body.vertices(*(values[None] for values in parameters))
    np.testing.assert_allclose(pipeline.meshes(people)[0], expected[0], atol=1e-5)


def test_no_mesh_is_computed_for_parameters_alone(
    pear_models: Path, frames: list[tuple[float, Image]]
) -> None:
    estimator = make_estimator(EstimatorChoice("pear", pear_models, runtime=TORCH))
    pipeline = Pipeline(estimator)
    stamp, image = frames[0]
    people = pipeline(image, camera_of(image), stamp)
    assert len(people.persons) == 2
    # What a mesh needs beyond joints is made when the first one is asked for.
    assert "_body_skin" not in vars(estimator.body)
    pipeline.meshes(people)
    assert "_body_skin" in vars(estimator.body)


def test_region_without_a_person(
    estimator: PearEstimator, frames: list[tuple[float, Image]]
) -> None:
    _, image = frames[0]
    camera = camera_of(image)
    assert estimator.estimate(image, camera, [], 0.0) == []
    wall = Region("h7", np.array([150, 520, 350, 780], np.float32))
    found = estimator.estimate(image, camera, [wall, MAN], 0.0)
    assert found[0] is None and found[1] is not None


def test_predictions_that_are_not_finite_make_no_person(
    estimator: PearEstimator, frames: list[tuple[float, Image]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, image = frames[0]
    nan = np.full((1, VECTOR_SIZE), np.nan, np.float32)
    monkeypatch.setattr(estimator._runtime, "infer", lambda image, places: nan)
    assert estimator.estimate(image, camera_of(image), [MAN], 0.0) == [None]


def test_several_estimators_share_network_and_body(
    pear_models: Path, frames: list[tuple[float, Image]]
) -> None:
    """And each says of an image what a single one says, to the last bit."""
    pytest.importorskip("onnxruntime", reason="shares batches")
    choice = EstimatorChoice(
        "pear", pear_models, runtime=RuntimeChoice("onnxruntime", max_people=3)
    )
    single, (first, second) = make_estimator(choice), make_estimators(choice, 2)
    assert first.body is second.body and first.model_id == single.model_id

    def estimated(estimator: Estimator, images: list[Image]) -> list[bytes]:
        estimator.reset()
        camera = camera_of(images[0])
        found = [estimator.estimate(image, camera, [MAN], 0.0)[0] for image in images]
        return [estimate.joints.tobytes() for estimate in found if estimate]

    images = [image for _, image in frames]
    with ThreadPoolExecutor() as pool:
        forth, back = (
            pool.submit(estimated, first, images),
            pool.submit(estimated, second, images[::-1]),
        )
    first.close()
    wanted = estimated(single, images)
    assert len(wanted) == len(images)
    assert forth.result() == wanted
    assert back.result() == estimated(second, images[::-1]) == estimated(single, images[::-1])
    second.close()
    single.close()


def test_auto_takes_pear_where_its_files_are(
    pear_models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pear_ros"):
        estimator = make_estimator(EstimatorChoice("auto", pear_models, runtime=TORCH))
    assert estimator.model_id.startswith("pear/")
    assert "auto takes PEAR" in caplog.text and str(pear_models) in caplog.text


def test_auto_refuses_damaged_files(converted_folder: Path) -> None:
    (converted_folder / "pear_model.pt").write_bytes(b"<html>not found</html>")
    with pytest.raises(EstimatorError, match=r"pear_model\.pt is no checkpoint of PEAR"):
        make_estimator(EstimatorChoice("auto", converted_folder))


def test_detections_with_a_score_need_no_pose_model(
    estimator: PearEstimator, frames: list[tuple[float, Image]]
) -> None:
    """BlazePose, which detects no person in a black picture, is not run for them."""
    black = np.zeros_like(frames[0][1])
    detected = dataclasses.replace(MAN, score=0.75)
    (found,) = estimator.estimate(black, camera_of(black), [detected], 0.0)
    (doubted,) = estimator.estimate(black, camera_of(black), [MAN], 0.0)
    assert found is not None and doubted is None
    assert found.score == 0.75
    np.testing.assert_array_equal(found.box, MAN.box)


class OnDevice:
    """The runtime of an estimator, as if it cropped images on a GPU."""

    takes_device_images, cropping = True, "on the GPU, by one kernel"

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.info, self.memory = runtime.info, runtime.memory

    def infer(self, image: Image | DeviceImage, places: Squares) -> Array:
        assert isinstance(image, DeviceImage)
        return self._runtime.infer(image.owner, places)


@pytest.mark.parametrize("on_device", [True, False])
def test_images_on_the_gpu_are_downloaded_for_those_who_read_pixels(
    estimator: PearEstimator,
    frames: list[tuple[float, Image]],
    on_device: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """BlazePose, and a runtime that crops on the CPU; results are those of images there."""
    pixels = frames[0][1]
    detected = dataclasses.replace(MAN, score=0.75)
    estimator.reset()
    (expected,) = estimator.estimate(pixels, camera_of(pixels), [detected], 0.0)
    assert expected is not None and estimator.diagnostics["crops"] == "on the CPU"
    if on_device:
        monkeypatch.setattr(estimator, "_runtime", OnDevice(estimator._runtime))
    assert estimator.takes_device_images == on_device
    for region, downloaded in ((detected, not on_device), (MAN, True)):
        estimator.reset()
        image = DeviceImage(pixels, pixels.shape, lambda: pixels)
        (found,) = estimator.estimate(image, camera_of(pixels), [region], 0.0)
        assert found is not None and image.is_downloaded == downloaded
        if region is detected:
            np.testing.assert_array_equal(found.joints, expected.joints)
