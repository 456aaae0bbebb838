# SPDX-License-Identifier: Apache-2.0
"""The viewer's page in a real browser: people of the demo clip are where our raster has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("viser", reason="viser, which serves the viewer's page, is missing")

from pear_ros.body import load_open_body
from pear_ros.cli.results import ParameterTable
from pear_ros.cli.view.open import open_recording
from pear_ros.core.camera import Camera
from pear_ros.core.people import Image, TrackingState
from pear_ros.export.run_file import read_run_file
from pear_ros.export.tracks import Recording
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.pipeline import Pipeline
from pear_ros.rendering.colours import id_colour
from pear_ros.rendering.raster import rasterize
from pear_ros.viewing.serving import serve_recordings
from testing.browser import Page, chromium

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="no browser: sudo apt install --no-install-recommends chromium"
)

CHOSEN = range(114, 150, 7)
"""Images of the demo clip, shown at 10 Hz, with two people in the left half."""
WIDTH, HEIGHT = 800, 450
FREE = 460
"""Columns left of the page's panel."""
SECONDS = 90.0
"""For which a busy machine may take; drawing is done by the CPU."""
CLOSE = ".mantine-Notification-closeButton"
"""Of viser's note that the CPU draws."""

Mask = Any
"""(HEIGHT, FREE) of bool."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pear run` writes of a part of the demo clip."""
    path = tmp_path_factory.mktemp("results") / "clip.npz"
    with closing(Pipeline()) as pipeline:
        table = ParameterTable(pipeline.body)
        frames = islice(FrameSource(str(demo_clip())), CHOSEN.start, CHOSEN.stop, CHOSEN.step)
        for number, (stamp, image) in enumerate(frames):
            camera = Camera.from_field_of_view(image.shape[1], image.shape[0])
            people = pipeline(image, camera, stamp)
            there = [p for p in people.persons if p.state is not TrackingState.LOST]
            table.append(0.1 * number, people, there)
    table.save(path)
    return path


@pytest.fixture(scope="module")
def address(results: Path) -> Iterator[str]:
    with (
        closing(open_recording(results)) as run,
        closing(serve_recordings([run], port=0)) as server,
    ):
        yield server.url


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with Page(width=WIDTH, height=HEIGHT) as page:
        yield page


def silhouettes(recording: Recording, image: int) -> dict[str, Mask]:
    """People seen by the camera, whose whole image is in the page, by our own raster."""
    tracks = [track for track in recording.tracks if image in track.frames]
    width, height, fx, fy, cx, cy = tracks[0].camera[0]
    assert (cx, cy) == ((width - 1) / 2, (height - 1) / 2), "the optical axis is in the middle"
    zoom = min(WIDTH / (width - 1), HEIGHT / (height - 1))
    camera = Camera(WIDTH, HEIGHT, zoom * fx, zoom * fy, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    body, meshes = load_open_body(), []
    for track in tracks:
        row = [list(track.frames).index(image)]
        parts = (track.pose, track.betas, track.expression, track.transl)
        meshes.append(body.vertices(*(part[row] for part in parts))[0])
    offsets = np.arange(len(meshes))[:, None, None] * body.vertex_count
    raster = rasterize(np.concatenate(meshes), (body.faces[None] + offsets).reshape(-1, 3), camera)
    owner = np.full(HEIGHT * WIDTH, -1)
    owner[raster.pixel] = raster.face // len(body.faces)
    seen = owner.reshape(HEIGHT, WIDTH)[:, :FREE]
    return {track.id: seen == number for number, track in enumerate(tracks)}


def coloured(picture: Image, track_id: str) -> Mask:
    """Pixels of a page in the hue of a person, whatever their shade."""
    bgr = np.array([[[round(255 * c) for c in reversed(id_colour(track_id))]]], np.uint8)
    hue = int(cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV)[0, 0, 0])
    pixels = cv2.cvtColor(picture[:, :FREE], cv2.COLOR_BGR2HSV).astype(int)
    apart = np.abs((pixels[..., 0] - hue + 90) % 180 - 90)
    return (apart < 12) & (pixels[..., 1] > 40)


def overlap(a: Mask, b: Mask) -> float:
    """Intersection over union."""
    return float((a & b).sum() / (a | b).sum())


def test_people_are_seen_where_they_belong_at_each_time(
    page: Page, address: str, results: Path
) -> None:
    recording = read_run_file(results)
    assert [len(track.frames) for track in recording.tracks] == [len(CHOSEN)] * 2
    page.open(f"{address}/?view=camera&t=0")
    page.click_at(CLOSE, SECONDS)
    pictures = [settled_on(page, 0.0)]
    page.click_on("+10")
    last = len(CHOSEN) - 1
    pictures.append(settled_on(page, 0.1 * last))
    for picture, image in zip(pictures, (0, last), strict=True):
        for name, expected in silhouettes(recording, image).items():
            found = coloured(picture, name)
            assert overlap(found, expected) > 0.9, (name, image)
            elsewhere = silhouettes(recording, last - image)[name]
            assert overlap(found, elsewhere) < 0.7, (name, image)
    assert not page.errors
    assert not page.requests_elsewhere
    assert any(request.startswith("ws://127.0.0.1") for request in page.requests)


def settled_on(page: Page, seconds: float) -> Image:
    """The page as soon as its address has this time, and it is drawn."""
    page.until(f"Number(new URLSearchParams(location.search).get('t')) === {seconds}", SECONDS)
    return page.settled(SECONDS)


def test_page_comes_back_after_the_server_was_away(page: Page, results: Path) -> None:
    people = "document.body.innerText.includes('h2')"
    with closing(open_recording(results)) as run:
        with closing(serve_recordings([run], port=0)) as server:
            page.open(f"{server.url}/?view=camera&t=0.2")
            page.until(people, SECONDS)
            page.until("new URLSearchParams(location.search).get('t') === '0.200'", SECONDS)
        with closing(serve_recordings([run], port=server.port)):
            page.until("performance.getEntriesByType('navigation')[0].type === 'reload'", SECONDS)
            page.until(people, SECONDS)
            assert "t=0.200&view=camera" in page.evaluate("location.search")


def test_browser_notes_requests_to_other_machines(page: Page) -> None:
    page.open("about:blank")
    page.requests.clear()
    page.errors.clear()
    assert "TypeError" in page.evaluate("fetch('https://example.org').catch(String)")
    assert page.requests_elsewhere == ["https://example.org/"]
    assert page.errors
