# SPDX-License-Identifier: Apache-2.0
"""Stateful components: what they keep from image to image can be saved and restored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class Stateful:
    """Base of a component whose state, dataclasses and arrays, is held in its attributes."""

    state_attributes: ClassVar[tuple[str, ...]] = ()
    """Names of the attributes that are state; empty: all attributes of the instance."""

    def state(self) -> dict[str, Any]:
        """Return the state by attribute name, not copied: copy or encode it before the next image.

        A component of the same class and configuration that restores it continues with the same
        results.
        """
        return {name: getattr(self, name) for name in self.state_attributes or vars(self)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Replace the state by one that `state` has returned; it is not copied."""
        for name, value in state.items():
            setattr(self, name, value)
