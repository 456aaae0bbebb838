# SPDX-License-Identifier: Apache-2.0
"""Look-up of transforms between the frames of /tf and /tf_static, at the stamp of an image.

Live and in bags the same: messages are read by their fields, so those of rclpy and of the `rosbags`
package both serve. Rules are those of tf2: positions are interpolated linearly and rotations along
the shortest way; nothing is extrapolated.
"""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from pear_ros.core import quaternions
from pear_ros.core.quoting import quoted, quoted_list
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.core.timestamps import nanoseconds_of

KEPT_SECONDS = 10.0
"""Time before the newest transform of a frame that is kept, as in tf2."""
_SILENT_SECONDS = 1.0
"""Age of a frame's newest transform from which on it is not waited for: its source has stopped."""
_MAX_FRAMES = 10_000
"""Number of frames that are kept; joints of robots and people are some hundreds."""
_NORM_TOLERANCE = 0.1
"""Greatest difference from 1 of the norm of a quaternion."""


class TransformError(LookupError):
    """There is no transform; the text is a sentence for the user, without its full stop."""

    def __init__(self, cause: str, text: str) -> None:
        """Take a short name of the `cause`, one of few, and the sentence."""
        super().__init__(text)
        self.cause = cause


class _Late(TransformError):
    """The transform may still arrive."""


class _Sample(NamedTuple):
    nanoseconds: int
    values: tuple[float, ...]
    """Position x y z and quaternion x y z w of the frame in its parent."""


class _Frame:
    """A frame in its parent over time."""

    def __init__(self, parent: str, *, static: bool) -> None:
        self.parent = parent
        self.static = static
        self.samples: list[_Sample] = []

    def add(self, sample: _Sample) -> None:
        if self.static:
            self.samples = [sample]
            return
        samples, stamp = self.samples, sample.nanoseconds
        index = bisect_left(samples, (stamp,))
        # A repeated stamp, as of a bag that loops, must not let the list grow.
        repeated = index < len(samples) and samples[index].nanoseconds == stamp
        samples[index : index + repeated] = [sample]
        oldest = samples[-1].nanoseconds - round(KEPT_SECONDS * 1e9)
        # Only every few seconds: to shorten a list at its beginning takes time.
        if samples[0].nanoseconds < oldest - round(KEPT_SECONDS * 1e9):
            del samples[: bisect_left(samples, (oldest,))]

    def at(self, nanoseconds: int) -> RigidTransform | None:
        """Transform to the parent; None if the time is outside of the samples."""
        samples = self.samples
        if self.static:
            return _transform(samples[0].values)
        after = bisect_left(samples, (nanoseconds,))
        if after == len(samples):
            return None
        end = samples[after]
        if end.nanoseconds == nanoseconds:
            return _transform(end.values)
        if after == 0:
            return None
        start = samples[after - 1]
        share = (nanoseconds - start.nanoseconds) / (end.nanoseconds - start.nanoseconds)
        a, b = np.array(start.values), np.array(end.values)
        return RigidTransform.from_quaternion(
            a[:3] + share * (b[:3] - a[:3]), quaternions.slerp(a[3:], b[3:], share)
        )


