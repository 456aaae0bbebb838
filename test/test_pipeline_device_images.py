# SPDX-License-Identifier: Apache-2.0
"""Images on a GPU go through the pipeline without a download where nobody reads their pixels."""

from __future__ import annotations

import numpy as np
import pytest

from pear_ros.body.model_files import load_open_body
from pear_ros.core.camera import Camera
from pear_ros.core.device_image import DeviceImage, takes_device_images
from pear_ros.core.estimator import Detection
from pear_ros.core.parameters import Settings
from pear_ros.core.people import Image
from pear_ros.detection.detectors import FullFrame, NoDetector
from pear_ros.detection.nanodet_detector import NanoDetDetector
from pear_ros.pipeline import Pipeline

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
CAMERA = Camera.from_field_of_view(64, 48)


class Downloads:
    """Counts the downloads of images."""

    def __init__(self) -> None:
        self.count = 0

    def image(self) -> DeviceImage:
        """Return a new image on the GPU."""
        return DeviceImage(None, PIXELS.shape, self._download)

    def _download(self) -> Image:
        self.count += 1
        return PIXELS


class Estimator:
    """Keeps the images that it is given; nobody is in them."""

    model_id = "nobody/1"

    def __init__(self, on_device: bool) -> None:
        if on_device:
            self.takes_device_images = True
        self.images: list[object] = []
        self.body = load_open_body()

    def estimate(self, image: Image, camera: Camera, regions: list, stamp: float) -> list:
        self.images.append(image)
        return [None] * len(regions)

    def reset(self) -> None: ...


BOX = Detection(np.array([5.0, 5.0, 40.0, 40.0], np.float32), 0.9)


@pytest.mark.parametrize("detections", [[BOX], [], None])
@pytest.mark.parametrize("detector", [NoDetector, FullFrame])
def test_a_pipeline_on_the_gpu_downloads_nothing(
    detections: list[Detection] | None, detector: type[NoDetector]
) -> None:
    estimator, downloads = Estimator(on_device=True), Downloads()
    pipeline = Pipeline(estimator, detector())  # type: ignore[arg-type]
    assert takes_device_images(pipeline)
    image = downloads.image()
    pipeline(image, CAMERA, 1.0, detections=detections)
    assert downloads.count == 0 and estimator.images == [image]
    pipeline(PIXELS, CAMERA, 2.0, detections=detections)
    assert estimator.images[1] is PIXELS


@pytest.mark.parametrize(("on_device", "rotate"), [(False, 0), (True, 90), (False, 180)])
def test_others_get_pixels(on_device: bool, rotate: int) -> None:
    estimator, downloads = Estimator(on_device), Downloads()
    pipeline = Pipeline(estimator, NoDetector(), Settings(rotate=rotate))  # type: ignore[arg-type]
    assert takes_device_images(pipeline) == on_device
    pipeline(downloads.image(), CAMERA, 1.0, detections=[BOX])
    (given,) = estimator.images
    np.testing.assert_array_equal(given, np.rot90(PIXELS, -rotate // 90))
    assert downloads.count == 1


def test_nanodet_reads_only_the_images_that_it_searches() -> None:
    pytest.importorskip("ai_edge_litert", reason="NanoDet needs LiteRT")
    detect, downloads, searched = NanoDetDetector(), Downloads(), []
    for n in range(10):
        before = downloads.count
        detect(downloads.image(), tracked=1, coasting=(), stamp=n / 30.0)
        searched.append(downloads.count > before)
    detect.close()
    assert searched == [n in (0, 9) for n in range(10)]
