# SPDX-License-Identifier: Apache-2.0
"""Set up everything that the package needs, in .venv, from a clean clone.

Run by the Makefile. Needs Python 3.10 to 3.13, a C++ compiler, CMake and Make, but no ROS: where no
ROS 2 is sourced, it is installed as Python wheels. Message packages are installed into .venv too,
beside the wheels' own, so that nothing has to be sourced. A step is skipped while its inputs are
unchanged. Uses the standard library alone.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STATE = VENV / ".setup"  # a file per finished step; "running" while a step is under way
LOG = ROOT / "setup.log"

SOURCED = "sourced"  # ROS 2 is the installation sourced in this terminal
WHEELS = ("kilted", "jazzy")  # or Python wheels, of the first distribution by default

VERSION = 1  # to be raised when a step changes what it does, so that it is done again everywhere
THIS_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


def main() -> None:
    """Run the steps that are due."""
    parser = argparse.ArgumentParser(description="Set up .venv.")
    parser.add_argument("--ros", choices=WHEELS, help="ROS 2 distribution to take as wheels")
    parser.add_argument("--test", action="store_true", help="install what the tests need, too")
    arguments = parser.parse_args()
    check_python()
    with one_at_a_time():
        ros = choose_ros(arguments.ros)
        if (STATE / "running").exists():
            print("The last set-up was interrupted: starting anew.")
            shutil.rmtree(VENV)
        install_packages(ros)
        build_messages(ros)
        install_pear_ros()
        if arguments.test:
            install_test_packages(ros)
        if subprocess.run([PYTHON, "-m", "pear_ros.assets"], cwd=ROOT).returncode:
            fail("the models and the demo clip are not complete, see above")


def install_packages(ros: str) -> None:
    """Make .venv with the pinned packages and, unless one is sourced, ROS 2."""
    if ros == SOURCED:
        # NumPy and OpenCV remain the system's, for which the system's ROS 2 was compiled.
        says, files = "Python packages", [REQUIREMENTS / "robot.txt"]
    else:
        says = f"ROS 2 {ros.capitalize()} and Python packages"
        files = [REQUIREMENTS / "runtime.txt", REQUIREMENTS / f"ros-{ros}.txt"]
    with step("packages", f"{says} (about 1 minute)", ros, *files) as due:
        if not due:
            return
        check_compiler()
        if ros == SOURCED and not importable("numpy", "scipy", "cv2", "tqdm", "tf2_msgs"):
            fail(
                "install what rosdep would: sudo apt install python3-numpy python3-scipy "
                f"python3-opencv python3-tqdm ros-{os.environ['ROS_DISTRO']}-tf2-msgs"
            )
        shutil.rmtree(VENV, ignore_errors=True)
        system = ["--system-site-packages"] if ros == SOURCED else []
        run(
            [sys.executable, "-m", "venv", *system, VENV],
            f"Python's venv is missing: sudo apt install {THIS_PYTHON}-venv",
        )
        STATE.mkdir()
        (STATE / "ros").write_text(ros)
        pip_install("--no-deps", "--no-compile", "setuptools==79.0.1", *options("-r", files))
        if ros != SOURCED:
            mend_cmake_files()


def build_messages(ros: str) -> None:
    """Build the message packages with colcon and install them into .venv."""
    packages = [ROOT / "pear_msgs"]
    if ros != SOURCED:
        packages.append(ROOT / "tools" / "tf2_msgs")  # not to be had as a wheel
    with step("messages", "messages, built by colcon (about 1 minute)", *packages) as due:
        if not due:
            return
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
        run(command, "the messages could not be built, see above", environment)


def install_pear_ros() -> None:
    """Install this package as it lies here, and its commands into .venv/bin."""
    with step("pear_ros", "pear_ros itself", ROOT / "setup.py", ROOT / "setup.cfg") as due:
        if due:
            pip_install("--no-deps", "--no-build-isolation", "--editable", ROOT)


def install_test_packages(ros: str) -> None:
    """Install the test tools, and what results are compared with; no pinned package changes."""
    file = REQUIREMENTS / "test.txt"
    pins = [] if ros == SOURCED else [REQUIREMENTS / "runtime.txt", REQUIREMENTS / f"ros-{ros}.txt"]
    with step("test", "test tools and PyTorch (about 1 minute)", file) as due:
        if due:
            pip_install("-r", file, *options("-c", pins))


def choose_ros(wanted: str | None) -> str:
    """Where ROS 2 comes from: SOURCED, or one of WHEELS (as last time unless told)."""
    choice = STATE / "ros"
    before = choice.read_text() if choice.exists() else None
    if {"ROS_DISTRO", "AMENT_PREFIX_PATH"} <= os.environ.keys() and importable("rclpy"):
        if wanted:
            fail(
                f"ROS 2 {os.environ['ROS_DISTRO']} is sourced in this terminal and would mix with "
                f"the wheels of {wanted}; use a terminal without it, or leave out ROS={wanted}"
            )
        return SOURCED
    if before == SOURCED and not wanted:
        fail(
            ".venv was made for an installed ROS 2, which is not sourced in this terminal; "
            "source its setup.bash first (or, to do without it: make clean)"
        )
    if platform.machine() != "x86_64":
        fail(
            f"ROS 2 wheels exist for x86_64, not for {platform.machine()}; "
            "install ROS 2 and source its setup.bash first"
        )
    return wanted or before or WHEELS[0]


def check_python() -> None:
    """Refuse a Python for which there are no wheels."""
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        fail(
            f"{sys.executable} is Python {platform.python_version()}, but 3.10 to 3.13 is needed; "
            "name another one, for example: make setup PYTHON=python3.12"
        )


def check_compiler() -> None:
    """Refuse a machine on which message packages cannot be compiled."""
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
    """Whether the Python outside .venv has the modules."""
    command = [sys.executable, "-c", f"import {', '.join(modules)}"]
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


def mend_cmake_files() -> None:
    """Make the wheels' CMake files name the headers of this machine's Python and NumPy.

    They name those of the machine on which the wheels were built, below /opt/python.
    """
    numpy = subprocess.check_output(
        [PYTHON, "-c", "import numpy; print(numpy.get_include())"], text=True
    ).strip()
    for file in (VENV / "share").glob("*/cmake/*.cmake"):
        text = file.read_text()
        mended = re.sub(r'/opt/python/[^;"]*/numpy/_?core/include', numpy, text)
        python = sysconfig.get_path("include")
        mended = re.sub(r'/opt/python/[^;"]*/include/python[\d.]+', python, mended)
        if mended != text:
            file.write_text(mended)


def options(name: str, files: Sequence[Path]) -> list[str | Path]:
    """The same option of pip for each file."""
    return [word for file in files for word in (name, file)]


def pip_install(*arguments: str | Path) -> None:
    """Install into .venv."""
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


def fail(sentence: str) -> NoReturn:
    """End with one sentence that says what to do."""
    sys.exit(f"\nSet-up stopped: {sentence}")


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait while another set-up of the same clone runs."""
    with open(__file__) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another set-up is running in this folder; waiting for it ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def step(name: str, says: str, *inputs: str | Path) -> Iterator[bool]:
    """Yield whether the step is due, and note it as done afterwards."""
    stamp, running = STATE / name, STATE / "running"
    key = fingerprint(*inputs)
    if stamp.exists() and stamp.read_text() == key:
        yield False
        return
    print(f"Setting up {says}", flush=True)
    started = time.monotonic()
    stamp.unlink(missing_ok=True)
    if STATE.exists():
        running.touch()
    try:
        yield True
    except SystemExit:  # failed, not interrupted: what is there can be built upon
        running.unlink(missing_ok=True)
        raise
    stamp.write_text(key)
    running.unlink(missing_ok=True)
    print(f"  done in {time.monotonic() - started:.0f} s", flush=True)


