# SPDX-License-Identifier: Apache-2.0
"""Evaluation on clips of calibrated cameras, every frame in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from pear_ros.evaluation import pose_metrics
from pear_ros.evaluation.calibrations import CalibratedCamera
from pear_ros.evaluation.clips import Clip
from pear_ros.evaluation.figures import Figure, Figures, mean, median, percentage
from pear_ros.evaluation.keypoint_metrics import keypoint_figures
from pear_ros.evaluation.keypoint_names import BODY_12, COCO_KEYPOINTS
from pear_ros.evaluation.labels import Doubles, LabelError, LabelledPerson
from pear_ros.evaluation.matching import FoundPerson, MatchedPicture, match
from pear_ros.evaluation.methods import Method
from pear_ros.io.video import FrameSource

Found = Mapping[int, Sequence[FoundPerson]]
"""People found in one view, by the number of the frame."""

_BODY = [COCO_KEYPOINTS.index(name) for name in BODY_12]
_HIPS = [COCO_KEYPOINTS.index(name) for name in ("left_hip", "right_hip")]
_TORSO = [COCO_KEYPOINTS.index(f"{s}_{j}") for j in ("shoulder", "hip") for s in ("left", "right")]
_LIMBS = {
    "arms": ("shoulder", "elbow", "wrist"),
    "legs": ("hip", "knee", "ankle"),
}
_MIN_JOINTS = 6
"""Joints of a person in the image from which on the person has to be found."""
_MIN_ALIGNED = 8
"""Known ones of the 12 joints from which on an alignment says something."""
_MARGIN = 0.08
"""From the joints to the edge of a person, over the longer side of the joints' box."""


def find_in_view(
    method: Method, camera: CalibratedCamera, video: Path, last: int | None = None
) -> dict[int, Sequence[FoundPerson]]:
    """Return what `method` finds in each frame of a video, up to frame `last`.

    Raises LabelError where the video's size is not the camera's; VideoError where it cannot be
    read.
    """
    source = FrameSource(str(video))
    total = source.frame_count if last is None else last + 1
    method.reset()
    found: dict[int, Sequence[FoundPerson]] = {}
    progress = tqdm(source, total=total, unit="frame", desc=f"{method.name}, {camera.name}")
    for number, (stamp, image) in enumerate(progress):
        if last is not None and number > last:
            break
        size = (image.shape[1], image.shape[0])
        expected = (camera.camera.width, camera.camera.height)
        if size != expected:
            raise LabelError(
                f"{video} has {size[0]} x {size[1]} pixels, its calibration is for "
                f"{expected[0]} x {expected[1]}; give the video at the size of the calibration"
            )
        found[number] = method(image, camera.camera, stamp)
    return found


def clip_figures(clip: Clip, found: Sequence[Found]) -> Figures:
    """Return the figures of what a method found in the views of a clip, 2D and 3D."""
    pictures: list[MatchedPicture] = []
    tracks: list[_Track] = []
    for camera, one in zip(clip.cameras, found, strict=True):
        matched = [_match(clip, camera, one, n) for n in range(len(clip.frames))]
        pictures += [picture for picture, _ in matched]
        people = clip.joints.shape[1]
        tracks += [_track(clip, camera, matched, person) for person in range(people)]
    keypoints = {
        name: figures
        for name, figures in keypoint_figures(pictures).items()
        if name != "All people"
    }
    return {
        "People found, % (recall)": [
            percentage("all in the views", [hit for p in pictures for hit in p.match >= 0]),
            percentage("of these, body read", [one.observed for one in _hits(pictures)]),
        ],
        "Joints in space": _space(tracks),
        **_by_view(clip, tracks),
        "Motion": _motion(clip, tracks),
        **keypoints,
    }


def _hits(pictures: Sequence[MatchedPicture]) -> list[FoundPerson]:
    """Return the found who are labelled people."""
    return [one.found[n] for one in pictures for n in one.match if n >= 0]


def compare_on_clip(clip: Clip, methods: Sequence[Callable[[], Method]]) -> dict[str, Figures]:
    """Return the figures of each method on a clip, by its name.

    `methods`: functions that make the methods, one after the other as each holds its models.
    Raises LabelError.
    """
    figures: dict[str, Figures] = {}
    last = int(clip.frames.max()) if len(clip.frames) else 0
    for make in methods:
        method = make()
        try:
            found = [
                find_in_view(method, camera, video, last)
                for camera, video in zip(clip.cameras, clip.videos, strict=True)
            ]
        finally:
            method.close()
        figures[method.name] = clip_figures(clip, found)
    return figures


