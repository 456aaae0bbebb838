# SPDX-License-Identifier: Apache-2.0
"""Opens results for the viewer, whatever they are stored in."""

from __future__ import annotations

from pathlib import Path

from pear_ros.cli.view.pictures import NoPictures, Pictures
from pear_ros.viewing.moment import Recording


def open_recording(
    source: Path,
    images: Path | None = None,
    *,
    topic: str | None = None,
    image_topic: str | None = None,
    frame: str = "",
) -> Recording:
    """Open a bag with results, or the NPZ of `pear run`.

    `images`: video, or bag, with the images that the results of the NPZ, or of a bag without them,
    are of. `topic`, `image_topic`: of people and images, where a bag has several; `frame`: level
    frame of a bag to be the world. Raises pear_ros.export.tracks.ResultsError,
    pear_ros.bags.topic.BagError or OSError, which name the file and the reason.
    """
    if source.suffix != ".npz":
        from pear_ros.cli.view.bag_recording import BagRecording

        return BagRecording(
            source, images=images, topic=topic, image_topic=image_topic, frame=frame
        )
    from pear_ros.cli.view.run_recording import RunRecording

    return RunRecording(source, _pictures(images))


def _pictures(images: Path | None) -> Pictures:
    if images is None:
        return NoPictures()
    from pear_ros.io.seekable_video import SeekableVideo

    return SeekableVideo(images)
