# SPDX-License-Identifier: Apache-2.0
"""`pear import-model`: checks and converts the files that PEAR needs, and draws their body."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pear_ros.body import BodyModel
from pear_ros.body.ehm import EhmBody
from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.body.flame import NUM_EXPRESSION, NUM_SHAPE
from pear_ros.body.model_files import relaxed_hands
from pear_ros.core.camera import Camera
from pear_ros.core.people import SMPLX_JOINT_NAMES, Array, Image
from pear_ros.io.output_files import replaced
from pear_ros.pear.body import PearBody, body_vertices, load_body
from pear_ros.pear.cache import cache_file
from pear_ros.pear.crop import Crops
from pear_ros.pear.files import (
    BODY_FILES,
    CHECKPOINT,
    FILES,
    MissingFilesError,
    ModelFiles,
    default_model_folder,
    find_model_files,
)
from pear_ros.pear.graph import read_graph
from pear_ros.rendering.overlay import draw_overlay
from pear_ros.rendering.raster import Faces

if TYPE_CHECKING:
    from pear_ros.pear.network import PearNetwork

_WIDTH, _HEIGHT = 640, 900
"""Size of each view, pixels."""
_PAPER = 246


def import_model(folder: Path | None, picture: Path) -> int:
    """Check and convert the files below `folder`, print the findings and draw their body.

    `folder`: by default the default model folder. `picture`: the PNG to write. Return the exit
    code: 0 when PEAR can be run, otherwise 1, with what is missing or wrong on standard error. The
    body is converted and drawn even if the checkpoint is missing or wrong.
    """
    files = find_model_files((folder or default_model_folder()).expanduser().absolute())
    _print_found(files)
    try:
        body = _import_body(files, picture)
        for graph in map(read_graph, files.graphs):
            print(f"Graph: {graph.path.name}, {graph.precision}, weights {graph.weights[:8]}")
        if CHECKPOINT in files.missing or CHECKPOINT.key in files.found:
            _print_network(files.checkpoint, body)
    except MissingFilesError:
        _fail(str(MissingFilesError(files.folder, files.missing)))
        return 1
    except (ValueError, OSError, ModuleNotFoundError) as error:
        _fail(str(error))
        return 1
    named = "" if folder is None else f" model_folder:={shlex.quote(str(files.folder))}"
    print(
        f"\nPEAR is ready; next: ros2 launch pear_ros pear.launch.py estimator:=pear{named} "
        "image:=TOPIC camera_info:=TOPIC"
    )
    return 0


def _import_body(files: ModelFiles, picture: Path) -> PearBody:
    """Convert and draw the weights' body, print what it is, and return it."""
    files.require(BODY_FILES)
    body = load_body(files, "")
    if isinstance(body, EhmBody):
        _print_body(files, body.smplx, has_flame=True)
        _write_picture(picture, body)
        return body
    if files.needs_body:
        _print_body(files, body, has_flame=False)
    else:
        print(
            f"\nBody: {body.name}, {body.vertex_count} vertices, {len(body.faces)} faces, "
            f"{body.num_betas} shape and {body.num_expression} expression coefficients; part of "
            "this package"
        )
    vertices = body_vertices(body, _mean_person(body, eyelids=0.0))[0]
    views = [_draw(vertices, vertices, body.faces, "front")]
    views += [_draw(vertices, vertices, body.faces, "side", side=True)]
    _save(picture, np.hstack(views))
    return body


def _fail(reason: str) -> None:
    sys.stdout.flush()
    print(f"\nerror: {reason}", file=sys.stderr)


def _print_found(files: ModelFiles) -> None:
    """One line for each file that PEAR needs."""
    print(f"Files of PEAR in {files.folder}:")
    for file in FILES:
        if (path := files.found.get(file.key)) is not None:
            print(f"  ✓ {_size(path):>8}  {path.relative_to(files.folder)}: {file.what}")
        elif file in files.missing:
            print(f"  ✗  missing  {file.name}: {file.what}")
        else:
            reason = "its graphs are there" if file is CHECKPOINT else f"the body is {files.body}"
            print(f"  -           {file.name}: not needed, as {reason}")


def _print_body(files: ModelFiles, body: BodyModel, has_flame: bool) -> None:
    cache = cache_file(files.folder, body.sha256)
    kept = f"{_size(cache)}, {cache}" if cache.exists() else "not kept"
    reduced = ", ".join(f"{name} {len(faces)} faces" for name, faces in body.reduced_faces.items())
    head = f"FLAME, {NUM_SHAPE} shape and {NUM_EXPRESSION} expression coefficients, eyelids"
    print(
        f"\nBody: {body.name}, {body.vertex_count} vertices, {len(body.faces)} faces, "
        f"{len(body.parents)} joints, {body.num_betas} shape and {body.num_expression} expression "
        f"coefficients\n"
        f"Head: {head if has_flame else 'of SMPL-X'}\n"
        f"Lighter meshes: {reduced or 'none'}\n"
        f"Hash of all body files: {body.sha256}\n"
        f"Converted: {kept}"
    )


