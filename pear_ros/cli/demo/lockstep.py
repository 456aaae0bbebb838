# SPDX-License-Identifier: Apache-2.0
"""Playback of a clip into the node in lockstep: a frame is sent when the last results arrived.

So every frame is processed at any speed of the machine. Stamps are those of the clip.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pear_msgs.msg import BodyModelInfo, HumanArray
from pear_ros.cli.demo.recorder import Recorder, Topic
from pear_ros.core.people import Image
from pear_ros.ros.conversion.camera_frames import OPTICAL_FRAME, optical_transform
from pear_ros.ros.conversion.messages import jpeg_message
from pear_ros.ros.node.diagnostics import figures

IMAGE = Topic("/image/compressed", CompressedImage)
CAMERA_INFO = Topic("/camera_info", CameraInfo)
HUMANS = Topic("/humans", HumanArray)
MARKERS = Topic("/mesh_markers", MarkerArray)
OVERLAY = Topic("/overlay", ImageMessage, as_jpeg=True)
BODY_MODEL = Topic("/body_model", BodyModelInfo, latched=True)
TF_STATIC = Topic("/tf_static", TFMessage, latched=True)
DIAGNOSTICS = Topic("/diagnostics", DiagnosticArray)
RESULTS = (HUMANS, MARKERS, OVERLAY)
TOPICS = (IMAGE, CAMERA_INFO, *RESULTS, BODY_MODEL, TF_STATIC, DIAGNOSTICS)
"""The topics that are recorded."""

_FRAME_SECONDS = 20.0
_REPORT_SECONDS = 3.0
"""Seconds between two messages of the node on /diagnostics."""
_MAX_UNANSWERED = 3
"""Consecutive frames without results after which playback stops."""


class NoResultsError(RuntimeError):
    """The node does not respond; the text gives the frame."""


@dataclass
class Answers:
    """The results for the frames that were sent."""

    sent: int = 0
    """Number of frames sent to the node."""
    answered: int = 0
    """Number of frames with all results."""
    latencies: dict[str, list[float]] = field(
        default_factory=lambda: {topic.name: [] for topic in RESULTS}
    )
    """Seconds from sending an image to the reception of each result, by topic."""
    ids: list[list[str]] = field(default_factory=list)
    """Track ids of the people present in each answered frame."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Counts and median times that the node published on /diagnostics."""


class LockstepPlayer:
    """Publishes images with the camera's static transform, and a CameraInfo without calibration."""

    def __init__(self, node: Node, recorder: Recorder) -> None:
        """Create the player; `recorder` records TOPICS, and another thread spins `node`."""
        self._node = node
        self._recorder = recorder
        self._images = node.create_publisher(CompressedImage, IMAGE.name, 1)
        self._camera_infos = node.create_publisher(CameraInfo, CAMERA_INFO.name, 1)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._transforms = node.create_publisher(TFMessage, TF_STATIC.name, latched)

    def wait_until_ready(self, alive: Callable[[], bool], timeout_seconds: float) -> bool:
        """Wait until the node is active and all endpoints are matched; return whether they are.

        Returns False after `timeout_seconds`, or when `alive` returns False.
        """
        end = time.monotonic() + timeout_seconds
        while not self._is_ready():
            if not alive() or time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def _is_ready(self) -> bool:
        # The node publishes the latched body model when it becomes active. Two subscribers: the
        # node and the recorder.
        return (
            self._recorder.count(BODY_MODEL.name) > 0
            and self._images.get_subscription_count() >= 2
            and self._camera_infos.get_subscription_count() >= 2
            and all(self._node.count_publishers(topic.name) > 0 for topic in RESULTS)
        )

    def play(self, frames: Iterable[tuple[float, Image]]) -> Answers:
        """Send all frames, (seconds, (H, W, 3) uint8 BGR), and return the results.

        Raises NoResultsError where the node stops responding.
        """
        answers = Answers()
        unanswered = 0
        start_ns = self._recorder.stamp_ns
        for stamp_seconds, image in frames:
            stamp_ns = start_ns + round(stamp_seconds * 1e9)
            answers.sent += 1
            unanswered = 0 if self._exchange(image, stamp_ns, answers) else unanswered + 1
            if unanswered == _MAX_UNANSWERED:
                raise NoResultsError(
                    f"the node gave no results for {_MAX_UNANSWERED} frames in a row, "
                    f"the last of them frame {answers.sent}"
                )
        newer = {DIAGNOSTICS.name: self._recorder.count(DIAGNOSTICS.name) + 1}
        if self._recorder.wait_for(newer, _REPORT_SECONDS):
            answers.figures = figures(self._recorder.newest(DIAGNOSTICS.name, DiagnosticArray))
        return answers

    def _exchange(self, image: Image, stamp_ns: int, answers: Answers) -> bool:
        """Send one image and wait for its results; return whether all were received in time."""
        seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
        header = Header(stamp=Time(sec=seconds, nanosec=nanoseconds), frame_id=OPTICAL_FRAME)
        height, width = image.shape[:2]
        message = jpeg_message(image, header)
        expected = {topic.name: self._recorder.count(topic.name) + 1 for topic in RESULTS}
        self._recorder.stamp_ns = stamp_ns
        if answers.sent == 1:
            self._transforms.publish(TFMessage(transforms=[optical_transform(header.stamp)]))
        self._camera_infos.publish(CameraInfo(header=header, height=height, width=width))
        sent = time.perf_counter()
        self._images.publish(message)
        if not self._recorder.wait_for(expected, _FRAME_SECONDS):
            return False
        for topic in RESULTS:
            arrival = self._recorder.last_arrival(topic.name)
            answers.latencies[topic.name].append(arrival - sent)
        humans = self._recorder.newest(HUMANS.name, HumanArray).humans
        answers.ids.append([human.id for human in humans if human.tracking_state != human.LOST])
        answers.answered += 1
        return True
