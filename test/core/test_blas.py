# SPDX-License-Identifier: Apache-2.0
"""OneBlasThread: one BLAS thread while people are estimated, the original number afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from pear_ros.body import load_open_body
from pear_ros.core.blas import OneBlasThread
from pear_ros.core.camera import Camera
from pear_ros.core.people import Image
from pear_ros.detection.detectors import FullFrame
from pear_ros.pipeline import Pipeline

IMAGE: Image = np.zeros((48, 64, 3), np.uint8)
CAMERA = Camera.from_field_of_view(64, 48)


def blas_threads() -> set[int]:
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with threadpool_limits(2, "blas"):
        before = blas_threads()
        assert 2 in before, "some libraries have one thread whatever they are told"
        yield
        assert blas_threads() == before, "restored"


class Waiting:
    """An estimator that finds no person and blocks until the test continues it."""

    model_id, body = "waiting/1", load_open_body()

    def __init__(self) -> None:
        self.started, self.go_on = threading.Event(), threading.Event()
        self.threads_at_the_end: set[int] = set()

    def estimate(self, *arguments: Any) -> Sequence[None]:
        self.started.set()
        assert self.go_on.wait(60.0)
        self.threads_at_the_end = blas_threads()
        return [None]


def test_overlapping_pipelines_all_use_one_thread() -> None:
    """The one that ends first does not lift the limit of the other, nor does the last keep it."""
    estimators = Waiting(), Waiting()
    pipelines = [Pipeline(one, FullFrame()) for one in estimators]  # type: ignore[arg-type]
    threads = [threading.Thread(target=one, args=(IMAGE, CAMERA)) for one in pipelines]
    for thread, estimator in zip(threads, estimators, strict=True):
        thread.start()
        assert estimator.started.wait(60.0)
    for thread, estimator in zip(threads, estimators, strict=True):
        estimator.go_on.set()
        thread.join()
    assert [one.threads_at_the_end for one in estimators] == [{1}, {1}]


def test_context_around_many_images_sets_the_limit_once(monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = Waiting()
    estimator.go_on.set()
    pipeline = Pipeline(estimator, FullFrame())  # type: ignore[arg-type]
    with OneBlasThread(), monkeypatch.context() as patch:
        patch.setattr(ThreadpoolController, "limit", None)
        for _ in range(3):
            pipeline(IMAGE, CAMERA)
        assert estimator.threads_at_the_end == blas_threads() == {1}


def test_contexts_nest_and_restore_after_errors() -> None:
    context = OneBlasThread()
    with pytest.raises(ZeroDivisionError), context, context:
        assert blas_threads() == {1}
        raise ZeroDivisionError