class TransformBuffer:
    """Keep the transforms of the last seconds; safe to use from several threads."""

    def __init__(self) -> None:
        """Start without any frame."""
        self._frames: dict[str, _Frame] = {}
        self._refused: dict[str, str] = {}
        """Why transforms of a frame were refused, by frame."""
        self._changed = threading.Condition()

    def add(self, message: Any, *, static: bool = False) -> None:
        """Keep the transforms of a tf2_msgs/TFMessage, of /tf_static if `static`.

        One that is not a rigid transform is left out; a look-up that lacks it says so.
        """
        with self._changed:
            for one in message.transforms:
                child, parent = one.child_frame_id.lstrip("/"), one.header.frame_id.lstrip("/")
                values = _values(one.transform)
                if reason := _refusal(child, parent, values):
                    if len(self._refused) < _MAX_FRAMES:
                        self._refused[child] = reason
                    continue
                frame = self._frames.get(child)
                if frame is None or frame.parent != parent or frame.static != static:
                    if frame is None and len(self._frames) >= _MAX_FRAMES:
                        continue
                    frame = self._frames[child] = _Frame(parent, static=static)
                frame.add(_Sample(nanoseconds_of(one.header), _normalized(values)))
            self._changed.notify_all()

    def forget(self) -> None:
        """Drop what /tf said, not what /tf_static said: time has jumped backwards."""
        with self._changed:
            self._frames = {name: frame for name, frame in self._frames.items() if frame.static}

    def ancestors(self, name: str) -> list[str]:
        """Return the frame `name` and the frames above it, the root last."""
        with self._changed:
            return list(self._ancestors(name.lstrip("/")))

    def names(self) -> list[str]:
        """Return the frames that have a parent, in the order of their arrival."""
        with self._changed:
            return list(self._frames)

    def lookup(
        self, target: str, source: str, nanoseconds: int, timeout: float = 0.0
    ) -> RigidTransform:
        """Return the transform from the frame `source` to the frame `target` at a time.

        `nanoseconds`: the time, as in the header of an image. It waits for `timeout` seconds at
        most, and only for frames that are known and whose newest transform is too old by less than
        a second. Raises TransformError, which says what is missing.
        """
        target, source = target.lstrip("/"), source.lstrip("/")
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                try:
                    return self._lookup(target, source, nanoseconds)
                except _Late:
                    left = deadline - time.monotonic()
                    if left <= 0.0:
                        raise
                    self._changed.wait(left)

    def _lookup(self, target: str, source: str, nanoseconds: int) -> RigidTransform:
        from_source, from_target = list(self._ancestors(source)), list(self._ancestors(target))
        common = next((name for name in from_source if name in from_target), None)
        if common is None:
            raise self._unconnected(target, source, from_source[-1], from_target[-1])
        to_common = self._product(from_source[: from_source.index(common)], nanoseconds)
        target_to_common = self._product(from_target[: from_target.index(common)], nanoseconds)
        return target_to_common.inverse() @ to_common

    def _ancestors(self, name: str) -> Iterator[str]:
        """The frame `name` and the frames above it, up to the root."""
        seen = set()
        while name not in seen:
            yield name
            seen.add(name)
            frame = self._frames.get(name)
            if frame is None:
                return
            name = frame.parent

    def _product(self, names: list[str], nanoseconds: int) -> RigidTransform:
        """Transform from the first of `names` to the parent of the last."""
        result = RigidTransform.identity()
        for name in names:
            frame = self._frames[name]
            step = frame.at(nanoseconds)
            if step is None:
                raise _outside(name, frame, nanoseconds)
            result = step @ result
        return result

    def _unconnected(self, target: str, source: str, *roots: str) -> TransformError:
        for name in (source, target):
            parents = {frame.parent for frame in self._frames.values()}
            if name not in self._frames and name not in parents:
                known = f"; known are {quoted_list(sorted(self._frames))}" if self._frames else ""
                reason = self._refused.get(name, "")
                why = f" ({reason})" if reason else ""
                return TransformError(
                    "unknown frame",
                    f"no transform on /tf or /tf_static names {quoted(name)}{why}{known}",
                )
        above = " and ".join(quoted(root) for root in roots)
        return TransformError(
            "unconnected frames",
            f"/tf and /tf_static do not connect {quoted(source)} with {quoted(target)}: they are "
            f"below {above}, and no transform joins those",
        )


def _outside(name: str, frame: _Frame, nanoseconds: int) -> TransformError:
    """Why a frame has no transform at a time."""
    edge = f"from {quoted(frame.parent)} to {quoted(name)}"
    newest = 1e-9 * (nanoseconds - frame.samples[-1].nanoseconds)
    if newest > _SILENT_SECONDS:
        return TransformError(
            "old transform",
            f"the newest transform {edge} on /tf is {newest:.1f} s older than the image: its "
            "publisher has stopped, or its clock differs from the camera's",
        )
    if newest > 0.0:
        return _Late(
            "late transform",
            f"the newest transform {edge} on /tf is {newest:.3f} s older than the image",
        )
    oldest = 1e-9 * (frame.samples[0].nanoseconds - nanoseconds)
    return TransformError(
        "image before transforms",
        f"the oldest transform {edge} on /tf that is kept is {oldest:.3f} s newer than the image",
    )


def _values(transform: Any) -> tuple[float, ...]:
    t, r = transform.translation, transform.rotation
    return (t.x, t.y, t.z, r.x, r.y, r.z, r.w)


def _normalized(values: tuple[float, ...]) -> tuple[float, ...]:
    norm = math.hypot(*values[3:])
    return (*values[:3], *(q / norm for q in values[3:]))


def _refusal(child: str, parent: str, values: tuple[float, ...]) -> str:
    """Why a transform is none, or ""."""
    if not child or not parent or child == parent:
        return "its transform lacks a parent of another name"
    if not all(map(math.isfinite, values)):
        return "its transform contains NaN or infinity"
    norm = math.hypot(*values[3:])
    if abs(norm - 1.0) > _NORM_TOLERANCE:
        return f"its quaternion has the norm {norm:.3g}, not 1"
    return ""


def _transform(values: tuple[float, ...]) -> RigidTransform:
    return RigidTransform.from_quaternion(values[:3], values[3:])
