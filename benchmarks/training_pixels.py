# SPDX-License-Identifier: Apache-2.0
"""What pixels add to a training whose meshes are near the people already, on a CPU.

python -m benchmarks.training_pixels FOLDER

The example's weights (estimator: example) learn the first half of a clip of one camera with the
losses of stage 1, which brings the meshes near its people. From there some steps more without
pixels are compared with as many on the same samples with pixels (stage 2), three times with other
samples. Measured on crops of the second half of the clip against their annotations, which are those
of the open default; medians over people, then means over the three times, with their range.

FOLDER is that of benchmarks.training, of which clip and backgrounds are used. A training that is
finished is not repeated, one that was interrupted is continued.

Writes benchmarks/results/training_pixels.md, and a picture for docs/.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.report import Table, write_report
from benchmarks.training import (
    CAMERA,
    DOCS,
    MAP,
    SIZE,
    annotate_clip,
    default_method,
    draw,
    methods_of,
    trained,
    weights,
)
from benchmarks.training_figures import FIGURES, Method, crop_figures, samples_of
from pear_ros.annotation.shard_index import ShardIndex
from pear_ros.body import load_open_body
from pear_ros.evaluation.clips import read_clip
from pear_ros.pear.files import EXAMPLE
from pear_ros.training.annotated_samples import AnnotatedSamples
from pear_ros.training.config import Config, Data, Stage

CROPS = 256
SEEDS = (5, 6, 7)


def configs(folder: Path) -> dict[str, Config]:
    """Return the trainings by name, each after those it begins with."""
    data = Data(
        seed=4,
        workers=2,
        backgrounds=str(folder / "backgrounds"),
        shards=str(folder / "shards_clip" / f"{CAMERA}-00000.tar"),
        annotated=0.8,
    )
    first = Stage(steps=300, batch=16, learning_rate=5e-4, warmup=20)
    more = Stage(steps=160, batch=16, learning_rate=1e-4, warmup=20)
    near = Config(
        name="clip",
        output=str(folder / "training" / "near"),
        initial=str(EXAMPLE),
        bf16=True,
        ema=0.98,
        network=SIZE,
        data=data,
        stage1=first,
        stage2=Stage(steps=0),
    )
    found = {"near": near}
    for seed in SEEDS:
        for kind in ("longer", "pixels"):
            name = f"near_{kind}_{seed}"
            found[name] = replace(
                near,
                output=str(folder / "training" / name),
                initial=str(weights(folder, "near")),
                data=replace(data, seed=seed),
                stage1=replace(more, pixels=kind == "pixels"),
            )
    return found


def spread(rows: Sequence[Sequence[float]]) -> list[str]:
    """Return the means of the columns, with their ranges where there is more than one row."""
    figures = np.array(rows)
    means = [f"{mean:.1f}" for mean in figures.mean(axis=0)]
    if len(rows) == 1:
        return means
    ends = zip(figures.min(axis=0), figures.max(axis=0), strict=True)
    return [f"{m} ({a:.1f} to {b:.1f})" for m, (a, b) in zip(means, ends, strict=True)]


def table(figures: dict[str, list[float]], default: list[float]) -> Table:
    """Return the table of figures by training, with those of the default."""
    longer, pixels = (
        [figures[f"near_{kind}_{seed}"] for seed in SEEDS] for kind in ("longer", "pixels")
    )
    change = (np.array(pixels) - np.array(longer)).tolist()
    rows = {
        "first half, stage 1": [figures["near"]],
        "then more of stage 1": longer,
        "then stage 2, pixels": pixels,
        "stage 2 less more of stage 1": change,
        "open default": [default],
    }
    return ["", *FIGURES], [[heading, *spread(found)] for heading, found in rows.items()]


def main() -> None:
    """Train and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.absolute()
    torch.manual_seed(0)
    body = load_open_body()
    annotate_clip(folder, read_clip(folder / "clip" / "multiperson.npz"))
    second = AnnotatedSamples(ShardIndex(folder / "shards_clip" / f"{CAMERA}-00001.tar"), body, MAP)
    crops = samples_of(lambda index: second(np.random.default_rng(index)), CROPS)
    methods: dict[str, Method] = methods_of(trained(configs(folder)), body)
    figures = {name: crop_figures(method, crops, body) for name, method in methods.items()}
    default = crop_figures(default_method(body), crops, body)
    name = f"Crops of the second half of {CAMERA}"
    write_report("training_pixels", __doc__ or "", {name: table(figures, default)})
    compared = [methods[f"near_{kind}_{SEEDS[0]}"] for kind in ("longer", "pixels")]
    draw(DOCS / "training_near.jpg", crops[:8], compared, body)


if __name__ == "__main__":
    main()
