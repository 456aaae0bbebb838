# SPDX-License-Identifier: Apache-2.0
"""PEAR from a user's files: network, body, and what runs them."""

from __future__ import annotations

from pear_ros.core.configuration import EstimatorChoice
from pear_ros.estimators.pear import PearEstimator
from pear_ros.pear.body import load_body
from pear_ros.pear.files import ModelFiles
from pear_ros.pear.mesh import make_meshes
from pear_ros.pear.runtimes.choose import choose_runtime
from pear_ros.pear.runtimes.shared_runtime import share_runtime
from pear_ros.pear.weights import Weights


def load_pear(files: ModelFiles, choice: EstimatorChoice, count: int) -> list[PearEstimator]:
    """`count` times PEAR as `choice` wants it, each for a thread of its own: they share network and
    body, and what each says of an image is the same whatever the count.

    Raises pear_ros.pear.files.MissingFilesError; ValueError, with file and reason, where a file is
    not what it should be; RuntimeUnavailableError where nothing that was asked for can run it.
    """
    files.require()
    body = load_body(files, choice.pear_body)
    chosen = choose_runtime(Weights(files), body, choice.runtime)
    runtimes = share_runtime(chosen.runtime, count, choice.runtime.max_people)
    meshes = make_meshes(body, count)
    return [
        PearEstimator(runtime, chosen.reason, body, mesh)
        for runtime, mesh in zip(runtimes, meshes, strict=True)
    ]
