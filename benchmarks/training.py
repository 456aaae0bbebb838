# SPDX-License-Identifier: Apache-2.0
"""Training at small scale on a CPU: what pixels add, and what a user's own clip adds.

python -m benchmarks.training FOLDER

A network of 5.7 million parameters is trained from scratch on renders of the open body and on
pictures that `pear annotate` annotated: first with the losses of stage 1, then some steps more
without pixels and, from the same weights, with pixels (stage 2). The latter is adapted to the
first half of a clip of one camera, and measured on the second half; and to the demo clip, which
makes the example of this package (estimator: example). A training that is finished is
not repeated, one that was interrupted is continued.

FOLDER has

- pictures: people; here the 491 of lightly-ai/coco128_yolo and Obmutescence/COCO-MINI
- backgrounds: pictures without people; here 282 of the same
- clip: multiperson.npz with its videos, as benchmarks.real_footage describes it; not trained on but
  for the adaptation, which gets frames 0 to 49 of cam02

Held-out renders have seeds of their own. Every method sees the same crops, the default those of
256 pixels, too; medians over people. The constant pose stands, faces the camera and fills the crop.
In space, methods detect people in the whole images themselves, as `pear evaluate` does; joints are
triangulated from the default's own heavy landmarks of four views, which flatters the default.

Writes benchmarks/results/training.md, and pictures for docs/.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.report import Table, write_report
from benchmarks.training_figures import (
    HELD_OUT_SEED,
    Method,
    Person,
    constant_method,
    crops_table,
    network_method,
    samples_of,
)
from pear_ros.annotation.shard_index import ShardIndex
from pear_ros.body import BodyModel, load_open_body
from pear_ros.cli import main as pear
from pear_ros.core.configuration import EstimatorChoice
from pear_ros.core.estimator import Region
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import SMPLX_JOINT_NAMES, Array
from pear_ros.estimators.factory import make_estimator
from pear_ros.estimators.landmark_estimator import LandmarkEstimator
from pear_ros.evaluation.clips import Clip, read_clip
from pear_ros.evaluation.keypoint_names import COCO_KEYPOINTS
from pear_ros.evaluation.methods import PipelineMethod
from pear_ros.evaluation.pose_metrics import pa_mpjpe
from pear_ros.evaluation.views import compare_on_clip
from pear_ros.io.output_files import write_picture
from pear_ros.pear.crop import INPUT_SIZE
from pear_ros.pear.cuda_mesh import body_on
from pear_ros.pipeline import Pipeline
from pear_ros.rendering.overlay import draw_overlay
from pear_ros.training.annotated_samples import AnnotatedSamples
from pear_ros.training.config import Config, Data, Losses, Stage
from pear_ros.training.network import NetworkSize, TrainedNetwork
from pear_ros.training.sample import CROP_CAMERA, Sample
from pear_ros.training.samples import SampleMaker
from pear_ros.training.trainer import Trainer

SIZE = NetworkSize(depth=8, width=192, heads=3, decoder_width=192, decoder_layers=2)
LOSSES = Losses(mask=0.5, parts=0.1, normals=0.2)
"""Pixels weigh several times as much as by default, as meshes are far from the people."""
RENDERS = 256
CAMERA, HALF = "cam02", 50
"""Camera that is adapted to, and the first frame of the half that is measured."""
MAP = 64
SPACE = (
    "PA-MPJPE, mm",
    "root-relative MPJPE, mm",
    "facing off by more than 90 degrees, % of frames",
    "all in the views",
)
DOCS = Path(__file__).parents[1] / "docs"


def base(folder: Path, name: str, **more: object) -> Config:
    """Return what all trainings have in common."""
    data = Data(seed=1, workers=2, backgrounds=str(folder / "backgrounds"))
    config = Config(
        name="example",
        output=str(folder / "training" / name),
        bf16=True,
        ema=0.998,
        epoch=200,
        network=SIZE,
        losses=LOSSES,
        data=replace(data, shards=str(folder / "shards_pictures"), annotated=0.4),
    )
    return replace(config, **more)  # type: ignore[arg-type]


def weights(folder: Path, name: str) -> Path:
    """Return the file of the weights of a training."""
    return folder / "training" / name / "model" / "pear_model.pt"


def configs(folder: Path) -> dict[str, Config]:
    """Return the trainings by name, each after those it begins with."""
    begin = base(folder, "stage1")
    data, none = begin.data, Stage(steps=0)
    without = replace(begin.stage2, steps=0)
    longer = Stage(steps=160, batch=16, learning_rate=1e-4, warmup=20)
    pixels = replace(longer, pixels=True)
    shard = str(folder / "shards_clip" / f"{CAMERA}-00000.tar")

    def continued(name: str, start: str, data: Data, stage1: Stage, stage2: Stage) -> Config:
        return base(
            folder,
            name,
            initial=str(weights(folder, start)),
            ema=0.99,
            data=data,
            stage1=stage1,
            stage2=stage2,
        )

    again = replace(data, seed=2)
    adapting = replace(data, seed=3, shards=shard, annotated=0.8)
    demo = replace(data, seed=4, shards=str(folder / "shards_demo"), annotated=0.8)
    first = Stage(steps=1600, batch=16, learning_rate=5e-4, warmup=100)
    anew = replace(first, warmup=20)
    last = replace(pixels, steps=60)
    return {
        "stage1": replace(begin, stage1=first, stage2=without),
        "longer": continued("longer", "stage1", again, longer, without),
        "pixels": continued("pixels", "stage1", again, none, pixels),
        "adapted": continued("adapted", "pixels", adapting, replace(anew, steps=220), last),
        "example": continued("example", "pixels", demo, replace(anew, steps=480), last),
    }


def annotate_clip(folder: Path, clip: Clip) -> None:
    """Annotate the clip of the camera that is adapted to, a half in each shard, once."""
    (camera,) = (c.camera for c in clip.cameras if c.name == CAMERA)
    view = np.degrees(2 * np.arctan(max(camera.width, camera.height) / 2 / camera.fx))
    options = ["--images-per-shard", str(HALF), "--fov", f"{view:.2f}"]
    annotate(folder / "clip" / f"{CAMERA}.mp4", folder / "shards_clip", options)


def annotate(pictures: Path, shards: Path, options: Sequence[str]) -> None:
    """Run `pear annotate`, once."""
    if (shards / "report.json").exists():
        return
    if pear(["annotate", str(pictures), *options, "--output", str(shards)]):
        raise SystemExit("annotating failed, see above")


def trained(configs: Mapping[str, Config]) -> dict[str, TrainedNetwork]:
    """Return the trained networks, the average of their weights; train what is not trained."""
    found = {}
    for name, config in configs.items():
        trainer = Trainer(config)
        if not trainer.run():
            raise SystemExit(f"{name} was interrupted: the same command continues")
        found[name] = trainer.network.eval()
    return found


def half_of(clip: Clip) -> Clip:
    """Return the second half of the clip of the camera that is adapted to."""
    number = [camera.name for camera in clip.cameras].index(CAMERA)
    second = clip.frames >= HALF
    return replace(
        clip,
        cameras=[clip.cameras[number]],
        videos=[clip.videos[number]],
        frames=clip.frames[second],
        joints=clip.joints[second],
    )


def pipeline_method(folder: Path | None) -> PipelineMethod:
    """Return the pipeline with the weights in `folder`; None: with the open default."""
    name = "landmarks" if folder is None else "pear"
    parameters = Parameters(estimator=name, model_folder=str(folder or ""), max_humans=8)
    estimator = make_estimator(EstimatorChoice.of(parameters))
    return PipelineMethod(Pipeline(estimator, settings=parameters))


def default_method(body: BodyModel) -> Method:
    """Return the method of the open default; it sees the crop, not the image around it."""
    estimator = LandmarkEstimator()
    whole = np.array([0.1, 0.1, 0.9, 0.9], np.float32) * INPUT_SIZE

    def find(sample: Sample) -> Person | None:
        estimator.reset()
        regions = [Region("p1", whole)]
        (found,) = estimator.estimate(sample.crop, CROP_CAMERA, regions, 0.0)
        if found is None:
            return None
        smplx = found.smplx
        shape = (smplx.betas[None], smplx.expression[None], smplx.transl[None])
        vertices = body.vertices(smplx.pose[None], *shape)[0]
        return Person(found.joints, vertices, CROP_CAMERA.project(found.joints))

    return find


def methods_of(networks: Mapping[str, TrainedNetwork], body: BodyModel) -> dict[str, Method]:
    """Return the trained networks as methods, by name."""
    on_cpu = body_on(torch.device("cpu"), body)
    assert isinstance(on_cpu, BodyModel)
    return {name: network_method(network, on_cpu) for name, network in networks.items()}


def on_renders(methods: Mapping[str, Method], samples: Sequence[Sample], body: BodyModel) -> Table:
    """Return the figures on held-out renders."""
    compared = {
        "constant pose": constant_method(body),
        "stage 1": methods["stage1"],
        "stage 1, longer": methods["longer"],
        "stages 1 and 2": methods["pixels"],
        "open default": default_method(body),
    }
    return crops_table(compared, samples, body)


def in_space(folder: Path, clip: Clip, compared: Mapping[str, str]) -> Table:
    """Return the figures of trainings, named by `compared`, and of the default on a clip."""
    folders = {heading: weights(folder, training).parent for heading, training in compared.items()}
    rows = [["constant pose", f"{constant_pose_error(clip):.1f}", *([""] * (len(SPACE) - 1))]]
    for heading, models in {**folders, "open default": None}.items():
        (found,) = compare_on_clip(clip, [partial(pipeline_method, models)]).values()
        named = {figure.name: str(figure) for table in found.values() for figure in table}
        rows.append([heading, *(named[name] for name in SPACE)])
    return ["", *SPACE], rows


def constant_pose_error(clip: Clip) -> float:
    """Return the mean PA-MPJPE of the constant pose, mm, over all labelled people."""
    pose = np.zeros((1, 55, 3), np.float32)
    body = load_open_body()
    shape = (
        np.zeros((1, body.num_betas), np.float32),
        np.zeros((1, body.num_expression), np.float32),
    )
    joints = body.joints(pose, *shape, np.zeros((1, 3), np.float32))[0]
    limbs = [SMPLX_JOINT_NAMES.index(name) for name in COCO_KEYPOINTS[5:]]
    people = clip.joints[:, :, 5:].reshape(-1, len(limbs), 3)
    return float(np.nanmean([pa_mpjpe(joints[limbs], truth) for truth in people]))


def draw(file: Path, samples: Sequence[Sample], methods: Sequence[Method], body: BodyModel) -> None:
    """Write a picture, in half size: crops in the first row, below them what each method sees."""
    rows = [np.hstack([sample.crop for sample in samples])]
    for method in methods:
        drawn = []
        for sample in samples:
            found = method(sample)
            meshes: Array = np.empty((0, body.vertex_count, 3), np.float32)
            if found is not None:
                meshes = found.vertices[None]
            names = [""] * len(meshes)
            drawn.append(draw_overlay(sample.crop, CROP_CAMERA, meshes, body.faces, names))
        rows.append(np.hstack(drawn))
    half = cv2.resize(np.vstack(rows), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    write_picture(file, np.asarray(half, np.uint8))


def main() -> None:
    """Train and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.absolute()
    torch.manual_seed(0)
    body, clip = load_open_body(), read_clip(folder / "clip" / "multiperson.npz")
    annotate(folder / "pictures", folder / "shards_pictures", ["--landmarks", "heavy"])
    annotate_clip(folder, clip)
    methods = methods_of(trained(configs(folder)), body)
    renders = samples_of(SampleMaker(Data(seed=HELD_OUT_SEED), MAP), RENDERS)
    second = AnnotatedSamples(ShardIndex(folder / "shards_clip" / f"{CAMERA}-00001.tar"), body, MAP)
    crops = samples_of(lambda index: second(np.random.default_rng(index)), RENDERS)
    adaptation = {"before": methods["pixels"], "after": methods["adapted"]}
    tables = {
        "Held-out renders": on_renders(methods, renders, body),
        "Held-out clip, four cameras": in_space(
            folder, clip, {"stage 1, longer": "longer", "stages 1 and 2": "pixels"}
        ),
        f"Adaptation, second half of {CAMERA}": in_space(
            folder, half_of(clip), {"before": "pixels", "after": "adapted"}
        ),
        f"Adaptation, crops of the second half of {CAMERA} against their annotations": crops_table(
            adaptation, crops, body
        ),
    }
    write_report("training", __doc__ or "", tables)
    draw(DOCS / "training_pixels.jpg", renders[:8], [methods["longer"], methods["pixels"]], body)
    draw(DOCS / "training_adapted.jpg", crops[:8], [*adaptation.values()], body)


if __name__ == "__main__":
    main()