def fingerprint(*inputs: str | Path) -> str:
    """Hash of texts, files and folders, and of what every step depends on."""
    digest = hashlib.sha256(f"{VERSION} {VENV} {sys.version}".encode())
    for item in inputs:
        if isinstance(item, str):
            digest.update(item.encode())
            continue
        for file in sorted(item.rglob("*")) if item.is_dir() else [item]:
            if file.is_file():
                digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def run(
    command: Sequence[str | Path], hint: str, environment: Mapping[str, str | Path] | None = None
) -> None:
    """Run a long command into the log, showing its last line; on failure, say the hint."""
    env = {**os.environ, **(environment or {})}
    with LOG.open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    with process:
        show_progress(process)
    if process.returncode < 0:
        raise KeyboardInterrupt  # killed, so maybe half done
    if process.returncode:
        print(last_lines(12), file=sys.stderr)
        fail(f"{hint} (all of it: {LOG})")


def show_progress(process: subprocess.Popen[bytes]) -> None:
    """Until the process ends, show the time and the log's last line: in place on a terminal."""
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns - 1
    begin, end, interval = ("\r\033[K", "", 0.5) if terminal else ("", "\n", 15)
    started = shown = time.monotonic()
    while process.poll() is None:
        time.sleep(0.05)
        if time.monotonic() > shown + interval:
            shown = time.monotonic()
            line = f"  {shown - started:.0f} s  {last_lines(1)}"
            print(begin + line[:width], end=end, flush=True)
    print(begin, end="")


def last_lines(count: int) -> str:
    """The end of the log."""
    return "\n".join(LOG.read_text(errors="replace").split("\n")[-count - 1 :]).strip()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; run the same command again.")
