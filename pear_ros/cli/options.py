# SPDX-License-Identifier: Apache-2.0
"""Options that several subcommands of `pear` share, and checks of their values."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pear_ros.cli.parameter_options import add_parameters, parameters_from
from pear_ros.core.configuration import EstimatorChoice


def add_model_folder(parser: argparse.ArgumentParser) -> None:
    """Add the argument `folder`: the folder with PEAR's files."""
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        help="where the files are, folders within it included (default: PEAR_ROS_MODELS or "
        "~/.local/share/pear_ros/models)",
    )


def add_output(parser: argparse.ArgumentParser, folder: str) -> None:
    """Add the option of the folder for results, by default `folder`."""
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(folder),
        metavar="FOLDER",
        help="where results go, made when missing (default: %(default)s)",
    )


def add_estimator(parser: argparse.ArgumentParser) -> None:
    """Add the options of the estimator, which `estimator_choice` reads."""
    add_parameters(
        parser.add_argument_group("estimator"),
        (
            *("estimator", "landmarks", "model_folder"),
            *("pear_body", "runtime", "strict_runtime", "precision"),
        ),
    )


def estimator_choice(options: argparse.Namespace) -> EstimatorChoice:
    """Return the estimator that the options of `add_estimator` choose."""
    return EstimatorChoice.of(parameters_from(options))


def add_view(parser: argparse.ArgumentParser) -> None:
    """Add the option to look at the results in a browser."""
    parser.add_argument(
        "--view", action="store_true", help="then show the results in a browser, until Ctrl+C"
    )


def positive_integer(text: str) -> int:
    """Return an argument as an integer of 1 or more; anything else is refused."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more, not {text}")
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