@dataclass(frozen=True)
class _Track:
    """One person in one view over time: what is labelled and what was found."""

    view: str
    truth: Doubles
    """(F, 17, 3) in the optical frame; NaN: unknown, or not in the view."""
    axes: Doubles
    """(F, 3, 3) orientation of the body, or of its torso, in the optical frame."""
    vertices: Sequence[Doubles | None]
    found: Sequence[FoundPerson | None]
    has_axes: bool
    """Whether the axes are the body's, not the torso's."""

    def joints(self) -> Doubles:
        """(F, 17, 3) of the found; NaN: missed."""
        missing = np.full((len(COCO_KEYPOINTS), 3), np.nan)
        return np.array([missing if one is None else one.joints for one in self.found])

    def found_axes(self) -> Doubles:
        """(F, 3, 3) axes of the found that belong to `axes`."""
        axes = pose_metrics.torso_orientation(self.joints()[:, _TORSO])
        if self.has_axes:
            for n, one in enumerate(self.found):
                if one is not None and one.orientation is not None:
                    axes[n] = one.orientation
        return axes


def _match(
    clip: Clip, camera: CalibratedCamera, found: Found, n: int
) -> tuple[MatchedPicture, dict[int, int]]:
    """Return the matched frame, and for people in the view their index among its labels."""
    people: list[LabelledPerson] = []
    index: dict[int, int] = {}
    for person, joints in enumerate(clip.joints[n]):
        labelled = _in_view(camera, joints)
        if labelled is not None:
            index[person] = len(people)
            people.append(labelled)
    return match(n, people, found.get(int(clip.frames[n]), ())), index


def _in_view(camera: CalibratedCamera, joints: Doubles) -> LabelledPerson | None:
    """Return the person as labelled in the image; None: hardly any of the person is in it."""
    pixels = camera.camera.project(camera.from_world(joints)).astype(np.float64)
    size = (camera.camera.width, camera.camera.height)
    inside = np.asarray(((pixels >= 0.0) & (pixels < size)).all(axis=1))
    if inside.sum() < _MIN_JOINTS:
        return None
    low, high = pixels[inside].min(axis=0), pixels[inside].max(axis=0)
    margin = _MARGIN * float((high - low).max())
    box = np.concatenate([low - margin, high + margin])
    keypoints = np.column_stack([np.where(inside[:, None], pixels, 0.0), 2.0 * inside])
    return LabelledPerson(box, keypoints, area=float(np.prod(box[2:] - box[:2])))


def _track(
    clip: Clip,
    camera: CalibratedCamera,
    matched: Sequence[tuple[MatchedPicture, dict[int, int]]],
    person: int,
) -> _Track:
    truth = np.array(camera.from_world(clip.joints[:, person]))
    found: list[FoundPerson | None] = []
    for n, (picture, index) in enumerate(matched):
        row = index.get(person)
        if row is None:
            truth[n] = np.nan
        hit = -1 if row is None else int(picture.match[row])
        # A body that could not be read is at rest: nothing is estimated.
        read = hit >= 0 and picture.found[hit].observed
        found.append(picture.found[hit] if read else None)
    axes = pose_metrics.torso_orientation(truth[:, _TORSO])
    if clip.orientation is not None:
        axes = camera.rotation @ clip.orientation[:, person]
    vertices: list[Doubles | None] = [None] * len(found)
    if clip.vertices is not None:
        vertices = list(camera.from_world(clip.vertices[:, person]))
    return _Track(camera.name, truth, axes, vertices, found, clip.orientation is not None)


def _space(tracks: Sequence[_Track]) -> list[Figure]:
    joints = [_errors(track) for track in tracks]
    angles = np.concatenate([_angles(track) for track in tracks])
    facing = np.concatenate([_facing(track) for track in tracks])
    known = np.isfinite(angles)
    figures = [
        mean("PA-MPJPE, mm", np.concatenate([one["pa"] for one in joints])),
        mean("root-relative MPJPE, mm", np.concatenate([one["relative"] for one in joints])),
        mean("MPJPE in the camera's frame, mm", np.concatenate([one["place"] for one in joints])),
        median("distance, median error, %", np.concatenate([one["distance"] for one in joints])),
        median("root orientation, median error, degrees", angles),
        percentage(
            f"root within {pose_metrics.RIGHT_WITHIN:.0f} degrees, %",
            angles[known] <= pose_metrics.RIGHT_WITHIN,
        ),
        percentage(
            f"facing off by more than {pose_metrics.REVERSED_FROM:.0f} degrees, % of frames",
            facing[np.isfinite(facing)] > pose_metrics.REVERSED_FROM,
        ),
    ]
    surface = np.concatenate([one["surface"] for one in joints])
    if np.isfinite(surface).any():
        figures.append(mean("PVE (root-relative), mm", surface))
    return figures


