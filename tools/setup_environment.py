# SPDX-License-Identifier: Apache-2.0
"""Set up everything that the package needs, in .venv or $PEAR_ROS_VENV, from a clean clone.

The Makefile runs it. It needs Python 3.10 to 3.14, a C++ compiler, CMake and Make, but no ROS:
where no ROS 2 is sourced, Python wheels are installed. Message packages are installed into .venv,
too, so that nothing has to be sourced. It uses only the standard library.

    python -m tools.setup_environment --help
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from tools.hashes import HASHES, hashed
from tools.setup_steps import ROOT, STATE, VENV, fail, one_at_a_time, run, step

REQUIREMENTS = ROOT / "requirements"
TEST_INTERFACES = ROOT / "test" / "interfaces"
PYTHON = VENV / "bin" / "python"

SOURCED = "sourced"  # ROS 2 is the installation sourced in this terminal
WHEELS = ("kilted", "jazzy")  # or Python wheels, of the first distribution by default

THIS_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


def main() -> None:
    """Run the steps whose inputs have changed."""
    parser = argparse.ArgumentParser(description="Set up .venv.")
    parser.add_argument("--ros", choices=WHEELS, help="ROS 2 distribution to install as wheels")
    parser.add_argument(
        "--docs", action="store_true", help="also install what builds the documentation"
    )
    parser.add_argument("--test", action="store_true", help="also install what the tests need")
    arguments = parser.parse_args()
    check_python()
    with one_at_a_time():
        ros = choose_ros(arguments.ros)
        make_venv(ros)
        install_packages(ros)
        build_messages(ros)
        install_pear_ros()
        if arguments.docs or arguments.test:
            install_on_top(ros, "docs", "what makes the documentation's site")
        if arguments.test:
            build_test_messages(ros)
            install_on_top(ros, "test", "test tools (about 1 minute)")
            install_torch(ros)
            install_browser()
        download_assets()


def make_venv(ros: str) -> None:
    """Create an empty .venv; it includes the system's packages where ROS 2 is sourced."""
    if (STATE / "running").exists():
        print("The last set-up was interrupted: starting again.")
        shutil.rmtree(VENV)
    sourced = os.environ["ROS_DISTRO"] if ros == SOURCED else ""
    with step("venv", "a virtual environment", ros, sourced) as due:
        if not due:
            return
        check_compiler()
        if sourced and not importable("numpy", "scipy", "cv2", "tqdm", "tf2_msgs"):
            fail(
                "install what rosdep would: sudo apt install python3-numpy python3-scipy "
                f"python3-opencv python3-tqdm ros-{sourced}-tf2-msgs"
            )
        python = Path(sys.executable).resolve()  # before .venv goes, which may be active
        shutil.rmtree(VENV, ignore_errors=True)
        system = ["--system-site-packages"] if sourced else []
        run(
            [python, "-m", "venv", *system, VENV],
            f"Python's venv is missing: sudo apt install {THIS_PYTHON}-venv",
        )
        STATE.mkdir()
        (STATE / "ros").write_text(ros)


def install_packages(ros: str) -> None:
    """Install the pinned packages and, unless one is sourced, ROS 2."""
    if ros == SOURCED:
        # NumPy and OpenCV remain the system's, for which the system's ROS 2 was compiled.
        says, files = "Python packages", [REQUIREMENTS / "robot.txt"]
    else:
        says = f"ROS 2 {ros.capitalize()} and Python packages"
        files = [REQUIREMENTS / "runtime.txt", REQUIREMENTS / f"ros-{ros}.txt"]
    with step("packages", f"{says} (about 1 minute)", *files, HASHES) as due:
        if due:
            # Newer versions of setuptools can no longer serve colcon.
            pip_install_hashed(files, "setuptools==79.0.1")
            if ros != SOURCED:
                patch_cmake_files()


