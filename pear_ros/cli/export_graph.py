# SPDX-License-Identifier: Apache-2.0
"""`pear export-graph`: exports PEAR's network as ONNX graphs, for machines without torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pear_ros.pear.files import MissingFilesError, default_model_folder, find_model_files
from pear_ros.pear.graph import data_file, record_file


def export_graph(folder: Path | None, precisions: Sequence[str]) -> int:
    """Write a graph in each of `precisions` below `folder` and print where; return the exit code.

    `folder`: by default the default model folder. Existing graphs are kept.
    """
    files = find_model_files(folder or default_model_folder())
    try:
        checkpoint = files.checkpoint
        from pear_ros.pear.export import StageBars
        from pear_ros.pear.weights import Weights

        weights = Weights(files)
        print(f"{checkpoint}: weights {weights.fingerprint[:8]}")
        for precision in precisions:
            with StageBars() as bars:
                graph = weights.graph(precision, bars)
            print(
                f"{precision}: {graph.path}, {data_file(graph.path).name} and "
                f"{record_file(graph.path).name}"
            )
    except ModuleNotFoundError as error:
        print(f"error: {error.name} is missing: pip install {error.name}", file=sys.stderr)
        return 1
    except (MissingFilesError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(
        "A robot that has these files in its model folder needs neither torch nor the checkpoint."
    )
    return 0
