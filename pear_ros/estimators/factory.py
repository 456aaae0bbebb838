# SPDX-License-Identifier: Apache-2.0
"""Choice and construction of the estimator."""

from __future__ import annotations

from pear_ros.core.configuration import EstimatorChoice, EstimatorError
from pear_ros.core.estimator import Estimator
from pear_ros.core.log import get_logger
from pear_ros.estimators.landmark_estimator import LandmarkEstimator
from pear_ros.estimators.load_pear import load_pear
from pear_ros.pear.files import (
    MissingFilesError,
    ModelFiles,
    default_model_folder,
    example_files,
    find_model_files,
)
from pear_ros.pear.runtimes.runtime import RuntimeUnavailableError

logger = get_logger(__name__)


def make_estimator(choice: EstimatorChoice) -> Estimator:
    """Return the estimator of `choice`; which one `auto` selects, and why, is logged.

    Raises EstimatorError where PEAR is selected but not available, for example because a file is
    damaged; pear_ros.io.downloads.AssetError when the landmark models have not been downloaded.
    """
    (estimator,) = make_estimators(choice, 1)
    return estimator


def make_estimators(choice: EstimatorChoice, count: int) -> list[Estimator]:
    """Return `count` estimators of `choice`, each for a thread of its own.

    Those of PEAR share network and body; results are the same for any count.

    Raises EstimatorError where PEAR is selected but not available; pear_ros.io.downloads.AssetError
    when the landmark models have not been downloaded.
    """
    if choice.name == "landmarks":
        return _landmarks(choice, count)
    if choice.name == "auto":
        if obstacle := pear_obstacle(choice):
            logger.info("Estimator auto takes the landmarks, as %s", obstacle)
            return _landmarks(choice, count)
        logger.info("Estimator auto takes PEAR, as its files are in %s", _files(choice).folder)
    try:
        return [*load_pear(_files(choice), choice, count)]
    except (MissingFilesError, RuntimeUnavailableError, ValueError) as error:
        raise EstimatorError(f"PEAR is not available: {error}") from error


def pear_obstacle(choice: EstimatorChoice) -> str:
    """Return which of PEAR's files are missing in the folder of `choice`; empty if none is.

    None is missing for the example.
    """
    files = _files(choice)
    names = ", ".join(file.name for file in files.missing)
    return f"PEAR's {names} are not in {files.folder}" if names else ""


def _landmarks(choice: EstimatorChoice, count: int) -> list[Estimator]:
    return [LandmarkEstimator(model=choice.landmarks) for _ in range(count)]


def _files(choice: EstimatorChoice) -> ModelFiles:
    if choice.name == "example":
        return example_files()
    return find_model_files(choice.model_folder or default_model_folder())
