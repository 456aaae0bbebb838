# SPDX-License-Identifier: Apache-2.0
"""Small inputs, cut from the demo clip, and models that all tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import cv2
import pytest

from pear_ros.annotation import worker
from pear_ros.annotation.default_modules import default_modules
from pear_ros.annotation.modules import Modules
from pear_ros.annotation.sample import AnnotatedPerson
from pear_ros.annotation.shards import read_shards
from pear_ros.cli import main
from pear_ros.core.people import Image
from pear_ros.io.downloads import AssetError, demo_clip
from pear_ros.io.video import FrameSource, VideoWriter
from testing.planted_modules import KILLING

RATE = 30.0
SIZE = (500, 560)
"""Width and height of the pictures: one person, standing, both hands seen."""

try:
    CLIP = demo_clip()
    if find_spec("webdataset") is None:
        collect_ignore_glob = ["test_*.py"]
except AssetError:
    collect_ignore_glob = ["test_*.py"]

Annotate = Callable[..., int]


@pytest.fixture(scope="session")
def modules() -> Modules:
    """The default modules, with the full landmark model only."""
    return default_modules(1, "full")


@pytest.fixture(scope="session", autouse=True)
def _shared_modules(modules: Modules) -> Iterator[None]:
    """Loading models takes longer than the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "default_modules", lambda *_: modules)
        yield


@pytest.fixture(scope="session")
def images() -> list[Image]:
    """Six successive images (560, 500, 3)."""
    frames = islice(FrameSource(str(CLIP)), 40, 46)
    return [image[0 : SIZE[1], 400 : 400 + SIZE[0]].copy() for _, image in frames]


@pytest.fixture(scope="session")
def picture(images: list[Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "one person.png"
    cv2.imwrite(str(path), images[0])
    return path


@pytest.fixture(scope="session")
def hands_picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture in which both hands are found and fitted."""
    path = tmp_path_factory.mktemp("hands") / "hands.png"
    ((_, image),) = islice(FrameSource(str(CLIP)), 10, 11)
    cv2.imwrite(str(path), image[0 : SIZE[1], 400 : 400 + SIZE[0]])
    return path


@pytest.fixture(scope="session")
def video(images: list[Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    with VideoWriter(path, RATE) as writer:
        for number, image in enumerate(images):
            writer.write(number / RATE, image)
    return path


def run(folder: Path, *arguments: object) -> int:
    """Run the command with `folder` for results; return its exit code."""
    options = [*map(str, arguments), "--output", str(folder)]
    return main(["annotate", *options, "--landmarks", "full", "--sheet", "2"])


@pytest.fixture(scope="session")
def annotated(tmp_path_factory: pytest.TempPathFactory, picture: Path) -> Path:
    """Results of the picture; shared, so do not change them."""
    folder = tmp_path_factory.mktemp("annotated") / "shards"
    assert run(folder, picture) == 0
    return folder


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory, video: Path) -> list[AnnotatedPerson]:
    """The samples of every second frame of the video."""
    folder = tmp_path_factory.mktemp("found") / "shards"
    assert run(folder, video, "--every", 2) == 0
    return list(read_shards(folder))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, video: Path) -> Path:
    """Shards of two images each of the video, of a run that was not interrupted."""
    folder = tmp_path_factory.mktemp("made") / "shards"
    assert run(folder, video, "--images-per-shard", 2, "--module", KILLING) == 0
    return folder


@pytest.fixture
def annotate(tmp_path: Path) -> Annotate:
    """The command, with the folder `shards` for results."""

    def call(*arguments: object, output: str = "shards") -> int:
        return run(tmp_path / output, *arguments)

    return call


@pytest.fixture
def samples(tmp_path: Path) -> Callable[[], list[AnnotatedPerson]]:
    """The samples that the command has written."""
    return lambda: list(read_shards(tmp_path / "shards"))