def build_messages(ros: str) -> None:
    """Build the message packages with colcon and install them into .venv."""
    packages, inputs = [ROOT / "pear_msgs"], list[Path]()
    if ros != SOURCED:
        packages.append(ROOT / "tools" / "tf2_msgs")  # there is no wheel of it
        inputs.append(REQUIREMENTS / f"ros-{ros}.txt")
    with step("messages", "messages, built by colcon (about 1 minute)", *packages, *inputs) as due:
        if due:
            build_with_colcon(ros, packages)


def build_test_messages(ros: str) -> None:
    """Build message packages that tests need and that do not exist as wheels."""
    if ros == SOURCED:
        return
    packages = sorted(TEST_INTERFACES.iterdir())
    inputs = [REQUIREMENTS / f"ros-{ros}.txt"]
    with step("test_messages", "messages for tests (about 2 minutes)", *packages, *inputs) as due:
        if due:
            build_with_colcon(ros, packages)


def build_with_colcon(ros: str, packages: Sequence[Path]) -> None:
    """Build packages with colcon and install them into .venv."""
    check_compiler()
    colcon = shutil.which("colcon") if ros == SOURCED else VENV / "bin" / "colcon"
    if not colcon:
        fail("colcon is missing: sudo apt install python3-colcon-common-extensions")
    build = STATE / "build"
    shutil.rmtree(build, ignore_errors=True)
    environment: dict[str, str | Path] = {"COLCON_HOME": build}
    if ros != SOURCED:
        path = f"{VENV / 'bin'}:{os.environ['PATH']}"
        environment.update(AMENT_PREFIX_PATH=VENV, CMAKE_PREFIX_PATH=VENV, PATH=path)
    command: list[str | Path] = [
        *(colcon, "--log-base", build / "log", "build", "--paths", *packages),
        *("--build-base", build, "--install-base", VENV, "--merge-install"),
        *("--event-handlers", "console_direct+", "--cmake-args"),
        *("-DBUILD_TESTING=OFF", "-DCMAKE_BUILD_TYPE=Release"),
        f"-DPython3_EXECUTABLE={PYTHON}",
        f"-DPYTHON_INSTALL_DIR=lib/{THIS_PYTHON}/site-packages",
    ]
    run(command, "colcon could not build it, see above", environment)


def install_pear_ros() -> None:
    """Install this package in editable mode, and its commands into .venv/bin."""
    with step("pear_ros", "pear_ros itself", ROOT / "setup.py", ROOT / "setup.cfg") as due:
        if due:
            pip_install("--no-deps", "--no-build-isolation", "--editable", ROOT)


def install_on_top(ros: str, name: str, says: str) -> None:
    """Install requirements/<name>.txt; beside a sourced ROS 2 <name>.in, as its packages allow."""
    if ros == SOURCED:
        install_within([], REQUIREMENTS / f"{name}.in", says)
        return
    locked = REQUIREMENTS / f"{name}.txt"
    with step(name, says, locked, HASHES) as due:
        if due:
            pip_install_hashed([locked])


def install_torch(ros: str) -> None:
    """Install PyTorch without changing pinned packages."""
    locked = ("runtime", f"ros-{ros}", "test")
    pins = [] if ros == SOURCED else [REQUIREMENTS / f"{name}.txt" for name in locked]
    install_within(pins, REQUIREMENTS / "torch.txt", "PyTorch (about 1 minute)")


def install_within(pins: Sequence[Path], file: Path, says: str) -> None:
    """Install the packages of a requirements file and their dependencies, as `pins` allow."""
    with step(file.stem, says, file) as due:
        if due:
            pip_install("-r", file, *options("-c", pins))


