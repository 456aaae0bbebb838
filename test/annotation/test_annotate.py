# SPDX-License-Identifier: Apache-2.0
"""The command `pear annotate`: inputs of each kind, what they become, and bad ones."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pear_ros import __version__
from pear_ros.annotation.sample import PARTS, AnnotatedPerson
from pear_ros.annotation.shards import read_shards
from pear_ros.annotation.wholebody import BODY, LEFT_HAND
from pear_ros.body import load_open_body
from pear_ros.core.people import Image
from testing.image_bags import camera_info, jpeg, raw, write_bag

Annotate = Callable[..., int]
Samples = Callable[[], list[AnnotatedPerson]]


def report(tmp_path: Path) -> dict[str, object]:
    return json.loads((tmp_path / "shards" / "report.json").read_text())


def test_a_picture_becomes_a_sample(annotated: Path, picture: Path, images: list[Image]) -> None:
    (one,) = read_shards(annotated)
    body = load_open_body()
    assert one.key == "one_person-000000-00"
    assert one.crop.shape == (256, 256, 3) and one.mask is not None
    assert (one.body_model, one.body_sha256) == (body.name, body.sha256)
    assert (one.camera.width, one.camera.height) == (500, 560)
    assert one.smplx.pose.shape == (55, 3) and one.flame is None
    assert set(one.confidence) == set(PARTS) and min(one.confidence.values()) >= 0.0
    assert one.confidence["body"] > 0.5 and one.confidence["mask"] > 0.5
    assert one.provenance.source == picture.name and one.provenance.package == __version__
    assert one.provenance.modules["body"] == "blazepose_full"
    # The crop shows the square of the image.
    x0, y0, side = one.square
    middle = images[0][round(y0 + side / 2), round(x0 + side / 2)].astype(float)
    assert np.abs(one.crop[126:131, 126:131].reshape(-1, 3).mean(axis=0) - middle).max() < 40.0


def test_points_fit_and_mask_agree(annotated: Path) -> None:
    (one,) = read_shards(annotated)
    projected = one.camera.project(one.joints)
    np.testing.assert_allclose(one.keypoints, projected, atol=1e-3)
    wrists = one.points[BODY][[9, 10], :2]
    assert np.linalg.norm(wrists - one.keypoints[[20, 21]], axis=1).max() < 25.0
    pixels = one.crop_points(one.points[BODY][5:, :2]).round().astype(int)
    assert one.mask is not None
    assert (one.mask[pixels[:, 1], pixels[:, 0]] > 127).mean() > 0.8
    assert one.points[LEFT_HAND, 2].max() > 0.5


def test_a_video_has_tracks_and_stamps(found: list[AnnotatedPerson]) -> None:
    assert [one.provenance.frame for one in found] == [0, 2, 4]
    assert {one.provenance.track for one in found} == {"p1"}
    assert np.allclose(
        [one.provenance.stamp_ns for one in found], [0, 2e9 / 30, 4e9 / 30], atol=1e6
    )
    assert np.isnan(found[0].measures["jump"]) and found[1].measures["jump"] < 3.0


def test_a_bag_gives_camera_and_stamps(
    annotate: Annotate, samples: Samples, images: list[Image], tmp_path: Path
) -> None:
    bag = write_bag(
        tmp_path / "my.bag",
        [
            ("/cam/camera_info", 0, camera_info(500, 560, 700.0, 0)),
            ("/cam/image_raw", 1, raw(images[0], 0)),
            ("/cam/image_raw", 2, raw(images[1], 100_000_000)),
        ],
    )
    assert annotate(bag) == 0
    found = samples()
    assert [one.camera.fx for one in found] == [700.0, 700.0]
    assert found[1].provenance.stamp_ns - found[0].provenance.stamp_ns == 100_000_000
    assert found[0].key == "my_bag-000000-00"


def test_a_folder_is_read_in_order_and_bad_pictures_are_named(
    annotate: Annotate, samples: Samples, images: list[Image], tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    cv2.imwrite(str(folder / "b.jpg"), images[0])
    cv2.imwrite(str(folder / "more" / "c.png"), images[1])
    cv2.imwrite(str(folder / "a.png"), np.full((200, 200, 3), 127, np.uint8))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    assert annotate(folder) == 1
    assert [one.provenance.source for one in samples()] == ["b.jpg", "c.png"]
    found = report(tmp_path)
    assert found["unreadable"] == {"cannot be decoded": 1} and found["empty"] == 1
    assert found["named"] == ["broken.jpg, image 2: cannot be decoded"]
    assert "broken.jpg" in (tmp_path / "shards" / "report.md").read_text()


def test_a_video_that_cannot_be_read_does_not_stop_the_others(
    annotate: Annotate,
    samples: Samples,
    picture: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    assert annotate(bad, picture) == 1
    assert len(samples()) == 1
    assert "bad.mp4 is neither an image nor a video" in capsys.readouterr().err


def test_small_people_are_rejected(annotate: Annotate, images: list[Image], tmp_path: Path) -> None:
    path = tmp_path / "far.png"
    image = np.full((560, 500, 3), 200, np.uint8)
    image[250:320, 200:262] = cv2.resize(images[0], (62, 70), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), image)
    labels = tmp_path / "far.json"
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [210, 255, 30, 60]}
    pictures = [{"id": 1, "file_name": path.name}]
    labels.write_text(json.dumps({"images": pictures, "annotations": [person]}))
    assert annotate(labels) == 0
    assert report(tmp_path)["rejected"] == {"small": 1}
    assert not list((tmp_path / "shards").glob("*.tar"))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda folder: folder / "missing.mp4", "does not exist"),
        (lambda folder: folder, "there is no picture, video or bag"),
    ],
)
def test_nothing_to_annotate(
    annotate: Annotate,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], Path],
    text: str,
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert annotate(make(empty)) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert line.startswith("error: ") and text in line


def test_a_full_disk_ends_it_with_one_sentence_and_it_resumes(
    annotate: Annotate,
    samples: Samples,
    picture: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        assert annotate(picture) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    error = capsys.readouterr().err
    assert "one_person-00000.tar: File too large. The same command resumes" in error
    assert [path.name for path in (tmp_path / "shards").iterdir()] == ["annotate.json"]
    assert annotate(picture) == 0 and len(samples()) == 1


def test_sheets_and_shards_are_where_the_command_says(made: Path) -> None:
    names = sorted(path.name for path in made.iterdir())
    assert names == [
        "annotate.json",
        "clip-00000.json",
        "clip-00000.tar",
        "clip-00001.json",
        "clip-00001.tar",
        "clip-00002.json",
        "clip-00002.tar",
        "report.json",
        "report.md",
        "sheet_random.jpg",
        "sheet_worst.jpg",
    ]
    sheet = cv2.imread(str(made / "sheet_worst.jpg"))
    assert sheet.shape == (320, 644, 3)


def test_compressed_images_of_a_bag_with_a_damaged_one(
    annotate: Annotate, samples: Samples, images: list[Image], tmp_path: Path
) -> None:
    damaged = jpeg(images[0], 0)
    damaged.data = damaged.data[:50]
    topic = "/cam/image_raw/compressed"
    messages = [(topic, 0, damaged), (topic, 1, jpeg(images[1], 100_000_000))]
    assert annotate(write_bag(tmp_path / "bag", messages)) == 1
    assert [one.provenance.frame for one in samples()] == [1]
    assert sum(report(tmp_path)["unreadable"].values()) == 1  # type: ignore[attr-defined]
    shutil.rmtree(tmp_path / "bag")
