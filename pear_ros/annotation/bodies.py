# SPDX-License-Identifier: Apache-2.0
"""The bodies that given parameters belong to, by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pear_ros.body import BodyModel, load_open_body, load_smplx


class Bodies:
    """Finds bodies by the name that comes with parameters."""

    def __init__(self, smplx: Path | None = None) -> None:
        """Find the open body and, if its file `smplx` (npz) is given, SMPL-X."""
        self._smplx = smplx
        self._load = cache(load_smplx)

    def of(self, name: str, num_betas: int, num_expression: int) -> BodyModel | None:
        """Return the body; None: unknown, or its file is not at hand.

        Raises ValueError where the file of SMPL-X is unusable, OSError where it cannot be read.
        """
        body = load_open_body()
        if name == body.name:
            return body
        if self._smplx is not None and name.lower().startswith("smplx"):
            return self._load(self._smplx, num_betas, num_expression)
        return None
