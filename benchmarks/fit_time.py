# SPDX-License-Identifier: Apache-2.0
"""Time of the fit per person, with the solver in NumPy and in code compiled by Numba.

    python -m benchmarks.fit_time

Landmarks of rendered people are fitted in both ways, alternating in the same run, on one thread.
Solver: one solve with the landmarks and the start of the fit. Body: the fit of a new person's body,
without the detection of landmarks; of a known person: with the fit of the image before. Head and
hands: their fit, and that of the face if there is one, on a fitted body. The differences are those
of the 55 joints, median and greatest. Writes benchmarks/results/fit_time.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.body_model import medians
from benchmarks.fit_accuracy import KINDS
from benchmarks.report import write_report
from pear_ros.core.blas import OneBlasThread
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array
from pear_ros.fitting import BodyFit, BodyFitter, PartFitter, solver
from pear_ros.fitting.skeleton import Skeleton
from pear_ros.fitting.solver import BodySolver
from pear_ros.landmarks.holistic import HolisticLandmarks
from pear_ros.landmarks.pose import roi_from_box
from pear_ros.landmarks.types import PersonLandmarks
from pear_ros.training.studio import SyntheticStudio
from tools.pose_prior_renders import background

SIZE = (1280, 960)
YAWS = (0, 180)
_SECONDS = 1.0 / 30.0
"""Time between two images of a known person."""


@dataclass(frozen=True)
class _Person:
    """Landmarks in an image, and the fit of the body to them."""

    landmarks: PersonLandmarks
    camera: Camera
    fit: BodyFit


class _Fit:
    """The fit of bodies, heads and hands, with one of the two solvers."""

    def __init__(self, *, compiled: bool) -> None:
        """Load the fit."""
        solve = solver.compiled_solve() if compiled else None
        if compiled and solve is None:
            raise SystemExit("The compiled solver is not available; see the log")
        with patch.object(solver, "compiled_solve", return_value=solve):
            self._body = BodyFitter()
            self._parts = PartFitter(self._body)
            self._solver = BodySolver(Skeleton(self._body.body))

    def solve(self, problems: list[tuple[Any, ...]]) -> None:
        """Solve with each of the arguments."""
        for arguments in problems:
            self._solver(*arguments)

    def new_bodies(self, persons: list[_Person]) -> None:
        """Fit the bodies of new people."""
        for person in persons:
            self._body(person.landmarks.pose, person.camera, None, 0.0)

    def known_bodies(self, persons: list[_Person]) -> None:
        """Fit the bodies of people known from the image before."""
        for person in persons:
            self._body(person.landmarks.pose, person.camera, person.fit, _SECONDS)

    def parts(self, persons: list[_Person]) -> None:
        """Fit heads and hands to fitted bodies."""
        for person in persons:
            self._parts(person.fit, person.landmarks, person.camera)

    def joints(self, person: _Person) -> Array:
        """Return the joints (55, 3) of a new person, metres."""
        fit = self._body(person.landmarks.pose, person.camera, None, 0.0)
        smplx, _ = self._parts(fit, person.landmarks, person.camera)
        joints: Array = self._body.body.joints(
            smplx.pose[None], smplx.betas[None], smplx.expression[None], smplx.transl[None]
        )[0]
        return joints


def people() -> list[_Person]:
    """Return rendered people whose landmarks were found."""
    studio, holistic, fit = SyntheticStudio([background()]), HolisticLandmarks(), BodyFitter()
    rng = np.random.default_rng([2026, 8])
    found = []
    for kind in KINDS:
        for yaw in YAWS:
            person = studio.shoot(rng, kind, yaw, SIZE)
            pixels = person.camera.project(person.vertices)
            box = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
            (seen,) = holistic(person.image, [roi_from_box(box)])
            if seen is not None:
                body = fit(seen.pose, person.camera, None, 0.0)
                found.append(_Person(seen, person.camera, body))
    return found


def solves(persons: list[_Person]) -> list[tuple[Any, ...]]:
    """Return the arguments of the solves in the fits of these people."""
    fit, arguments, solve = BodyFitter(), [], BodySolver.__call__

    def record(self: BodySolver, *values: Any) -> Any:
        arguments.append(values)
        return solve(self, *values)

    with patch.object(BodySolver, "__call__", record):
        for person in persons:
            fit(person.landmarks.pose, person.camera, None, 0.0)
    return arguments


def main() -> None:
    """Measure and write the report."""
    persons = people()
    problems = solves(persons)
    plain, compiled = _Fit(compiled=False), _Fit(compiled=True)
    stages: dict[str, tuple[Callable[[_Fit, list[Any]], None], list[Any]]] = {
        "solver": (_Fit.solve, problems),
        "body, new person": (_Fit.new_bodies, persons),
        "body, known person": (_Fit.known_bodies, persons),
        "head and hands": (_Fit.parts, persons),
    }
    rows = []
    with OneBlasThread():
        for name, (stage, values) in stages.items():
            taken = medians(partial(stage, plain, values), partial(stage, compiled, values))
            slow, fast = (time / len(values) for time in taken)
            rows.append([name, f"{slow:.2f}", f"{fast:.2f}", f"{slow / fast:.1f}"])
        off = [1e3 * np.abs(plain.joints(p) - compiled.joints(p)).max() for p in persons]
    head = ["stage", "NumPy, ms", "compiled, ms", "NumPy / compiled"]
    faces = sum(person.landmarks.face is not None for person in persons)
    hands = sum(
        (person.landmarks.left_hand is not None) + (person.landmarks.right_hand is not None)
        for person in persons
    )
    write_report(
        "fit_time",
        __doc__ or "",
        {
            f"Median per person, of {len(persons)} people with {hands} hands and {faces} faces": (
                head,
                rows,
            ),
            "Difference between the two": (
                ["median, mm", "greatest, mm"],
                [[f"{np.median(off):.4f}", f"{np.max(off):.4f}"]],
            ),
        },
    )


if __name__ == "__main__":
    main()
