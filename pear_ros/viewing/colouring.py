# SPDX-License-Identifier: Apache-2.0
"""Colours of people and joints: by id as everywhere in pear_ros, by confidence, or by run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pear_ros.core.people import Person
from pear_ros.rendering.colours import id_colour
from pear_ros.viewing.link import Paint

Rgb = tuple[int, int, int]

UNKNOWN: Rgb = (150, 150, 150)
"""Of what has no confidence."""
_STOPS = np.array([0.0, 0.5, 1.0])
_COLOURS = np.array([(214, 69, 65), (240, 196, 72), (64, 160, 96)], np.float64)
"""Red, yellow and green at these confidences."""


_RUNS: tuple[Rgb, ...] = ((62, 124, 190), (226, 132, 44), (122, 86, 168), (64, 160, 110))
"""Blue and orange differ for people with any colour vision."""


def run_colour(run: int) -> Rgb:
    """Return the colour of a run by its number; the fifth has that of the first."""
    return _RUNS[run % len(_RUNS)]


def track_colour(name: str, runs: Sequence[str]) -> Rgb:
    """Return the colour of a person's bar and line.

    `name`: as in Comparison.summaries; `runs`: names of all runs. By run where there are several.
    """
    for number, run in enumerate(runs):
        if len(runs) > 1 and name.endswith(f" {run}"):
            return run_colour(number)
    return _id_rgb(name)


def person_colour(person: Person, paint: Paint, run: int = 0) -> Rgb:
    """Return the colour of a person's mesh: by id, by run, or by the joints' mean confidence."""
    if paint is Paint.RUN:
        return run_colour(run)
    if paint is Paint.CONFIDENCE:
        known = person.joint_confidence[np.isfinite(person.joint_confidence)]
        r, g, b = confidence_colours(
            known.mean(keepdims=True) if len(known) else np.array([np.nan])
        )[0]
        return int(r), int(g), int(b)
    return _id_rgb(person.id)


def joint_colours(person: Person, paint: Paint, run: int = 0) -> npt.NDArray[np.uint8]:
    """Return the colours (55, 3) of a person's joints: by id, by run, or by confidence of each."""
    if paint is Paint.CONFIDENCE:
        return confidence_colours(person.joint_confidence)
    return np.tile(np.array(person_colour(person, paint, run), np.uint8), (len(person.joints), 1))


def _id_rgb(track_id: str) -> Rgb:
    red, green, blue = (round(255 * channel) for channel in id_colour(track_id))
    return red, green, blue


def confidence_colours(confidence: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Return colours (N, 3) of confidences (N,): red 0, yellow 0.5, green 1; NaN grey."""
    channels = [np.interp(confidence, _STOPS, _COLOURS[:, channel]) for channel in range(3)]
    colours = np.stack(channels, axis=1)
    colours[~np.isfinite(confidence)] = UNKNOWN
    return colours.astype(np.uint8)


def confidence_legend() -> dict[str, Rgb]:
    """Return what colours of confidence mean."""
    colours = confidence_colours(_STOPS).tolist()
    known = {f"{stop:g}": (r, g, b) for stop, (r, g, b) in zip(_STOPS, colours, strict=True)}
    return {**known, "unknown": UNKNOWN}
