# SPDX-License-Identifier: Apache-2.0
"""People in an image by NanoDet-g (RangiLyu, 2021), an anchor-free single-stage detector.

The image is scaled evenly and padded to the network's input (letterbox). For each cell of its grids
of strides 8, 16 and 32 the network predicts the logits of COCO's 80 classes and, after Li et al.
(Generalized Focal Loss, NeurIPS 2020), a discrete distribution of the distance from the cell's
centre to each edge of the box. Greedy non-maximum suppression keeps one box of each person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from pear_ros.core.boxes import distinct, iou_matrix
from pear_ros.core.estimator import Detection
from pear_ros.core.people import Array, Image
from pear_ros.io.downloads import AssetError
from pear_ros.landmarks.tflite_model import resized, sigmoid

MODEL_FILE = Path(__file__).with_name("nanodet_g.tflite")
"""Made by tools/convert_nanodet.py."""
MODEL_SHA256 = "63a13e27e56b083806eecffbe346ea8344149b16b4cb9c0de14d2b961de5e149"

MIN_SCORE = 0.1
"""Least score of a detection; most of those just above it are no people."""
MIN_SIZE = 40.0
"""Least length of a box's longer side, pixels of the image: nobody in a smaller one can be read."""
_SMALL = 32.0
"""Length of a box's longer side, pixels of the network's input, below which it is small."""
_MIN_SCORE_SMALL = 0.5
"""Least score of a detection with a small box; most others are signs, posts and windows."""

_MEAN = np.array([103.53, 116.28, 123.675], np.float32)
"""Mean in training of the colours blue, green and red."""
_STANDARD_DEVIATION = np.array([57.375, 57.12, 58.395], np.float32)
"""Their standard deviation in training."""

_SIDE, _WIDE_SIDE = 416, 576
"""Longer side of the network's input, pixels: as in training, and for wide images.

Wide cameras show more of a scene, and so smaller people. For other images the longer one gains no
recall, but more false detections.
"""
_WIDE = 1.6
"""Aspect ratio, longer to shorter side, above which an image is wide."""
_SMALLER = 10.0 / 13.0
"""Scale of the input in the smaller passes over a single image: 320 pixels instead of 416."""
_STRIDES = (8, 16, 32)

_NUM_CLASSES = 80
"""Number of classes; the first is person."""
_NUM_BINS = 11
"""Bins of a distance's distribution: 0 to 10 strides."""

_NMS_IOU = 0.45
"""Boxes with a larger intersection over union are of one person."""
_SAME_PERSON_IOU = 0.5
"""With a larger one boxes of several passes over an image are of one person."""
_SAME_OBJECT_IOU = 0.6
"""With a larger one a box of another class is of the same object."""


@dataclass(frozen=True)
class Letterbox:
    """An image inside the network's input: scaled evenly, at the top left."""

    width: int
    """Width of the input, pixels; a multiple of the largest stride."""
    height: int
    """Height of the input, pixels; a multiple of the largest stride."""
    image_width: int
    """Width of the image, pixels."""
    image_height: int
    """Height of the image, pixels."""

    @classmethod
    def of(cls, image_width: int, image_height: int, factor: float = 1.0) -> Letterbox:
        """Return the letterbox of images of this size; its aspect ratio is nearly the images'.

        `factor` makes the input smaller or larger than usual.
        """
        longer = max(image_width, image_height)
        wide = longer > _WIDE * min(image_width, image_height)
        scale, step = factor * (_WIDE_SIDE if wide else _SIDE) / longer, _STRIDES[-1]
        width, height = (
            step * max(round(extent * scale / step), 1) for extent in (image_width, image_height)
        )
        return cls(width, height, image_width, image_height)

    @property
    def scale(self) -> float:
        """Pixels of the input for one pixel of the image."""
        return min(self.width / self.image_width, self.height / self.image_height)

    def apply(self, image: Image) -> Image:
        """Return the input (height, width, 3) for the image, padded with black."""
        padded: Image = np.zeros((self.height, self.width, 3), np.uint8)
        width = max(round(self.image_width * self.scale), 1)
        height = max(round(self.image_height * self.scale), 1)
        padded[:height, :width] = cv2.resize(image, (width, height))
        return padded

    def to_image(self, boxes: Array) -> Array:
        """Return boxes (N, 4) in the input as boxes in the image, clipped to it; both in pixels."""
        corners = boxes.reshape(-1, 2, 2) / np.float32(self.scale)
        size = np.array([self.image_width, self.image_height], np.float32)
        return np.asarray(np.clip(corners, 0.0, size).reshape(-1, 4), np.float32)


