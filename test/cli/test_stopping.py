# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM end a command soon, with its exit status and without a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pear_ros.core.quoting import printable
from testing.image_bags import write_bag

ROOT = Path(__file__).parents[2]
DEADLOCK = """
import ctypes
libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
libc.pthread_mutex_lock(mutex)
ready()
libc.pthread_mutex_lock(mutex)
"""
"""A function of a library that does not return and in which signals have no effect."""
READY = """
import sys
def ready():
    print("ready", flush=True)
"""


def stopped(code: str, *arguments: str, number: int = signal.SIGINT, after: float = 0.0) -> str:
    """Run code, send it a signal so many seconds after it is ready; return what it wrote."""
    with subprocess.Popen(
        [sys.executable, "-c", READY + code, *arguments],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            while process.stdout.readline() not in ("ready\n", ""):
                pass
            time.sleep(after)
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 128 + number, err
    assert "Traceback" not in err
    return out + err


@pytest.fixture(scope="module")
def long_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag that takes longer to replay than any signal waits."""
    from testing.replaying import recorded

    return write_bag(tmp_path_factory.mktemp("long") / "bag", recorded([(0,)] * 300))


@pytest.mark.parametrize(
    ("after", "number"),
    [
        *((after, signal.SIGINT) for after in (0.0, 0.1, 0.4)),
        *((after, signal.SIGTERM) for after in (0.03, 0.2, 0.8)),
    ],
)
def test_signal_in_the_first_seconds(
    long_bag: Path, tmp_path: Path, after: float, number: int
) -> None:
    """While Python's packages are imported, then models loaded."""
    code = """
from pear_ros.cli import main
class Ready:  # Begins when the handlers are there.
    def find_spec(self, name, path=None, target=None):
        if name == "pear_ros.cli.parser":
            ready()
sys.meta_path.insert(0, Ready())
sys.exit(main(["replay", sys.argv[1], "--output", sys.argv[2]]))
"""
    stopped(code, str(long_bag), str(tmp_path / "out"), number=number, after=after)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_within_a_function_that_does_not_return(number: int) -> None:
    code = f"""
from pear_ros.cli.stopping import ended_soon, stopped_by_signals
with stopped_by_signals(), ended_soon():
    {DEADLOCK.strip().replace(chr(10), chr(10) + "    ")}
"""
    assert "Stopped." in stopped(code, number=number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_an_image_takes_for_ever(tmp_path: Path, number: int) -> None:
    from testing.replaying import recorded

    pytest.importorskip("rclpy", reason="needs ROS 2")
    bag = write_bag(tmp_path / "bag", recorded())
    code = f"""
import pear_ros.replay.in_threads as in_threads
from pear_ros.cli import main
from testing.tiny_pipeline import TinyPipeline
class Stuck(TinyPipeline):
    def __call__(self, *arguments, **more):
        if len(self.stamps) == 3:
            {DEADLOCK.strip().replace(chr(10), chr(10) + "            ")}
        return super().__call__(*arguments, **more)
in_threads.replay_in_threads.__kwdefaults__["build"] = lambda _, count: [Stuck()] * count
sys.exit(main(["replay", sys.argv[1], "--output", sys.argv[2]]))
"""
    assert "Stopped." in stopped(code, str(bag), str(tmp_path / "out"), number=number)


def test_handlers_are_put_back() -> None:
    from pear_ros.cli import main
    from pear_ros.cli.stopping import ended_soon

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(SystemExit):
        main(["--version"])
    with ended_soon():
        pass
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_escapes_are_written_out() -> None:
    text = "/cam\x1b]0;title\x07\x1b[31m/ünïcode\r\n\tnext\x9b\u202e"
    shown = printable(text)
    assert all(c.isprintable() or c in "\n\t" for c in shown)
    assert "/ünïcode" in shown and "\n\tnext" in shown and "\\x1b[31m" in shown
