# SPDX-License-Identifier: Apache-2.0
"""PEAR on an NVIDIA GPU by torch, against the original's implementation.

    python -m benchmarks.gpu

Ends within nine minutes and lists what it had no time for. Weights and bodies are synthetic, in
full size (ViT-H, 671 M parameters). Times are milliseconds from the host's call to the result on
the host, calls one after the other. `bound` is the least time of the GPU: to read the weights once,
or for the arithmetic, whichever is longer by its maker's figures. Needs nothing of ROS, but
array_api_compat, numpy, opencv (opencv-python-headless), scipy, smplx, threadpoolctl, torch for
CUDA and tqdm; wheels that are pure Python can be named in PYTHONPATH. Writes FOLDER/gpu.md after
each measurement; FOLDER is that of `--output`, or benchmarks/results. `--smoke` runs the script in
a small size on a machine without a GPU, with pytest, and writes only to a FOLDER that is named.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.report import RESULTS, report_text, write_whole

PACKAGES = ("array_api_compat", "cv2", "numpy", "scipy", "smplx", "threadpoolctl", "torch", "tqdm")
SECONDS = 8 * 60.0
"""Time after which no new measurement starts, seconds."""


def main() -> None:
    """Measure, and write the report after each measurement."""
    began = time.monotonic()
    options = _options()
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f"install {', '.join(missing)}, or name their wheels in PYTHONPATH")
    import torch

    from benchmarks.gpu_check.torch_device import torch_device
    from benchmarks.gpu_measure import Bench

    output: Path | None = options.output or (None if options.smoke else RESULTS)
    with TemporaryDirectory() as folder, torch_device(options.smoke):
        bench = Bench(options.smoke, Path(folder), until=began + options.seconds)

        def write() -> None:
            if output is None:
                return
            output.mkdir(parents=True, exist_ok=True)
            gpu = f"{bench.gpu}, torch {torch.__version__}"
            write_whole(output / "gpu.md", report_text(__doc__ or "", bench.tables(), gpu))

        bench.measure(write)
    print(f"{time.monotonic() - began:.0f} s in all; left out: {', '.join(bench.left_out) or '-'}")
    if output:
        print(f"written to {output / 'gpu.md'}")
    if bench.failed:
        sys.exit(f"failed: {', '.join(bench.failed)}")


def _options() -> Namespace:
    parser = ArgumentParser(description="Measure PEAR on an NVIDIA GPU by torch.")
    parser.add_argument("--smoke", action="store_true", help="try the script without a GPU")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where the report is written")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="time after which nothing new is measured"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
