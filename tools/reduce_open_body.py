# SPDX-License-Identifier: Apache-2.0
"""Build pear_ros/body/open_body_reduced.npz: the open body's meshes of fewer triangles.

    pip install meshoptimizer==0.2.30a0 -r requirements/runtime.txt
    python -m tools.reduce_open_body

To be run whenever tools/build_open_body.py has made another body; it takes a second. The triangles
are in a file of their own so that the body's file, whose hash is published and recorded with
results, stays as it is. The result is the same every time but for rounding, which may differ
between machines.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pear_ros.body import load_open_body
from pear_ros.body.mesh_reduction import reduce_faces
from pear_ros.body.model_files import REDUCED_OPEN_BODY_FILE


def main() -> None:
    """Build the file."""
    body = load_open_body()
    reduced = {name: faces.astype(np.uint16) for name, faces in reduce_faces(body).items()}
    arrays: dict[str, Any] = {"body_sha256": np.array(body.sha256), **reduced}
    np.savez_compressed(REDUCED_OPEN_BODY_FILE, **arrays)
    for name, faces in reduced.items():
        print(f"{name}: {len(faces):,} triangles, {len(np.unique(faces)):,} vertices")
    print(f"{REDUCED_OPEN_BODY_FILE}: {REDUCED_OPEN_BODY_FILE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
