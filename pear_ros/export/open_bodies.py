# SPDX-License-Identifier: Apache-2.0
"""Whether the mesh of a recorded person is known: only the open body's may be distributed."""

from __future__ import annotations

from pear_ros.body import BodyModel, load_open_body
from pear_ros.body.model_files import EARLIER_OPEN_BODIES
from pear_ros.core.log import get_logger
from pear_ros.export.tracks import Recording, ResultsError, Track

_logger = get_logger(__name__)


def is_open_body(name: str) -> bool:
    """Return whether `name` is that of the open body or of an earlier version of it."""
    return name in EARLIER_OPEN_BODIES or name == load_open_body().name


def require_open_body(recording: Recording, body: BodyModel, file_format: str, others: str) -> None:
    """Raise ResultsError unless all people have the open `body` or an earlier version of it.

    `file_format`: the one with a mesh, `others`: those without, for the error. A warning names
    earlier versions, whose joints are the same.
    """
    if not recording.tracks:
        raise ResultsError(f"{recording.source} has no people to animate")
    for track in recording.tracks:
        obstacle = unknown_mesh(recording, track, body)
        if obstacle:
            raise ResultsError(f"{obstacle}; {file_format} is for {body.name} alone, use {others}")
    warn_of_earlier_bodies(recording, body)


def unknown_mesh(recording: Recording, track: Track, body: BodyModel) -> str | None:
    """Return why `body`, the open one, does not give the mesh of a person; None where it does.

    People recorded with an earlier open body, whose joints are equal, get today's mesh.
    """
    bodies = {**EARLIER_OPEN_BODIES, body.name: body.sha256}
    if track.body_model not in bodies:
        return (
            f"{track.id} has the body {track.body_model}, whose licence forbids distributing "
            "its mesh"
        )
    expected = bodies[track.body_model]
    described = recording.body_hashes.get(track.body_model, expected)
    if described != expected:
        return (
            f"{recording.source} was recorded with another {track.body_model}, of SHA-256 "
            f"{described}, than this version of pear_ros knows"
        )
    return None


def warn_of_earlier_bodies(recording: Recording, body: BodyModel) -> None:
    """Log which people of a recording have an earlier open body, and get the mesh of `body`."""
    named = {track.body_model for track in recording.tracks}
    earlier = sorted(named & (EARLIER_OPEN_BODIES.keys() - {body.name}))
    if earlier:
        _logger.warning(
            "%s: people of %s get the mesh of %s, whose joints are the same",
            *(recording.source, ", ".join(earlier), body.name),
        )
