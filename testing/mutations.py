# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies of files with a few faults, and a bound of memory."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st

_ODD = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
_PLACES = st.floats(0.0, 1.0)


def _edit(content: bytes, kind: str, where: float, length: int, number: int) -> bytes:
    """Return `content` with one fault at `where`, from 0 (beginning) to 1 (end)."""
    at = int(where * len(content))
    if kind == "cut":
        return content[:at]
    if kind == "remove":
        return content[:at] + content[at + length :]
    if kind == "repeat":
        return content[: at + length] + content[at:]
    if kind == "invert":
        return content[:at] + bytes(255 - byte for byte in content[at : at + 1]) + content[at + 1 :]
    order = "little" if kind == "little" else "big"
    odd = _ODD[number % len(_ODD)] if number < 0x100 else number
    data = (odd % 256**length).to_bytes(length, order)  # type: ignore[arg-type]
    return content[:at] + data + content[at + length :]


_EDITS = st.lists(
    st.tuples(
        st.sampled_from(("little", "big", "invert", "remove", "repeat", "cut")),
        _PLACES,
        st.sampled_from((1, 2, 4, 8)),
        st.integers(0, 2**64 - 1),
    ),
    min_size=1,
    max_size=4,
)


def mutated(*contents: bytes) -> st.SearchStrategy[bytes]:
    """One of the `contents` with one to four faults: other numbers, bytes removed or repeated."""

    def edited(case: tuple[bytes, list[tuple[str, float, int, int]]]) -> bytes:
        content, edits = case
        for edit in edits:
            content = _edit(content, *edit)
        return content

    return st.tuples(st.sampled_from(contents), _EDITS).map(edited)


@contextmanager
def memory_limit(megabytes: int) -> Iterator[None]:
    """Let this process take so much more address space than it has now, and no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def for_want_of_memory(error: BaseException | None) -> bool:
    """Return whether an exception was raised, maybe indirectly, as memory was refused."""
    texts = ("Insufficient memory", "allocate memory")  # of OpenCV and of torch
    while error is not None:
        if isinstance(error, MemoryError) or any(text in str(error) for text in texts):
            return True
        error = error.__cause__ or error.__context__
    return False
