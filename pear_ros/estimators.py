# SPDX-License-Identifier: Apache-2.0
"""Which estimator to take, and why."""

from __future__ import annotations

import importlib.util
import logging

from pear_ros.choice import EstimatorChoice, EstimatorError
from pear_ros.estimator import Estimator
from pear_ros.landmark_estimator import LandmarkEstimator
from pear_ros.pear.files import (
    MissingFilesError,
    ModelFiles,
    default_model_folder,
    find_model_files,
)

_NO_TORCH = "torch is not installed (python3 -m pip install torch)"

logger = logging.getLogger(__name__)


def make_estimator(choice: EstimatorChoice) -> Estimator:
    """The estimator that is wanted; which one `auto` takes, and why, goes to the log.

    Raises EstimatorError where PEAR was asked for and cannot be had, or where its files are there
    but damaged; pear_ros.assets.AssetError when the landmark models have not been downloaded.
    """
    if choice.name == "landmarks":
        return LandmarkEstimator()
    files = find_model_files(choice.model_folder or default_model_folder())
    if choice.name == "auto":
        if obstacle := _obstacle(files):
            logger.info("Estimator auto takes the landmarks, as %s", obstacle)
            return LandmarkEstimator()
        logger.info("Estimator auto takes PEAR, as its files are in %s", files.folder)
    return _pear(files, choice.pear_body)


def _obstacle(files: ModelFiles) -> str:
    """Why PEAR cannot be had; empty when it can."""
    if files.missing:
        names = ", ".join(file.name for file in files.missing)
        return f"PEAR's {names} are not in {files.folder}"
    return "" if importlib.util.find_spec("torch") else _NO_TORCH


def _pear(files: ModelFiles, pear_body: str) -> Estimator:
    try:
        files.require()
        if not importlib.util.find_spec("torch"):
            raise EstimatorError(_NO_TORCH)
        from pear_ros.pear.estimator import load_pear

        return load_pear(files, plain_smplx=pear_body == "smplx")
    except (MissingFilesError, ValueError) as error:
        raise EstimatorError(f"PEAR cannot be had: {error}") from error
