# SPDX-License-Identifier: Apache-2.0
"""Loading of PEAR from a user's files: network, body and runtime."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from pear_ros.core.configuration import EstimatorChoice
from pear_ros.estimators.pear import PearEstimator
from pear_ros.pear.body import load_body
from pear_ros.pear.files import ModelFiles
from pear_ros.pear.mesh import make_meshes
from pear_ros.pear.runtimes.choose import choose_runtime
from pear_ros.pear.runtimes.shared_runtime import share_runtime
from pear_ros.pear.weights import Weights


def load_pear(files: ModelFiles, choice: EstimatorChoice, count: int) -> list[PearEstimator]:
    """Return `count` estimators by PEAR according to `choice`, each for a thread of its own.

    They share network and body; results are the same for any count.

    Raises pear_ros.pear.files.MissingFilesError where files are missing; ValueError, with file and
    reason, where one is not what it should be; RuntimeUnavailableError where no runtime is
    available; pear_ros.io.downloads.AssetError where a landmark model has not been downloaded.
    """
    files.require()
    body = load_body(files, choice.pear_body)
    one = choice.runtime
    # All images may share a batch.
    all_images = replace(one, expected_people=count * one.expected_people)
    weights = Weights(files)
    with ExitStack() as owned:
        chosen = choose_runtime(weights, body, all_images)
        owned.callback(chosen.runtime.close)
        origin = weights.origin
        if origin.body != files.body:
            raise ValueError(
                f"{files.folder} holds weights for different bodies: keep those of one"
            )
        runtimes = share_runtime(chosen.runtime, count, all_images.prepared_people)
        for runtime in runtimes:
            owned.callback(runtime.close)
        meshes = make_meshes(body, count, one.prepared_people, one.blocking_wait)
        for mesh in meshes:
            owned.callback(mesh.close)
        estimators = [
            PearEstimator(runtime, chosen.reason, body, mesh, origin.model)
            for runtime, mesh in zip(runtimes, meshes, strict=True)
        ]
        owned.pop_all()  # Now the estimators close them.
    return estimators