@dataclass(frozen=True)
class Candidates:
    """Boxes of N cells before suppression."""

    boxes: Array
    """(N, 4) x0 y0 x1 y1."""
    person: Array
    """(N,) score of the class person, 0 to 1."""
    other: Array
    """(N,) best score of another class, 0 to 1."""


class NanoDet:
    """Detects the people in images; not thread-safe."""

    def __init__(self, num_threads: int = 1) -> None:
        """Read the model's file. Raises pear_ros.io.downloads.AssetError, see `model_content`."""
        self._content = model_content()
        self._num_threads = num_threads
        self._networks: dict[float, _Network] = {}
        """The networks for images of the last size, by scale of their input."""

    def __call__(self, image: Image) -> list[Detection]:
        """Return the people in an image (height, width, 3) uint8 BGR, best first.

        Boxes are of the visible part of a person; scores are MIN_SCORE and more.
        """
        return _reliable(image, *self._pass(image, 1.0))

    def detect_still(self, image: Image) -> list[Detection]:
        """Return the people in an image that no other follows, more reliably than a call.

        Test-time augmentation: boxes and scores are means of four passes, over the image and its
        mirror image in two sizes. It takes more than three times as long. Arguments and result as
        of a call.
        """
        mirrored = np.ascontiguousarray(image[:, ::-1])
        passes = []
        for factor in (1.0, _SMALLER):
            passes.append(self._pass(image, factor))
            boxes, scores = self._pass(mirrored, factor)
            boxes[:, [0, 2]] = image.shape[1] - boxes[:, [2, 0]]
            passes.append((boxes, scores))
        return _reliable(image, *averaged(passes))

    def _pass(self, image: Image, factor: float) -> tuple[Array, Array]:
        """Boxes (M, 4) in the image, pixels, and scores (M,) of people, best first."""
        letterbox = Letterbox.of(image.shape[1], image.shape[0], factor)
        size = letterbox.width, letterbox.height
        network = self._networks.get(factor)
        if network is None or network.size != size:
            network = self._networks[factor] = _Network(self._content, size, self._num_threads)
        boxes, scores = suppressed(network(letterbox.apply(image)))
        return letterbox.to_image(boxes), scores


class _Network:
    """The network for input of one size."""

    def __init__(self, content: bytes, size: tuple[int, int], num_threads: int) -> None:
        """`size`: width and height of the input, pixels."""
        self.size = size
        width, height = size
        self._interpreter = Interpreter(
            model_content=resized(content, width, height), num_threads=num_threads
        )
        (details,) = self._interpreter.get_input_details()
        self._input = details["index"]
        self._interpreter.resize_tensor_input(self._input, (1, height, width, 3))
        self._interpreter.allocate_tensors()
        self._outputs = [output["index"] for output in self._interpreter.get_output_details()]
        self._centres, self._strides = cells(width, height)

    def __call__(self, padded: Image) -> Candidates:
        """Return the candidates in an input (height, width, 3) uint8 BGR."""
        tensor = padded.astype(np.float32)
        tensor -= _MEAN
        tensor *= 1.0 / _STANDARD_DEVIATION
        self._interpreter.set_tensor(self._input, tensor[np.newaxis])
        self._interpreter.invoke()
        outputs = [self._interpreter.get_tensor(index) for index in self._outputs]
        return decoded(outputs, self._centres, self._strides)


def model_content() -> bytes:
    """Return the content of the model's file.

    Raises AssetError (a FileNotFoundError) when the file is missing or damaged.
    """
    content = MODEL_FILE.read_bytes() if MODEL_FILE.is_file() else b""
    if hashlib.sha256(content).hexdigest() != MODEL_SHA256:
        state = "damaged" if content else "missing"
        raise AssetError(
            f"{MODEL_FILE}, the person detector, is {state}: install pear_ros again, or build the "
            "file as tools/convert_nanodet.py says"
        )
    return content


def cells(width: int, height: int) -> tuple[Array, Array]:
    """Return centres (N, 2) and strides (N,) of the cells for input of this size, pixels."""
    centres, strides = [], []
    for stride in _STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        centres.append((np.column_stack([x.ravel(), y.ravel()]) + 0.5) * stride)
        strides.append(np.full(len(centres[-1]), stride))
    return np.concatenate(centres).astype(np.float32), np.concatenate(strides).astype(np.float32)


