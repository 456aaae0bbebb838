# SPDX-License-Identifier: Apache-2.0
"""Which estimator to take, and why."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

from pear_ros.choice import EstimatorChoice, EstimatorError
from pear_ros.estimator import Estimator
from pear_ros.landmark_estimator import LandmarkEstimator
from pear_ros.pear.files import MissingFilesError, default_model_folder, find_model_files

_NO_TORCH = "torch is not installed (python3 -m pip install torch)"

logger = logging.getLogger(__name__)


def make_estimator(choice: EstimatorChoice) -> Estimator:
    """The estimator that is wanted; which one `auto` takes, and why, goes to the log.

    Raises EstimatorError where PEAR was asked for and cannot be had, or where its files are there
    but damaged; pear_ros.assets.AssetError when the landmark models have not been downloaded.
    """
    folder = choice.model_folder or default_model_folder()
    take_pear = choice.name == "pear"
    if choice.name == "auto":
        obstacle = _obstacle(folder)
        take_pear = not obstacle
        taken = (
            f"the landmarks, as {obstacle}" if obstacle else f"PEAR, as its files are in {folder}"
        )
        logger.info("Estimator auto takes %s", taken)
    return _pear(folder, choice.pear_body) if take_pear else LandmarkEstimator()


def _obstacle(folder: Path) -> str:
    """Why PEAR cannot be had; empty when it can."""
    missing = [file.name for file in find_model_files(folder).missing]
    if missing:
        return f"PEAR's {', '.join(missing)} are not in {folder}"
    return "" if importlib.util.find_spec("torch") else _NO_TORCH


def _pear(folder: Path, pear_body: str) -> Estimator:
    try:
        files = find_model_files(folder)
        files.require()
        if not importlib.util.find_spec("torch"):
            raise EstimatorError(_NO_TORCH)
        from pear_ros.pear.estimator import load_pear

        return load_pear(files, plain_smplx=pear_body == "smplx")
    except (MissingFilesError, ValueError) as error:
        raise EstimatorError(f"PEAR cannot be had: {error}") from error