def _print_network(checkpoint: Path, body: PearBody) -> None:
    """Load the network and print its size and its errors in both colour orders.

    Raises what load_checkpoint raises.
    """
    try:
        from pear_ros.pear.checkpoint import load_checkpoint
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"PEAR needs the Python package {error.name}, which is not installed; the checkpoint "
            "was not checked"
        ) from error
    network = load_checkpoint(checkpoint)
    backbone = network.backbone
    millions = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    print(
        f"Network: vision transformer of depth {len(backbone.blocks)} and width "
        f"{backbone.pos_embed.shape[-1]}, {millions:.0f} M parameters with its head"
    )
    if network.body:
        print(f"Weights: {network.model}, not PEAR's release")
    _print_colour_order(network, body)


def _print_colour_order(network: PearNetwork, body: PearBody) -> None:
    import torch

    from pear_ros.pear.colour_order import compare_orders

    @torch.inference_mode()
    def infer(crops: Crops) -> Array:
        rgb = np.ascontiguousarray(crops[..., ::-1])
        vectors: Array = network(torch.from_numpy(rgb).permute(0, 3, 1, 2) / 255.0).numpy()
        return vectors

    order = compare_orders(infer, body)
    print(
        f"Colours: reprojection error of bundled people {order.rgb:.1f} pixels of the crop in RGB, "
        f"{order.bgr:.1f} in BGR"
    )
    if order.is_bgr:
        print(
            "warning: these weights fit better with BGR, but pear_ros gives the network RGB, as in "
            "PEAR's training: were they trained differently?",
            file=sys.stderr,
        )


def _size(path: Path) -> str:
    size = path.stat().st_size
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _write_picture(path: Path, body: EhmBody) -> None:
    """Draw the mean body from the front and from the side, and its head with closed eyelids."""
    flame = body.flame
    at_ease = _mean_person(body, eyelids=0.0)
    asleep = _mean_person(body, eyelids=1.0)
    vertices = body.vertices(at_ease)[0]
    head = flame.smplx_vertices[flame.swapped]
    head_faces = body.faces[np.isin(body.faces, head).all(axis=1)]
    picture = np.hstack(
        [
            _draw(vertices, vertices, body.faces, "front"),
            _draw(vertices, vertices, body.faces, "side", side=True),
            _draw(vertices, vertices[head], head_faces, "FLAME's head"),
            _draw(body.vertices(asleep)[0], vertices[head], head_faces, "eyelids closed"),
        ]
    )
    _save(path, picture)


def _save(path: Path, picture: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as file:
        file.write(cv2.imencode(".png", picture)[1].tobytes())
    print(f"Picture: {path.absolute()}")


def _mean_person(body: PearBody, eyelids: float) -> EhmParameters:
    """One person of mean shape with lowered arms."""
    pose = np.zeros((1, len(body.parents), 3), np.float32)
    for name, angle in (("left_shoulder", -1.0), ("right_shoulder", 1.0)):
        pose[0, SMPLX_JOINT_NAMES.index(name), 2] = angle
    pose[0, 25:] = relaxed_hands().reshape(-1, 3)
    return EhmParameters(
        pose=pose,
        betas=np.zeros((1, body.num_betas), np.float32),
        expression=np.zeros((1, body.num_expression), np.float32),
        flame_shape=np.zeros((1, NUM_SHAPE), np.float32),
        flame_expression=np.zeros((1, NUM_EXPRESSION), np.float32),
        jaw=np.zeros((1, 3), np.float32),
        eyes=np.zeros((1, 6), np.float32),
        eyelids=np.full((1, 2), eyelids, np.float32),
        head_scale=np.ones((1, 3), np.float32),
        transl=np.zeros((1, 3), np.float32),
    )


def _draw(vertices: Array, shown: Array, faces: Faces, label: str, *, side: bool = False) -> Image:
    """Render a mesh (V, 3), y up, from the front or from its left `side`.

    The points `shown` determine the scale, for both views alike.
    """
    low, high = shown.min(axis=0), shown.max(axis=0)
    x, y, z = (vertices - (low + high) / 2).T
    across, depth = (-z, -x) if side else (x, -z)
    extent = high - low
    scale = 0.85 * min(_WIDTH / max(extent[0], extent[2]), _HEIGHT / extent[1])
    # Seen from far away: nearly without perspective.
    far = 100.0 * float(extent.max())
    mesh = np.stack([across, -y, far + depth], axis=1)
    camera = Camera(_WIDTH, _HEIGHT, scale * far, scale * far, _WIDTH / 2, _HEIGHT / 2)
    paper = np.full((_HEIGHT, _WIDTH, 3), _PAPER, np.uint8)
    return draw_overlay(paper, camera, mesh[None], faces, [label], opacity=1.0)
