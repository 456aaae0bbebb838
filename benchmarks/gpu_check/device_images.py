# SPDX-License-Identifier: Apache-2.0
"""Images that stay on the GPU: crops by one kernel, and JPEGs that are decoded there.

Each result is compared with that of the CPU or of torch, and both are timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from benchmarks.gpu_check.cuda_layer import fake_cuda
from benchmarks.gpu_check.findings import Findings
from benchmarks.gpu_measure import boxes
from pear_ros.core.device_image import DeviceImage
from pear_ros.core.people import Image
from pear_ros.pear.crop import INPUT_SIZE, Squares, crop_pixels, squares
from pear_ros.pear.runtimes.cuda import DeviceBuffer, PinnedBuffer, Stream
from pear_ros.pear.runtimes.device_crops import DeviceCrops
from pear_ros.pear.torch_crop import covered, put_bordered, room, warp
from pear_ros.pear.torch_crop_kernel import KernelWarp, fastest_warp
from pear_ros.ros.conversion.gpu_jpeg import GpuJpegDecoder, GpuJpegError

_PEOPLE = (1, 5, 8)
_KERNEL_MOST = 0.01
"""Grey levels by which the kernel's crops may differ from torch's."""
_OPENCV_MOST = 2
"""The same from OpenCV's, of a smooth picture: OpenCV rounds places to 1/32 pixel."""
_JPEG_MOST = 3
"""The same of a decoded picture from OpenCV's."""
_RUNS, _SMOKE_RUNS = 100, 3


def run(findings: Findings, smoke: bool) -> None:
    """Compare on the GPU; with `smoke` on stand-ins for it, as far as there are any."""
    runs = _SMOKE_RUNS if smoke else _RUNS
    image = _smooth_image()
    with fake_cuda(smoke):
        if smoke:
            findings.note("crops in torch's streams", "not tried: there is no GPU")
        else:
            with findings.trying("crops in torch's streams"):
                _check_torch(findings, image, runs)
        with findings.trying("crops without torch"):
            _check_cuda(findings, image, runs)
    with findings.trying("JPEGs"):
        _check_jpegs(findings, image, smoke, runs)


def _smooth_image() -> Image:
    noise = np.random.default_rng(0).integers(0, 256, (68, 120, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (1920, 1080), interpolation=cv2.INTER_CUBIC), np.uint8)


def _places(people: int) -> Squares:
    return squares(boxes(people), 1920, 1080)


def _inside(places: Squares) -> Squares:
    """Squares within the picture, whose edge to black is not smooth."""
    low, high = np.array([1.0, 1.0]), np.array([1919.0, 1079.0])
    side = np.minimum(places[:, 2:], 1000.0)
    return np.concatenate([places[:, :2].clip(low, high - side), side], axis=1)


def _milliseconds(call: Callable[[], object], finish: Callable[[], object], runs: int) -> float:
    """Median time of a call until the GPU has finished, ms."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        finish()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def _check_torch(findings: Findings, image: Image, runs: int) -> None:
    device = torch.device("cuda")
    kernel, how = fastest_warp(device)
    findings.check("the kernel is used with torch", isinstance(kernel, KernelWarp), how)
    for people in _PEOPLE:
        piece, geometry = covered(image, _places(people))
        bordered = torch.empty((room(piece), 3), dtype=torch.uint8)
        put_bordered(piece, bordered)
        pixels, rows = bordered.to(device), torch.from_numpy(geometry).to(device)
        off = float((kernel(pixels, rows) - warp(pixels, rows)).abs().max())
        what = f"crops of {people} by one kernel as by torch"
        findings.check(what, off <= _KERNEL_MOST, f"largest difference {off:.1e} grey levels")
        ms = [
            _milliseconds(partial(crop, pixels, rows), torch.cuda.synchronize, runs)
            for crop in (kernel, warp)
        ]
        findings.note(f"time of crops of {people}", f"kernel {ms[0]:.3f} ms, torch {ms[1]:.3f} ms")


class _OnGpu:
    """An image in the GPU's memory, by CUDA alone."""

    def __init__(self, image: Image, stream: Stream, owned: ExitStack) -> None:
        self._host = PinnedBuffer(image.shape, np.uint8)
        owned.callback(self._host.close)
        self._buffer = DeviceBuffer(image.nbytes)
        owned.callback(self._buffer.close)
        self._host.array[:] = image
        self._stream = stream
        self.upload()
        self.__cuda_array_interface__ = {
            "data": (self._buffer.handle, False),
            "stream": stream.handle,
        }

    def upload(self) -> None:
        self._stream.upload(self._host, self._buffer, self._host.array.nbytes)