def install_browser() -> None:
    """Install Debian's Chromium for tests of the viewer, which skip themselves without it."""
    if shutil.which("chromium"):
        return
    release = Path("/etc/os-release")
    debian = release.exists() and "ID=debian" in release.read_text().splitlines()
    if debian and os.geteuid() == 0 and shutil.which("apt-get"):
        print("Setting up Chromium, for tests of the viewer", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", "-qq", *words], env=quiet, stdout=subprocess.DEVNULL)
    if not shutil.which("chromium"):
        print("Tests in a browser will be skipped: sudo apt install chromium")


def download_assets() -> None:
    """Download what the default estimator needs: landmark models, and the demo clip."""
    if subprocess.run([PYTHON, "-m", "pear_ros.io.downloads"], cwd=ROOT).returncode:
        fail("the models and the demo clip are not complete, see above")


def choose_ros(release: str | None) -> str:
    """Return the source of ROS 2: SOURCED, or one of WHEELS, by default that of the last run."""
    choice = STATE / "ros"
    before = choice.read_text() if choice.exists() else None
    if {"ROS_DISTRO", "AMENT_PREFIX_PATH"} <= os.environ.keys() and importable("rclpy"):
        if release:
            fail(
                f"ROS 2 {os.environ['ROS_DISTRO']} is sourced in this terminal and would mix with "
                f"the wheels of {release}; use a terminal without it, or leave out ROS={release}"
            )
        return SOURCED
    if before == SOURCED and not release:
        fail(
            ".venv was made for an installed ROS 2, which is not sourced in this terminal; "
            "source its setup.bash first (or, to do without it: make clean)"
        )
    if platform.machine() != "x86_64":
        fail(
            f"ROS 2 wheels exist for x86_64, not for {platform.machine()}; "
            "install ROS 2 and source its setup.bash first"
        )
    return release or before or WHEELS[0]


def check_python() -> None:
    """Exit where there are no wheels for this Python."""
    if not (3, 10) <= sys.version_info[:2] <= (3, 14):
        fail(
            f"{sys.executable} is Python {platform.python_version()}, but 3.10 to 3.14 is needed; "
            "name another one, for example: make setup PYTHON=python3.12"
        )


def check_compiler() -> None:
    """Exit where message packages cannot be compiled."""
    found = {
        "g++": "CXX" in os.environ or shutil.which("c++") or shutil.which("g++"),
        "cmake": shutil.which("cmake"),
        "make": shutil.which("make"),
        f"{THIS_PYTHON}-dev": Path(sysconfig.get_path("include"), "Python.h").exists(),
    }
    missing = [name for name, where in found.items() if not where]
    if missing:
        fail(
            f"messages are compiled with {', '.join(missing)}: sudo apt install {' '.join(missing)}"
        )


def importable(*modules: str) -> bool:
    """Return whether the Python outside .venv has all these modules."""
    command = [sys.executable, "-c", f"import {', '.join(modules)}"]
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


def patch_cmake_files() -> None:
    """Replace header paths in the wheels' CMake files by those of this Python and NumPy.

    They are those of the machine that built the wheels, below /opt/python.
    """
    numpy = subprocess.check_output(
        [PYTHON, "-c", "import numpy; print(numpy.get_include())"], text=True
    ).strip()
    for file in (VENV / "share").glob("*/cmake/*.cmake"):
        text = file.read_text()
        patched = re.sub(r'/opt/python/[^;"]*/numpy/_?core/include', numpy, text)
        python = sysconfig.get_path("include")
        patched = re.sub(r'/opt/python/[^;"]*/include/python[\d.]+', python, patched)
        if patched != text:
            file.write_text(patched)


def options(name: str, files: Sequence[Path]) -> list[str | Path]:
    """Return pip's option `name` once for each file."""
    return [word for file in files for word in (name, file)]


def pip_install_hashed(files: Sequence[Path], *more: str) -> None:
    """Install the pins of requirements files, and `more` pins, as files with the known hashes."""
    pins = STATE / "pins.txt"
    pins.write_text(hashed(files, more))
    pip_install("--no-deps", "--no-compile", "--require-hashes", "-r", pins)


def pip_install(*arguments: str | Path) -> None:
    """Run `pip install` in .venv."""
    run(
        [PYTHON, "-m", "pip", "install", *arguments],
        "not everything could be installed, see above; check the network, the proxy "
        "(HTTPS_PROXY) and the free disk space, then run the same command again",
        {
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            "PIP_PROGRESS_BAR": "off",
            "PIP_USER": "0",
            "PYTHONPATH": "",
        },
    )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; run the same command again.")
