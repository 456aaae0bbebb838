# SPDX-License-Identifier: Apache-2.0
"""The table that `pear demo` prints."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np


def demo_table(
    sent: int,
    ids: Sequence[Sequence[str]],
    latencies: Mapping[str, Sequence[float]],
    figures: Mapping[str, float],
) -> str:
    """Return the table: frames, people, throughput, latencies and times of the node's stages.

    `sent`: number of frames; `ids`: track ids in each answered frame; `latencies`: seconds from
    sending an image to the reception of its result, by topic; `figures`: values that the node
    published, as in pear_ros.ros.node.diagnostics.
    """
    answered = len(ids)
    all_ids = {track_id for present in ids for track_id in present}
    lines = [
        f"frames sent           {sent} (each after the results of the one before)",
        f"frames with results   {answered}",
        f"frames dropped        {sent - answered}",
    ]
    if answered:
        busy = np.max(list(latencies.values()), axis=0).sum()
        counts = [len(present) for present in ids]
        lines += [
            f"people                {len(all_ids)} ids, {np.mean(counts):.2f} people per frame, "
            f"{max(counts)} at most",
            f"pace                  {answered / busy:.1f} frames/s from image sent to last result "
            f"received, on {os.cpu_count()} cores",
            "latency               median  95 % [ms]",
        ]
        for topic, values in latencies.items():
            median, high = np.percentile(1e3 * np.asarray(values), [50, 95])
            lines.append(f"  {topic:20}{median:6.0f}{high:7.0f}")
    stages = {key: value for key, value in figures.items() if key.endswith("[ms]")}
    if stages:
        lines.append("stages in the node    median [ms]")
        lines += [f"  {key.removesuffix(' [ms]'):20}{ms:6.1f}" for key, ms in stages.items()]
    return "\n".join(lines)
