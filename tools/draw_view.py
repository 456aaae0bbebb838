# SPDX-License-Identifier: Apache-2.0
"""The picture of `pear view` in README: the demo clip's people in Chromium.

python -m tools.draw_view    # writes docs/view.jpg
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2

from pear_ros.cli.run import run
from pear_ros.cli.view.open import open_recording
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import Image
from pear_ros.io.downloads import demo_clip
from pear_ros.viewing.serving import serve_recordings
from testing.browser import Page

PICTURE = Path(__file__).parents[1] / "docs" / "view.jpg"
BEGIN = 2.8
QUERY = f"?t={BEGIN}&theme=light"
STEPS = 3
"""Of ten images, a third of a second, in which people leave trails."""
SECONDS = 120.0
"""For which a busy machine may take to draw it."""


def main() -> None:
    """Draw the picture and write it."""
    with TemporaryDirectory() as folder:
        if run(str(demo_clip()), Path(folder), Parameters()):
            raise SystemExit("pear run failed, see above")
        picture = screenshot(Path(folder) / f"{demo_clip().stem}.npz")
    cv2.imwrite(str(PICTURE), picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1e3:.0f} kB")


def screenshot(results: Path) -> Image:
    """Return the page of results of the demo clip (height, width, 3), BGR."""
    with (
        closing(open_recording(results, demo_clip())) as recording,
        closing(serve_recordings([recording], port=0)) as server,
        Page(width=1280, height=720) as page,
    ):
        page.open(f"{server.url}/{QUERY}")
        # viser's note that there is no GPU
        page.click_at(".mantine-Notification-closeButton", SECONDS)
        page.click_on("Plot")
        for step in range(1, STEPS + 1):
            page.click_on("+10")
            seconds = "Number(new URLSearchParams(location.search).get('t'))"
            page.until(f"{seconds} > {BEGIN + 0.3 * step}", SECONDS)
        return page.settled(SECONDS)


if __name__ == "__main__":
    main()
