# SPDX-License-Identifier: Apache-2.0
"""Opens results for the viewer, whatever they are stored in."""

from __future__ import annotations

from pathlib import Path

from pear_ros.cli.view.pictures import NoPictures, Pictures
from pear_ros.viewing.moment import Recording


def open_recording(source: Path, images: Path | None = None, topic: str | None = None) -> Recording:
    """Open a bag with results, or the NPZ of `pear run`.

    `images`: video or bag with the images that the results are of; those of a bag are found in it.
    `topic`: of people, where a bag has several. Raises pear_ros.export.tracks.ResultsError,
    OSError, or pear_ros.bags.topic.BagError, which name the file and the reason.
    """
    from pear_ros.cli.view.run_recording import RunRecording

    return RunRecording(source, _pictures(images))


def _pictures(images: Path | None) -> Pictures:
    if images is None:
        return NoPictures()
    from pear_ros.io.seekable_video import SeekableVideo

    return SeekableVideo(images)
