# SPDX-License-Identifier: Apache-2.0
"""`pear export-graph`: exports PEAR's network as ONNX graphs, for machines without torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pear_ros.core.configuration import CALIBRATED_PRECISIONS
from pear_ros.pear.files import MissingFilesError, default_model_folder, find_model_files
from pear_ros.pear.graph import Graph, Progress, data_file, record_file
from pear_ros.pear.runtimes.reference_crops import bundled_crops

if TYPE_CHECKING:
    from pear_ros.pear.weights import Weights


def export_graph(
    folder: Path | None,
    precisions: Sequence[str],
    calibration: Path | None = None,
    image_topic: str = "",
) -> int:
    """Write a graph in each of `precisions` below `folder` and print where; return the exit code.

    `folder`: by default the default model folder. `calibration`: folder of pictures or bags of
    people, for precisions of CALIBRATED_PRECISIONS; `image_topic`: of bags that have several.
    Existing graphs are kept, but for those that are calibrated with pictures again.
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
                if precision in CALIBRATED_PRECISIONS:
                    graph = _calibrated(weights, precision, calibration, image_topic, bars)
                else:
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


def _calibrated(
    weights: Weights,
    precision: str,
    calibration: Path | None,
    image_topic: str,
    progress: Progress,
) -> Graph:
    """Return the graph in `precision`, calibrated with people in pictures or bags.

    Raises what `calibrate`, `calibration_crops` and `export_quantised` raise.
    """
    existing = weights.existing(precision)
    if existing is not None and calibration is None:
        return existing
    from pear_ros.pear.calibration import calibrate
    from pear_ros.pear.quantised_graph import export_quantised

    source = weights.graph("fp16", progress)
    if calibration is None:
        crops = bundled_crops()
        print(
            f"warning: {precision} is calibrated with {len(crops)} bundled pictures, which are too "
            "few and not of your camera: give your own with --calibration FOLDER",
            file=sys.stderr,
        )
    else:
        from pear_ros.cli.calibration_crops import calibration_crops

        crops = calibration_crops(calibration, image_topic)
        print(f"{precision}: calibrating with {len(crops)} people in {calibration}")
    layers = calibrate(weights.network(), precision, crops, progress)
    graph, verdict = export_quantised(source, layers, precision, source.path.parent, progress)
    print(f"{precision}: {verdict}, by onnxruntime")
    return graph
