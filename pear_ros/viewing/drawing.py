# SPDX-License-Identifier: Apache-2.0
"""The camera's picture with people's joints over it, as they were published in pixels."""

from __future__ import annotations

import cv2
import numpy as np

from pear_ros.body import load_open_body
from pear_ros.core.people import Image, TrackingState
from pear_ros.rendering.colours import PAPER, id_colour
from pear_ros.viewing.moment import Moment

_WIDTH = 480
_THICKNESS = 2


def annotated(moment: Moment) -> Image:
    """Return the picture in RGB, at most 480 pixels wide; paper-coloured where there is none."""
    camera = moment.people.camera
    scale = min(1.0, _WIDTH / max(camera.width, 1))
    size = max(round(camera.width * scale), 1), max(round(camera.height * scale), 1)
    canvas: Image = np.full((size[1], size[0], 3), PAPER, np.uint8)
    if moment.picture is not None:
        small = cv2.resize(moment.picture, size, interpolation=cv2.INTER_AREA)
        canvas[:] = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)
    parents = load_open_body().parents
    for person in moment.people.persons:
        if person.state is TrackingState.LOST:
            continue
        colour = tuple(round(255 * channel) for channel in id_colour(person.id))
        points = scale * person.keypoints.astype(np.float64)
        for joint, parent in enumerate(parents):
            ends = points[[joint, parent]]
            if parent >= 0 and np.isfinite(ends).all() and np.abs(ends).max() < 1e4:
                first, second = ends.round().astype(int).tolist()
                cv2.line(canvas, first, second, colour, _THICKNESS, cv2.LINE_AA)
    return canvas
