# SPDX-License-Identifier: Apache-2.0
"""What torch's errors on a GPU mean: too little memory, or a GPU that is lost to the process."""

from __future__ import annotations

import gc
import traceback
from contextlib import suppress

import torch

_NO_MEMORY = ("out of memory", "ALLOC_FAILED")
"""Texts of torch's allocator and of CUDA; of cuBLAS and cuDNN."""


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether `error` of torch means that memory is lacking, on the GPU or pinned."""
    return any(text in str(error) for text in _NO_MEMORY)


def is_lost(device: torch.device) -> bool:
    """Return whether this process can no longer use the GPU, after torch raised an error.

    After such an error, as of an illegal address, every call of CUDA fails (CUDA Runtime API
    reference); torch tells its code from version 2.9 on only.
    """
    try:
        torch.cuda.mem_get_info(device)
    except RuntimeError:
        return True
    return False


def release_memory(error: BaseException) -> None:
    """Free the GPU memory that is only held by the frames of the traceback of `error`.

    Frames that still run keep their variables.
    """
    traceback.clear_frames(error.__traceback__)
    gc.collect()
    with suppress(RuntimeError):  # Of a GPU that is lost.
        torch.cuda.empty_cache()


def reason(error: RuntimeError) -> str:
    """Return the first line of the text of `error`: torch appends advice for programmers."""
    return str(error).partition("\n")[0]


def lost_text(error: RuntimeError) -> str:
    """Return the text of a DeviceLostError for `error`."""
    return f"torch: {reason(error)}; this process can no longer use the GPU: start it again"
