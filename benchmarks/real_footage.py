# SPDX-License-Identifier: Apache-2.0
"""Accuracy of the default estimator on real pictures and clips.

    python -m benchmarks.real_footage FOLDER [--baseline]

Each set is evaluated as `pear evaluate` does, every picture on its own, clips in order. Pictures
are not part of this repository; sets that are not in FOLDER (default: $PEAR_ROS_DATA) are left out.
With --baseline, MediaPipe Pose (full and heavy) sees the same images; it finds one person. Errors
are those of the people whom each method finds; n is the number of ours. The sets, all from
repositories of github.com:

- coco128: lightly-ai/coco128_yolo, as FOLDER/coco128
- coco_mini, pelota: keypoints in COCO's format, the pictures with people of Obmutescence/COCO-MINI
  (both splits) and of tests/data/coco in open-mmlab/mmpose, and those of Julito22/Mask-R-CNN-PFG
  (train), as FOLDER/keypoints/NAME/labels.json and /images
- closeups: 70 people, from head to upper body, in 63 portraits and photographs of the press in
  tests/unit/dataset of serengil/deepface (all but a mirror image), as FOLDER/closeups/images.
  benchmarks/labels/closeups.json has their boxes and heads, by eye; people behind are a crowd
- nobody: 284 pictures without people, with dogs, apes, toys, a doll, armour, rooms and clocks among
  them, as FOLDER/nobody/images: all of Obmutescence/COCO-MINI (train2017, val2017) without a
  labelled person, and every fourth by name of EliSchwartz/imagenet-sample-images, but those that
  show people, if only a hand, on inspection; benchmarks/labels/nobody.json has the names. Six with
  people, small or cut off, came to light after a first run (3.8 % of 290 pictures with an alarm)
- multiperson: the multi-person demo of perfanalytics/pose2sim; its joints triangulated by `pear
  evaluate` on its calibration, here from heavy landmarks of all four views, so that figures are
  relative to those, and with heavy landmarks flatter; as FOLDER/clip/multiperson.npz, videos beside

Nothing in this package was chosen on closeups or nobody. The detector was trained by its authors
on COCO's train2017, to which coco128 and half of COCO-MINI belong.

Writes benchmarks/results/real_footage.md.
"""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.report import Table, write_report
from pear_ros.core.parameters import Parameters
from pear_ros.estimators.landmark_estimator import LandmarkEstimator
from pear_ros.evaluation.clips import read_clip
from pear_ros.evaluation.figures import Figure, Figures
from pear_ros.evaluation.mediapipe import VARIANTS, MediaPipePose
from pear_ros.evaluation.methods import Method, PipelineMethod
from pear_ros.evaluation.pictures import compare_on_pictures
from pear_ros.evaluation.readers import read_labels
from pear_ros.evaluation.views import compare_on_clip
from pear_ros.pipeline import Pipeline

LABELS = Path(__file__).parent / "labels"
"""Labels of sets that had none."""
FIELD_OF_VIEW = 60.0
MOST_PEOPLE = 32

OURS, OURS_HEAVY, PEER = "pear_ros", "pear_ros heavy", "MediaPipe "
"""Names of methods: the open default; with heavy landmarks; before the names of baselines."""
WITH_HEAVY = ("multiperson",)
"""Sets that are also evaluated with OURS_HEAVY."""
Measured = dict[str, Figures]
"""The figures of a set by method."""

FOUND, WRONG = "People found, % (recall)", "Found without a label, % (1 - precision)"
NOBODY, ALL = "Pictures without people", "All people"
FIT, RAW = "Keypoints of the found", "Their landmarks, before the fit"
COMMON = "Keypoints of people whom all find"
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
            ("the same of people whom all find", COMMON, "median distance, % of the box", ""),
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


def evaluate_pictures(labels: Path, images: Path | None, methods: Sequence[str]) -> Measured:
    """Return the figures of each method on labelled pictures."""
    makers = [partial(make_method, name, still=True) for name in methods]
    figures, _ = compare_on_pictures(read_labels(labels, images), makers, FIELD_OF_VIEW)
    return dict(zip(methods, figures.values(), strict=True))


