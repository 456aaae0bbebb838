# SPDX-License-Identifier: Apache-2.0
"""JPEGs decoded on an NVIDIA GPU by nvImageCodec, in its decoder hardware where there is one.

Pictures stay on the GPU where the estimator crops them there, and are copied to the CPU for those
who read them there, such as detectors and overlay; where it does not, they are copied at once.
OpenCV decodes what is not a plain colour JPEG, and what nvImageCodec cannot. Not yet run on a GPU:
tested with nvImageCodec's own decoder for CPUs in its place.
"""

from __future__ import annotations

import importlib
from typing import Any

import cv2
import numpy as np

from pear_ros.core.device_image import DeviceImage, on_cpu
from pear_ros.core.log import get_logger
from pear_ros.core.parameters import Parameters
from pear_ros.ros.conversion.compressed_pictures import DecodeJpeg
from pear_ros.ros.conversion.pixels import Pixels

_ADOBE_WITHIN = 1024
"""Bytes at the beginning of a JPEG in which Adobe's marker is looked for."""
_TOLERANCE = 3
"""Largest difference from OpenCV's pixels in the trial: decoders may round differently."""

logger = get_logger(__name__)


class GpuJpegError(Exception):
    """JPEGs cannot be decoded on the GPU here; the text has the reason and a remedy."""


class GpuJpegDecoder:
    """Decodes JPEGs to BGR pictures; not thread-safe."""

    def __init__(self, use_cpu: bool = False, keep_on_device: bool = False) -> None:
        """Open the GPU's decoders, or with `use_cpu` the library's decoder for CPUs, for tests.

        `keep_on_device`: whether pictures stay where they are decoded, and are DeviceImages.

        Raises GpuJpegError where nvImageCodec, its nvJPEG or the GPU is missing.
        """
        try:
            library: Any = importlib.import_module("nvidia.nvimgcodec")
        except (ImportError, OSError) as error:
            raise GpuJpegError(
                f"nvImageCodec cannot be imported ({error}): pip install "
                "nvidia-nvimgcodec-cu12[nvjpeg], on a Jetson nvidia-nvimgcodec-tegra-cu12"
            ) from error
        self._library = library
        self._keep_on_device = keep_on_device
        kinds = library.BackendKind
        on_gpu = (kinds.HW_GPU_ONLY, kinds.GPU_ONLY, kinds.HYBRID_CPU_GPU)
        chosen = (kinds.CPU_ONLY,) if use_cpu else on_gpu
        device = library.NVIMGCODEC_DEVICE_CPU_ONLY if use_cpu else -1
        try:
            self._decoder = library.Decoder(
                device_id=device,
                max_num_cpu_threads=1,
                backends=[library.Backend(kind) for kind in chosen],
            )
            self._parameters = library.DecodeParams(
                apply_exif_orientation=False, sample_format=library.SampleFormat.I_BGR
            )
        except (RuntimeError, TypeError, AttributeError) as error:
            raise GpuJpegError(
                f"nvImageCodec cannot be used ({error}): is there an NVIDIA GPU with its driver?"
            ) from error
        self._try()

    def __call__(self, data: bytes) -> Pixels | DeviceImage | None:
        """Return the picture (height, width, 3) uint8 BGR of a whole JPEG; None: it cannot be read.

        Grey pictures, and those with Adobe's marker, which may have other colours than YCbCr, are
        among those that are not read.
        """
        if b"Adobe" in data[:_ADOBE_WITHIN]:
            return None
        try:
            stream = self._library.CodeStream(data)
            if stream.num_channels != 3:
                return None
            image: Any = self._decoder.decode(stream, params=self._parameters)
            if image is None or np.dtype(image.dtype) != np.uint8:
                return None
            if len(image.shape) != 3 or image.shape[2] != 3:
                return None
            return self._kept(image) if self._keep_on_device else self._downloaded(image)
        except RuntimeError:  # Such as no memory left on the GPU.
            return None

    def _kept(self, image: Any) -> Pixels | DeviceImage:
        """The picture where it is, if its rows follow each other without gaps."""
        height, width, _ = image.shape
        if tuple(image.strides) != (3 * width, 3, 1):
            return self._downloaded(image)
        owner = image if self._is_on_gpu(image) else np.asarray(image)
        return DeviceImage(owner, (height, width, 3), lambda: self._downloaded(image))

    def _downloaded(self, image: Any) -> Pixels:
        """The picture in the memory of the host. Raises RuntimeError where the GPU fails."""
        return np.asarray(image.cpu() if self._is_on_gpu(image) else image)

    def _is_on_gpu(self, image: Any) -> bool:
        return bool(image.buffer_kind == self._library.ImageBufferKind.STRIDED_DEVICE)

    def _try(self) -> None:
        """Decode a small picture, as the library reports missing parts by decoding nothing."""
        ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8)[None, :, None], (32, 1, 3))
        data = cv2.imencode(".jpg", ramp)[1].tobytes()
        expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        found = self(data)
        if found is None or expected is None or found.shape != expected.shape:
            raise GpuJpegError(
                "nvImageCodec decodes no JPEG here: is there an NVIDIA GPU, and nvJPEG (pip "
                "install nvidia-nvjpeg-cu12)?"
            )
        if np.abs(on_cpu(found).astype(int) - expected).max() > _TOLERANCE:
            raise GpuJpegError("nvImageCodec decodes JPEGs to other pixels than OpenCV")


def chosen_jpeg_decoder(parameters: Parameters, keep_on_device: bool) -> DecodeJpeg | None:
    """Return the decoder that the parameter jpeg_decoder names; None: OpenCV.

    `keep_on_device`: whether pictures stay on the GPU. A GPU's decoder that is not available is
    logged as a warning.
    """
    if parameters.jpeg_decoder != "gpu" or parameters.image_transport != "compressed":
        return None
    try:
        decoder = GpuJpegDecoder(keep_on_device=keep_on_device)
    except GpuJpegError as error:
        logger.warning("jpeg_decoder: gpu is not available, OpenCV decodes images: %s", error)
        return None
    logger.info(
        "JPEGs are decoded on the GPU, and %s",
        "stay there" if keep_on_device else "copied to the CPU, as the estimator crops them there",
    )
    return decoder
