# SPDX-License-Identifier: Apache-2.0
"""Results as a recording of Rerun (https://rerun.io): meshes, joints, camera and its images.

Entities below the camera's optical frame (x right, y down, z forward), metres:

    image                          Pinhole, and the images where they are given
    people/ID/pelvis               Transform3D: place, rotation and size of the body
    people/ID/pelvis/mesh          Mesh3D in the pelvis' frame; of the open body only
    people/ID/joints               Points3D of the 55 joints, with names and bones

The time line has the name that Rerun gives stamps of ROS 2 messages, so that a bag which is opened
beside shares it. Where a person is absent, Clear removes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rerun as rr
from rerun import blueprint as rrb
from scipy.spatial.transform import Rotation

from pear_ros.body import BodyModel, load_open_body
from pear_ros.body.normals import vertex_normals
from pear_ros.body.submesh import SubMesh
from pear_ros.core.log import get_logger
from pear_ros.core.people import NUM_JOINTS, SMPLX_JOINT_NAMES, Array
from pear_ros.export.open_bodies import unknown_mesh, warn_of_earlier_bodies
from pear_ros.export.pictures import Picture
from pear_ros.export.tracks import Recording, ResultsError, Track
from pear_ros.io.output_files import OutputFile
from pear_ros.rendering.colours import id_colour

_logger = get_logger(__name__)

_EPOCH_NS = (631_152_000 * 10**9, 4_102_444_800 * 10**9)
"""Years 1990 to 2100 in nanoseconds: stamps within are dates to Rerun, others are durations."""
_IMAGES_AT_ONCE = 32
"""Images whose meshes are in memory at once."""
_JOINT_RADIUS = 0.008
"""Radius of the balls at joints, metres."""


def save_rrd(
    recording: Recording,
    folder: Path,
    *,
    mesh_detail: str = "full",
    pictures: Iterable[Picture] = (),
) -> list[Path]:
    """Write all people into people.rrd in `folder`; return the file.

    `mesh_detail`: number of triangles, one of pear_ros.core.parameters.MESH_DETAILS; `pictures`:
    the camera's images. People whose body is not the open one, or an earlier version, have joints
    and no mesh. Raises ResultsError where there are no people, or all `pictures` are of another
    time, OSError where the file cannot be written.
    """
    if not recording.tracks:
        raise ResultsError(f"{recording.source} has no people to show")
    path = folder / "people.rrd"
    try:
        with _File(path, recording) as file:
            file.add_camera(recording, pictures)
            file.add_people(recording, load_open_body(), mesh_detail)
    except RuntimeError as error:  # Rerun's, where its writer failed, as with a full disk.
        raise OSError(f"{path} cannot be written; is the disk full? ({error})") from error
    return [path]


class _File(OutputFile):
    """A recording under construction."""

    def __init__(self, path: Path, recording: Recording) -> None:
        self._root = recording.frame_id.strip("/") or "camera_optical_frame"
        low, high = _EPOCH_NS
        stamps = recording.stamps_ns
        self._dates = bool(((low <= stamps) & (stamps < high)).all())
        self._timeline = "ros2_timestamp" if self._dates else "ros2_duration"
        self._stream = rr.RecordingStream("pear_ros")
        super().__init__(path)

    def add_camera(self, recording: Recording, pictures: Iterable[Picture]) -> None:
        """Add the camera of the first person, and its images.

        Raises ResultsError where there are images, and all are before or after the results.
        """
        width, height, fx, fy, cx, cy = recording.tracks[0].camera[0].tolist()
        lens = rr.Pinhole(
            resolution=[width, height],
            focal_length=[fx, fy],
            # Rerun's pixel centres lie at halves.
            principal_point=[cx + 0.5, cy + 0.5],
            camera_xyz=rr.ViewCoordinates.RDF,
        )
        self._log("", rr.ViewCoordinates.RDF)
        self._log("image", lens)
        first, last = recording.stamps_ns.min(), recording.stamps_ns.max()
        fits: set[bool] = set()
        for picture in pictures:
            fits.add(bool(first <= picture.stamp_ns <= last))
            image = rr.EncodedImage.columns(blob=[picture.data], media_type=[picture.media_type])
            self._send("image", np.array([picture.stamp_ns]), image)
        if fits == {False}:
            raise ResultsError(
                f"all images of --images are before or after {recording.source}: give the bag or "
                "video that the results are of"
            )

    def add_people(self, recording: Recording, body: BodyModel, mesh_detail: str) -> None:
        """Add all people."""
        warn_of_earlier_bodies(recording, body)
        self._log("people", _skeletons(recording, body))
        for number, track in enumerate(recording.tracks):
            stamps = recording.stamps_ns[track.frames]
            self._add_joints(track, stamps, number)
            obstacle = unknown_mesh(recording, track, body)
            if obstacle:
                _logger.warning("%s has joints alone: %s", track.id, obstacle)
            else:
                self._add_mesh(track, stamps, body, mesh_detail)
            ends = _ends(recording, track)
            self._send(
                f"people/{track.id}", ends, rr.Clear.columns(is_recursive=[True] * len(ends))
            )

    def _open(self, draft: Path) -> None:
        self._stream.save(draft, self._layout())

    def _finish(self) -> None:
        self._stream.flush()
        self._stream.disconnect()

    def _abandon(self) -> None:
        self._stream.disconnect()

    def _add_joints(self, track: Track, stamps: npt.NDArray[np.int64], number: int) -> None:
        joints, count = track.arrays["joints"], len(stamps)
        entity = f"people/{track.id}/joints"
        self._log(
            entity,
            rr.Points3D.from_fields(
                radii=_JOINT_RADIUS, class_ids=number, keypoint_ids=range(NUM_JOINTS)
            ),
        )
        points = rr.Points3D.columns(positions=joints.reshape(-1, 3))
        self._send(entity, stamps, points.partition([NUM_JOINTS] * count))

    def _add_mesh(
        self, track: Track, stamps: npt.NDArray[np.int64], body: BodyModel, mesh_detail: str
    ) -> None:
        pelvis = f"people/{track.id}/pelvis"
        place = rr.Transform3D.columns(
            translation=track.arrays["joints"][:, 0],
            quaternion=Rotation.from_rotvec(np.nan_to_num(track.pose[:, 0])).as_quat(),
            scale=np.repeat(track.scale, 3).reshape(-1, 3),
        )
        self._send(pelvis, stamps, place)
        reduced = SubMesh.of(body.faces_of(mesh_detail), body.vertex_count)
        entity = f"{pelvis}/mesh"
        self._log(
            entity,
            rr.Mesh3D.from_fields(triangle_indices=reduced.faces, albedo_factor=_rgb(track.id)),
        )
        for part in _parts(len(stamps)):
            vertices = _vertices(body, track, part)
            # Rerun shades by normals alone; those of the full mesh make a reduced one as smooth.
            normals = np.stack([vertex_normals(one, body.faces) for one in vertices])
            columns = rr.Mesh3D.columns(
                vertex_positions=reduced.take(vertices).reshape(-1, 3),
                vertex_normals=reduced.take(normals).reshape(-1, 3),
            )
            lengths = [reduced.vertex_count] * len(vertices)
            self._send(entity, stamps[part], columns.partition(lengths))

    def _log(self, entity: str, what: Any) -> None:
        self._stream.log(self._below_root(entity), what, static=True, strict=True)

    def _send(self, entity: str, stamps: npt.NDArray[np.int64], columns: Any) -> None:
        times = (
            {"timestamp": stamps.astype("datetime64[ns]")}
            if self._dates
            else {"duration": stamps.astype("timedelta64[ns]")}
        )
        index = rr.TimeColumn(self._timeline, **times)
        self._stream.send_columns(self._below_root(entity), [index], columns, strict=True)

    def _below_root(self, entity: str) -> str:
        return f"{self._root}/{entity}" if entity else self._root

    def _layout(self) -> rrb.Blueprint:
        """The scene beside the image with the meshes over it."""
        return rrb.Blueprint(
            rrb.Horizontal(
                rrb.Spatial3DView(origin=self._root),
                rrb.Spatial2DView(origin=f"{self._root}/image", contents=f"{self._root}/**"),
            ),
            rrb.TimePanel(timeline=self._timeline),
            collapse_panels=True,
        )


def _skeletons(recording: Recording, body: BodyModel) -> rr.AnnotationContext:
    """Return names of joints and the bones between them, in the colour of each person."""
    bones = [(int(parent), joint) for joint, parent in enumerate(body.parents) if parent >= 0]
    return rr.AnnotationContext(
        [
            rr.ClassDescription(
                info=rr.AnnotationInfo(id=number, label=track.id, color=_rgb(track.id)),
                keypoint_annotations=[
                    rr.AnnotationInfo(id=joint, label=name)
                    for joint, name in enumerate(SMPLX_JOINT_NAMES)
                ],
                keypoint_connections=bones,
            )
            for number, track in enumerate(recording.tracks)
        ]
    )


def _vertices(body: BodyModel, track: Track, part: slice) -> Array:
    """Return vertices (T, V, 3) of the body relative to its pelvis, before rotation and size."""
    pose = np.nan_to_num(track.pose[part])
    pose[:, 0] = 0.0
    typical = np.nan_to_num(track.typical_betas)
    betas = np.where(np.isfinite(track.betas[part]), track.betas[part], typical)
    expression = np.nan_to_num(track.expression[part])
    pelvis = body.rest_joints(betas, expression)[:, 0]
    vertices: Array = body.vertices(pose, betas, expression, -pelvis)
    return vertices


def _ends(recording: Recording, track: Track) -> npt.NDArray[np.int64]:
    """Return the stamps of the images from which on a person is absent."""
    there = np.zeros(len(recording.stamps_ns), np.bool_)
    there[track.frames] = True
    ends: npt.NDArray[np.int64] = recording.stamps_ns[1:][there[:-1] & ~there[1:]]
    return ends


def _parts(count: int) -> Iterator[slice]:
    """Yield slices of up to _IMAGES_AT_ONCE of `count` rows."""
    bounds = [*range(0, count, _IMAGES_AT_ONCE), count]
    return (slice(first, end) for first, end in pairwise(bounds))


def _rgb(track_id: str) -> tuple[int, int, int]:
    red, green, blue = (round(255 * channel) for channel in id_colour(track_id))
    return red, green, blue
