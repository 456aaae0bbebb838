# SPDX-License-Identifier: Apache-2.0
"""Images on a GPU are downloaded for those who read pixels, once, and for nobody else."""

from __future__ import annotations

import numpy as np
import pytest

from pear_ros.core.device_image import DeviceImage, image_for, on_cpu
from pear_ros.core.people import Image

PIXELS = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)


class Downloads:
    """Counts downloads of one image."""

    def __init__(self) -> None:
        self.count = 0
        self.image = DeviceImage(None, PIXELS.shape, self._download)

    def _download(self) -> Image:
        self.count += 1
        return PIXELS


class Reader:
    """A component that knows nothing of GPUs."""


class OnDevice:
    takes_device_images = True


def test_it_is_downloaded_once_by_those_who_read_pixels() -> None:
    downloads = Downloads()
    assert image_for(OnDevice(), downloads.image) is downloads.image
    assert not downloads.image.is_downloaded and downloads.count == 0
    for found in (image_for(Reader(), downloads.image), on_cpu(downloads.image)):
        assert found is PIXELS
    assert downloads.image.is_downloaded and downloads.count == 1
    for component in (OnDevice(), Reader()):
        assert image_for(component, PIXELS) is PIXELS
    assert on_cpu(PIXELS) is PIXELS


def test_a_download_that_fails_is_tried_again() -> None:
    errors = [RuntimeError("the GPU is full")]

    def download() -> Image:
        if errors:
            raise errors.pop()
        return PIXELS

    image = DeviceImage(None, PIXELS.shape, download)
    with pytest.raises(RuntimeError, match="full"):
        image.numpy()
    assert image.numpy() is PIXELS