def evaluate_clip(file: Path, methods: Sequence[str]) -> Measured:
    """Return the figures of each method on a clip of calibrated cameras."""
    makers = [partial(make_method, name, still=False) for name in methods]
    clip = read_clip(file)
    return {
        name: next(iter(compare_on_clip(clip, [make]).values()))
        for name, make in zip(methods, makers, strict=True)
    }


def make_method(name: str, *, still: bool) -> Method:
    """Return the open default by OURS or OURS_HEAVY, or else MediaPipe Pose.

    `still`: for single images, not for videos.
    """
    if name.startswith(PEER):
        return MediaPipePose(name.removeprefix(PEER), still)
    landmarks = "heavy" if name == OURS_HEAVY else Parameters.landmarks
    estimator = LandmarkEstimator(model=landmarks)
    settings = Parameters(max_humans=MOST_PEOPLE, landmarks=landmarks)
    return PipelineMethod(Pipeline(estimator, settings=settings), estimator)


def sets(folder: Path) -> dict[str, tuple[Path, Callable[[Sequence[str]], Measured]]]:
    """Return the sets by name: a file or folder that each one needs, and how it is evaluated."""
    coco128 = folder / "coco128" / "object_detection" / "labels"
    clip = folder / "clip" / "multiperson.npz"
    found: dict[str, tuple[Path, Callable[[Sequence[str]], Measured]]] = {}
    for name in ("nobody", "closeups"):
        images = folder / name / "images"
        found[name] = (images, partial(evaluate_pictures, LABELS / f"{name}.json", images))
    for name in ("coco_mini", "pelota"):
        labels = folder / "keypoints" / name / "labels.json"
        found[name] = (labels, partial(evaluate_pictures, labels, labels.parent / "images"))
    found["coco128"] = (coco128, partial(evaluate_pictures, coco128, None))
    found["multiperson"] = (clip, partial(evaluate_clip, clip))
    return found


def figure(figures: Figures, row: Row) -> Figure | None:
    """Return the figure of a row; None: it is not among `figures`."""
    return next((one for one in figures.get(row.table, ()) if one.name == row.figure), None)


def table_of(measured: Mapping[str, Measured], methods: Sequence[str]) -> Table:
    """Return the table of aims, with the values of all methods and the number of cases of ours."""
    rows: list[Sequence[str]] = []
    for row in ROWS:
        figures = measured.get(row.set_name, {})
        values = {name: figure(figures.get(name, {}), row) for name in methods}
        if ours := values[OURS]:
            texts = ["" if value is None else str(value) for value in values.values()]
            rows.append([row.set_name, row.name, str(ours.count), *texts, row.aim])
    return ["set", "", "n", *methods, "aim"], rows


def table_of_set(figures: Measured) -> Table:
    """Return all that was measured on a set; beside each value is its number of cases."""
    headings: dict[tuple[str, str], None] = {}
    for one in figures.values():
        headings.update(dict.fromkeys((key, f.name) for key, values in one.items() for f in values))
    rows: list[Sequence[str]] = []
    for heading, name in headings:
        values = [figure(one, Row("", "", heading, name, "")) for one in figures.values()]
        cells = [["", ""] if value is None else [str(value.count), str(value)] for value in values]
        rows.append([heading, name.strip(), *itertools.chain.from_iterable(cells)])
    return ["", "", *(text for name in figures for text in ("n", name))], rows


def main() -> None:
    """Evaluate the sets that are there and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", type=Path, nargs="?", default=os.environ.get("PEAR_ROS_DATA"), help="of the sets"
    )
    parser.add_argument("--baseline", action="store_true", help="also MediaPipe Pose, full, heavy")
    options = parser.parse_args()
    peers = [f"{PEER}{name}" for name in VARIANTS] if options.baseline else []
    measured: dict[str, Measured] = {}
    for name, (needed, evaluate) in (sets(Path(options.folder)) if options.folder else {}).items():
        if needed.exists():
            heavy = [OURS_HEAVY] if name in WITH_HEAVY else []
            measured[name] = evaluate([OURS, *heavy, *peers])
        else:
            print(f"{name} is left out: {needed} does not exist")
    if not measured:
        print("No set of real pictures was found; see the text at the top of this benchmark")
        return
    tables = {name: table_of_set(figures) for name, figures in measured.items()}
    aims = table_of(measured, [OURS, OURS_HEAVY, *peers])
    write_report("real_footage", __doc__ or "", {"Aims": aims, **tables})


if __name__ == "__main__":
    main()
