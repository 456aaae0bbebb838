# SPDX-License-Identifier: Apache-2.0
"""This package behind the functions that check_parity.py compares: NumPy in, NumPy out."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch

from pear_ros.body.ehm import EhmBody
from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.body.flame import FlameModel
from pear_ros.body.kinematics import float32_array
from pear_ros.body.model_files import smplx_body
from pear_ros.pear.checkpoint import build_network
from pear_ros.pear.crop import squares
from pear_ros.pear.placement import image_points
from pear_ros.pear.prediction import Prediction
from pear_ros.pear.rotation6d import matrices_from_6d
from pear_ros.pear.torch_crop import crop_people

NAMES = {
    "global_pose": "global_orient",
    "exp": "expression",
    "shape": "betas",
    "eye_pose_params": "eyes",
    "pose_params": "flame_pose",
    "jaw_params": "jaw",
    "eyelid_params": "eyelids",
    "expression_params": "flame_expression",
    "shape_params": "flame_shape",
}
"""Ours for the names of the original."""
SAME_NAMES = ("body_pose", "left_hand_pose", "right_hand_pose", "hand_scale", "head_scale")


def network(config, state, images, dtype):
    """Outputs (B, ...) by the original's names, and of inner layers where a difference starts.

    `config` of recipe.CONFIG_*, `state` a mapping of checkpoint names to float32 arrays, `images`
    (B, 3, 256, 256) RGB from 0 to 1.
    """
    precision = getattr(torch, dtype)
    weights = {key: torch.from_numpy(value).to(precision) for key, value in state.items()}
    model = build_network(weights, config["heads"])
    layers = [*model.head.transformer.transformer["layers"]]
    probed = {
        "patch_embed": model.backbone.patch_embed,
        **{f"block{n:02d}": block for n, block in enumerate(model.backbone.blocks)},
        "features": model.backbone,
        **{f"dec{n}_ff_branch": layer[2] for n, layer in enumerate(layers)},
        "token": model.head.transformer,
        "raw_smplx_pose": model.head.smplx_poses_decoder,
        "raw_cam": model.head.cam_decoder,
    }
    out = {}
    for name, module in probed.items():
        module.register_forward_hook(
            lambda module, args, result, name=name: out.update({name: result.numpy()})
        )
    found = Prediction.from_vectors(model(torch.from_numpy(images).to(precision)))
    for n in range(len(layers)):
        out[f"dec{n}_ff_branch"] = out[f"dec{n}_ff_branch"][:, 0]
    out["features"] = out["features"].transpose(0, 2, 1).reshape(len(images), -1, 16, 12)
    out.update({theirs: getattr(found, ours).numpy() for theirs, ours in NAMES.items()})
    out.update({name: getattr(found, name).numpy() for name in SAME_NAMES})
    out["pd_cam"] = view_matrices(found.camera.numpy())
    return out


def view_matrices(camera):
    """(B, 4, 4) the original's camera of tx, ty and scale (B, 3)."""
    matrices = np.zeros((len(camera), 4, 4), camera.dtype)
    matrices[:] = np.diag([-1, -1, 1, 1])
    matrices[:, :2, 3] = camera[:, :2]
    matrices[:, 2, 3] = 24.0 / camera[:, 2]
    return matrices


def body(smplx, flame, extras, parameters, dtype):
    """Vertices, T-pose and joints of EHM-s by NumPy, for the dictionaries of the recipe."""
    single = dtype == "float32"
    asarray = float32_array if single else lambda values: to_precision(values, dtype)
    return ehm(smplx, flame, extras, parameters, asarray)


def body_torch(smplx, flame, extras, parameters, dtype):
    """The same by torch."""
    return ehm(
        *(smplx, flame, extras, parameters),
        lambda values: torch.from_numpy(to_precision(values, dtype)),
    )


def to_precision(values, dtype):
    floating = np.issubdtype(values.dtype, np.floating)
    return np.ascontiguousarray(values, dtype if floating else values.dtype)