def decoded(outputs: Sequence[Array], centres: Array, strides: Array) -> Candidates:
    """Return the candidates of which a class has MIN_SCORE, in pixels of the input.

    `outputs`: the network's maps, (1, rows, columns, 80 + 4 x 11) each; `centres` (N, 2) and
    `strides` (N,): of their cells.
    """
    channels = _NUM_CLASSES + 4 * _NUM_BINS
    cell_outputs = np.concatenate([output.reshape(-1, channels) for output in outputs])
    person, other = cell_outputs[:, 0], cell_outputs[:, 1:_NUM_CLASSES].max(axis=1)
    # Logits ascend with scores: nearly all cells are dropped before anything is computed.
    kept = np.flatnonzero(np.maximum(person, other) >= np.log(MIN_SCORE / (1.0 - MIN_SCORE)))
    logits = cell_outputs[kept, _NUM_CLASSES:].reshape(-1, 4, _NUM_BINS)
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    bins = np.arange(_NUM_BINS, dtype=np.float32)
    distances = weights @ bins / weights.sum(axis=2) * strides[kept, np.newaxis]  # (M, 4)
    low, high = centres[kept] - distances[:, :2], centres[kept] + distances[:, 2:]
    return Candidates(np.hstack([low, high]), sigmoid(person[kept]), sigmoid(other[kept]))


def suppressed(candidates: Candidates) -> tuple[Array, Array]:
    """Return boxes (M, 4) and scores (M,) of the people, best first, from MIN_SCORE up.

    Non-maximum suppression keeps the best box of each person. One that another class's box with a
    higher score covers is no person: a dog, a toy, a clock.
    """
    order = np.argsort(-candidates.person, kind="stable")
    order = order[candidates.person[order] >= MIN_SCORE]
    boxes, scores = candidates.boxes[order], candidates.person[order]
    boxes, scores = _without_duplicates(boxes, scores)
    same_object = iou_matrix(boxes, candidates.boxes) >= _SAME_OBJECT_IOU  # (M, N)
    other = np.where(same_object, candidates.other, 0.0).max(axis=1, initial=0.0)
    return boxes[other <= scores], scores[other <= scores]


def averaged(passes: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return the people of several passes over one image: boxes (M, 4) and scores (M,), best first.

    `passes`: boxes (N, 4) and scores (N,) of each. Boxes of one person are averaged, weighted by
    their scores; a person's score is the mean of the best in each pass, 0 where there is none.
    """
    boxes = np.concatenate([one for one, _ in passes])
    scores = np.concatenate([one for _, one in passes])
    number = np.repeat(np.arange(len(passes)), [len(one) for _, one in passes])
    overlap = iou_matrix(boxes, boxes) >= _SAME_PERSON_IOU
    free = np.ones(len(boxes), bool)
    found_boxes, found_scores = [], []
    for index in np.argsort(-scores, kind="stable"):
        if not free[index]:
            continue
        same = np.flatnonzero(overlap[index] & free)
        free[same] = False
        best = np.zeros(len(passes))
        np.maximum.at(best, number[same], scores[same])
        found_boxes.append(np.average(boxes[same], axis=0, weights=scores[same]))
        found_scores.append(best.mean())
    order = np.argsort(-np.array(found_scores), kind="stable")
    return _without_duplicates(
        np.array(found_boxes, np.float32).reshape(-1, 4)[order],
        np.array(found_scores, np.float32)[order],
    )


def _without_duplicates(boxes: Array, scores: Array) -> tuple[Array, Array]:
    """The best box of each person, by greedy non-maximum suppression; best first, as given."""
    kept = distinct(iou_matrix(boxes, boxes) >= _NMS_IOU)
    return boxes[kept], scores[kept]


def _reliable(image: Image, boxes: Array, scores: Array) -> list[Detection]:
    """Detections of boxes (N, 4) in the image that are large enough for their scores (N,)."""
    scale = Letterbox.of(image.shape[1], image.shape[0]).scale
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0.0)
    kept = (sides >= MIN_SIZE) & ((scale * sides >= _SMALL) | (scores >= _MIN_SCORE_SMALL))
    return [
        Detection(box, float(score)) for box, score in zip(boxes[kept], scores[kept], strict=True)
    ]
