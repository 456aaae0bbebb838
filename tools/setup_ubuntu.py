# SPDX-License-Identifier: Apache-2.0
"""Set up an environment with an Ubuntu release's Python and library versions, as on a robot.

The Makefile runs it with the release's Python (tools.ubuntu_python finds it) and the folder to
create in $PEAR_ROS_VENV. It installs ROS 2 as wheels, then the release's library versions in place
of theirs, then requirements/robot.txt without dependencies. Colcon builds all packages.

    python -m tools.setup_ubuntu 24.04 --ros jazzy
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.hashes import HASHES
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
    patch_cmake_files,
    pip_install_hashed,
)
from tools.setup_steps import ROOT, fail, one_at_a_time, step
from tools.ubuntu_python import PYTHONS


def main() -> None:
    """Run the steps whose inputs have changed."""
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
        install_within(
            versions, REQUIREMENTS / "ubuntu-test.txt", "further test dependencies, without hashes"
        )
        build_with_colcon(ros, [ROOT])  # each time: it takes seconds, and copies the sources
        download_assets()


def install_packages(ros: str, versions: Sequence[Path]) -> None:
    """Install ROS 2, then `versions` in place of those that its wheels require."""
    ros_file = REQUIREMENTS / f"ros-{ros}.txt"
    says = f"ROS 2 {ros.capitalize()} and {versions[0].stem} (about 1 minute)"
    with step("packages", says, ros_file, *versions, HASHES) as due:
        if due:
            pip_install_hashed([ros_file])
            pip_install_hashed(versions)
            patch_cmake_files()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; run the same command again.")
