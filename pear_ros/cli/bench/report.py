# SPDX-License-Identifier: Apache-2.0
"""Reports of a measurement: a table for the terminal, and a Markdown file."""

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
"""Frames; with fewer, the 99th percentile is close to the maximum."""


@dataclass(frozen=True)
class Setting:
    """Source, estimator and machine of a measurement."""

    source: str
    """Description of the measured frames."""
    model_id: str
    """Name and version of the estimator."""
    diagnostics: Mapping[str, str]
    """Runtime, device and precision of the estimator."""
    machine: Machine
    """Description of this machine."""
    load: float
    """Load average of the machine in the minute before the measurement."""

    @property
    def was_busy(self) -> bool:
        """Whether other programs may have increased the times."""
        return self.load > 0.25 * self.machine.cores


def rows(measured: Measured) -> list[tuple[str, ...]]:
    """Return the table's rows: one for each stage, and the total, in milliseconds."""
    shares = measured.seconds.mean(axis=0) / measured.totals.mean()
    lines = [
        _row(name, measured.seconds[:, n], f"{100 * shares[n]:.0f} %", MEANINGS[name])
        for n, name in enumerate(measured.stages)
    ]
    return [*lines, _row("total", measured.totals, "100 %", "")]


def throughput(measured: Measured) -> float:
    """Return the mean throughput, frames per second."""
    return float(1.0 / measured.totals.mean())


def title(measured: Measured, setting: Setting) -> list[str]:
    """Return lines that describe what was measured, and on what."""
    width, height = measured.size
    device = f"; {setting.diagnostics['device']}" if "device" in setting.diagnostics else ""
    return [
        f"{setting.model_id}: {throughput(measured):.1f} frames per second, "
        f"{measured.people.mean():.2f} people per frame",
        f"{len(measured.seconds)} frames of {width} x {height} pixels from {setting.source}; "
        f"{measured.warm_up} frames before them to warm up",
        f"{setting.machine}{device}",
        _busy(setting),
    ]


def notes(measured: Measured, setting: Setting) -> list[str]:
    """Return remarks about the measurement."""
    remarks = ["Frames are processed sequentially."]
    if "runtime" in setting.diagnostics:
        remarks.append(f"Runtime {setting.diagnostics['runtime']}.")
    remarks.append(f"Measured by pear_ros {__version__}.")
    if "messages" not in measured.stages:
        remarks.append("Without messages, since ROS 2 or pear_msgs is not installed.")
    if len(measured.seconds) < _FEW:
        remarks.append("With so few frames, the 99th percentile is close to the maximum.")
    return remarks


def as_text(lines: Iterable[Sequence[str]]) -> str:
    """Return the table for a terminal."""
    text = f"{HEADINGS[0]:15}" + "".join(f"{name:>9}" for name in HEADINGS[1:-1]) + "   [ms]"
    for name, *figures, meaning in lines:
        text += f"\n{name:15}" + "".join(f"{figure:>9}" for figure in figures)
        text += f"   {meaning}".rstrip()
    return text


def as_markdown(measured: Measured, setting: Setting, picture: str) -> str:
    """Return the report; `picture`: path of the plot relative to it."""
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
    text = f"Load average of the minute before: {setting.load:.1f}"
    if setting.was_busy:
        return f"{text}; the machine was not idle, which increases the times"
    return f"{text}; the machine was idle"
