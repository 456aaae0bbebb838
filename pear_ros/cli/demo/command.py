# SPDX-License-Identifier: Apache-2.0
"""`pear demo`: play the demo clip into the real node over DDS, record and draw the results."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from tqdm import tqdm

from pear_ros.cli.demo.lockstep import (
    BODY_MODEL,
    HUMANS,
    OVERLAY,
    TOPICS,
    Answers,
    LockstepPlayer,
    NoResultsError,
)
from pear_ros.cli.demo.pictures import draw_bag
from pear_ros.cli.demo.recorder import Recorder
from pear_ros.cli.demo.table import demo_table
from pear_ros.cli.view.command import view_results
from pear_ros.core.configuration import EstimatorChoice
from pear_ros.estimators.factory import pear_obstacle
from pear_ros.io.downloads import demo_clip
from pear_ros.io.output_files import write_text
from pear_ros.io.video import FrameSource

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0


def demo(folder: Path, choice: EstimatorChoice, *, view: bool = False) -> int:
    """Run the demo, write its files into `folder`, print them, and return the exit code.

    `view`: whether to show the bag in a browser then.
    """
    _isolate()
    bag, log = folder / "bag", folder / "node.log"
    try:
        clip = demo_clip()
        _clear(folder)
        if choice.name != "landmarks" and not pear_obstacle(choice):
            _prepare(choice)
        answers = _record(clip, bag, log, choice)
        video, sheet = draw_bag(bag, folder, HUMANS.name, BODY_MODEL.name, OVERLAY.recorded_name)
        table = demo_table(answers.sent, answers.ids, answers.latencies, answers.figures)
        write_text(folder / "table.txt", table + "\n")
    except (NoResultsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"\n{table}\n")
    for what, path in (
        ("video", video),
        ("contact sheet", sheet),
        ("bag (Foxglove, RViz)", bag),
        ("this table", folder / "table.txt"),
        ("the node's log", log),
    ):
        print(f"{what + ':':22}{path.resolve()}")
    if view:
        return view_results(bag)
    print(f"\nLook at it in a browser: {_own_command()} view {bag}")
    return 0


def _own_command() -> str:
    """Return the command `pear`, as it was called."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "pear" else f"{sys.executable} -m pear_ros.cli"


def _isolate() -> None:
    """Isolate the demo from other nodes on the network, and set transports for images.

    Fast DDS's default shared memory of half a megabyte loses messages that an image follows; its
    LARGE_DATA transports do not. They are ignored where ROS_AUTOMATIC_DISCOVERY_RANGE is set, so a
    ROS domain isolates the demo.
    """
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    os.environ.setdefault("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")
    print(f"ROS_DOMAIN_ID={os.environ['ROS_DOMAIN_ID']}")


def _clear(folder: Path) -> None:
    """Create `folder` and remove the files of an earlier demo from it."""
    folder.mkdir(parents=True, exist_ok=True)
    bag = folder / "bag"
    if bag.is_symlink():
        bag.unlink()
    shutil.rmtree(bag, ignore_errors=True)
    for name in ("demo.mp4", "contact_sheet.png", "table.txt", "node.log"):
        (folder / name).unlink(missing_ok=True)


def _record(clip: Path, bag: Path, log: Path, choice: EstimatorChoice) -> Answers:
    """Play the clip into a node process and record all topics into `bag`.

    Raises NoResultsError, with the end of the node's log, where the node does not start or respond.
    """
    with _ros_node("pear_demo") as node:
        recorder = Recorder(node, bag, TOPICS)
        try:
            with spinning(node), _node_process(log, choice) as process:
                print("Starting the node ...", flush=True)
                player = LockstepPlayer(node, recorder)
                if not player.wait_until_ready(lambda: process.poll() is None, _START_SECONDS):
                    raise NoResultsError("the node did not start")
                frames = FrameSource(str(clip))
                bar = tqdm(frames, "Playing the clip", frames.frame_count, unit="frame")
                return player.play(bar)
        except NoResultsError as error:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise NoResultsError(f"{error}; the end of {log}:\n{tail}") from error
        finally:
            recorder.close()


def _prepare(choice: EstimatorChoice) -> None:
    """Let a node build what PEAR's runtime needs, which may take minutes, before the demo.

    Raises NoResultsError where that fails; the node logs the reason.
    """
    if subprocess.run(_command(choice, build_only="true")).returncode:
        raise NoResultsError("the node cannot start")


def _command(choice: EstimatorChoice, **parameters: str) -> list[str]:
    """Return the command that starts the real node, as `ros2 run` does."""
    parameters |= {
        "estimator": choice.name,
        "pear_body": choice.pear_body,
        "runtime": choice.runtime.name,
        "strict_runtime": str(choice.runtime.strict).lower(),
        "precision": choice.runtime.precision,
    }
    if choice.model_folder:
        parameters["model_folder"] = str(choice.model_folder)
    command = [sys.executable, "-m", "pear_ros.ros.node.node", "--ros-args"]
    for name, value in parameters.items():
        command += ["-p", f"{name}:={value}"]
    return command


@contextlib.contextmanager
def _ros_node(name: str) -> Iterator[Node]:
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = rclpy.create_node(name)
        yield node
        node.destroy_node()
    finally:
        rclpy.try_shutdown()


@contextlib.contextmanager
def spinning(node: Node) -> Iterator[None]:
    """Run the callbacks of `node` in a separate thread."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)

    def spin() -> None:
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, name="demo executor", daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown()
        thread.join()


@contextlib.contextmanager
def _node_process(log: Path, choice: EstimatorChoice) -> Iterator[subprocess.Popen[bytes]]:
    """Run the real node with its output in `log`."""
    command = _command(choice, image_transport="compressed", publish_vertices="true")
    with log.open("xb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
