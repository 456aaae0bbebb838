# SPDX-License-Identifier: Apache-2.0
"""From an image to annotated people: modules, checks, fit, checks again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from pear_ros import __version__
from pear_ros.annotation.candidates import MIN_SIZE, Candidate, Track, Tracks, box_of, unusable
from pear_ros.annotation.checks import (
    CHECKS,
    Verdict,
    compare_before,
    compare_fit,
    compare_mask,
    compare_points,
    joint_confidence,
)
from pear_ros.annotation.fit import Evidence, EvidenceFitter, Fitted
from pear_ros.annotation.frames import Frame
from pear_ros.annotation.known_people import KnownPerson
from pear_ros.annotation.modules import Modules, View
from pear_ros.annotation.part_confidence import part_confidence
from pear_ros.annotation.sample import PARTS, AnnotatedPerson, Provenance
from pear_ros.annotation.silhouette import Bools, inside_image, silhouette
from pear_ros.annotation.wholebody import FACE, HANDS, without
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array
from pear_ros.landmarks.neighbours import without_neighbours
from pear_ros.landmarks.types import PoseLandmarks
from pear_ros.pear.crop import crop_pixels, squares

REASONS: Mapping[str, str] = {
    "small": f"the person is smaller than {MIN_SIZE:g} pixels",
    "outside": "the person's box is outside the image",
    "unread": "the body's landmarks do not fill the person's box",
    "unmeasured": "the given person was not seen in this image, but predicted",
    "not_finite": "parameters or the camera are not finite numbers",
    **{name: check.reason for name, check in CHECKS.items() if check.part == "body"},
}
"""Why a person is rejected, by short name."""
PARTS_REJECTED: Mapping[str, str] = {
    name: check.reason for name, check in CHECKS.items() if check.part != "body"
}
"""Why a part of a person is rejected, by the name of the check."""


@dataclass(frozen=True)
class Rejected:
    """A person who does not become a sample."""

    reasons: tuple[str, ...]
    """Names in REASONS."""
    measures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Annotated:
    """A person who becomes a sample."""

    person: AnnotatedPerson
    verdict: Verdict


class Annotator:
    """Annotates the people in images of one source after the other."""

    def __init__(self, modules: Modules) -> None:
        """Take the modules and load the fit."""
        self._modules = modules
        self._fit = EvidenceFitter()
        self._tracks = Tracks()

    def reset(self) -> None:
        """Forget earlier images, before one of another scene."""
        self._tracks.reset()

    def __call__(
        self, frame: Frame, known: Sequence[KnownPerson] | None, name: str
    ) -> list[Annotated | Rejected]:
        """Return the people in an image, those who are rejected among them.

        `known`: people annotated by the user; None: people are to be detected. `name`: beginning of
        the samples' keys.
        """
        candidates = self._candidates(frame, known)
        before = self._tracks.matched(candidates)
        outcomes: list[Annotated | Rejected] = []
        tracks = []
        for number, (candidate, track) in enumerate(zip(candidates, before, strict=True)):
            others = [one.pose for one in before if one.pose and one is not track]
            key = f"{name}-{frame.number:06d}-{number:02d}"
            outcome, track = self._annotate(frame, candidate, track, others, key)
            outcomes.append(outcome)
            tracks.append(track)
        self._tracks.replace(tracks)
        return outcomes

    def _candidates(self, frame: Frame, known: Sequence[KnownPerson] | None) -> list[Candidate]:
        if known is None:
            return [Candidate(one.box, None) for one in self._modules.detector(frame.image)]
        return [Candidate(box_of(one, frame), one) for one in known]

    def _annotate(
        self,
        frame: Frame,
        candidate: Candidate,
        track: Track,
        others: Sequence[PoseLandmarks],
        key: str,
    ) -> tuple[Annotated | Rejected, Track]:
        """Return the outcome for one person, and the person's track."""
        box, known = candidate.box, candidate.known
        now = Track(track.name, box, frame.stamp_ns)
        camera = known.camera if known and known.camera else frame.camera
        square = squares(box[None], camera.width, camera.height)[0]
        if reason := unusable(candidate, square):
            return Rejected((reason,)), now
        image = without_neighbours(frame.image, box, track.pose, others)
        view = View(image, camera, box)
        pose = self._modules.body(view)
        if pose is None:
            return Rejected(("unread",)), now
        evidence, verdict = self._evidence(view, pose, known)
        elapsed = 1e-9 * (frame.stamp_ns - track.stamp_ns)
        fitted = known.fitted if known else None
        if fitted is None:
            state = track.state if elapsed > 0.0 else None
            fitted = self._fit(evidence, camera, image, state, elapsed)
        if fitted is None:
            return Rejected(("unread",)), now
        if not _finite(fitted, camera):
            return Rejected(("not_finite",)), now
        mask = _masked(self._modules.mask(view, pose, square), camera, square)
        size = float((box[2:] - box[:2]).max())
        verdict.measures.update(compare_fit(fitted, evidence, camera, size))
        verdict.measures.update(compare_mask(mask, _silhouette(fitted, camera, square)))
        verdict.measures.update(compare_before(fitted.joints, track.joints, elapsed))
        now = replace(now, pose=pose, joints=fitted.joints, state=fitted.state)
        if rejected := verdict.rejected("body"):
            return Rejected(tuple(rejected), verdict.measures), now
        person = self._sample(frame, candidate, key, track.name, square, fitted, evidence, mask)
        return Annotated(_judged(person, evidence, verdict), verdict), now

    def _evidence(
        self, view: View, pose: PoseLandmarks, known: KnownPerson | None
    ) -> tuple[Evidence, Verdict]:
        """Return what the modules found, without parts that disagree with others."""
        modules, verdict = self._modules, Verdict()
        left, right = modules.left_hand(view, pose), modules.right_hand(view, pose)
        face = modules.face(view, pose)
        if known and known.points is not None:
            points = known.points
        else:
            points = modules.points(view, pose, left, right, face)
        verdict.measures.update(compare_points(points))
        dropped = {part for part in (*HANDS, "face") if verdict.rejected(part)}
        for part in dropped:
            points = without(points, {**HANDS, "face": FACE}[part])
        return (
            Evidence(
                pose,
                None if "left_hand" in dropped else left,
                None if "right_hand" in dropped else right,
                None if "face" in dropped else face,
                points,
            ),
            verdict,
        )

    def _sample(
        self,
        frame: Frame,
        candidate: Candidate,
        key: str,
        track: str,
        square: npt.NDArray[np.float64],
        fitted: Fitted,
        evidence: Evidence,
        mask: Array | None,
    ) -> AnnotatedPerson:
        known = candidate.known
        camera = known.camera if known and known.camera else frame.camera
        body_sha256 = fitted.body.sha256 if fitted.body else ""
        return AnnotatedPerson(
            key=key,
            crop=crop_pixels(frame.image, square[None])[0],
            square=square,
            box=candidate.box.astype(np.float32),
            camera=camera,
            smplx=fitted.smplx,
            scale=fitted.scale,
            body_model=fitted.body_model,
            body_sha256=known.body_sha256 if known and known.fitted else body_sha256,
            flame=fitted.flame,
            joints=fitted.joints,
            joint_confidence=fitted.joint_confidence,
            keypoints=camera.project(fitted.joints),
            points=evidence.points,
            mask=None if mask is None else np.round(255.0 * mask).astype(np.uint8),
            confidence={},
            measures={},
            provenance=Provenance(
                source=frame.file.name,
                frame=frame.number,
                stamp_ns=frame.stamp_ns,
                track=track,
                modules=self._names(known),
                package=__version__,
            ),
        )

    def _names(self, known: KnownPerson | None) -> dict[str, str]:
        """Return the names of what found each part of a person."""
        names = {**self._modules.names, "fit": self._fit.name}
        if known is None:
            return names
        names["detector"] = known.source
        if known.points is not None:
            names["points"] = known.source
        if known.fitted is not None:
            given = ("fit", "body", "left_hand", "right_hand", "face")
            names.update(dict.fromkeys(given, known.source))
        return names


