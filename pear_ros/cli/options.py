# SPDX-License-Identifier: Apache-2.0
"""Options that several subcommands of `pear` share, and checks of their values."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pear_ros.core.configuration import EstimatorChoice, RuntimeChoice
from pear_ros.core.parameters import ESTIMATORS, PEAR_BODIES, PRECISIONS, RUNTIMES


def add_model_folder(parser: argparse.ArgumentParser) -> None:
    """Add the argument `folder`: the folder with PEAR's files."""
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        help="where the files are, folders within it included (default: PEAR_ROS_MODELS or "
        "~/.local/share/pear_ros/models)",
    )


def add_estimator(parser: argparse.ArgumentParser) -> None:
    """Add the options of the estimator, which `estimator_choice` reads."""
    group = parser.add_argument_group("estimator")
    group.add_argument(
        "--estimator",
        choices=ESTIMATORS,
        default="auto",
        help="auto: PEAR where its files are complete, else the open default (default: auto)",
    )
    group.add_argument(
        "--models",
        type=Path,
        metavar="FOLDER",
        help="where PEAR's files are (default: $PEAR_ROS_MODELS or ~/.local/share/pear_ros/models)",
    )
    add_body(group)
    group.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="auto",
        help="what runs PEAR's network; auto: the first of TensorRT, torch on the GPU, "
        "onnxruntime, OpenVINO and torch on the CPU that can be had (default: auto)",
    )
    group.add_argument(
        "--strict-runtime",
        action="store_true",
        help="fail where the runtime that is named cannot be had, instead of taking another",
    )
    add_precision(group)


def add_body(group: argparse._ActionsContainer) -> None:
    """Add `--pear-body`, the body model of PEAR's results."""
    group.add_argument(
        "--pear-body",
        choices=PEAR_BODIES,
        default="ehm-s",
        help="PEAR's body: SMPL-X with FLAME's head, or SMPL-X alone (default: ehm-s)",
    )


def add_precision(group: argparse._ActionsContainer) -> None:
    """Add `--precision`, the number format of PEAR's network."""
    group.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="of PEAR's network; auto: the quickest that is accurate enough (default: auto)",
    )


def estimator_choice(options: argparse.Namespace) -> EstimatorChoice:
    """Return the estimator that the options of `add_estimator` choose."""
    runtime = RuntimeChoice(options.runtime, options.strict_runtime, options.precision)
    return EstimatorChoice(options.estimator, options.models, options.pear_body, runtime)


def positive_integer(text: str) -> int:
    """Return an argument as an integer of 1 or more; anything else is refused."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text}")
    return value


def field_of_view(text: str) -> float:
    """Return an argument as an angle in degrees between 0 and 180, both excluded."""
    value = float(text)
    if not 0.0 < value < 180.0:
        raise argparse.ArgumentTypeError(f"must be between 0 and 180 degrees, not {text}")
    return value


def has_ros() -> bool:
    """Return whether ROS 2 and pear_msgs can be imported; print the reason where not."""
    from pear_ros.ros.environment import RosMissingError, require_ros

    try:
        require_ros()
    except RosMissingError as error:
        print(f"error: {error}", file=sys.stderr)
        return False
    return True
