# SPDX-License-Identifier: Apache-2.0
"""The GPU for torch, or a stand-in for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_device(smoke: bool) -> Iterator[torch.device]:
    """Yield torch's GPU; with `smoke` the CPU, while a stand-in replaces torch.cuda.

    Ends the process where there is no GPU.
    """
    if not smoke:
        if not torch.cuda.is_available():
            sys.exit(f"torch {torch.__version__} sees no NVIDIA GPU; --smoke tries it without one")
        yield torch.device("cuda")
        return
    import pytest

    from testing.fake_torch_cuda import FakeGpu

    with pytest.MonkeyPatch.context() as patch, FakeGpu(patch):
        yield torch.device("cpu")