def _by_view(clip: Clip, tracks: Sequence[_Track]) -> dict[str, list[Figure]]:
    error: list[Figure] = []
    reversed_frames: list[Figure] = []
    for view in [camera.name for camera in clip.cameras]:
        own = [track for track in tracks if track.view == view]
        error.append(mean(view, np.concatenate([_errors(track)["pa"] for track in own])))
        facing = np.concatenate([_facing(track) for track in own])
        facing = facing[np.isfinite(facing)]
        reversed_frames.append(percentage(view, facing > pose_metrics.REVERSED_FROM))
    return {"PA-MPJPE by view, mm": error, "Facing reversed by view, % of frames": reversed_frames}


def _errors(track: _Track) -> dict[str, Doubles]:
    """Return the errors (F,) of each frame; NaN where missed or unknown."""
    names = ("pa", "relative", "place", "distance", "surface")
    result: dict[str, Doubles] = {n: np.full(len(track.found), np.nan) for n in names}
    for n, (one, truth) in enumerate(zip(track.found, track.truth, strict=True)):
        if one is None:
            continue
        root, true_root = one.joints[_HIPS].mean(axis=0), truth[_HIPS].mean(axis=0)
        found, labelled = one.joints[_BODY], truth[_BODY]
        if np.isfinite(labelled).all(axis=1).sum() >= _MIN_ALIGNED:
            result["pa"][n] = pose_metrics.pa_mpjpe(found, labelled)
        if not np.isfinite(true_root).all():
            continue
        result["relative"][n] = pose_metrics.root_relative_error(found, labelled, root, true_root)
        if one.placed:
            result["place"][n] = pose_metrics.mpjpe(found, labelled)
            away, true_away = float(np.linalg.norm(root)), float(np.linalg.norm(true_root))
            result["distance"][n] = 100.0 * abs(away - true_away) / true_away
        mesh = track.vertices[n]
        if mesh is not None and one.vertices is not None and mesh.shape == one.vertices.shape:
            result["surface"][n] = pose_metrics.root_relative_error(
                one.vertices, mesh, root, true_root
            )
    return result


def _angles(track: _Track) -> Doubles:
    return pose_metrics.rotation_error(track.found_axes(), track.axes)


def _facing(track: _Track) -> Doubles:
    return pose_metrics.facing_error(track.found_axes(), track.axes)


def _motion(clip: Clip, tracks: Sequence[_Track]) -> list[Figure]:
    changes: dict[str, list[float]] = {"facing reversals per second": []}
    changes |= {f"left and right of {limb} swapped, per second": [] for limb in _LIMBS}
    seconds: list[float] = []
    acceleration: list[Doubles] = []
    for track in tracks:
        found = track.joints()
        torso = found[:, _TORSO] + track.truth[:, _TORSO]
        known = np.asarray(np.isfinite(torso).all(axis=(1, 2)))
        time = float(known.sum()) / clip.frame_rate
        if not known.any():
            continue
        seconds.append(time)
        wrong = _facing(track) > pose_metrics.REVERSED_FROM
        changes["facing reversals per second"].append(
            pose_metrics.changes_per_second(wrong, known, time)
        )
        relative = found - found[:, _HIPS].mean(axis=1, keepdims=True)
        truth = track.truth - track.truth[:, _HIPS].mean(axis=1, keepdims=True)
        for limb, joints in _LIMBS.items():
            rows = [[COCO_KEYPOINTS.index(f"{s}_{j}") for j in joints] for s in ("left", "right")]
            there = known & np.isfinite(truth[:, rows]).all(axis=(1, 2, 3))
            interchanged = pose_metrics.swapped(relative[:, rows], truth[:, rows])
            changes[f"left and right of {limb} swapped, per second"].append(
                pose_metrics.changes_per_second(interchanged, there, time)
            )
        for part in _unbroken(clip, track, known):
            acceleration.append(
                pose_metrics.acceleration_error(
                    relative[part][:, _BODY], truth[part][:, _BODY], 1.0 / clip.frame_rate
                )
            )
    figures = [
        Figure(
            name, float(np.average(values, weights=seconds)) if values else np.nan, len(values), 2
        )
        for name, values in changes.items()
    ]
    errors = np.concatenate(acceleration) if acceleration else np.empty(0)
    return [*figures, mean("acceleration error, m/s^2", errors)]


def _unbroken(clip: Clip, track: _Track, known: npt.NDArray[np.bool_]) -> Iterator[slice]:
    """Yield the stretches of successive frames in which the person is found under one name."""
    names = [
        one.name if one is not None and k else None
        for one, k in zip(track.found, known, strict=True)
    ]
    breaks = [0]
    for n, (a, b) in enumerate(pairwise(names), 1):
        if a != b or clip.frames[n] != clip.frames[n - 1] + 1:
            breaks.append(n)
    for start, stop in pairwise([*breaks, len(names)]):
        if names[start] is not None and stop - start >= 3:
            yield slice(start, stop)