def _finite(fitted: Fitted, camera: Camera) -> bool:
    smplx = fitted.smplx
    numbers = (smplx.pose, smplx.betas, smplx.expression, smplx.transl)
    intrinsics = [camera.fx, camera.fy, camera.cx, camera.cy, fitted.scale]
    return all(np.isfinite(array).all() for array in (*numbers, intrinsics))


def _masked(mask: Array | None, camera: Camera, square: npt.NDArray[np.float64]) -> Array | None:
    """Return a mask that is 0 outside the image."""
    return None if mask is None else mask * inside_image(camera, square)


def _silhouette(fitted: Fitted, camera: Camera, square: npt.NDArray[np.float64]) -> Bools | None:
    vertices = fitted.vertices()
    if vertices is None or fitted.body is None:
        return None
    return silhouette(vertices, fitted.body, camera, square)


def _judged(person: AnnotatedPerson, evidence: Evidence, verdict: Verdict) -> AnnotatedPerson:
    """Return a sample with the confidence that modules and checks give its parts."""
    confidence = part_confidence(person, evidence)
    rejected = [part for part in PARTS if verdict.rejected(part)]
    return replace(
        person,
        joint_confidence=joint_confidence(person.joint_confidence, rejected),
        confidence={part: confidence[part] * verdict.weight(part) for part in PARTS},
        measures={name: verdict.measures[name] for name in CHECKS if name in verdict.measures},
    )
