# SPDX-License-Identifier: Apache-2.0
"""Pack weights of `pear train` in half precision, as those of `estimator: example` are shipped.

    python -m tools.pack_example_model FOLDER/training/example/model/pear_model.pt

benchmarks.training made FOLDER. Writes pear_ros/pear/example.pt.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from pear_ros.pear.files import EXAMPLE


def pack(weights: Path, packed: Path) -> None:
    """Write the file `weights` of `pear train` to `packed`, in half precision."""
    content = torch.load(weights, map_location="cpu", weights_only=True)
    for part in ("backbone", "head"):
        content[part] = {name: value.half() for name, value in content[part].items()}
    torch.save(content, packed)


def main() -> None:
    """Read, convert, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("weights", type=Path)
    pack(parser.parse_args().weights, EXAMPLE)
    print(f"{EXAMPLE}: {EXAMPLE.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
