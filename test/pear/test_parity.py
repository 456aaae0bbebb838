# SPDX-License-Identifier: Apache-2.0
"""Network, crop, camera and body against outputs of the original PEAR code, at a small size.

`make parity` runs the same, and the network in full size, on any set of fixtures.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest

from testing.parity import recipe
from testing.parity.check_parity import CHECKS, SET_A, Report

pytest.importorskip("torch", reason="PEAR needs torch: pip install torch")

SMALL = [name for name in CHECKS if name != "net_vith"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("fixture", SMALL)
def test_outputs_are_those_of_the_original(fixture: str, dtype: str) -> None:
    from testing.parity import candidate

    report = Report(dtype)
    CHECKS[fixture](candidate, SET_A, report)
    assert report.rows
    assert not report.failures


def test_a_mistake_shows() -> None:
    from testing.parity import candidate

    def bgr(
        config: object, state: object, images: npt.NDArray[np.float32], dtype: str
    ) -> dict[str, npt.NDArray[np.float32]]:
        return candidate.network(config, state, images[:, ::-1].copy(), dtype)

    report = Report("float32")
    CHECKS["net_small"](SimpleNamespace(network=bgr), SET_A, report)
    assert len(report.failures) == len(report.rows)


def test_recipe_makes_the_same_numbers_everywhere() -> None:
    assert recipe.self_test(bodies=False) < 1e-6
