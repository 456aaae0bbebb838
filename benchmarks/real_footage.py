# SPDX-License-Identifier: Apache-2.0
"""Accuracy of the default estimator on real pictures and clips.

    python -m benchmarks.real_footage FOLDER

Each set is evaluated as `pear evaluate` does, every picture on its own, clips in order. The sets
are not part of this repository; those that are not in FOLDER (default: $PEAR_ROS_DATA) are left
out. How to get them:

- coco128: github.com/lightly-ai/coco128_yolo, as FOLDER/coco128
- coco_mini, pelota: keypoints in COCO's format, the pictures with people of
  github.com/Obmutescence/COCO-MINI (both splits) and of tests/data/coco in github.com/open-mmlab/
  mmpose, and those of github.com/Julito22/Mask-R-CNN-PFG (train), as
  FOLDER/keypoints/NAME/labels.json and /images
- closeups, nobody: your own pictures of people at talking distance, with `head_box`, and of nobody,
  as FOLDER/NAME/labels.json and /images
- multiperson: the multi-person demo of the Python package pose2sim; its joints triangulated by
  `pear evaluate` on its calibration, here from heavy landmarks of all four views, so that figures
  are relative to those; as FOLDER/clip/multiperson.npz, videos beside it

Writes benchmarks/results/real_footage.md.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from benchmarks.report import Table, write_report
from pear_ros.core.parameters import Parameters
from pear_ros.estimators.landmark_estimator import LandmarkEstimator
from pear_ros.evaluation.clips import read_clip
from pear_ros.evaluation.figures import Figure, Figures
from pear_ros.evaluation.methods import PipelineMethod
from pear_ros.evaluation.pictures import find_people, picture_figures
from pear_ros.evaluation.readers import read_labels
from pear_ros.evaluation.views import clip_figures, find_in_view
from pear_ros.pipeline import Pipeline

FIELD_OF_VIEW = 60.0
MOST_PEOPLE = 32

FOUND, WRONG = "People found, % (recall)", "Found without a label, % (1 - precision)"
NOBODY, ALL = "Pictures without people", "All people"
FIT, RAW = "Keypoints of the found", "Their landmarks, before the fit"
SPACE = "Joints in space"


@dataclass(frozen=True)
class Row:
    """One row of the table of aims."""

    name: str
    set_name: str
    table: str
    figure: str
    aim: str


ROWS = (
    Row("people of 60 px and more found, %", "coco128", FOUND, "all of 60 px and more", ">= 85"),
    Row("found without a label, %", "coco128", WRONG, "all", "<= 20"),
    Row("pictures of nobody with an alarm, %", "nobody", NOBODY, "with a false alarm, %", "<= 3"),
    *(
        Row(name, one, table, figure, aim)
        for one in ("coco_mini", "pelota")
        for name, table, figure, aim in (
            ("people of 60 px and more found, %", FOUND, "all of 60 px and more", ">= 85"),
            (
                "fit right, people with 9 keypoints and more, %",
                ALL,
                "fit right, of people with 9 to 17 keypoints, %",
                ">= 75",
            ),
            (
                "joints of the fit to labels, % of box",
                FIT,
                "median distance, % of the box",
                "<= 2.8",
            ),
            ("landmarks to labels, % of box", RAW, "median distance, % of the box", ""),
            ("OKS-AP, %", ALL, "OKS-AP (.50 to .95), %", ""),
        )
    ),
    Row("close-ups found, %", "closeups", FOUND, "all of 60 px and more", ">= 90"),
    Row("with head on head, %", "closeups", ALL, "found with the head on the head, %", ">= 90"),
    Row("PA-MPJPE, mm", "multiperson", SPACE, "PA-MPJPE, mm", "<= 66"),
    Row("root-relative MPJPE, mm", "multiperson", SPACE, "root-relative MPJPE, mm", ""),
    Row(
        "facing wrong, % of frames",
        "multiperson",
        SPACE,
        "facing off by more than 90 degrees, % of frames",
        "<= 1",
    ),
)


def evaluate_pictures(labels: Path, images: Path | None) -> Figures:
    """Return the figures on labelled pictures."""
    pictures = read_labels(labels, images)
    method = make_method()
    try:
        progress = tqdm(pictures.pictures, unit="picture", desc=labels.parent.name)
        return picture_figures(pictures, find_people(method, progress, FIELD_OF_VIEW))
    finally:
        method.close()


def evaluate_clip(file: Path) -> Figures:
    """Return the figures on a clip of calibrated cameras."""
    clip = read_clip(file)
    method = make_method()
    try:
        views = zip(clip.cameras, clip.videos, strict=True)
        last = int(clip.frames.max())
        return clip_figures(clip, [find_in_view(method, c, video, last) for c, video in views])
    finally:
        method.close()


def make_method() -> PipelineMethod:
    """Return the open default as a method to evaluate."""
    estimator = LandmarkEstimator()
    settings = Parameters(max_humans=MOST_PEOPLE)
    return PipelineMethod(Pipeline(estimator, settings=settings), estimator)


def sets(folder: Path) -> dict[str, tuple[Path, Callable[[], Figures]]]:
    """Return the sets by name: the file or folder of each one's labels, and how it is evaluated."""
    coco128 = folder / "coco128" / "object_detection" / "labels"
    clip = folder / "clip" / "multiperson.npz"
    found: dict[str, tuple[Path, Callable[[], Figures]]] = {}
    for name in ("nobody", "closeups", "keypoints/coco_mini", "keypoints/pelota"):
        labels = folder / name / "labels.json"
        found[Path(name).name] = (labels, _with_images(labels))
    found["coco128"] = (coco128, lambda: evaluate_pictures(coco128, None))
    found["multiperson"] = (clip, lambda: evaluate_clip(clip))
    return found


def _with_images(labels: Path) -> Callable[[], Figures]:
    return lambda: evaluate_pictures(labels, labels.parent / "images")


def figure(measured: Mapping[str, Figures], row: Row) -> Figure | None:
    """Return the measured figure of a row; None: its set or figure is not there."""
    for one in measured.get(row.set_name, {}).get(row.table, ()):
        if one.name == row.figure:
            return one
    return None


def table_of(measured: Mapping[str, Figures]) -> Table:
    """Return the table of aims."""
    rows: list[Sequence[str]] = []
    for row in ROWS:
        value = figure(measured, row)
        if value is not None:
            rows.append([row.set_name, row.name, str(value.count), str(value), row.aim])
    return ["set", "", "n", "measured", "aim"], rows


def main() -> None:
    """Evaluate the sets that are there and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", type=Path, nargs="?", default=os.environ.get("PEAR_ROS_DATA"), help="of the sets"
    )
    folder = parser.parse_args().folder
    measured: dict[str, Figures] = {}
    for name, (labels, evaluate) in (sets(Path(folder)) if folder else {}).items():
        if labels.exists():
            measured[name] = evaluate()
        else:
            print(f"{name} is left out: {labels} does not exist")
    if not measured:
        print("No set of real pictures was found; see the text at the top of this benchmark")
        return
    tables: dict[str, Table] = {"Aims": table_of(measured)}
    for name, figures in measured.items():
        rows = [
            [heading, one.name.strip(), str(one.count), str(one)]
            for heading, values in figures.items()
            for one in values
        ]
        tables[name] = (["", "", "n", "value"], rows)
    write_report("real_footage", __doc__ or "", tables)


if __name__ == "__main__":
    main()
