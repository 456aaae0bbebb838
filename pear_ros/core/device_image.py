# SPDX-License-Identifier: Apache-2.0
"""Images in the memory of a GPU, downloaded only for those who read pixels on the CPU.

All annotations say Image, a NumPy array. A component that can do without pixels on the CPU, or
reads them in some images only, takes `Image | DeviceImage` and sets `takes_device_images`;
`image_for` gives all others the pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from pear_ros.core.people import Image


class DeviceImage:
    """An image (height, width, 3) uint8 in the memory of a GPU: blue, green and red.

    Not thread-safe.
    """

    def __init__(self, owner: Any, shape: tuple[int, int, int], download: Callable[[], Image]):
        """Keep `owner`, whose memory holds the pixels of `shape` without gaps.

        On a GPU it has `__dlpack__` and `__cuda_array_interface__`. `download` returns a copy of
        the pixels in the memory of the host.
        """
        self.owner = owner
        """Owner of the memory, for libraries that compute there."""
        self.shape = shape
        """Height, width and 3."""
        self._download = download
        self._pixels: Image | None = None

    @property
    def is_downloaded(self) -> bool:
        """Whether the pixels are on the CPU as well."""
        return self._pixels is not None

    def numpy(self) -> Image:
        """Return the pixels (height, width, 3) on the CPU, downloaded by the first call.

        Raises RuntimeError where the GPU fails.
        """
        if self._pixels is None:
            self._pixels = self._download()
        return self._pixels


def on_cpu(image: Image | DeviceImage) -> Image:
    """Return the pixels (height, width, 3) of `image` on the CPU: itself if it is there.

    Raises RuntimeError where the GPU fails.
    """
    return image.numpy() if isinstance(image, DeviceImage) else image


def takes_device_images(component: object) -> bool:
    """Return whether `component` sets `takes_device_images`: it is given DeviceImages as well."""
    return bool(getattr(component, "takes_device_images", False))


def image_for(component: object, image: Image | DeviceImage) -> Image:
    """Return `image` as `component` takes it: as it is, or its pixels on the CPU.

    Raises RuntimeError where the GPU fails.
    """
    if isinstance(image, DeviceImage) and not takes_device_images(component):
        return image.numpy()
    # A component that takes DeviceImages says so in its own annotation.
    return cast(Image, image)
