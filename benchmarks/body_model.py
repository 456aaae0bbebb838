# SPDX-License-Identifier: Apache-2.0
"""Our body model against the `smplx` package: one person, and four, on the CPU.

    python -m benchmarks.body_model

Both compute the same mesh from the same parameters in the same run, in turns: the open body, which
has no pose-corrective offsets (the package computes with zeros there), and the same body with made
up dense offsets, as SMPL-X has them. The largest difference of any vertex is given. `smplx` runs on
torch with all cores. Writes benchmarks/results/body_model.md.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import smplx
import torch

from benchmarks.report import write_report
from pear_ros.body import BodyModel, load_open_body, load_smplx

sys.path.insert(0, str(Path(__file__).parents[1] / "test"))
from smplx_file import write_smplx_file

ROUNDS, RUNS = 6, 15
WARM_UP = 3


def smplx_forward(path: Path, body: BodyModel, values: dict[str, Any]) -> Callable[[], Any]:
    """A call of the package that computes the vertices."""
    people = len(values["pose"])
    model = smplx.SMPLX(
        str(path),
        num_betas=body.num_betas,
        num_expression_coeffs=body.num_expression,
        use_pca=False,
        flat_hand_mean=True,
        batch_size=people,
    )
    pose = torch.from_numpy(values["pose"].reshape(people, -1))
    parts = {
        **{"global_orient": pose[:, :3], "body_pose": pose[:, 3:66], "jaw_pose": pose[:, 66:69]},
        **{"leye_pose": pose[:, 69:72], "reye_pose": pose[:, 72:75]},
        **{"left_hand_pose": pose[:, 75:120], "right_hand_pose": pose[:, 120:165]},
        **{key: torch.from_numpy(values[key]) for key in ("betas", "expression", "transl")},
    }

    def forward() -> Any:
        with torch.no_grad():
            return model(**parts).vertices.numpy()

    return forward


def medians(*calls: Callable[[], Any]) -> list[float]:
    """Median milliseconds of each call. They take turns, some runs each, as torch's threads keep
    cores busy for a moment after each of its calls.
    """
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, taken in zip(calls, times, strict=True):
            for run in range(WARM_UP + RUNS):
                start = time.perf_counter()
                call()
                if run >= WARM_UP:
                    taken.append(1000 * (time.perf_counter() - start))
    return [float(np.median(taken)) for taken in times]


def main() -> None:
    """Measure and write the report."""
    open_body = load_open_body()
    rng = np.random.default_rng(0)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, scale in (("open body", 0.0), ("with dense pose-corrective offsets", 1e-3)):
            path = write_smplx_file(open_body, Path(folder), scale)
            dense = load_smplx(path, num_betas=10, num_expression=52)
            body = dense if scale else open_body
            for people in (1, 4):
                shapes = {"pose": (55, 3), "betas": (10,), "expression": (52,), "transl": (3,)}
                values = {
                    key: rng.normal(0, 0.4, (people, *shape)).astype(np.float32)
                    for key, shape in shapes.items()
                }
                theirs = smplx_forward(path, body, values)
                ours = partial(body.vertices, **values)
                difference = np.abs(ours() - theirs()).max()
                fast, slow = medians(ours, theirs)
                rows.append(
                    [
                        *(name, str(people), f"{slow:.1f}", f"{fast:.2f}"),
                        *(f"{slow / fast:.0f} x", f"{1e6 * difference:.1f}"),
                    ]
                )
    head = ["body", "people", "smplx ms", "ours ms", "ratio", "largest difference, micrometres"]
    write_report("body_model", __doc__ or "", {"Vertices from parameters": (head, rows)})


if __name__ == "__main__":
    main()
