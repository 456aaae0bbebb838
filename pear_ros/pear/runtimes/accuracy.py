# SPDX-License-Identifier: Apache-2.0
"""How far a runtime's people are from those of the fp32 network, in units that people understand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """Differences over the bundled crops between a runtime and the network in fp32."""

    mean_rotation_deg: float
    """Angle between the rotations of a joint, mean over joints and crops."""
    max_rotation_deg: float
    mean_vertex_mm: float
    """Distance between the places of a vertex, relative to the pelvis, mean over all."""
    max_vertex_mm: float

    @property
    def passed(self) -> bool:
        """Whether it may be used."""
        raise NotImplementedError
