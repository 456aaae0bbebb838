# SPDX-License-Identifier: Apache-2.0
"""The bodies that a viewer has, by the names in results, and why one is missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pear_ros.body import BodyModel, load_open_body, load_smplx
from pear_ros.body.model_files import EARLIER_OPEN_BODIES
from pear_ros.viewing.skin import Skin


class Bodies:
    """Skins of bodies: the open one and those of files of SMPL-X."""

    def __init__(self, files: Sequence[Path] = ()) -> None:
        """Use `files` in SMPL-X's own layout (npz) beside the open body.

        SMPLX_NEUTRAL_2020.npz is the body smplx-neutral-2020: capitals and dashes do not matter.
        Raises ValueError, naming the file, where one is not what it should be; OSError where it
        cannot be read.
        """
        self._smplx = {_plain(file.stem): load_smplx(file) for file in files}
        self._skins: dict[str, Skin | None] = {}

    def skin(self, name: str) -> Skin | None:
        """Return the skin of a body, by People.body_model; None where there is none: see `lack`."""
        if name not in self._skins:
            body = self._body(name)
            self._skins[name] = Skin(body) if body else None
        return self._skins[name]

    def lack(self, name: str) -> str:
        """Return the sentence that says why people of this body are drawn as joints and bones."""
        if not name:
            return "The results do not name their body: joints and bones are drawn."
        return (
            f"There is no mesh of the body {name} here: joints and bones are drawn. For SMPL-X, "
            "give the file of that name, such as --smplx SMPLX_NEUTRAL_2020.npz"
        )

    def _body(self, name: str) -> BodyModel | None:
        open_body = load_open_body()
        if name == open_body.name or name in EARLIER_OPEN_BODIES:
            return open_body
        return self._smplx.get(_plain(name))


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")
