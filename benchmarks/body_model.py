# SPDX-License-Identifier: Apache-2.0
"""The package's body models against the `smplx` package: one person, and four, on the CPU.

    python -m benchmarks.body_model

Vertices from the same parameters, alternating in the same run. The open body has no pose-corrective
offsets (`smplx` computes with zeros there). SMPL-X and EHM-s are synthetic, by the recipe of the
parity tests, with 200 shape and 50 expression coefficients as in PEAR; instead of EHM-s, which
`smplx` does not have, it computes plain SMPL-X on the same file. The difference is the largest of
any vertex, where both compute the same body. `smplx` runs on torch with all cores; pear_ros with
one thread of BLAS, as in the pipeline, and Numba with all cores. Writes
benchmarks/results/body_model.md.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.report import write_report
from pear_ros.body import BodyModel, load_open_body
from pear_ros.body.ehm import EhmBody
from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.core.people import Array
from pear_ros.pear.files import find_model_files, load_body_files
from testing.parity import recipe
from testing.smplx_file import complete_smplx_file, smplx_forward, write_smplx_file

ROUNDS, RUNS = 6, 15
WARM_UP = 3


@dataclass(frozen=True)
class Comparison:
    """One of our bodies and the file on which the package runs."""

    name: str
    path: Path
    body: BodyModel
    ours: Callable[[dict[str, Array]], Array]
    same: bool
    """Whether the package computes the same vertices."""


def medians(*calls: Callable[[], Any]) -> list[float]:
    """Return the median milliseconds of each call.

    Calls alternate, some runs each, with a pause in between, as torch's threads keep cores busy for
    a moment after its calls.
    """
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, taken in zip(calls, times, strict=True):
            time.sleep(0.1)
            for run in range(WARM_UP + RUNS):
                start = time.perf_counter()
                call()
                if run >= WARM_UP:
                    taken.append(1000 * (time.perf_counter() - start))
    return [float(np.median(taken)) for taken in times]


def plain(body: BodyModel) -> Callable[[dict[str, Array]], Array]:
    """Vertices of a body."""

    def vertices(values: dict[str, Array]) -> Array:
        result: Array = body.vertices(**values)
        return result

    return vertices


def with_head(body: EhmBody) -> Callable[[dict[str, Array]], Array]:
    """Vertices of EHM-s, with a head of some expression."""

    def vertices(values: dict[str, Array]) -> Array:
        people = len(values["pose"])
        head = np.full((people, 350), 0.3, np.float32)
        result: Array = body.vertices(
            EhmParameters(
                **values,
                flame_shape=head[:, :300],
                flame_expression=head[:, 300:],
                jaw=head[:, :3],
                eyes=head[:, :6],
                eyelids=head[:, :2],
                head_scale=1.0 + head[:, :3],
            )
        )
        return result

    return vertices


def comparisons(folder: Path) -> list[Comparison]:
    """Return the pairs to compare, with synthetic files in `folder`."""
    open_body = load_open_body()
    recipe.write_assets(folder / "models", 5)
    smplx, flame = load_body_files(find_model_files(folder / "models"))
    (folder / "smplx").mkdir()
    with np.load(folder / "models/SMPLX/SMPLX_NEUTRAL_2020.npz") as arrays:
        smplx_file = complete_smplx_file(dict(arrays), folder / "smplx")
    (folder / "open").mkdir()
    open_file = write_smplx_file(open_body, folder / "open", 0.0)
    return [
        Comparison("open body", open_file, open_body, plain(open_body), True),
        Comparison("SMPL-X", smplx_file, smplx, plain(smplx), True),
        Comparison("EHM-s", smplx_file, smplx, with_head(EhmBody(smplx, flame)), False),
    ]


def main() -> None:
    """Measure and write the report."""
    rng = np.random.default_rng(0)
    rows, ratios = [], []
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1, "blas"):
        for comparison in comparisons(Path(folder)):
            times = []
            for people in (1, 4):
                body = comparison.body
                shapes = {"pose": (55, 3), "betas": (body.num_betas,)}
                shapes |= {"expression": (body.num_expression,), "transl": (3,)}
                values = {
                    key: rng.normal(0, 0.4, (people, *shape)).astype(np.float32)
                    for key, shape in shapes.items()
                }
                theirs = smplx_forward(comparison.path, body, values)
                off = np.abs(comparison.ours(values) - theirs().vertices.numpy()).max()
                fast, slow = medians(lambda: comparison.ours(values), theirs)  # noqa: B023
                times.append(fast)
                difference = f"{1e6 * off:.1f}" if comparison.same else "-"
                rows.append(
                    [
                        *(comparison.name, str(people), f"{slow:.1f}", f"{fast:.2f}"),
                        *(f"{slow / fast:.1f} x", difference),
                    ]
                )
            ratios.append([comparison.name, f"{times[1] / times[0]:.2f}"])
    head = ["body", "people", "smplx ms", "ours ms", "ratio", "largest difference, micrometres"]
    tables = {
        "Vertices from parameters": (head, rows),
        "Four people over one, ours": (["body", "times the time"], ratios),
    }
    write_report("body_model", __doc__ or "", tables)


if __name__ == "__main__":
    main()
