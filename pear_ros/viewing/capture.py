# SPDX-License-Identifier: Apache-2.0
"""Pictures and short videos of what a viewer sees, sent to their browser as files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import viser

from pear_ros.core.people import Image
from pear_ros.io.video import VideoWriter

_MAX_PIXELS = 1920
"""Greatest width or height."""
_TIMEOUT_SECONDS = 20.0


def save_picture(viewer: viser.ClientHandle, name: str) -> None:
    """Send a PNG of what the viewer sees to them.

    Raises RuntimeError where they left, TimeoutError where they do not draw.
    """
    done, data = cv2.imencode(".png", _rendered(viewer))
    if not done:
        raise RuntimeError("the picture could not be encoded")
    viewer.send_file_download(f"{name}.png", data.tobytes(), save_immediately=True)


def save_video(viewer: viser.ClientHandle, name: str, stamps: Iterable[float]) -> None:
    """Send an MP4 of what the viewer sees, a picture for each of `stamps`, seconds.

    `stamps`: taken one by one; the scene shows the time of a stamp when it is returned. Raises as
    `save_picture` does.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "view.mp4"
        count, first = 0, 0.0
        with VideoWriter(path) as writer:
            for stamp in stamps:
                first = first if count else stamp
                writer.write(stamp - first, _rendered(viewer))
                count += 1
        if count:
            viewer.send_file_download(f"{name}.mp4", path.read_bytes(), save_immediately=True)


def _rendered(viewer: viser.ClientHandle) -> Image:
    """Return what the viewer sees, BGR, of even width and height."""
    eye = viewer.camera
    scale = min(1.0, _MAX_PIXELS / max(eye.image_width, eye.image_height, 1))
    height, width = (max(int(scale * n) // 2 * 2, 2) for n in (eye.image_height, eye.image_width))
    rgb = viewer.get_render(height, width, transport_format="jpeg", timeout=_TIMEOUT_SECONDS)
    return np.asarray(cv2.cvtColor(np.asarray(rgb, np.uint8)[..., :3], cv2.COLOR_RGB2BGR), np.uint8)
