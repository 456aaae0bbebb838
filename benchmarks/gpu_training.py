# SPDX-License-Identifier: Apache-2.0
"""Ten minutes of training on an NVIDIA GPU: ViT-S from scratch, on renders of the open body.

    python -m benchmarks.gpu_training --output FOLDER

The speed of the first steps decides how many there are: stage 1 for five sixths of the time, then
stage 2. Renders are made by processes of the CPU. FOLDER gets training.md, with figures on
held-out renders and samples a second, the picture sheet, and the weights in half precision (60 MB),
which `pear evaluate --estimator pear --models FOLDER` measures on real pictures where those are.
Needs nothing of ROS: array_api_compat, numpy, opencv-python-headless, ruamel.yaml, scipy,
threadpoolctl, torch, tqdm. `--smoke` runs it in a small size without a GPU.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.report import report_text, write_whole
from benchmarks.training_figures import (
    HELD_OUT_SEED,
    constant_method,
    crops_table,
    network_method,
    samples_of,
)
from pear_ros.body import BodyModel, load_open_body
from pear_ros.pear.cuda_mesh import body_on
from pear_ros.training.config import Config, Data, Stage
from pear_ros.training.network import NetworkSize
from pear_ros.training.samples import SampleMaker
from pear_ros.training.trainer import Trainer
from tools.pack_example_model import pack

VIT_S = NetworkSize(depth=12, width=384, heads=6, decoder_width=512, decoder_layers=4)
SMALL = NetworkSize(depth=1, width=64, heads=1, decoder_width=32, decoder_layers=1)
TRIED = 30
"""Steps whose time is taken, after as many that are not."""


def config_of(folder: Path, smoke: bool) -> Config:
    """Return the configuration, with steps only for the measurement of speed."""
    workers = max(1, (os.cpu_count() or 2) - 2)
    first = Stage(steps=2 * TRIED, batch=128, learning_rate=6e-4, warmup=TRIED)
    config = Config(
        name="vit-s",
        output=str(folder / "speed"),
        bf16=True,
        epoch=1000,
        network=VIT_S,
        data=Data(workers=workers),
        stage1=first,
        stage2=Stage(steps=0, batch=128, learning_rate=1e-4, pixels=True),
    )
    if not smoke:
        return config
    small = replace(first, steps=4, batch=2, warmup=1)
    return replace(config, network=SMALL, map_size=32, device="cpu", stage1=small, data=Data())


def seconds_a_step(config: Config) -> float:
    """Return the time of a step of stage 1, after a warm-up."""
    half = config.stage1.steps // 2
    short = replace(config, stage1=replace(config.stage1, steps=half))
    times = []
    for one in (short, replace(config, output=f"{config.output}_again")):
        trainer, began = Trainer(one), time.perf_counter()
        trainer.run()
        times.append(time.perf_counter() - began)
    return max(1e-3, (times[1] - times[0]) / half)


def main() -> None:
    """Measure the speed, train, measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=420.0, help="time of both stages")
    parser.add_argument("--smoke", action="store_true", help="try the script without a GPU")
    options = parser.parse_args()
    if not (options.smoke or torch.cuda.is_available()):
        parser.error("torch finds no NVIDIA GPU; --smoke tries the script without one")
    config = config_of(options.output, options.smoke)
    step = seconds_a_step(config)
    steps = 8 if options.smoke else int(options.seconds / step)
    pixels = max(1, steps // 6)
    config = replace(
        config,
        output=str(options.output / "training"),
        stage1=replace(config.stage1, steps=steps - pixels),
        stage2=replace(config.stage2, steps=pixels, batch=config.stage1.batch),
    )
    trainer, began = Trainer(config), time.perf_counter()
    trainer.run()
    taken = time.perf_counter() - began
    body = load_open_body()
    on_cpu = body_on(torch.device("cpu"), body)
    assert isinstance(on_cpu, BodyModel)
    samples = samples_of(SampleMaker(Data(seed=HELD_OUT_SEED), 64), 4 if options.smoke else 256)
    methods = {
        "constant pose": constant_method(body),
        "trained": network_method(trainer.network.cpu().eval(), on_cpu),
    }
    trained = steps * config.stage1.batch
    speed = [[str(steps), f"{trained}", f"{trained / taken:.0f}", f"{taken:.0f}"]]
    tables = {
        "Held-out renders": crops_table(methods, samples, body),
        "Speed": (["steps", "samples", "samples a second", "seconds"], speed),
    }
    gpu = "no GPU" if options.smoke else torch.cuda.get_device_name()
    write_whole(options.output / "training.md", report_text(__doc__ or "", tables, gpu))
    shutil.copy(options.output / "training" / "sheet.jpg", options.output / "sheet.jpg")
    pack(trainer.weights_file, options.output / "pear_model.pt")
    for folder in ("speed", "speed_again", "training"):
        shutil.rmtree(options.output / folder)
    print(f"written to {options.output}")


if __name__ == "__main__":
    main()
