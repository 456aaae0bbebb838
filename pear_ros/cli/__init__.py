# SPDX-License-Identifier: Apache-2.0
"""The command `pear`. Each subcommand imports what it needs only when it is called."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pear_ros import __version__
from pear_ros.cli.doctor.command import add_doctor
from pear_ros.cli.export import add_export
from pear_ros.cli.replay_options import add_replay
from pear_ros.core.choice import (
    ESTIMATORS,
    GRAPH_PRECISIONS,
    PEAR_BODIES,
    PRECISIONS,
    RUNTIMES,
    EstimatorChoice,
    RuntimeChoice,
)
from pear_ros.io.run_arrays import ARRAYS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = make_parser().parse_args(arguments)
    try:
        code: int = options.call(options)
    except KeyboardInterrupt:
        return 130
    return code


def make_parser() -> argparse.ArgumentParser:
    """The whole command line, of which the reference pages are made, too."""
    parser = argparse.ArgumentParser(
        prog="pear", description="Perceive people in full: body, hands and face."
    )
    parser.add_argument("--version", action="version", version=f"pear_ros {__version__}")
    commands = parser.add_subparsers(title="subcommands", required=True, metavar="SUBCOMMAND")

    run = commands.add_parser(
        "run",
        help="find people in an image, a video or a camera, without ROS",
        description="Finds people and writes their meshes drawn over the image, beside a view of\n"
        "them from the side (PNG or MP4), and all their parameters (NPZ).",
        epilog="arrays of the NPZ, P persons over all frames, F frames:\n"
        + "\n".join(f"  {name:17}{meaning}" for name, meaning in ARRAYS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("source", help="image or video file, or number of a camera (0 is the first)")
    run.add_argument(
        "--output",
        type=Path,
        default=Path("pear_output"),
        metavar="FOLDER",
        help="where results go, made when missing (default: %(default)s)",
    )
    run.add_argument(
        "--fov",
        type=_field_of_view,
        default=60.0,
        metavar="DEGREES",
        help="field of view across the image's longer side (default: %(default)s)",
    )
    run.add_argument(
        "--max-humans",
        type=_count,
        default=4,
        metavar="N",
        help="greatest number of people followed at once (default: %(default)s)",
    )
    _add_estimator(run)
    run.set_defaults(call=_run)

    download = commands.add_parser(
        "download", help="download the landmark models and the demo clip, where missing"
    )
    download.set_defaults(call=_download)

    import_model = commands.add_parser(
        "import-model",
        help="check and convert the files that PEAR needs, and draw their body",
        description="Looks for the files that PEAR needs, says which are missing and where to get "
        "them, converts the body models and draws them.",
    )
    _add_folder(import_model)
    import_model.add_argument(
        "--output",
        type=Path,
        default=Path("pear_body.png"),
        metavar="PNG",
        help="picture of the imported body (default: %(default)s)",
    )
    import_model.set_defaults(call=_import_model)

    build_engine = commands.add_parser(
        "build-engine",
        help="build PEAR's TensorRT engine for this machine's GPU",
        description="Builds the TensorRT engine that the node would otherwise build when it is "
        "configured, says how far its people are from those of the fp32 network, and keeps it. "
        "Takes minutes on a robot.",
    )
    _add_folder(build_engine)
    _add_body(build_engine)
    _add_precision(build_engine)
    build_engine.set_defaults(call=_build_engine)

    export_graph = commands.add_parser(
        "export-graph",
        help="write PEAR's network as ONNX graphs, for robots without torch",
        description="Writes the network of PEAR's checkpoint as ONNX graphs beside it. With them "
        "in its model folder a robot needs neither torch nor the checkpoint.",
    )
    _add_folder(export_graph)
    export_graph.add_argument(
        "--precision",
        nargs="+",
        choices=GRAPH_PRECISIONS,
        default=["fp16"],
        help="one graph for each: fp16 and bf16 are for TensorRT, fp32 for onnxruntime and "
        "OpenVINO, too (default: fp16)",
    )
    export_graph.set_defaults(call=_export_graph)

    add_export(commands)

    replay = add_replay(commands)
    _add_estimator(replay)
    replay.set_defaults(call=_replay)

    demo = commands.add_parser(
        "demo",
        help="play the demo clip through the ROS 2 node and record everything",
        description="Starts the real node, plays the demo clip into it over DDS, and leaves a "
        "video, a contact sheet, a bag (MCAP) and a table of what happened.",
    )
    demo.add_argument(
        "--output",
        type=Path,
        default=Path("demo_output"),
        metavar="FOLDER",
        help="where results go; those of an earlier demo are replaced (default: %(default)s)",
    )
    _add_estimator(demo)
    demo.set_defaults(call=_demo)

    add_doctor(commands)

    bench = commands.add_parser(
        "bench",
        help="measure how long each stage takes on this machine",
        description="Runs the pipeline over a video or a bag and writes how long each stage took, "
        "as a table (Markdown) and a plot (PNG), with what it was measured on.",
    )
    bench.add_argument(
        "source",
        nargs="?",
        help="video file, or bag: a folder, or a file of it (default: the demo clip)",
    )
    bench.add_argument(
        "--image", metavar="TOPIC", help="topic of images, where a bag has several of them"
    )
    bench.add_argument(
        "--frames",
        type=_count,
        default=300,
        metavar="N",
        help="how many to measure at most, those to warm up apart (default: %(default)s)",
    )
    bench.add_argument(
        "--output",
        type=Path,
        default=Path("bench_output"),
        metavar="FOLDER",
        help="where report and plot go, made when missing (default: %(default)s)",
    )
    _add_estimator(bench)
    bench.set_defaults(call=_bench)
    return parser


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        help="where the files are, folders within it included (default: PEAR_ROS_MODELS or "
        "~/.local/share/pear_ros/models)",
    )


def _add_estimator(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("estimator")
    group.add_argument(
        "--estimator",
        choices=ESTIMATORS,
        default="auto",
        help="auto: PEAR where its files are complete, else the open default (default: auto)",
    )
    group.add_argument(
        "--models",
        type=Path,
        metavar="FOLDER",
        help="where PEAR's files are (default: $PEAR_ROS_MODELS or ~/.local/share/pear_ros/models)",
    )
    _add_body(group)
    group.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="auto",
        help="what runs PEAR's network; auto: the first of TensorRT, torch on the GPU, "
        "onnxruntime, OpenVINO and torch on the CPU that can be had (default: auto)",
    )
    group.add_argument(
        "--strict-runtime",
        action="store_true",
        help="fail where the runtime that is named cannot be had, instead of taking another",
    )
    _add_precision(group)


def _add_body(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--pear-body",
        choices=PEAR_BODIES,
        default="ehm-s",
        help="PEAR's body: SMPL-X with FLAME's head, or SMPL-X alone (default: ehm-s)",
    )


def _add_precision(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="of PEAR's network; auto: the quickest that is accurate enough (default: auto)",
    )


def _choice(options: argparse.Namespace) -> EstimatorChoice:
    runtime = RuntimeChoice(options.runtime, options.strict_runtime, options.precision)
    return EstimatorChoice(options.estimator, options.models, options.pear_body, runtime)


def _field_of_view(text: str) -> float:
    value = float(text)
    if not 0.0 < value < 180.0:
        raise argparse.ArgumentTypeError(f"must be between 0 and 180 degrees, not {text}")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text}")
    return value


def _run(options: argparse.Namespace) -> int:
    from pear_ros.cli.run import run

    return run(options.source, options.output, options.fov, options.max_humans, _choice(options))


def _download(options: argparse.Namespace) -> int:
    from pear_ros.io.downloads import main as download

    return download()


def _import_model(options: argparse.Namespace) -> int:
    from pear_ros.cli.import_model import import_model

    return import_model(options.folder, options.output)


def _build_engine(options: argparse.Namespace) -> int:
    from pear_ros.cli.build_engine import build_engine

    return build_engine(options.folder, options.pear_body, options.precision)


def _export_graph(options: argparse.Namespace) -> int:
    from pear_ros.cli.export_graph import export_graph

    return export_graph(options.folder, options.precision)


def _replay(options: argparse.Namespace) -> int:
    if not _has_ros():
        return 1
    from pear_ros.cli.replay import replay

    return replay(options)


def _has_ros() -> bool:
    """Whether ROS 2 and this package's messages can be used; standard error says why not."""
    from pear_ros.ros.environment import RosMissingError, require_ros

    try:
        require_ros()
    except RosMissingError as error:
        print(f"error: {error}", file=sys.stderr)
        return False
    return True


def _demo(options: argparse.Namespace) -> int:
    if not _has_ros():
        return 1
    from pear_ros.cli.demo.command import demo

    return demo(options.output, _choice(options))


def _bench(options: argparse.Namespace) -> int:
    from pear_ros.cli.bench.command import bench

    choice = _choice(options)
    return bench(options.source, options.image, options.frames, options.output, choice)
