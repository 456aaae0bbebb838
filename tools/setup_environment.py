# SPDX-License-Identifier: Apache-2.0
"""Set up everything that the package needs, in .venv, from a clean clone.

Run through ``make setup``. Needs Python 3.10 to 3.13, a C++ compiler, CMake and Make, but no ROS:
where no ROS 2 is sourced, it comes as Python wheels. Steps whose inputs have not changed are
skipped; a step that was interrupted is done anew. Only the standard library is used.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Iterator, NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STATE = VENV / ".setup"
LOG = ROOT / "setup.log"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements"
WHEEL_DISTROS = ("kilted", "jazzy")

# Counted up when a step does something else than before, so that it is done anew everywhere.
VERSION = "1"


def fail(sentence: str) -> NoReturn:
    """End with one sentence that says what to do."""
    sys.exit(f"\nmake setup: {sentence}")


def main() -> None:
    """Run all steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ros", choices=("", *WHEEL_DISTROS), default="", help="ROS 2 wheels")
    parser.add_argument("--test", action="store_true", help="also install what the tests need")
    arguments = parser.parse_args()
    check_machine()
    with only_one_setup():
        ros = choose_ros(arguments.ros)
        install_packages(ros)
        build_messages(ros)
        install_pear_ros()
        if arguments.test:
            install_test_packages()
        download_assets()


def check_machine() -> None:
    """Say at once what the machine lacks."""
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        fail(
            f"Python 3.10 to 3.13 is needed, {sys.executable} is {platform.python_version()}: "
            "name another one, for example  make setup PYTHON=python3.12"
        )
    missing = [tool for tool in ("cmake", "make") if not shutil.which(tool)]
    if not shutil.which("c++") and not shutil.which("g++"):
        missing.append("g++")
    if missing:
        fail(f"{' and '.join(missing)} not found: sudo apt install g++ cmake make")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        fail("Python's C headers are missing: sudo apt install python3-dev")


@contextlib.contextmanager
def only_one_setup() -> Iterator[None]:
    """Wait while another set-up of the same clone runs."""
    with (ROOT / ".setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another set-up is running here; waiting for it ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def choose_ros(wanted: str) -> str:
    """Return "apt" for a sourced installation, or the distribution whose wheels are used."""
    sourced = os.environ.get("ROS_DISTRO") and os.environ.get("AMENT_PREFIX_PATH")
    if sourced and subprocess.run([sys.executable, "-c", "import rclpy"]).returncode == 0:
        return "apt"
    return wanted or "kilted"


def fingerprint(*inputs: object) -> str:
    """Hash of a step's inputs: the contents of files and folders, the text of all else."""
    digest = hashlib.sha256(f"{VERSION} {VENV} {sys.version}".encode())
    for item in inputs:
        if isinstance(item, Path):
            files = sorted(f for f in item.rglob("*") if f.is_file()) if item.is_dir() else [item]
            for file in files:
                digest.update(f"{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
        else:
            digest.update(f"{item}\n".encode())
    return digest.hexdigest()


@contextlib.contextmanager
def step(name: str, says: str, key: str) -> Iterator[bool]:
    """Yield whether the step is to be done, and remember it when it was done."""
    stamp = STATE / name
    done = stamp.exists() and stamp.read_text() == key
    if not done:
        stamp.unlink(missing_ok=True)
        print(f"* {says} ...", flush=True)
    started = time.monotonic()
    yield not done
    if not done:
        STATE.mkdir(parents=True, exist_ok=True)
        stamp.write_text(key)
        print(f"  done in {time.monotonic() - started:.0f} s", flush=True)


def run(command: list[str | Path], hint: str, **environment: str) -> None:
    """Run a long command, its output in the log; on failure show the log's end and the hint."""
    with LOG.open("a") as log:
        log.write(f"\n$ {' '.join(map(str, command))}\n")
        log.flush()
        code = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=log
        ).returncode
    if code:
        print("".join(LOG.read_text().splitlines(keepends=True)[-15:]), file=sys.stderr)
        fail(f"{hint} (everything: {LOG})")


def install_packages(ros: str) -> None:
    locks = [REQUIREMENTS / "runtime.txt"]
    if ros != "apt":
        locks.append(REQUIREMENTS / f"ros-{ros}.txt")
    key = fingerprint(ros, *locks)
    with step("packages", "Python packages and ROS 2 into .venv (about a minute)", key) as due:
        if due:
            run([sys.executable, "-m", "venv", "--clear", VENV], "sudo apt install python3-venv")
            files = [word for lock in locks for word in ("-r", str(lock))]
            run(
                [PYTHON, "-m", "pip", "install", "--no-deps", *files],
                "packages could not be installed: check the network and try again",
            )


def mend_cmake_files() -> None:
    """Point the wheels' CMake files, which name the paths of their build machine, to this Python.

    The wheels export /opt/python/cp3xx-cp3xx/... as include directories of Python and NumPy.
    """
    import re

    numpy = subprocess.run(
        [PYTHON, "-c", "import numpy; print(numpy.get_include())"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()
    for file in (VENV / "share").glob("*/cmake/*.cmake"):
        text = file.read_text()
        mended = re.sub(r"/opt/python/[^;\"]*/numpy/_?core/include", numpy, text)
        mended = re.sub(
            r"/opt/python/[^;\"]*/include/python3\.\d+", sysconfig.get_path("include"), mended
        )
        if mended != text:
            file.write_text(mended)


def build_messages(ros: str) -> None:
    key = fingerprint(ros, ROOT / "pear_msgs", (STATE / "packages").read_text())
    with step("messages", "pear_msgs (about half a minute)", key) as due:
        if due:
            mend_cmake_files()
            build = STATE / "build"
            shutil.rmtree(build, ignore_errors=True)
            site_packages = f"lib/python3.{sys.version_info.minor}/site-packages"
            run(
                [
                    VENV / "bin" / "colcon", "--log-base", build / "log", "build",
                    "--base-paths", ROOT / "pear_msgs",
                    "--build-base", build, "--install-base", VENV, "--merge-install",
                    "--cmake-args", "-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={PYTHON}",
                    f"-DPYTHON_INSTALL_DIR={site_packages}",
                ],
                "pear_msgs could not be built",
                AMENT_PREFIX_PATH=str(VENV), CMAKE_PREFIX_PATH=str(VENV),
                PATH=f"{VENV / 'bin'}:{os.environ['PATH']}",
            )


def install_pear_ros() -> None:
    pass


def install_test_packages() -> None:
    pass


def download_assets() -> None:
    pass


if __name__ == "__main__":
    main()
