# SPDX-License-Identifier: Apache-2.0
"""Which person a stream follows."""

from __future__ import annotations

from pear_ros.core.people import TrackingState
from pear_ros.streaming.body_pose import ObservedPerson
from pear_ros.streaming.selection import PersonSelector
from testing.open_people import t_pose
from testing.streamed_people import observed

HAND_UP = t_pose(left_shoulder=(0.0, 0.0, 1.0), left_elbow=(0.0, 0.0, 0.6))


def down(track_id: str) -> ObservedPerson:
    return observed(track_id=track_id)


def up(track_id: str) -> ObservedPerson:
    return observed(HAND_UP, track_id=track_id)


def followed(selector: PersonSelector, stamp: float, *persons: ObservedPerson) -> str | None:
    found = selector(persons, stamp)
    return found and found.id


def test_nearest_is_kept_until_lost() -> None:
    select = PersonSelector("nearest")
    far, near = observed(transl=(0.0, 0.0, 5.0)), observed(transl=(0.0, 0.0, 3.0), track_id="h2")
    assert followed(select, 0.0, far, near) == "h2"
    nearer = observed(transl=(0.0, 0.0, 2.0))
    assert followed(select, 0.1, nearer, near) == "h2"
    lost = near._replace(state=TrackingState.LOST)
    assert followed(select, 0.2, nearer, lost) == "h1"
    assert followed(select, 0.3) is None
    assert followed(select, 0.4, near) == "h2"


def test_nearest_is_somebody_who_was_measured() -> None:
    select = PersonSelector("nearest")
    box_only = observed(transl=(0.0, 0.0, 1.0), state=TrackingState.DETECTED)
    assert followed(select, 0.0, box_only) is None
    assert followed(select, 0.1, box_only, observed(track_id="h2")) == "h2"


def test_an_id_is_followed_whenever_it_is_there() -> None:
    select = PersonSelector("h2")
    assert followed(select, 0.0, down("h1")) is None
    assert followed(select, 0.1, down("h1"), down("h2")) == "h2"
    assert followed(select, 0.2, down("h1")) is None
    assert followed(select, 0.3, down("h2")) == "h2"


def test_a_hand_has_to_be_raised_for_half_a_second() -> None:
    select = PersonSelector("raised_hand")
    assert followed(select, 0.0, up("h1"), down("h2")) is None
    assert followed(select, 0.3, up("h1"), down("h2")) is None
    assert followed(select, 0.6, up("h1"), down("h2")) == "h1"
    assert followed(select, 0.7, down("h1"), down("h2")) == "h1"


def test_another_raised_hand_takes_over_once_the_first_is_down() -> None:
    select = PersonSelector("raised_hand")
    for tenth in range(6):
        found = followed(select, tenth / 10, up("h1"), down("h2"))
    assert found == "h1"
    for tenth in range(6, 15):
        found = followed(select, tenth / 10, up("h1"), up("h2"))
    assert found == "h1"
    assert followed(select, 1.6, down("h1"), up("h2")) == "h2"


def test_a_jump_of_the_stamps_counts_as_no_time() -> None:
    select = PersonSelector("raised_hand")
    assert followed(select, 100.0, up("h1")) is None
    assert followed(select, 5.0, up("h1")) is None
    assert followed(select, 5.6, up("h1")) == "h1"
