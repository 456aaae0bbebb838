# SPDX-License-Identifier: Apache-2.0
"""Crops of the people in your own pictures or bag, with which PEAR's network is calibrated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from pear_ros.bags.bag import Bag, find_bags
from pear_ros.core.people import Image
from pear_ros.detection.nanodet import NanoDet
from pear_ros.detection.nanodet_detector import CONFIDENT_SCORE
from pear_ros.io.video import FrameSource, VideoError
from pear_ros.pear.crop import Crops, crop_pixels, squares
from pear_ros.replay.topics import TopicSelection, select_topics
from pear_ros.ros.conversion.images import bgr_from_compressed, bgr_from_image

MAX_CROPS = 128
"""Most images that are searched, and most crops that are returned, of each evenly many."""


def calibration_crops(source: Path, topic: str = "") -> Crops:
    """Return crops (N, 256, 256, 3) of people in the pictures or the bags at `source`, a folder.

    A bag may also be a file; `topic`: its images, or empty where it has but one such topic. At most
    MAX_CROPS, evenly over all images; those that cannot be read are left out.

    Raises ValueError where nobody is found or there is nothing to read, and AssetError where the
    detector's file is missing.
    """
    detect = NanoDet()
    crops: list[Crops] = []
    images = 0
    for image in _images(source, topic):
        images += 1
        boxes = [one.box for one in detect.detect_still(image) if one.score >= CONFIDENT_SCORE]
        places = squares(np.reshape(boxes, (-1, 4)), image.shape[1], image.shape[0])
        crops += list(crop_pixels(image, places[np.isfinite(places).all(axis=1)]))
    if not crops:
        raise ValueError(
            f"nobody was found in {images} images of {source}: give pictures or a bag of people, "
            "as your camera sees them"
        )
    return np.stack([crops[index] for index in _evenly(len(crops))])


def _evenly(count: int) -> list[int]:
    """Return at most MAX_CROPS of the numbers from 0 to `count` - 1, ascending."""
    return sorted({int(n) for n in np.linspace(0, count - 1, min(count, MAX_CROPS))})


def _images(source: Path, topic: str) -> Iterator[Image]:
    """Yield at most MAX_CROPS images (H, W, 3) of each bag, or of all pictures."""
    files = sorted(source.iterdir()) if source.is_dir() else []
    pictures = [path for path in files if path.is_file() and cv2.haveImageReader(str(path))]
    if not pictures:
        for path in find_bags(source):
            yield from _images_of_bag(Bag(path), topic)
    for index in _evenly(len(pictures)):
        try:
            yield from (image for _, image in FrameSource(str(pictures[index])))
        except VideoError:
            continue


def _images_of_bag(bag: Bag, given: str) -> Iterator[Image]:
    topic = select_topics(bag, TopicSelection(given)).image
    chosen = set(_evenly(bag.topics[topic].count))
    for number, message in enumerate(bag.messages([topic])):
        if number not in chosen:
            continue
        try:
            picture = bag.deserialize(message)
            read = bgr_from_image if hasattr(picture, "encoding") else bgr_from_compressed
            image = read(picture)
        except Exception:  # A corrupt message may raise anything.
            continue
        yield image