def _check_cuda(findings: Findings, image: Image, runs: int) -> None:
    most = max(_PEOPLE)
    with ExitStack() as owned:
        stream = Stream()
        owned.callback(stream.close)
        crops = DeviceCrops(most, stream)
        owned.callback(crops.close)
        host = PinnedBuffer((most, INPUT_SIZE, INPUT_SIZE, 3), np.uint8)
        owned.callback(host.close)
        device = DeviceBuffer(host.array.nbytes)
        owned.callback(device.close)
        on_gpu = _OnGpu(image, stream, owned)
        there = DeviceImage(on_gpu, (1080, 1920, 3), lambda: image)
        for people in _PEOPLE:
            places, nbytes = _inside(_places(people)), people * host.array[0].nbytes
            crops(there, places, device)
            stream.download(device, host, nbytes)
            stream.synchronize()
            off = _difference(host.array[:people], crop_pixels(image, places))
            what = f"crops of {people} without torch as by OpenCV"
            findings.check(what, off <= _OPENCV_MOST, f"largest difference {off} grey levels")

            crop = partial(crops, there, places, device)
            kernel = _milliseconds(crop, stream.synchronize, runs)
            crop = partial(_crop_and_upload, image, places, host, device, stream)
            opencv = _milliseconds(crop, stream.synchronize, runs)
            times = f"kernel {kernel:.3f} ms, OpenCV and upload {opencv:.3f} ms"
            findings.note(f"time of crops of {people} without torch", times)
        upload = _milliseconds(on_gpu.upload, stream.synchronize, runs)
        findings.note("time of an upload of 1920 x 1080", f"{upload:.3f} ms")


def _crop_and_upload(
    image: Image, places: Squares, host: PinnedBuffer, device: DeviceBuffer, stream: Stream
) -> None:
    crops = crop_pixels(image, places, host.array[: len(places)])
    stream.upload(host, device, crops.nbytes)


def _check_jpegs(findings: Findings, image: Image, smoke: bool, runs: int) -> None:
    data = cv2.imencode(".jpg", image)[1].tobytes()
    try:
        decoders = [GpuJpegDecoder(use_cpu=smoke, keep_on_device=keep) for keep in (True, False)]
    except GpuJpegError as error:
        findings.note("JPEGs", f"not tried: {error}")
        return
    found = decoders[0](data)
    kept = isinstance(found, DeviceImage) and not found.is_downloaded
    findings.check("a decoded JPEG stays on the GPU", kept, type(found).__name__)
    assert isinstance(found, DeviceImage)
    tensor: Tensor = from_dlpack(found.owner)
    findings.note("memory of the decoded JPEG", str(tensor.device))
    expected = _imdecode(data)
    pixels = tensor.cpu().numpy()
    off = _difference(pixels, expected)
    findings.check("its pixels by DLPack", off <= _JPEG_MOST, f"off by {off} from OpenCV's")
    same = bool(np.array_equal(pixels, found.numpy()))
    findings.check("its pixels when downloaded", same)
    finish = _nothing if smoke else torch.cuda.synchronize
    ms = [_milliseconds(partial(decode, data), finish, runs) for decode in decoders]
    opencv = _milliseconds(partial(_imdecode, data), _nothing, runs)
    times = f"kept {ms[0]:.2f} ms, downloaded {ms[1]:.2f} ms, OpenCV {opencv:.2f} ms"
    findings.note("time of decoding 1920 x 1080", times)


def _imdecode(data: bytes) -> Image:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def _nothing() -> None:
    """Wait for nothing: the CPU has finished."""


def _difference(found: Image, expected: Image) -> int:
    """Largest difference, grey levels."""
    return int(np.abs(found.astype(int) - expected.astype(int)).max())
