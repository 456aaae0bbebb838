# SPDX-License-Identifier: Apache-2.0
"""Every option of a stream, declared once: of `pear run --stream` and of retarget_stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pear_ros.core.declaration import Declaration, declarations_of, declared, defaults_of


@dataclass(frozen=True)
class StreamOptions:
    """Values of all options of a stream."""

    person: str = declared(
        "nearest",
        "Who is followed until lost: 'nearest', 'raised_hand' for the person who held a hand above "
        "the shoulder for half a second, or the id of a person, such as h1.",
        pattern="[A-Za-z][A-Za-z0-9_]*",
    )
    rate: float = declared(
        50.0, "Frames sent per second; SONIC needs 50.", low=1.0, high=240.0, unit="hertz"
    )
    delay: float = declared(
        0.1,
        "Look-ahead in seconds: frames are this much older than the images that arrive fastest, so "
        "that motion is interpolated, not held. Less than the time between two images jerks.",
        low=0.0,
        high=2.0,
        unit="seconds",
    )
    hold_seconds: float = declared(
        0.5,
        "Seconds for which the last pose is held when the person is not seen; then the stream "
        "returns to the pose at rest.",
        low=0.0,
        high=60.0,
        unit="seconds",
    )
    blend_seconds: float = declared(
        1.0,
        "Seconds in which the stream passes to the pose at rest, and to a person who is found.",
        low=0.0,
        high=60.0,
        unit="seconds",
    )
    max_joint_rate: float = declared(
        10.0,
        "Greatest angular speed of every joint, radians a second.",
        low=0.1,
        high=100.0,
        unit="radians",
    )
    max_root_speed: float = declared(
        2.0,
        "Greatest speed of the pelvis, metres a second.",
        low=0.01,
        high=100.0,
        unit="metres",
    )
    max_turn_rate: float = declared(
        5.0,
        "Greatest angular speed of the pelvis, yaw included, radians a second.",
        low=0.1,
        high=100.0,
        unit="radians",
    )


STREAM_DECLARATIONS: dict[str, Declaration] = declarations_of(StreamOptions)
"""The declaration of each option, by name."""
STREAM_DEFAULTS: dict[str, Any] = defaults_of(StreamOptions)
"""The default of each option, by name; its type is the option's."""
