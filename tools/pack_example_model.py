# SPDX-License-Identifier: Apache-2.0
"""Pack weights of `pear train` in half precision, as those of `estimator: example` are shipped.

    python -m tools.pack_example_model FOLDER/training/example/model/pear_model.pt

benchmarks.training made FOLDER. Writes pear_ros/pear/example/pear_model.pt.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from pear_ros.estimators.factory import EXAMPLE_FOLDER


def main() -> None:
    """Read, convert, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("weights", type=Path)
    content = torch.load(parser.parse_args().weights, map_location="cpu", weights_only=True)
    for part in ("backbone", "head"):
        content[part] = {name: value.half() for name, value in content[part].items()}
    EXAMPLE_FOLDER.mkdir(exist_ok=True)
    path = EXAMPLE_FOLDER / "pear_model.pt"
    torch.save(content, path)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
