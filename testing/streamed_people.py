# SPDX-License-Identifier: Apache-2.0
"""People as streams take them, and the steps between the frames of a stream."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pear_ros.core import quaternions
from pear_ros.core.people import Array, TrackingState
from pear_ros.streaming.body_pose import ObservedPerson
from pear_ros.streaming.motion_stream import MotionFrame
from testing.open_people import person, t_pose


def observed(
    pose: Array | None = None,
    transl: tuple[float, float, float] = (0.0, 0.0, 4.0),
    track_id: str = "h1",
    state: TrackingState = TrackingState.TRACKED,
    confidence: float = 0.9,
) -> ObservedPerson:
    """Return a person of mean shape in a pose, the T-pose unless given."""
    one = person(t_pose() if pose is None else pose, transl, track_id, state)
    return ObservedPerson(
        track_id, state, one.smplx.pose, one.joints, np.full(55, confidence, np.float32)
    )


class UdpReceiver:
    """Keeps the packets that arrive on a port of this machine, which a queue would drop."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._queue: queue.Queue[bytes] = queue.Queue()
        self._thread = threading.Thread(target=self._receive)
        self._thread.start()

    def _receive(self) -> None:
        while packet := self._socket.recv(65536):
            self._queue.put(packet)

    def receive(self, count: int) -> list[bytes]:
        """Return the next packets; raises queue.Empty where they do not arrive."""
        return [self._queue.get(timeout=10.0) for _ in range(count)]

    def close(self) -> None:
        """End."""
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()


class Steps(NamedTuple):
    """Greatest differences between successive frames."""

    joint: float
    """Of a joint's rotation, radians."""
    root: float
    """Of the pelvis's place, metres."""
    turn: float
    """Of the pelvis's rotation, radians."""
    bone: float
    """Of a bone, metres."""


def steps(frames: Sequence[MotionFrame]) -> Steps:
    """Return the greatest steps of a stream."""
    rotations = np.array([one.motion.rotations for one in frames])
    turns = quaternions.to_vectors(quaternions.difference(rotations[:-1], rotations[1:]))
    angles = np.linalg.norm(turns, axis=-1)
    roots = np.array([one.motion.root for one in frames])
    bones = np.array([one.motion.bones for one in frames])
    return Steps(
        float(angles[:, 1:].max(initial=0.0)),
        float(np.linalg.norm(np.diff(roots, axis=0), axis=-1).max(initial=0.0)),
        float(angles[:, 0].max(initial=0.0)),
        float(np.linalg.norm(np.diff(bones, axis=0), axis=-1).max(initial=0.0)),
    )
