# SPDX-License-Identifier: Apache-2.0
"""Crops of people from images in the GPU's memory, without torch. Not yet run on a GPU."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from pear_ros.core.device_image import DeviceImage
from pear_ros.pear.crop import INPUT_SIZE, Geometry, Squares, crop_geometry, crop_pixels
from pear_ros.pear.runtimes.crop_kernel import TO_BYTES, CropKernel
from pear_ros.pear.runtimes.cuda import DeviceBuffer, PinnedBuffer, Stream
from pear_ros.pear.runtimes.cudart import CudaLostError, cudart
from pear_ros.pear.runtimes.runtime import RuntimeUnavailableError

_TOLERANCE = 2
"""Largest difference from OpenCV's crops of a smooth picture, which has 1/32 pixel."""


class CropKernelError(RuntimeUnavailableError):
    """The kernel cannot be loaded, or crops otherwise than OpenCV on this GPU."""


class DeviceCrops:
    """Enqueues crops of people by one kernel."""

    def __init__(self, people: int, stream: Stream) -> None:
        """Prepare crops of up to `people` in `stream`, and compare some with OpenCV's.

        Raises CropKernelError where they differ or the kernel cannot be loaded, CudaError where
        CUDA fails otherwise.
        """
        self._stream = stream
        with ExitStack() as owned:
            self._kernel = _loaded()
            owned.callback(self._kernel.close)
            geometry = crop_geometry(np.ones((people, 3)), 1, 1)
            self._geometry = PinnedBuffer(geometry.shape, geometry.dtype)
            owned.callback(self._geometry.close)
            self._geometry_gpu = DeviceBuffer(geometry.nbytes)
            owned.callback(self._geometry_gpu.close)
            self._check()
            self._owned = owned.pop_all()

    def __call__(self, image: DeviceImage, places: Squares, crops: DeviceBuffer) -> None:
        """Enqueue crops of the squares `places` (B, 3) of `image`; B > 0, `crops` have room for it.

        `places` may change afterwards; the next call must wait until these crops are made.

        Raises CudaError, and ValueError for squares with NaN.
        """
        height, width, _ = image.shape
        geometry = crop_geometry(places, width, height)
        self._enqueue(_address(image), geometry, crops)

    def close(self) -> None:
        """Free the kernel and its memory; may be called twice. Raises CudaError."""
        self._owned.close()

    def _enqueue(self, pixels: int, geometry: Geometry, crops: DeviceBuffer) -> None:
        self._geometry.array[: len(geometry)] = geometry
        self._stream.upload(self._geometry, self._geometry_gpu, geometry.nbytes)
        target, source, stream = crops.handle, self._geometry_gpu.handle, self._stream.handle
        assert target and source and stream, "closed"
        self._kernel(pixels, source, target, len(geometry), stream)

    def _check(self) -> None:
        """Crop a ramp, from beyond its corner. Raises CropKernelError where it is not OpenCV's."""
        ramp = np.add.outer(np.arange(64), np.arange(96))[..., None] + np.array([0, 40, 90])
        picture = ramp.astype(np.uint8)
        place = np.array([[-5.25, -9.5, 80.0]])
        with ExitStack() as owned:
            host = PinnedBuffer(picture.shape, np.uint8)
            owned.callback(host.close)
            pixels = DeviceBuffer(picture.nbytes)
            owned.callback(pixels.close)
            found = PinnedBuffer((1, INPUT_SIZE, INPUT_SIZE, 3), np.uint8)
            owned.callback(found.close)
            crop = DeviceBuffer(found.array.nbytes)
            owned.callback(crop.close)
            host.array[:] = picture
            self._stream.upload(host, pixels, picture.nbytes)
            assert pixels.handle
            geometry = crop_geometry(place, picture.shape[1], picture.shape[0])
            self._enqueue(pixels.handle, geometry, crop)
            self._stream.download(crop, found, found.array.nbytes)
            self._stream.synchronize()
            off = np.abs(found.array.astype(int) - crop_pixels(picture, place)).max()
        if off > _TOLERANCE:
            raise CropKernelError(f"crops differ from OpenCV's by {off} grey levels")


def device_crops(people: int, stream: Stream) -> tuple[DeviceCrops | None, str]:
    """Return DeviceCrops, None where they cannot be made, and a text about that for diagnostics.

    `people`: most in a batch; `stream`: of all work.

    Raises CudaError.
    """
    try:
        return DeviceCrops(people, stream), "of images on the GPU there, by one kernel"
    except CropKernelError as error:
        return None, f"on the CPU, as the GPU cannot make them: {error}"


def _loaded() -> CropKernel:
    try:
        return CropKernel(TO_BYTES)
    except CudaLostError:
        raise
    except (RuntimeUnavailableError, OSError) as error:
        raise CropKernelError(f"its kernel cannot be loaded: {error}") from error


def _address(image: DeviceImage) -> int:
    """Address of the pixels in the GPU's memory, when its owner's work on them is done."""
    interface = image.owner.__cuda_array_interface__
    # Without a stream of its own, the owner may have used the default one.
    cudart()("cudaStreamSynchronize", interface.get("stream") or None)
    return int(interface["data"][0])
