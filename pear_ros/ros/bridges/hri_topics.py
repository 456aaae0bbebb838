# SPDX-License-Identifier: Apache-2.0
"""Groups of topics of the HRI bridge that exist once for each track."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

from pear_ros.ros.bridges.people_frame import NEWEST, PeopleFrame


@dataclass
class TrackTopics:
    """Publishers of one track; subclasses add its state."""

    publishers: dict[str, Publisher[Any]]
    """By the last part of the topic's name."""

    def wanted(self, *names: str) -> bool:
        """Return whether one of these topics has a subscriber."""
        return any(self.publishers[name].get_subscription_count() for name in names)


Track = TypeVar("Track", bound=TrackTopics)


class TopicGroup(ABC, Generic[Track]):
    """Topics that exist once for each track, and end with it."""

    def __init__(self, node: Node) -> None:
        """Publish by `node`."""
        self._node = node
        self._tracks: dict[str, Track] = {}

    def begin(self, ids: Collection[str]) -> None:
        """Create the topics of new tracks."""
        for track_id in ids:
            if track_id not in self._tracks:
                self._tracks[track_id] = self._make(track_id)

    def end(self, ids: Collection[str]) -> None:
        """Remove the topics of tracks that are not among `ids`."""
        for track_id in self._tracks.keys() - set(ids):
            self._remove(track_id, self._tracks.pop(track_id))

    @abstractmethod
    def publish(self, frame: PeopleFrame) -> None:
        """Publish what has subscribers; `frame` has one person or more."""

    @abstractmethod
    def _make(self, track_id: str) -> Track:
        """Return topics and state of a new track."""

    def _remove(self, track_id: str, track: Track) -> None:
        for publisher in track.publishers.values():
            self._node.destroy_publisher(publisher)

    def _publishers(
        self, space: str, kinds: dict[str, Any], profile: QoSProfile = NEWEST
    ) -> dict[str, Publisher[Any]]:
        """Create publishers of message types `kinds`, by name, in a namespace."""
        return {
            name: self._node.create_publisher(kind, f"{space}/{name}", profile)
            for name, kind in kinds.items()
        }
