# SPDX-License-Identifier: Apache-2.0
"""Set up what a robot has: an Ubuntu release's Python and library versions, for tests on them.

Run by the Makefile, with the release's Python (see tools.ubuntu_python) and with the folder to set
up in $PEAR_ROS_VENV. ROS 2 comes as wheels, over its libraries come those of the release, and on
top requirements/robot.txt without dependencies, as on a robot. Colcon builds all packages.

    python -m tools.setup_ubuntu 24.04 --ros jazzy
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.setup_environment import (
    REQUIREMENTS,
    THIS_PYTHON,
    WHEELS,
    build_messages,
    build_test_messages,
    build_with_colcon,
    choose_ros,
    download_assets,
    install_within,
    make_venv,
    mend_cmake_files,
    options,
    pip_install,
)
from tools.setup_steps import ROOT, fail, one_at_a_time, step
from tools.ubuntu_python import PYTHONS


def main() -> None:
    """Run the steps that are due."""
    parser = argparse.ArgumentParser(description="Set up $PEAR_ROS_VENV as on an Ubuntu release.")
    parser.add_argument("release", choices=PYTHONS)
    parser.add_argument("--ros", choices=WHEELS, required=True, help="distribution of the wheels")
    arguments = parser.parse_args()
    release = arguments.release
    if f"python{PYTHONS[release]}" != THIS_PYTHON:
        fail(f"Ubuntu {release} has Python {PYTHONS[release]}, but this is {THIS_PYTHON}")
    versions = [REQUIREMENTS / f"ubuntu-{release}.txt", REQUIREMENTS / "robot.txt"]
    with one_at_a_time():
        ros = choose_ros(arguments.ros)
        make_venv(ros)
        install_packages(ros, versions)
        build_messages(ros)
        build_test_messages(ros)
        install_within(versions, "ubuntu-test", "what more the tests use")
        build_with_colcon(ros, [ROOT])  # each time: it takes seconds, and copies what lies here
        download_assets()


def install_packages(ros: str, versions: Sequence[Path]) -> None:
    """Install ROS 2, then `versions` in place of those that its wheels ask for."""
    ros_file = REQUIREMENTS / f"ros-{ros}.txt"
    says = f"ROS 2 {ros.capitalize()} and {versions[0].stem} (about 1 minute)"
    with step("packages", says, ros_file, *versions) as due:
        if due:
            pip_install("--no-deps", "--no-compile", "-r", ros_file)
            pip_install("--no-deps", "--no-compile", *options("-r", versions))
            mend_cmake_files()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; run the same command again.")
