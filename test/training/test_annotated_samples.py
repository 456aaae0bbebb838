# SPDX-License-Identifier: Apache-2.0
"""Samples of annotated people fit their crops, moved and mirrored ones, too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("webdataset")

from pear_ros.annotation.shard_index import ShardIndex
from pear_ros.body import load_open_body
from pear_ros.body.kinematics import rotation_vectors
from pear_ros.core.mirroring import OTHER_SIDE_JOINT
from pear_ros.pear.placement import image_points
from pear_ros.training.annotated_samples import AnnotatedSamples, mirrored
from pear_ros.training.body_parts import UNKNOWN
from pear_ros.training.config import Data
from pear_ros.training.sample import Sample, SampleError
from pear_ros.training.samples import SampleMaker
from testing.annotated_people import annotated_person, rendered_person, write_people

BODY, SIZE = load_open_body(), 64
PERSON = annotated_person(rendered_person(3))


def drawn(folder: Path, count: int = 1) -> list[Sample]:
    make = AnnotatedSamples(ShardIndex(folder), BODY, SIZE)
    return [make(np.random.default_rng(seed)) for seed in range(count)]


def projected(sample: Sample, vertices: bool = False) -> np.ndarray:
    """Joints or vertices of the sample's parameters by its camera, in pixels of the crop."""
    pose, none = rotation_vectors(sample.rotations)[None], np.zeros((1, 3), np.float32)
    compute = BODY.vertices if vertices else BODY.joints
    points = compute(pose, sample.betas[None], np.nan_to_num(sample.expression)[None], none)
    whole = np.array([[0.0, 0.0, 256.0]])
    return np.asarray(image_points(points, sample.camera[None], whole)[0])


def test_moved_and_mirrored_people_fit_their_crops(tmp_path: Path) -> None:
    samples = drawn(write_people(tmp_path, [PERSON]), 8)
    is_mirrored = [bool(np.isnan(sample.expression).all()) for sample in samples]
    assert any(is_mirrored) and not all(is_mirrored)
    for sample in samples:
        height = np.ptp(sample.keypoints[:, 1])
        apart = np.linalg.norm(projected(sample) - sample.keypoints, axis=1)
        assert np.median(apart) < 0.04 * height, "but for perspective"
        pixel = np.round((projected(sample, vertices=True) - 1.5) / 4).astype(int)
        pixel = pixel[((pixel >= 0) & (pixel < SIZE)).all(axis=1)]
        assert np.nanmean(sample.mask[pixel[:, 1], pixel[:, 0]]) > 0.8
        assert np.nanmean(sample.mask) < 0.6, "the rest is not the person"
        assert (sample.parts == UNKNOWN).all() and np.isnan(sample.normals).all()
        assert sample.confidence.tolist() == [1, 0, 0, 0]
    assert len({sample.crop.tobytes() for sample in samples}) == 8


def test_mirrored_twice_is_the_same_but_for_what_is_unknown(tmp_path: Path) -> None:
    (sample,) = drawn(write_people(tmp_path, [PERSON]))
    other, again = mirrored(sample), mirrored(mirrored(sample))
    for name in ("rotations", "keypoints", "camera", "joint_weights", "betas"):
        assert np.allclose(getattr(again, name), getattr(sample, name), atol=1e-5), name
    assert np.array_equal(again.crop[:, 1:], sample.crop[:, 1:])
    left = other.keypoints[OTHER_SIDE_JOINT]
    assert np.allclose(left[:, 0], 256 - sample.keypoints[:, 0])
    # A bright pixel stays under its keypoint.
    marked = np.zeros_like(sample.crop)
    marked[100, 60] = 255
    assert mirrored(replace(sample, crop=marked)).crop[100, 256 - 60].all()


def test_what_checks_rejected_does_not_count(tmp_path: Path) -> None:
    confidence = {**PERSON.confidence, "face": 0.0, "mask": 0.25}
    joints = PERSON.joint_confidence.copy()
    joints[25:40], joints[3] = 0.0, np.nan
    person = replace(PERSON, confidence=confidence, joint_confidence=joints, mask=None)
    (sample,) = drawn(write_people(tmp_path, [person]))
    assert np.isnan(sample.expression).all() and np.isnan(sample.mask).all()
    assert sample.confidence[0] == 0.25
    assert sample.joint_weights.sum() == 55 - 15 - 1


def test_beyond_the_image_the_mask_is_unknown(tmp_path: Path) -> None:
    square = PERSON.square - np.array([200.0, 0.0, 0.0])
    (sample,) = drawn(write_people(tmp_path, [replace(PERSON, square=square)]))
    assert 0.1 < np.isnan(sample.mask).mean() < 0.9


def test_people_of_another_body_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    folder = write_people(tmp_path, [replace(PERSON, body_model="smplx/1")])
    with pytest.raises(SampleError, match=r"body smplx/1, not anny-smplx/2"):
        drawn(folder)
    tar = min(folder.glob("*.tar"))
    content = tar.read_bytes()
    tar.write_bytes(content.replace(b'"pear_annotation/1"', b'"pear_annotation/9"'))
    with pytest.raises(SampleError, match="format 'pear_annotation/9'"):
        drawn(folder)


def test_shares_of_rendered_and_annotated_people(tmp_path: Path) -> None:
    folder = write_people(tmp_path, [PERSON])
    for share, least, most in ((0.0, 0, 0), (0.5, 3, 13), (1.0, 16, 16)):
        make = SampleMaker(Data(shards=str(folder), annotated=share, seed=2), 32)
        found = []
        for index in range(16):
            try:
                found.append(not make(index).confidence[1:].any())
            except SampleError:
                found.append(False)
        assert least <= sum(found) <= most