def ehm(smplx, flame, extras, parameters, asarray):
    model = EhmBody(smplx_model(smplx), flame_model(flame, extras), asarray)
    people = len(parameters["global_pose"])
    identity = np.broadcast_to(np.eye(3, dtype=np.float32), (people, 3, 3, 3))
    parts = ("global_pose", "body_pose", "left_hand_pose", "right_hand_pose")
    pose = [parameters[part] for part in parts]
    values = {ours: parameters[theirs] for theirs, ours in NAMES.items() if theirs in parameters}
    del values["global_orient"], values["flame_pose"]
    arguments = {
        **values,
        "pose": np.concatenate([*pose[:2], identity, *pose[2:]], axis=1),
        "head_scale": parameters["head_scale"],
        "transl": np.zeros((people, 3), np.float32),
    }
    given = EhmParameters(**{name: asarray(value) for name, value in arguments.items()})
    rest = np.broadcast_to(np.eye(3, dtype=np.float32), (people, 55, 3, 3))
    outputs = {name: getattr(model, name)(given) for name in ("vertices", "rest_joints", "joints")}
    outputs["tpose"] = model.vertices(replace(given, pose=asarray(rest)))
    return {name: np.asarray(values) for name, values in outputs.items()}


def smplx_model(file):
    """The body of an SMPL-X file's arrays, as many coefficients as PEAR uses."""
    arrays = {key: file[key].astype(np.float32) for key in ("v_template", "posedirs", "weights")}
    parents = file["kintree_table"][0].astype(np.int32)
    return smplx_body(
        {
            **arrays,
            "J_regressor": file["J_regressor"].astype(np.float32),
            "shapedirs": file["shapedirs"][:, :, :200],
            "exprdirs": file["shapedirs"][:, :, 300:350],
            "faces": file["f"].astype(np.int32),
            "parents": parents,
        },
        name="parity",
        sha256="",
    )


def flame_model(file, extras):
    """FLAME of its file's arrays and of the side files'."""
    swapped = np.ones(len(file["v_template"]), bool)
    swapped[extras["flame_mask_neck"]] = False
    swapped[extras["flame_mask_boundary"]] = False
    return FlameModel(
        v_template=file["v_template"].astype(np.float32),
        shapedirs=file["shapedirs"][:, :, :350],
        posedirs=file["posedirs"],
        joint_regressor=file["J_regressor"].astype(np.float32),
        weights=file["weights"].astype(np.float32),
        eyelids=np.stack([extras["l_eyelid"], extras["r_eyelid"]]).astype(np.float32),
        smplx_vertices=extras["smplx_flame_ids"],
        swapped=swapped,
    )


def crop(image, box):
    """Square, matrices and patch (256, 256, 3) RGB in 0..255 for a box (4,); None if rejected.

    `image` (H, W, 3) RGB, whole numbers.
    """
    pixels = image.astype(np.uint8)
    assert (pixels == image).all()
    places = squares(box[None], image.shape[1], image.shape[0])
    if np.isnan(places).any():
        return None
    (x, y, side), scale = places[0], 256.0 / places[0, 2]
    patch = crop_people(np.ascontiguousarray(pixels[..., ::-1]), places, torch.device("cpu"))[0]
    return {
        "bbox_xywh": np.array([x, y, side, side]),
        "trans": np.array([[scale, 0.0, -x * scale], [0.0, scale, -y * scale]]),
        "inv_trans": np.array([[1.0 / scale, 0.0, x], [0.0, 1.0 / scale, y]]),
        "patch": 255.0 * patch.permute(1, 2, 0).numpy(),
    }


def load_image(path):
    """The picture in a file, enlarged twice, (2H, 2W, 3) float32 RGB: the demo's first step."""
    picture = cv2.resize(cv2.imread(path), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    return picture[..., ::-1].astype(np.float32)


def project(points, RT, places, dtype):
    """(B, N, 2) pixels of points (B, N, 3) seen by cameras RT (B, 4, 4) in squares (B, 3)."""
    RT = RT.astype(dtype)
    assert (RT[:, :3, :3] == np.diag([-1.0, -1.0, 1.0])).all()
    crop_camera = np.stack([RT[:, 0, 3], RT[:, 1, 3], 24.0 / RT[:, 2, 3]], axis=1)
    return image_points(points.astype(dtype), crop_camera, places)


def rot6d(values, dtype):
    """Rotation matrices (N, 3, 3) of (N, 6)."""
    return matrices_from_6d(values.astype(dtype))
