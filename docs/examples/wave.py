# SPDX-License-Identifier: Apache-2.0
"""Detect waving: an upright person, a hand above the shoulder, a forearm that swings to and fro.

    python3 docs/examples/wave.py --ros-args -r humans:=/camera/humans

In:  humans (pear_msgs/HumanArray) from a roughly level camera, at 10 Hz or more
Out: waving (std_msgs/String), the id of a person, once each time they start to wave

Arms are measured along the person's own spine and shoulders, in lengths of their forearm. So
position, orientation and height of the person do not matter, nor whether depth is metric.
"""

import contextlib

import numpy as np
import rclpy
from rclpy import executors, node, qos
from std_msgs.msg import String

from pear_msgs.msg import Human, HumanArray

# SMPL-X joints, in the order of BodyModelInfo.joint_names on the topic body_model.
PELVIS, NECK, LEFT_SHOULDER, RIGHT_SHOULDER = 0, 12, 16, 17
ARMS = ((16, 18, 20), (17, 19, 21))  # shoulder, elbow, wrist
CONFIDENCE = 0.2  # below it an arm counts as not observed
UPRIGHT = 0.7  # minimum cosine between spine and vertical
SWING = 0.3  # minimum travel of the hand to one side, in lengths of the forearm
SWINGS, WINDOW = 4, 2.5  # this many swings within this many seconds are waving
GAP = 0.3  # seconds for which a hand may be unobserved


def sideways(human: Human, shoulder: int, elbow: int, wrist: int) -> float | None:
    """Return how far a forearm points to the person's left, -1 to 1.

    None: the person is not upright, or the hand not above shoulder and elbow. NaN: unknown.
    """
    # PEAR gives no confidences: they are NaN, the comparison is false, and the joints are used.
    unseen = human.joint_confidence[[shoulder, elbow, wrist]] < CONFIDENCE
    if human.tracking_state == Human.PREDICTED or unseen.any():
        return float("nan")
    joints = human.joints.reshape(55, 3)  # y points down
    up, left = joints[NECK] - joints[PELVIS], joints[LEFT_SHOULDER] - joints[RIGHT_SHOULDER]
    forearm = joints[wrist] - joints[elbow]
    if -up[1] < UPRIGHT * np.linalg.norm(up):
        return None
    if forearm @ up < 0.0 or (joints[wrist] - joints[shoulder]) @ up < 0.0:
        return None
    return float(forearm @ left / np.linalg.norm(forearm) / np.linalg.norm(left))


def swings(track: list[tuple[float, float]]) -> int:
    """Return how often a hand, (seconds, place) each, changed sides by SWING or more."""
    count, heading, low, high = 0, 0, np.inf, -np.inf
    for _, place in track:
        low, high = min(low, place), max(high, place)
        if heading <= 0 and place - low > SWING:
            count, heading, high = count + 1, 1, place
        elif heading >= 0 and high - place > SWING:
            count, heading, low = count + 1, -1, place
    return count


class WaveDetector(node.Node):
    """Keeps the track of each raised hand over the last WINDOW seconds."""

    def __init__(self) -> None:
        super().__init__("wave_detector")
        self.tracks: dict[tuple[str, int], list[tuple[float, float]]] = {}
        self.waving: set[str] = set()
        self.publisher = self.create_publisher(String, "waving", 10)
        self.create_subscription(HumanArray, "humans", self.on_humans, qos.qos_profile_sensor_data)

    def on_humans(self, message: HumanArray) -> None:
        """Publish the ids of people who have started to wave."""
        now = message.header.stamp.sec + message.header.stamp.nanosec / 1e9
        before, self.tracks = self.tracks, {}  # drops people who are gone
        waving = set()
        for human in (one for one in message.humans if one.tracking_state != Human.LOST):
            for arm in ARMS:
                hand, place = (human.id, arm[-1]), sideways(human, *arm)
                track = [past for past in before.get(hand, []) if now - WINDOW < past[0] < now]
                if place is None or (track and now - track[-1][0] > GAP):
                    track = []  # the hand was lowered: start again
                if place is not None and np.isfinite(place):
                    track.append((now, place))
                self.tracks[hand] = track
                # Hysteresis: one swing is enough to go on waving.
                if swings(track) >= (1 if human.id in self.waving else SWINGS):
                    waving.add(human.id)
        for person in sorted(waving - self.waving):
            self.publisher.publish(String(data=person))
        self.waving = waving


if __name__ == "__main__":
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, executors.ExternalShutdownException):
        rclpy.spin(WaveDetector())
