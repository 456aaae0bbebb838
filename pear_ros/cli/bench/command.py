# SPDX-License-Identifier: Apache-2.0
"""`pear bench`: measure the time of each stage, and write a table and a plot."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pear_ros.cli.bench.frames import SourceError, VideoFrames, open_frames
from pear_ros.cli.bench.measure import measure, sender
from pear_ros.cli.bench.plot import draw_plot
from pear_ros.cli.bench.report import Setting, as_markdown, as_text, notes, rows, title
from pear_ros.cli.results import ParameterTable
from pear_ros.cli.view.command import view_results
from pear_ros.core.configuration import EstimatorChoice, EstimatorError
from pear_ros.core.estimator import DeviceLostError
from pear_ros.estimators.factory import make_estimator
from pear_ros.io import machine
from pear_ros.io.downloads import demo_clip
from pear_ros.io.output_files import write_picture, write_text
from pear_ros.pipeline import Pipeline


def bench(
    source: str | None,
    topic: str | None,
    count: int,
    folder: Path,
    choice: EstimatorChoice,
    *,
    view: bool = False,
) -> int:
    """Measure `count` frames of `source`, write report and plot, and return the exit code.

    `source`: a video or bag, the demo clip unless given. `topic`: of images, needed only for a bag
    with several. `view`: whether to keep the people (bench.npz) and show them in a browser then.
    """
    load = machine.load()  # Before the models are loaded, which raises it.
    try:
        source = source or str(demo_clip())
        frames = open_frames(source, topic)
        folder.mkdir(parents=True, exist_ok=True)
        estimator = make_estimator(choice)
        pipeline = Pipeline(estimator)
        try:
            table = ParameterTable(pipeline.body)
            watch = table.append if view else None
            send = sender(pipeline.body)
            measured = measure(pipeline, estimator, frames, count, send, watch)
            setting = Setting(
                frames.name, pipeline.model_id, pipeline.diagnostics, machine.this_machine(), load
            )
        finally:
            pipeline.close()
        picture, report = folder / "bench.png", folder / "bench.md"
        write_picture(picture, draw_plot(measured, title(measured, setting)))
        write_text(report, as_markdown(measured, setting, picture.name))
        if view:
            table.save(people := folder / "bench.npz")
    except (OSError, SourceError, EstimatorError, DeviceLostError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(as_text(rows(measured)), "", sep="\n")
    print(*title(measured, setting), *notes(measured, setting), sep="\n")
    print(f"\nReport and plot are in {os.path.abspath(report)}, {os.path.abspath(picture)}")
    if not view:
        return 0
    is_video = isinstance(frames, VideoFrames)
    return view_results(people, Path(source) if is_video else None)
