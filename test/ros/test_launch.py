# SPDX-License-Identifier: Apache-2.0
"""The launch files, with a program in place of node and RViz that records its arguments."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("launch_ros", reason="needs ROS 2's launch")

import yaml

ROOT = Path(__file__).parents[2]
PROGRAM = f"""#!{sys.executable}
import json, os, sys
files = [sys.argv[n + 1] for n, argument in enumerate(sys.argv) if argument == "--params-file"]
recorded = dict(arguments=sys.argv, parameters=[open(file).read() for file in files])
open(os.path.join(os.environ["RECORDED"], str(os.getpid())), "w").write(json.dumps(recorded))
"""
LAUNCH = """
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
path, *arguments = sys.argv[1:]
service = LaunchService()
source = PythonLaunchDescriptionSource(path)
pairs = [argument.split(":=", 1) for argument in arguments]
service.include_launch_description(IncludeLaunchDescription(source, launch_arguments=pairs))
sys.exit(service.run())
"""
TIMEOUT_SECONDS = 60.0


class Started:
    """A process that a launch file started."""

    def __init__(self, recorded: Any) -> None:
        program, *arguments = recorded["arguments"]
        self.program = Path(program).name
        self.arguments = arguments
        rules = [after for before, after in pairwise(arguments) if before == "-r"]
        self.rules = dict(rule.split(":=", 1) for rule in rules)
        self.parameters: dict[str, Any] = {}
        for file in recorded["parameters"]:
            for section in (yaml.safe_load(file) or {}).values():
                self.parameters |= section["ros__parameters"]

    @property
    def namespace(self) -> str:
        return self.rules.get("__ns", "/")


Launch = Callable[..., list[Started]]


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    """Launches a file until all that it started has ended; raises where launch fails."""
    prefix = tmp_path / "prefix"
    for package, program in (
        ("pear_ros", "pear_node"),
        ("pear_ros", "retarget_stream"),
        ("pear_ros", "separation"),
        ("rviz2", "rviz2"),
    ):
        path = prefix / "lib" / package / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PROGRAM)
        path.chmod(0o755)
        marker = prefix / "share" / "ament_index" / "resource_index" / "packages" / package
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    share = prefix / "share" / "pear_ros"
    share.mkdir()
    for folder in ("launch", "config"):
        (share / folder).symlink_to(ROOT / folder)

    def run(file: str, *arguments: str) -> list[Started]:
        recorded = tmp_path / "recorded"
        recorded.mkdir()
        prefixes = os.pathsep.join((str(prefix), os.environ.get("AMENT_PREFIX_PATH", "")))
        done = subprocess.run(
            [sys.executable, "-c", LAUNCH, str(share / "launch" / file), *arguments],
            env=os.environ
            | {
                "AMENT_PREFIX_PATH": prefixes,
                "RECORDED": str(recorded),
                "ROS_LOG_DIR": str(tmp_path),
            },
            cwd=tmp_path,  # Where no folder is called launch.
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        started = [Started(json.loads(path.read_text())) for path in recorded.iterdir()]
        return sorted(started, key=lambda process: (process.program, process.namespace))

    return run


def test_one_camera(launch: Launch) -> None:
    (node,) = launch("pear.launch.py", "image:=/front/image_raw", "depth:=/front/depth")
    assert node.program == "pear_node"
    assert node.rules["image"] == "/front/image_raw" and node.rules["depth"] == "/front/depth"
    assert "detections" not in node.rules
    assert node.parameters["depth"] is True and node.parameters["image_transport"] == "raw"
    assert node.parameters["estimator"] == "auto", "the parameter file's"


@pytest.mark.parametrize(
    ("arguments", "starts"),
    [([], 1), (["respawn:=true"], 3), (["respawn:=true", "build_only:=true"], 1)],
)
def test_node_that_ends_is_started_again_if_so_asked(
    launch: Launch, tmp_path: Path, arguments: list[str], starts: int
) -> None:
    """Not one that has built everything; the third start ends the launch."""
    file = tmp_path / "prefix" / "share" / "pear_ros" / "launch"
    file.unlink()
    shutil.copytree(ROOT / "launch", file)
    text = (file / "pear.launch.py").read_text()
    assert text.count("_RESPAWN_SECONDS = 5.0") == 1
    text = text.replace("_RESPAWN_SECONDS = 5.0", "_RESPAWN_SECONDS = 0.01")
    (file / "pear.launch.py").write_text(text)
    program = tmp_path / "prefix" / "lib" / "pear_ros" / "pear_node"
    program.write_text(
        f"{PROGRAM}\nimport signal\n"
        'if len(os.listdir(os.environ["RECORDED"])) == 3: os.kill(os.getppid(), signal.SIGINT)\n'
        "sys.exit(1)\n"
    )
    assert len(launch("pear.launch.py", *arguments)) == starts


def test_each_camera_has_its_node(launch: Launch) -> None:
    """All arguments reach all nodes; topics are below the namespaces."""
    front, rear = launch(
        "cameras.launch.py",
        *("cameras:=front, rear", "image:=image_raw", "image_transport:=compressed"),
        *("estimator:=landmarks", "transforms:=off", "detections:=boxes", "mesh_detail:=low"),
    )
    assert [front.namespace, rear.namespace] == ["/front", "/rear"]
    for node in (front, rear):
        assert node.program == "pear_node"
        assert node.rules["image"] == "image_raw" and node.rules["detections"] == "boxes"
        assert node.rules["camera_info"] == "camera_info" and "depth" not in node.rules
        assert node.parameters["image_transport"] == "compressed"
        assert node.parameters["estimator"] == "landmarks"
        assert node.parameters["mesh_detail"] == "low"
        assert node.parameters["detector"] == "topic" and node.parameters["depth"] is False


def test_the_cameras_name_in_arguments(launch: Launch, tmp_path: Path) -> None:
    for camera, height in (("a", 1.5), ("b", 1.8)):
        values = {"/**": {"ros__parameters": {"body_height": height}}}
        (tmp_path / f"{camera}.yaml").write_text(yaml.safe_dump(values))
    nodes = launch(
        "cameras.launch.py",
        *("cameras:=a,b", "image:=/rig/{camera}/image", f"params_file:={tmp_path}/{{camera}}.yaml"),
    )
    assert [node.rules["image"] for node in nodes] == ["/rig/a/image", "/rig/b/image"]
    assert [node.parameters["body_height"] for node in nodes] == [1.5, 1.8]


def test_one_rviz_for_the_first_camera(launch: Launch) -> None:
    nodes = launch("cameras.launch.py", "cameras:=rear,front,left", "rviz:=true")
    assert [(node.program, node.namespace) for node in nodes] == [
        *(("pear_node", f"/{camera}") for camera in ("front", "left", "rear")),
        ("rviz2", "/rear"),
    ]


@pytest.mark.parametrize("cameras", ["front,front", "front,,rear", ""])
def test_cameras_without_names_of_their_own(launch: Launch, cameras: str) -> None:
    with pytest.raises(RuntimeError, match="different names, separated by commas"):
        launch("cameras.launch.py", f"cameras:={cameras}")


def test_cameras_have_to_be_named(launch: Launch) -> None:
    with pytest.raises(RuntimeError, match="'cameras'"):
        launch("cameras.launch.py")


@pytest.mark.parametrize(
    ("delay", "option"), [("2.0", ["--delay", "2.0"]), ("0", []), ("soon", ["--delay", "soon"])]
)
def test_a_bag_is_played_on_its_own_clock(
    launch: Launch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    delay: str,
    option: list[str],
) -> None:
    (tmp_path / "bin").mkdir()
    ros2 = tmp_path / "bin" / "ros2"
    ros2.write_text(PROGRAM)
    ros2.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ros2.parent}{os.pathsep}{os.environ['PATH']}")
    options = ("loop:=true", "rate:=0.5", f"delay:={delay}", "qos_overrides:=qos.yaml")
    node, player = launch("replay.launch.py", "bag:=walk", "image:=/front/image_raw", *options)
    assert node.rules["image"] == "/front/image_raw"
    assert ("-p", "use_sim_time:=True") in pairwise(node.arguments)
    played = ["bag", "play", "walk", "--clock", "--rate", "0.5"]
    overrides = ["--qos-profile-overrides-path", "qos.yaml"]
    assert player.arguments == [*played, *option, "--loop", *overrides]


def test_separation_takes_a_list_of_frames(launch: Launch) -> None:
    frames = "robot_frames:=['tool0:0.15', 'base_link:0.4']"
    (node,) = launch("separation.launch.py", "humans:=/front/humans", "target_frame:=odom", frames)
    assert node.program == "separation"
    assert node.rules["humans"] == "/front/humans"
    assert node.parameters["target_frame"] == "odom"
    assert node.parameters["robot_frames"] == ["tool0:0.15", "base_link:0.4"]


def test_retarget_stream_takes_a_list_of_urls(launch: Launch) -> None:
    urls = "urls:=['sonic://127.0.0.1:5556', 'ws://127.0.0.1:8765']"
    (node,) = launch("retarget_stream.launch.py", "humans:=/front/humans", urls, "delay:=0.2")
    assert node.program == "retarget_stream"
    assert node.rules["humans"] == "/front/humans"
    assert node.parameters["urls"] == ["sonic://127.0.0.1:5556", "ws://127.0.0.1:8765"]
    assert node.parameters["person"] == "nearest"
    assert node.parameters["delay"] == 0.2
