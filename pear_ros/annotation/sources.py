# SPDX-License-Identifier: Apache-2.0
"""Sources of images at paths: pictures, folders, videos, bags, and pictures with COCO's labels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from pear_ros.annotation.bodies import Bodies
from pear_ros.annotation.frames import Pictures, Recorded, Source, Video
from pear_ros.annotation.known_people import Labels, PictureLabels, TrackLabels, read_recording
from pear_ros.bags.bag import METADATA, find_bags, name_of
from pear_ros.bags.storage import is_storage_file
from pear_ros.evaluation.labels import LabelError
from pear_ros.evaluation.readers import read_coco
from pear_ros.io.pictures import PICTURE_SUFFIXES
from pear_ros.io.video import VIDEO_SUFFIXES


class SourceError(ValueError):
    """Nothing to annotate; the text says where, and what to give."""


@dataclass(frozen=True)
class LabelledSource:
    """A source, and what a user knows of its people."""

    source: Source
    labels: Labels | None = None
    """None: people are to be detected."""


@dataclass(frozen=True)
class Inputs:
    """What is to be annotated, as named by the user."""

    paths: Sequence[Path]
    """Pictures, videos, bags, folders of them, files in COCO's format."""
    labels: Sequence[Path] = ()
    """Annotations of the people in one video, bag or folder of pictures."""
    images: Path | None = None
    """Folder of the pictures that a file in COCO's format names; None: beside it."""
    topic: str = ""
    """Topic of images in bags; empty: the only one."""
    smplx: Path | None = None
    """File of SMPL-X, for annotations with its parameters."""


def find_sources(inputs: Inputs, per_shard: int) -> list[LabelledSource]:
    """Return the sources in the order of the paths, each with a name of its own.

    Pictures become one source for each shard of `per_shard`. Raises SourceError, LabelError,
    OSError and pear_ros.bags.topic.BagError.
    """
    found: list[LabelledSource] = []
    for path in inputs.paths:
        if path.suffix == ".json":
            found += _coco(path, inputs.images, per_shard)
        else:
            found += [LabelledSource(one) for one in _sources(path, inputs.topic, per_shard)]
    if not found:
        raise SourceError(f"there is no picture, video or bag in {inputs.paths[0]}")
    named = _named(found)
    return _with_labels(named, inputs) if inputs.labels else named


def _with_labels(found: Sequence[LabelledSource], inputs: Inputs) -> list[LabelledSource]:
    if len(inputs.paths) > 1 or any(one.labels for one in found):
        raise SourceError("--labels belong to one video, bag or folder of pictures: give one input")
    if len({type(one.source) for one in found}) > 1 or (
        len(found) > 1 and not isinstance(found[0].source, Pictures)
    ):
        raise SourceError(f"--labels belong to one video or bag; in {inputs.paths[0]} are several")
    recordings = [read_recording(path) for path in inputs.labels]
    bodies = Bodies(inputs.smplx)
    return [replace(one, labels=TrackLabels(recordings, one.source, bodies)) for one in found]


def _sources(path: Path, topic: str, per_shard: int) -> Iterator[Source]:
    if not path.exists():
        raise SourceError(f"{path} does not exist; give pictures, videos, bags or folders of them")
    if path.is_file():
        yield _file(path, topic)
        return
    inside = sorted(path.rglob("*"))
    if any(is_storage_file(one) or one.name == METADATA for one in inside):
        for bag in find_bags(path):
            yield Recorded(_slug(name_of(bag)), bag, topic)
    pictures = [one for one in inside if one.suffix.lower() in PICTURE_SUFFIXES]
    yield from _pictures(_slug(path.resolve().name), pictures, per_shard)
    for one in inside:
        if one.suffix.lower() in VIDEO_SUFFIXES:
            yield Video(_slug(one.stem), one)


def _file(path: Path, topic: str) -> Source:
    if is_storage_file(path):
        return Recorded(_slug(name_of(path)), path, topic)
    if path.suffix.lower() in PICTURE_SUFFIXES or cv2.haveImageReader(str(path)):
        return Pictures(_slug(path.stem), [path])
    return Video(_slug(path.stem), path)


def _pictures(name: str, paths: Sequence[Path], per_shard: int) -> Iterator[Pictures]:
    for first in range(0, len(paths), per_shard):
        number = first // per_shard
        yield Pictures(f"{name}-{number:05d}", list(paths[first : first + per_shard]), first)


def _coco(file: Path, images: Path | None, per_shard: int) -> list[LabelledSource]:
    if not file.is_file():
        raise LabelError(f"{file} does not exist")
    labelled = read_coco(file, images)
    paths = [one.path for one in labelled.pictures]
    labels = PictureLabels(labelled)
    return [
        LabelledSource(source, labels) for source in _pictures(_slug(file.stem), paths, per_shard)
    ]


def _named(found: Sequence[LabelledSource]) -> list[LabelledSource]:
    """Return sources whose names differ: a number is added to the second and later ones."""
    counts: Counter[str] = Counter()
    named = []
    for one in found:
        name = one.source.name
        counts[name] += 1
        if counts[name] > 1:
            # Sources are dataclasses, all with a field of that name.
            one = replace(one, source=replace(one.source, name=f"{name}__{counts[name]}"))  # type: ignore[type-var]
        named.append(one)
    return named


def _slug(name: str) -> str:
    """Return a name of letters, digits, - and _: a dot would end the key of a sample."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:80] or "images"
