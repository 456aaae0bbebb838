# SPDX-License-Identifier: Apache-2.0
"""PEAR on an NVIDIA GPU by torch, against the original's implementation.

    python -m benchmarks.gpu

Ends within nine minutes and lists what it had no time for. Weights and bodies are synthetic, in
full size (ViT-H, 671 M parameters). Times are milliseconds from the host's call to the result on
the host, calls one after the other. `bound` is the least time of the GPU: to read the weights once,
or for the arithmetic, whichever is longer by its maker's figures. Needs nothing of ROS, but
array_api_compat, numpy, opencv (opencv-python-headless), scipy, smplx, threadpoolctl, torch for
CUDA and tqdm; wheels that are pure Python can be named in PYTHONPATH. `--smoke` runs the script in
a small size on a machine without a GPU, with pytest, and writes nothing. Writes
benchmarks/results/gpu.md.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.report import markdown_table, write_report

PACKAGES = ("array_api_compat", "cv2", "numpy", "scipy", "smplx", "threadpoolctl", "torch", "tqdm")
SECONDS = 8 * 60
"""Time after which no new measurement starts, seconds."""


def main() -> None:
    """Measure and write the report."""
    began = time.monotonic()
    parser = ArgumentParser(description="Measure PEAR on an NVIDIA GPU by torch.")
    parser.add_argument("--smoke", action="store_true", help="try the script without a GPU")
    smoke: bool = parser.parse_args().smoke
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f"install {', '.join(missing)}, or name their wheels in PYTHONPATH")
    import torch

    if not smoke and not torch.cuda.is_available():
        sys.exit(f"torch {torch.__version__} sees no NVIDIA GPU; --smoke tries the script without")
    from benchmarks.gpu_measure import Bench

    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        if smoke:
            import pytest

            from testing.fake_torch_cuda import FakeGpu

            patch = stack.enter_context(pytest.MonkeyPatch.context())
            stack.enter_context(FakeGpu(patch))
        bench = Bench(smoke, folder, until=began + SECONDS)
        bench.measure()
    spent = f"{time.monotonic() - began:.0f} s in all; left out: {', '.join(bench.left_out) or '-'}"
    tables = bench.tables()
    if smoke:
        print(*(f"{name}\n\n{markdown_table(table)}\n" for name, table in tables.items()), sep="\n")
    else:
        write_report("gpu", __doc__ or "", tables, f"{bench.gpu}, torch {torch.__version__}")
    print(spent)
    if bench.failed:
        sys.exit(f"failed: {', '.join(bench.failed)}")


if __name__ == "__main__":
    main()
