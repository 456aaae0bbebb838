# SPDX-License-Identifier: Apache-2.0
"""What parts of the pipeline remember from image to image, to be kept and to go on from."""

from __future__ import annotations

from typing import Any, ClassVar


class Remembering:
    """Keeps what it knows of earlier images, dataclasses and arrays, in some of its attributes."""

    memory: ClassVar[tuple[str, ...]] = ()
    """Names of these attributes; empty: all that it has."""

    def state(self) -> Any:
        """What is remembered at this moment. To be copied (pickled) before the next image."""
        return {name: getattr(self, name) for name in self.memory or vars(self)}

    def restore(self, state: Any) -> None:
        """Remember this instead: a `state`, which belongs to this object from now on."""
        for name, value in state.items():
            setattr(self, name, value)
