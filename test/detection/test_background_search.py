# SPDX-License-Identifier: Apache-2.0
"""Searches in a thread of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from pear_ros.core.estimator import Detection
from pear_ros.detection.background_search import BackgroundSearch


@pytest.fixture
def search() -> Iterator[BackgroundSearch]:
    with closing(BackgroundSearch()) as one:
        yield one


def fail() -> list[Detection]:
    raise RuntimeError("no memory")


def test_what_a_search_raises_is_raised_once(search: BackgroundSearch) -> None:
    search.start(fail)
    with pytest.raises(RuntimeError, match="no memory"):
        search.finish()
    assert search.finish() is None


def test_a_search_that_failed_does_not_fail_what_replaces_it(search: BackgroundSearch) -> None:
    search.start(fail)
    search.drop()
    assert search.finish() is None
    search.start(fail)
    found = [Detection(np.zeros(4, np.float32))]
    search.restore(found)
    assert search.finish() == found
