# SPDX-License-Identifier: Apache-2.0
"""What the properties of odd and damaged input share: how many examples, and what is a fault.

Memory is bounded, too. The suite runs few examples of each property, `make fuzz` as many as
its time allows, each of them with a limit of time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from testing.mutations import for_want_of_memory, memory_limit

MEGABYTES = 1000
FUZZED = settings(
    # The suite takes a tenth of the profile's examples: a few seconds for all properties.
    max_examples=settings.default.max_examples // 10 or 1,
    suppress_health_check=list(HealthCheck),
)
PICTURE = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
"""An image of noise."""


@contextmanager
def refused_with(*documented: type[Exception]) -> Iterator[None]:
    """Accept these exceptions, unless they stand for a lack of memory, and no others."""
    with memory_limit(MEGABYTES):
        try:
            yield
        except documented as error:
            assert not for_want_of_memory(error), "it takes too much memory"
            assert str(error), "the text says why"


@contextmanager
def file_of(content: bytes, name: str) -> Iterator[Path]:
    """Yield the path of a file with this content, which is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        yield path


def named(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[SimpleNamespace]:
    """Return objects with these attributes, as messages are."""
    return st.builds(SimpleNamespace, **fields)
