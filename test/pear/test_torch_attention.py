# SPDX-License-Identifier: Apache-2.0
"""Choice of attention's kernel: the fastest that is right."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch's attention")

from torch.nn import functional as F  # noqa: E402
from torch.nn.attention import SDPBackend  # noqa: E402

from pear_ros.pear import torch_attention  # noqa: E402
from pear_ros.pear.torch_attention import (  # noqa: E402
    Measured,
    accurate_and_fastest,
    fastest_attention,
)
from testing.fake_torch_cuda import FakeGpu  # noqa: E402  (needs torch)

CPU = torch.device("cpu")
FLASH, CUDNN, MATH = (
    getattr(SDPBackend, name) for name in ("FLASH_ATTENTION", "CUDNN_ATTENTION", "MATH")
)


def test_the_fastest_accurate_kernel_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    found = [Measured(FLASH, 2.0, 1e-3), Measured(CUDNN, 1.0, 2e-3), Measured(MATH, 3.0, 0.0)]
    assert accurate_and_fastest(found, 2e-3) is CUDNN
    assert not caplog.messages
    assert accurate_and_fastest(found, 1e-3) is FLASH
    assert caplog.messages == ["Attention by CUDNN_ATTENTION is wrong by 0.002"]
    assert accurate_and_fastest([Measured(CUDNN, 1.0, math.inf)], 1.0) is MATH
    assert accurate_and_fastest([], 1.0) is MATH


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_kernel_is_chosen_on_a_gpu(
    dtype: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch_attention, "_LAYERS", 2)
    monkeypatch.setattr(torch_attention, "_RUNS", 2)
    with FakeGpu(monkeypatch), caplog.at_level(logging.INFO):
        chosen = fastest_attention(2, 192, 80, dtype, CPU)
    assert isinstance(chosen, SDPBackend)
    assert "MATH " in caplog.text and "is wrong" not in caplog.text


def test_a_kernel_that_is_wrong_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As those that leave out the last tokens of some lengths."""
    right = F.scaled_dot_product_attention

    def wrong(q: Any, k: Any, v: Any, scale: float) -> Any:
        if torch.backends.cuda.flash_sdp_enabled():
            return right(q, k[:, :, :128], v[:, :, :128], scale=scale)
        return right(q, k, v, scale=scale)

    monkeypatch.setattr(torch_attention, "_LAYERS", 1)
    monkeypatch.setattr(torch_attention, "_RUNS", 1)
    monkeypatch.setattr(F, "scaled_dot_product_attention", wrong)
    with FakeGpu(monkeypatch):
        assert fastest_attention(2, 192, 80, torch.float16, CPU) is not FLASH
    assert "Attention by FLASH_ATTENTION is wrong" in caplog.text


def test_a_full_gpu_is_no_fault_of_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch_attention, "TorchGraphs", full)
    with pytest.raises(torch.OutOfMemoryError):
        fastest_attention(2, 192, 80, torch.float16, CPU)
