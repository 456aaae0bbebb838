# SPDX-License-Identifier: Apache-2.0
"""The report of `pear bench`: its table, its remarks and its plot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pear_ros.cli.bench import plot
from pear_ros.cli.bench.measure import Measured
from pear_ros.cli.bench.report import Setting, as_markdown, as_text, notes, rows, title
from pear_ros.core.people import Image
from pear_ros.io.machine import this_machine

MEASURED = Measured(
    ("decode", "estimate", "other"),
    np.outer(np.arange(1, 101), [0.001, 0.002, 0.001]),
    np.arange(100) % 3,
    10,
    (640, 480),
)

DIAGNOSTICS = {"device": "CPU, 2 threads", "runtime": "none 1.0"}


def setting(load: float = 0.0) -> Setting:
    return Setting("a video", "sleeper/1", DIAGNOSTICS, this_machine(), load)


def test_report_has_percentiles_and_shares_of_stages() -> None:
    decode, estimate, _, total = rows(MEASURED)
    assert decode[:6] == ("decode", "50.5", "50.5", "95.0", "99.0", "25 %")
    assert estimate[5] == "50 %"
    assert total[:6] == ("total", "202.0", "202.0", "380.2", "396.0", "100 %")


def test_report_describes_source_and_machine() -> None:
    report = as_markdown(MEASURED, setting(), "bench.png")
    for expected in (
        "sleeper/1: 5.0 frames per second, 0.99 people per frame",
        "100 frames of 640 x 480 pixels from a video; 10 frames before them to warm up",
        f"{this_machine().cores} cores",
        "CPU, 2 threads",
        "the machine was idle",
        "Without messages",
        "](bench.png)",
    ):
        assert expected in report
    table = [line for line in report.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert len(table) == 2 + 4
    assert as_text(rows(MEASURED)).count("\n") == 4


def test_report_remarks_load_and_few_frames() -> None:
    cores = this_machine().cores
    assert "was not idle" in title(MEASURED, setting(load=0.4 * cores))[-1]
    assert "was idle" in title(MEASURED, setting(load=0.1 * cores))[-1]
    few = Measured(MEASURED.stages, MEASURED.seconds[:5], MEASURED.people[:5], 1, (9, 9))
    assert "99th percentile" in " ".join(notes(few, setting()))
    assert "99th percentile" not in " ".join(notes(MEASURED, setting()))


def count_of(picture: Image, area: tuple[slice, slice], colour: tuple[int, int, int]) -> int:
    return int((picture[area] == colour).all(axis=2).sum())


def test_plot_areas_are_proportional_to_stages() -> None:
    picture = plot.draw_plot(MEASURED, ["title", "below"])
    assert picture.shape == (plot._HEIGHT, plot._WIDTH, 3)
    frames = slice(100, 430), slice(90, plot._WIDTH - 40)
    decode, estimate, other = (count_of(picture, frames, plot._PALETTE[n]) for n in range(3))
    assert estimate == pytest.approx(2 * decode, rel=0.1)
    assert other == pytest.approx(decode, rel=0.1)
    mean = slice(520, 560), slice(0, 700)
    bar = [count_of(picture, mean, plot._PALETTE[n]) for n in range(3)]
    assert bar[1] == pytest.approx(2 * bar[0], rel=0.05)


@pytest.mark.parametrize("seconds", [[[0.5]], [[1e-6], [1e-6]], [[0.0], [3600.0]]])
def test_plot_of_extreme_values(seconds: list[list[float]]) -> None:
    odd = Measured(("estimate",), np.array(seconds), np.ones(len(seconds), int), 0, (1, 1))
    assert (plot.draw_plot(odd, ["t"]) != 255).any()


@given(st.floats(1e-3, 1e7), st.integers(2, 12))
def test_plot_steps_of_an_axis(largest: float, parts: int) -> None:
    step = plot.nice_step(largest, parts)
    assert largest / step <= parts * (1 + 1e-9)
    assert largest / step > parts / 2.6
    assert f"{step:.0e}"[0] in "125"
