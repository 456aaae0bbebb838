# SPDX-License-Identifier: Apache-2.0
"""Samples: truth that fits the crop, the same by seed and index in any process."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from pear_ros.body import load_open_body
from pear_ros.body.kinematics import rotation_vectors
from pear_ros.pear.placement import image_points
from pear_ros.training.body_parts import BACKGROUND, PARTS, UNKNOWN
from pear_ros.training.camera_faults import with_camera_faults
from pear_ros.training.config import Data
from pear_ros.training.sample import Sample, SampleError
from pear_ros.training.samples import SampleMaker
from pear_ros.training.stream import SampleStream, Shares, StreamError

BODY, SIZE = load_open_body(), 64
COUNT = 10


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    make, found = SampleMaker(Data(seed=1), SIZE), []
    for index in range(2 * COUNT):
        try:
            found.append(make(index))
        except SampleError:
            continue
    return found[:COUNT]


def projected(sample: Sample, vertices: bool) -> np.ndarray:
    """Joints or vertices of the true parameters by the true camera, in pixels of the crop."""
    none = np.zeros((1, 3), np.float32)
    compute = BODY.vertices if vertices else BODY.joints
    pose = rotation_vectors(sample.rotations)[None]
    points = compute(pose, sample.betas[None], sample.expression[None], none)
    whole = np.array([[0.0, 0.0, 256.0]])
    return np.asarray(image_points(points, sample.camera[None], whole)[0])


def test_parameters_and_camera_project_onto_keypoints_but_for_perspective(
    samples: list[Sample],
) -> None:
    assert len(samples) == COUNT
    residual = []
    for sample in samples:
        apart = np.linalg.norm(projected(sample, False) - sample.keypoints, axis=1)
        residual.append(np.median(apart) / np.ptp(sample.keypoints, axis=0).max())
        assert 0.05 < sample.camera[2] < 30
    assert np.median(residual) < 0.04


def test_the_mask_is_where_the_parameters_have_the_body(samples: list[Sample]) -> None:
    def covered(shift: tuple[int, int]) -> float:
        found = []
        for sample in samples:
            pixel = np.round((projected(sample, True) + shift - 1.5) / 4).astype(int)
            pixel = pixel[((pixel >= 0) & (pixel < SIZE)).all(axis=1)]
            found.append(np.nanmean(sample.mask[pixel[:, 1], pixel[:, 0]]))
        return float(np.mean(found))

    aligned = covered((0, 0))
    assert aligned > 0.65
    assert all(covered(shift) < aligned for shift in ((8, 0), (-8, 0), (0, 8), (0, -8)))


def test_maps_agree(samples: list[Sample]) -> None:
    for sample in samples:
        known = ~np.isnan(sample.mask)
        assert (sample.parts[~known] == UNKNOWN).all()
        assert (sample.parts[known & (sample.mask == 0)] == BACKGROUND).all()
        covered = known & (sample.mask == 1)
        assert covered.any()
        assert set(sample.parts[covered]) <= set(range(len(PARTS)))
        normals = sample.normals[covered]
        assert np.abs(np.linalg.norm(normals, axis=1) - 1).max() < 1e-3
        assert (normals[:, 2] < 0.05).mean() > 0.95  # Seen surfaces face the camera.
        assert np.isnan(sample.normals[~covered]).all()
    assert any((sample.parts == UNKNOWN).any() for sample in samples)


def test_faces_eyes_and_fingers_move_and_what_the_vector_lacks_does_not(
    samples: list[Sample],
) -> None:
    expression = np.stack([sample.expression for sample in samples])
    assert expression.max() > 0.1 and not expression[:, 50:].any()
    eyes = np.stack([sample.rotations[23] for sample in samples])
    assert np.abs(eyes - np.eye(3)).max() > 0.05


def test_camera_faults_change_pictures_a_little() -> None:
    image = np.full((40, 40, 3), 90, np.uint8)
    image[:, 20:] = 160
    changed = 0
    for seed in range(40):
        found = with_camera_faults(np.random.default_rng(seed), image)
        assert found.shape == image.shape and found.dtype == np.uint8
        assert np.abs(found.astype(float) - image).mean() < 40
        changed += not np.array_equal(found, image)
    assert 15 < changed < 40


def test_backgrounds_are_pictures_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no picture"):
        SampleMaker(Data(backgrounds=str(tmp_path)), SIZE)
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((80, 90, 3), 128, np.uint8))
    SampleMaker(Data(backgrounds=str(tmp_path)), SIZE)


def fake_sample(index: int) -> Sample:
    """A sample that costs nothing; some cannot be made, and one ends its worker the first time."""
    if index % 7 == 3:
        raise SampleError("nobody is there")
    flag = os.environ.get("TEST_LOSE_WORKER")
    if index == 9 and flag and not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    number = np.full(3, index, np.float32)
    return Sample(**dict.fromkeys(Sample.__dataclass_fields__, number))


def fake_maker() -> object:
    return fake_sample


def deadly_sample(index: int) -> Sample:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def deadly_maker() -> object:
    return deadly_sample


def stream(workers: int, shares: Shares, first: int = 0) -> SampleStream:
    return SampleStream(fake_maker, shares, first, workers)  # type: ignore[arg-type]


def test_batches_are_the_same_for_any_number_of_workers_and_from_any_start() -> None:
    here, shares = stream(0, Shares(4)), Shares(4)
    there = stream(2, shares)
    expected = [next(here) for _ in range(5)]
    for batch in expected:
        found = next(there)
        assert found.indices == batch.indices
        assert np.array_equal(found.arrays["crop"], batch.arrays["crop"])
    there.close()
    assert here.damaged == there.damaged == 3  # 3, 10 and 17.
    assert next(stream(0, shares, first=4)).indices == expected[4].indices


def test_processes_share_each_batch() -> None:
    shares = [Shares(2, rank, 3) for rank in range(3)]
    assert [s.indices(1) for s in shares] == [[6, 7], [8, 9], [10, 11]]


def test_lost_workers_are_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_LOSE_WORKER", str(tmp_path / "lost"))
    batches = stream(2, Shares(4))
    found = [next(batches).indices for _ in range(4)]
    batches.close()
    assert batches.lost == 1
    assert found == [[0, 1, 2], [4, 5, 6, 7], [8, 9, 11], [12, 13, 14, 15]]


def test_workers_that_always_end_are_an_error() -> None:
    batches = SampleStream(deadly_maker, Shares(2), 0, 1)  # type: ignore[arg-type]
    batches.lost = 5
    with pytest.raises(StreamError, match="ended 6 times, at last with samples 0 to 1"):
        next(batches)


def test_real_samples_are_the_same_from_a_worker() -> None:
    make = partial(SampleMaker, Data(seed=3), 32)
    here, there = SampleStream(make, Shares(2), 0, 0), SampleStream(make, Shares(2), 0, 1)
    one, other = next(here), next(there)
    there.close()
    for name, values in one.arrays.items():
        assert np.array_equal(values, other.arrays[name], equal_nan=True), name
