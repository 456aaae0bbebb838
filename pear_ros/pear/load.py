# SPDX-License-Identifier: Apache-2.0
"""PEAR from a user's files: network, body, and what runs them."""

from __future__ import annotations

from pear_ros.choice import EstimatorChoice
from pear_ros.pear.estimator import PearEstimator
from pear_ros.pear.files import ModelFiles
from pear_ros.pear.mesh import load_body, make_mesh
from pear_ros.pear.runtimes.choose import choose_runtime
from pear_ros.pear.weights import Weights


def load_pear(files: ModelFiles, choice: EstimatorChoice, count: int) -> list[PearEstimator]:
    """`count` times PEAR as `choice` wants it, each for a thread of its own.

    Raises pear_ros.pear.files.MissingFilesError; ValueError, with file and reason, where a file is
    not what it should be; RuntimeUnavailableError where nothing that was asked for can run it.
    """
    files.require()
    body = load_body(files, choice.pear_body)
    weights = Weights(files)
    chosen = [choose_runtime(weights, body, choice.runtime) for _ in range(count)]
    return [PearEstimator(one.runtime, one.reason, body, make_mesh(body)) for one in chosen]
