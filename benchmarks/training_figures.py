# SPDX-License-Identifier: Apache-2.0
"""Figures of predicted people against samples whose truth is known, for benchmarks of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmarks.report import Table
from pear_ros.body import BodyModel
from pear_ros.body.kinematics import rotation_vectors
from pear_ros.core.people import Array
from pear_ros.evaluation.pose_metrics import pa_mpjpe, root_relative_error
from pear_ros.pear.crop import INPUT_SIZE
from pear_ros.pear.placement import DISTANCE
from pear_ros.rendering.raster import rasterize
from pear_ros.training.learner import pictures
from pear_ros.training.network import TrainedNetwork
from pear_ros.training.people import predicted_people
from pear_ros.training.sample import CROP_CAMERA, Sample, SampleError

BODY = slice(1, 22)
"""Joints of SMPL-X's body but for the pelvis."""
FACE = slice(22, 25)
"""Jaw and eyes."""
HANDS = [20, 21, *range(25, 55)]
"""Wrists and fingers."""


@dataclass(frozen=True)
class Person:
    """What a method says of the person in a crop, in the frame of the crop's camera."""

    joints: Array
    """(55, 3) metres."""
    vertices: Array
    """(V, 3) metres."""
    keypoints: Array
    """(55, 2) pixels of the crop."""


FIGURES = (
    "silhouette IoU, %",
    "body, % of the crop",
    "hands, % of the crop",
    "face, % of the crop",
    "PA-MPJPE, mm",
    "root-relative MPJPE, mm",
    "found, %",
)
"""Names of what crop_figures returns."""

HELD_OUT_SEED = 1_000_001
"""Seed of renders that no training here uses."""

Method = Callable[[Sample], Person | None]
"""Finds the person in a crop; None: nobody is found."""


def network_method(network: TrainedNetwork, body: BodyModel) -> Method:
    """Return the method of a network, in eval mode; `body` with tensors."""

    @torch.no_grad()
    def find(sample: Sample) -> Person:
        vector: Tensor = network(pictures(torch.from_numpy(sample.crop[None]))).float()
        found = predicted_people(vector, body)
        tx, ty, s = found.camera[0].tolist()
        offset = np.array([-tx, -ty, DISTANCE / max(s, 1e-3)], np.float32)
        return Person(
            joints=found.joints[0].numpy() + offset,
            vertices=found.vertices[0].numpy() + offset,
            keypoints=found.keypoints[0].numpy(),
        )

    return find


def constant_method(body: BodyModel) -> Method:
    """Return the method that says of every crop what constant_person returns."""
    person = constant_person(body)
    return lambda sample: person


def constant_person(body: BodyModel) -> Person:
    """Return the mean body, standing with arms hanging down and facing the camera."""
    pose = np.zeros((1, 55, 3), np.float32)
    pose[0, 0, 0] = np.pi
    pose[0, 16:18, 2] = np.radians((-70.0, 70.0))
    shape = (np.zeros((1, n), np.float32) for n in (body.num_betas, body.num_expression))
    arguments = (pose, *shape, np.array([[0.0, -0.3, DISTANCE]], np.float32))
    joints = body.joints(*arguments)[0]
    return Person(joints, body.vertices(*arguments)[0], CROP_CAMERA.project(joints))


def samples_of(make: Callable[[int], Sample], number: int) -> list[Sample]:
    """Return the first `number` samples that can be made."""
    found: list[Sample] = []
    for index in count():
        try:
            found.append(make(index))
        except SampleError:
            continue
        if len(found) == number:
            return found
    raise AssertionError


def crop_figures(method: Method, samples: Sequence[Sample], body: BodyModel) -> list[float]:
    """Return FIGURES: medians over the samples in which the method finds somebody.

    Of the keypoints of body, hands and face it is the median distance from the true ones.
    """
    rows = []
    for sample in samples:
        person = method(sample)
        if person is None:
            continue
        apart = np.linalg.norm(person.keypoints - sample.keypoints, axis=1) * (100 / INPUT_SIZE)
        joints, truth = person.joints.astype(np.float64), _true_joints(sample, body)
        body_joints = slice(BODY.start, BODY.stop)
        rows.append(
            [
                100.0 * silhouette_iou(person.vertices, sample, body),
                float(np.median(apart[BODY])),
                float(np.median(apart[HANDS])),
                float(np.median(apart[FACE])),
                pa_mpjpe(joints[body_joints], truth[body_joints]),
                root_relative_error(joints[body_joints], truth[body_joints], joints[0], truth[0]),
            ]
        )
    found = 100.0 * len(rows) / len(samples)
    return [*np.nanmedian(np.array(rows), axis=0).tolist(), found]


def crops_table(methods: Mapping[str, Method], samples: Sequence[Sample], body: BodyModel) -> Table:
    """Return the figures of methods, by their headings, on the same crops."""
    rows = [
        [name, *(f"{figure:.1f}" for figure in crop_figures(method, samples, body))]
        for name, method in methods.items()
    ]
    return ["", *FIGURES], rows


def silhouette_iou(vertices: Array, sample: Sample, body: BodyModel) -> float:
    """Return intersection over union of the silhouette of `vertices` (V, 3) and the true mask."""
    size = len(sample.mask)
    drawn = np.zeros((INPUT_SIZE, INPUT_SIZE), np.float32)
    if (vertices[:, 2] > 0.0).all():
        raster = rasterize(vertices, body.faces_of("medium"), CROP_CAMERA)
        drawn.reshape(-1)[raster.pixel] = 1.0
    step = INPUT_SIZE // size
    small = drawn.reshape(size, step, size, step).mean(axis=(1, 3)) > 0.5
    known = ~np.isnan(sample.mask)
    true = np.nan_to_num(sample.mask) > 0.5
    union = ((small | true) & known).sum()
    return float((small & true & known).sum() / union) if union else float("nan")


def _true_joints(sample: Sample, body: BodyModel) -> npt.NDArray[np.float64]:
    """Return the joints (55, 3), metres, at the origin."""
    joints = body.joints(
        rotation_vectors(sample.rotations)[None],
        sample.betas[None],
        np.nan_to_num(sample.expression)[None],
        np.zeros((1, 3), np.float32),
    )
    return np.asarray(joints[0], np.float64)
