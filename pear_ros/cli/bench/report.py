# SPDX-License-Identifier: Apache-2.0
"""What was measured as a table for the terminal, and as Markdown with all that belongs to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pear_ros import __version__
from pear_ros.cli.bench.measure import Measured
from pear_ros.cli.bench.parts import MEANINGS
from pear_ros.io.machine import Machine

HEADINGS = ("stage", "mean", "median", "95 %", "99 %", "share", "")
_FEW = 100
"""Frames; of fewer, the 99th percentile is nearly the slowest alone."""


@dataclass(frozen=True)
class Setting:
    """What was measured, and where."""

    source: str
    model_id: str
    diagnostics: Mapping[str, str]
    """Of the estimator: its runtime, device, precision."""
    machine: Machine
    load: float
    """How many programs wanted a core in the minute before."""

    @property
    def was_busy(self) -> bool:
        """Whether other programs may have been in the way."""
        return self.load > 0.25 * self.machine.cores


def rows(measured: Measured) -> list[tuple[str, ...]]:
    """A line for each stage, and the total; milliseconds."""
    shares = measured.seconds.mean(axis=0) / measured.totals.mean()
    lines = [
        _row(name, measured.seconds[:, n], f"{100 * shares[n]:.0f} %", MEANINGS[name])
        for n, name in enumerate(measured.stages)
    ]
    return [*lines, _row("total", measured.totals, "100 %", "")]


def throughput(measured: Measured) -> float:
    """Frames a second, one after the other."""
    return float(1.0 / measured.totals.mean())


def title(measured: Measured, setting: Setting) -> list[str]:
    """What must be known of the figures, in a few lines."""
    width, height = measured.size
    device = f"; {setting.diagnostics['device']}" if "device" in setting.diagnostics else ""
    return [
        f"{setting.model_id}: {throughput(measured):.1f} frames a second, "
        f"{measured.people.mean():.2f} people a frame",
        f"{len(measured.seconds)} frames of {width} x {height} pixels from {setting.source}; "
        f"{measured.warm_up} frames before them were left out to warm up",
        f"{setting.machine}{device}",
        _busy(setting),
    ]


def notes(measured: Measured, setting: Setting) -> list[str]:
    """What else."""
    told = ["Frames are worked on one after the other."]
    if "runtime" in setting.diagnostics:
        told.append(f"Runtime {setting.diagnostics['runtime']}.")
    told.append(f"Measured by pear_ros {__version__}.")
    if "messages" not in measured.stages:
        told.append("Without messages, as ROS 2 or pear_msgs is not here.")
    if len(measured.seconds) < _FEW:
        told.append("Of so few frames the 99th percentile is nearly the slowest one.")
    return told


def as_text(lines: Iterable[Sequence[str]]) -> str:
    """A table for the terminal."""
    shown = f"{HEADINGS[0]:15}" + "".join(f"{name:>9}" for name in HEADINGS[1:-1]) + "   [ms]"
    for name, *figures, meaning in lines:
        shown += f"\n{name:15}" + "".join(f"{figure:>9}" for figure in figures)
        shown += f"   {meaning}".rstrip()
    return shown


def as_markdown(measured: Measured, setting: Setting, picture: str) -> str:
    """The whole report; `picture`: path of the plot from where the report lies."""
    rule = ["---"] + ["---:"] * (len(HEADINGS) - 2) + ["---"]
    table = [HEADINGS, rule, *rows(measured)]
    return "\n".join(
        [
            f"# {setting.model_id} on {setting.source}\n",
            *(f"- {line}" for line in title(measured, setting)),
            *(f"- {line}" for line in notes(measured, setting)),
            "\nMilliseconds of each stage, without stages within it:\n",
            *("| " + " | ".join(line) + " |" for line in table),
            f"\n![each frame, the mean of each stage, and the distribution]({picture})\n",
        ]
    )


def _row(name: str, seconds: npt.NDArray[np.float64], share: str, meaning: str) -> tuple[str, ...]:
    figures = (seconds.mean(), *np.percentile(seconds, [50, 95, 99]))
    return (name, *(f"{1e3 * float(figure):.1f}" for figure in figures), share, meaning)


def _busy(setting: Setting) -> str:
    text = f"In the minute before {setting.load:.1f} programs wanted a core on average"
    if setting.was_busy:
        return f"{text}: the machine was not idle, and times are longer for it"
    return f"{text}: the machine was idle"
