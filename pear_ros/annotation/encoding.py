# SPDX-License-Identifier: Apache-2.0
"""A sample as the files of a shard, and back: KEY.jpg, KEY.mask.png, KEY.npz, KEY.json."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import cv2
import numpy as np

from pear_ros.annotation.sample import FORMAT, PARTS, AnnotatedPerson, Provenance
from pear_ros.body.array_files import check_npz
from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.distortion import Distortion
from pear_ros.core.people import NUM_JOINTS, FlameParams, SmplxParams
from pear_ros.pear.crop import INPUT_SIZE

CROP, MASK, ARRAYS, META = "jpg", "mask.png", "npz", "json"
"""Suffixes of a sample's files, after its key and a dot."""

_QUALITY = 92
"""Quality of JPEG, percent."""
_SMPLX = tuple(part.name for part in fields(SmplxParams))
_FLAME = tuple(part.name for part in fields(FlameParams))
_ARRAYS = ("square", "box", "joints", "joint_confidence", "keypoints", "points")
_SHAPES: Mapping[str, tuple[int | None, ...]] = {
    "square": (3,),
    "box": (4,),
    "joints": (NUM_JOINTS, 3),
    "joint_confidence": (NUM_JOINTS,),
    "keypoints": (NUM_JOINTS, 2),
    "points": (133, 3),
    "camera": (6,),
    "scale": (),
    "pose": (NUM_JOINTS, 3),
    "betas": (None,),
    "expression": (None,),
    "transl": (3,),
}
_FINITE = ("square", "camera", "scale", *_SMPLX)


class SampleError(ValueError):
    """A sample that cannot be used; the text says why."""


def members_of(person: AnnotatedPerson) -> dict[str, bytes]:
    """Return the content of a sample's files by suffix."""
    camera = person.camera
    arrays: dict[str, Any] = {
        "camera": np.array(
            [camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy]
        ),
        "scale": np.float32(person.scale),
        **{name: getattr(person, name) for name in _ARRAYS},
        **{name: getattr(person.smplx, name) for name in _SMPLX},
    }
    if person.flame is not None:
        arrays.update({f"flame_{name}": getattr(person.flame, name) for name in _FLAME})
    content = io.BytesIO()
    np.savez(content, **{name: arrays[name] for name in sorted(arrays)})
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    members = {
        CROP: cv2.imencode(".jpg", person.crop, quality)[1].tobytes(),
        ARRAYS: content.getvalue(),
        META: json.dumps(_meta(person), indent=1, sort_keys=True).encode(),
    }
    if person.mask is not None:
        members[MASK] = cv2.imencode(".png", person.mask)[1].tobytes()
    return members


def person_of(key: str, members: Mapping[str, bytes]) -> AnnotatedPerson:
    """Return the sample of the content of its files, by suffix. Raises SampleError."""
    missing = [suffix for suffix in (CROP, ARRAYS, META) if suffix not in members]
    if missing:
        raise SampleError(f"{key} has no {' and no '.join(missing)}")
    try:
        return _person(key, members)
    except SampleError:
        raise
    except Exception as error:  # What damaged files raise depends on the damage.
        raise SampleError(f"{key} is damaged: {type(error).__name__}: {error}") from error


def _meta(person: AnnotatedPerson) -> dict[str, Any]:
    lens = person.camera.distortion
    return {
        "format": FORMAT,
        "body_model": person.body_model,
        "body_sha256": person.body_sha256,
        "intrinsics_source": int(person.camera.source),
        "distortion": None if lens is None else [lens.model, *lens.coefficients],
        "confidence": _plain(person.confidence),
        "measures": _plain(person.measures),
        "provenance": asdict(person.provenance),
    }


def _plain(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return numbers for JSON, None in place of NaN, which JSON does not have."""
    return {name: None if math.isnan(v) else round(v, 6) for name, v in values.items()}


def _numbers(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if v is None else float(v) for name, v in values.items()}


def _person(key: str, members: Mapping[str, bytes]) -> AnnotatedPerson:
    meta = json.loads(members[META])
    if meta.get("format") != FORMAT:
        raise SampleError(f"{key} has format {meta.get('format')!r}, not {FORMAT!r}")
    arrays = _arrays(key, members[ARRAYS])
    flame = None
    if "flame_shape" in arrays:
        flame = FlameParams(**{name: arrays[f"flame_{name}"] for name in _FLAME})
    confidence = _numbers(meta["confidence"])
    if set(confidence) != set(PARTS):
        raise SampleError(f"{key} has confidences of other parts than {', '.join(PARTS)}")
    return AnnotatedPerson(
        key=key,
        crop=_picture(key, members[CROP], cv2.IMREAD_COLOR),
        camera=_camera(arrays["camera"].tolist(), meta),
        smplx=SmplxParams(**{name: arrays[name] for name in _SMPLX}),
        scale=float(arrays["scale"]),
        body_model=meta["body_model"],
        body_sha256=meta["body_sha256"],
        flame=flame,
        mask=_picture(key, members[MASK], cv2.IMREAD_GRAYSCALE) if MASK in members else None,
        confidence=confidence,
        measures=_numbers(meta["measures"]),
        provenance=Provenance(**meta["provenance"]),
        **{name: arrays[name] for name in _ARRAYS},
    )


def _arrays(key: str, content: bytes) -> dict[str, Any]:
    check_npz(io.BytesIO(content))
    with np.load(io.BytesIO(content), allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    for name, shape in _SHAPES.items():
        found = arrays[name].shape
        fits = len(found) == len(shape)
        if not fits or any(b not in (None, a) for a, b in zip(found, shape, strict=True)):
            raise SampleError(f"{key}: {name} has shape {found}, not {shape}")
    for name in _FINITE:
        if not np.isfinite(arrays[name]).all():
            raise SampleError(f"{key}: {name} is not finite")
    return arrays


def _camera(values: list[float], meta: Mapping[str, Any]) -> Camera:
    lens = meta["distortion"]
    width, height, fx, fy, cx, cy = values
    source = IntrinsicsSource(meta["intrinsics_source"])
    distortion = None if lens is None else Distortion(lens[0], tuple(lens[1:]))
    return Camera(round(width), round(height), fx, fy, cx, cy, source, distortion)


def _picture(key: str, content: bytes, flags: int) -> Any:
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if picture is None or picture.shape[:2] != (INPUT_SIZE, INPUT_SIZE):
        raise SampleError(f"{key}: a picture cannot be decoded, or has another size")
    return picture
