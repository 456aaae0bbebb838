# SPDX-License-Identifier: Apache-2.0
"""Least distances between capsules and spheres."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pear_ros.hri.body_parts import Float64
from pear_ros.hri.capsules import PARTS, Capsules
from pear_ros.hri.separation import ClosingSpeeds, Separations, separations

C = len(PARTS)
CAMERA = np.zeros(3)
PLACES = st.floats(-3.0, 3.0).map(lambda value: round(value, 3))
LENGTHS = st.floats(0.0, 0.5)


def capsules(axes: Float64, radii: Float64) -> Capsules:
    return Capsules(axes[0], axes[1], radii, np.full(radii.shape, 0.05))


def one(begin: tuple[float, ...], end: tuple[float, ...], radius: float = 0.1) -> Capsules:
    """One person of whom only the last part is known."""
    places = np.full((2, 1, C, 3), np.nan)
    places[:, 0, -1] = begin, end
    return capsules(places, np.full((1, C), radius))


def nearest(body: Capsules, *centres: tuple[float, ...], depth_error: float = 0.0) -> Separations:
    """To spheres of 0.2 m."""
    radii = np.full(len(centres), 0.2)
    return separations(
        body, np.array(centres), radii, CAMERA, np.full(len(body.radii), depth_error)
    )


@given(
    arrays(np.float64, (2, 2, 4, 3), elements=PLACES),
    arrays(np.float64, (2, 4), elements=LENGTHS),
    arrays(np.float64, (3, 3), elements=PLACES),
    arrays(np.float64, (3,), elements=LENGTHS),
)
def test_distance_is_the_least_of_all_points_of_the_axes(
    axes: Float64, radii: Float64, centres: Float64, spheres: Float64
) -> None:
    found = separations(capsules(axes, radii), centres, spheres, CAMERA, np.zeros(2))
    shares = np.linspace(0.0, 1.0, 501)[:, None]
    for person in range(2):
        for sphere in range(3):
            begins, ends = axes[:, person, :, None]
            points = begins + shares * (ends - begins)  # (4, 501, 3)
            gaps = np.linalg.norm(points - centres[sphere], axis=2) - spheres[sphere]
            gaps -= radii[person][:, None]
            distance = found.distances[person, sphere]
            assert distance <= gaps.min() + 1e-9
            assert distance >= gaps.min() - 0.5 * 3.0 * np.sqrt(12.0) / 500
            part = found.parts[person, sphere]
            assert gaps[part].min() == pytest.approx(gaps.min(), abs=0.012)
            # The points lie on both surfaces, as far apart as the distance says.
            apart = found.robot_points[person, sphere] - found.human_points[person, sphere]
            assert np.linalg.norm(apart) == pytest.approx(abs(distance), abs=1e-9)
            to_centre = np.linalg.norm(found.robot_points[person, sphere] - centres[sphere])
            assert to_centre == pytest.approx(spheres[sphere], abs=1e-9)


def test_points_lie_on_both_surfaces() -> None:
    found = nearest(one((1, 0, 0), (1, 0, 2)), (3, 0, 1), (1, 0, 3))
    np.testing.assert_allclose(found.distances, [[1.7, 0.7]])
    np.testing.assert_allclose(found.human_points, [[(1.1, 0, 1), (1, 0, 2.1)]])
    np.testing.assert_allclose(found.robot_points, [[(2.8, 0, 1), (1, 0, 2.8)]])
    assert found.parts.tolist() == [[C - 1, C - 1]]


def test_overlap_is_negative_and_a_centre_on_the_axis_is_no_division_by_zero() -> None:
    found = nearest(one((1, 0, 0), (1, 0, 2)), (1.1, 0, 1), (1, 0, 1))
    np.testing.assert_allclose(found.distances, [[-0.2, -0.3]])
    assert np.isfinite(found.human_points).all()


def test_unknown_is_nan() -> None:
    body = one((1, 0, 0), (1, 0, 2))
    body.begins[:] = np.nan
    for found in (nearest(body, (3, 0, 1)), nearest(one((1, 0, 0), (1, 0, 2)), (np.nan,) * 3)):
        assert found.parts.tolist() == [[-1]]
        for values in found[1:]:
            assert np.isnan(values).all()


def test_nobody_is_empty() -> None:
    empty = capsules(np.empty((2, 0, C, 3)), np.empty((0, C)))
    assert nearest(empty, (0, 0, 0)).distances.shape == (0, 1)


def test_error_of_the_person_counts_along_the_line_of_sight() -> None:
    body = one((2, 0, 0), (2, 0, 0))
    towards, aside = nearest(body, (4, 0, 0), (2, 3, 0), depth_error=0.3).errors[0]
    assert towards == pytest.approx(np.hypot(0.3, 0.05))
    assert aside == pytest.approx(0.05, abs=0.003)
    assert np.isnan(nearest(body, (4, 0, 0), depth_error=np.nan).errors).all()


def test_closing_speed_is_that_of_the_distance() -> None:
    speeds = ClosingSpeeds()
    assert np.isnan(speeds.update(1.0, ["h1"], np.array([[2.0, 1.0]]))).all()
    for step in range(1, 4):
        distances = np.array([[2.0 - 0.1 * step, np.nan]])
        found = speeds.update(1.0 + 0.1 * step, ["h1"], distances)
    assert found[0, 0] == pytest.approx(1.0)
    assert np.isnan(found[0, 1])


def test_closing_speed_begins_anew_with_another_key() -> None:
    speeds = ClosingSpeeds()
    for second in (1.0, 1.1):
        speeds.update(second, [("h1", True)], np.array([[2.0 - second]]))
    assert np.isnan(speeds.update(1.2, [("h1", False)], np.array([[0.1]]))).all()
    assert np.isnan(speeds.update(1.3, [("h1", True)], np.array([[0.7]]))).all()
