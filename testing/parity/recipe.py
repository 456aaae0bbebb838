# SPDX-License-Identifier: Apache-2.0
"""Deterministic synthetic weights, body-model files and images for parity tests.

The licensed model files (network checkpoint, SMPL-X, FLAME) cannot be shipped
with tests.  This module defines stand-ins of the same layout from a few
integers, so that two programs can build identical inputs without exchanging
files.  Only numpy is needed.

Everything is derived from one integer ``seed`` per use and a text label:

    rng(label, seed) = Generator(PCG64(SeedSequence([crc32(label), seed])))

Contents
--------
fill_state_dict / iter_state_dict   network weights for a {key: shape} table
network_layout                      the {key: shape} table of a configuration
synthetic_smplx, synthetic_flame    body-model dictionaries (file layout)
synthetic_extras                    id map, masks, eyelids, joint regressors
write_assets                        the same, written as files
synthetic_image                     RGB uint8 test pictures (integer maths only)
mesh_summary                        whole-array numbers to compare big outputs
self_test                           detects a numpy that draws other numbers

All floating point numbers handed out are exactly representable in float32
(whatever the dtype of the array), so float32 and float64 consumers start from
the same values.  Units are metres and radians.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

# --------------------------------------------------------------------------
# random streams
# --------------------------------------------------------------------------


def rng(label: str, seed: int) -> np.random.Generator:
    """The random stream that belongs to a text label and a seed."""
    crc = zlib.crc32(label.encode("utf-8"))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([crc, int(seed)])))


def _f32(x: np.ndarray, dtype=np.float64) -> np.ndarray:
    """Round to float32, then store with the wanted dtype."""
    return np.asarray(x).astype(np.float32).astype(dtype)


# --------------------------------------------------------------------------
# network weights
# --------------------------------------------------------------------------

# Gains of matrices; the first entry whose text the key ends with counts, 1 otherwise.
_GAINS = (
    # Small patch embedding: the first layer norms then see a variance near
    # 1e-3, so that a wrong epsilon (1e-5 for 1e-6) shows in the results.
    ("patch_embed.proj.weight", 0.05),
    ("cam_decoder.weight", 0.1),
    ("smplx_scale_decoder.weight", 0.1),
    ("_decoder.weight", 0.3),
)


def _fill_one(key: str, shape: tuple, seed: int) -> np.ndarray:
    """One tensor of the state dict.  n below is float32 standard_normal of rng(key, seed).

    The first rule that fits counts:

    1. ``*.init_body_pose``            tile([1,0,0,0,1,0]) + 0.1 n
    2. other ``*.init_*``              0.1 n
    3. ``*pos_embed``, ``*pos_embedding``   0.02 n
    4. ``*.bias``                      0.02 n, but 1 + 0.02 n for ``smplx_scale_decoder.bias``
    5. one-dimensional ``*.weight``    1 + 0.1 n            (norm weights)
    6. other ``*.weight``              gain / sqrt(fan_in) n, fan_in = prod(shape[1:]),
                                       gain from _GAINS

    All arithmetic is done in float32, factor times n first, then the addition.
    """
    shape = tuple(int(s) for s in shape)
    x = rng(key, seed).standard_normal(size=shape, dtype=np.float32)
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "init_body_pose":
        base = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), shape[-1] // 6)
        x *= np.float32(0.1)
        x += base
    elif leaf.startswith("init_"):
        x *= np.float32(0.1)
    elif leaf in ("pos_embed", "pos_embedding"):
        x *= np.float32(0.02)
    elif leaf == "bias":
        x *= np.float32(0.02)
        if key.endswith("smplx_scale_decoder.bias"):
            x += np.float32(1)
    elif leaf == "weight" and len(shape) == 1:
        x *= np.float32(0.1)
        x += np.float32(1)
    elif leaf == "weight":
        gain = next((g for end, g in _GAINS if key.endswith(end)), 1.0)
        x *= np.float32(gain / np.sqrt(float(np.prod(shape[1:]))))
    else:
        raise KeyError(f"no rule for {key}")
    return x


def iter_state_dict(shapes: Mapping[str, tuple], seed: int = 0) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (key, float32 array) one by one: the way to fill a big model in place."""
    for key, shape in shapes.items():
        yield key, _fill_one(key, shape, seed)


def fill_state_dict(shapes: Mapping[str, tuple], seed: int = 0) -> dict[str, np.ndarray]:
    """All tensors at once.  Keys are the full names, 'backbone.*' and 'head.*'.

    A tensor depends only on its own key, its shape and the seed, not on which
    other keys are asked for nor on their order.
    """
    return dict(iter_state_dict(shapes, seed))


CONFIG_VITH = {
    "depth": 32,
    "dim": 1280,
    "heads": 16,
    "mlp_ratio": 4,
    "dec_depth": 6,
    "dec_dim": 1024,
    "dec_heads": 8,
    "dec_dim_head": 64,
    "dec_mlp": 1024,
}
CONFIG_SMALL = {
    "depth": 2,
    "dim": 64,
    "heads": 4,
    "mlp_ratio": 4,
    "dec_depth": 6,
    "dec_dim": 1024,
    "dec_heads": 8,
    "dec_dim_head": 64,
    "dec_mlp": 1024,
}


def network_layout(
    depth,
    dim,
    heads,
    mlp_ratio,
    dec_depth,
    dec_dim,
    dec_heads,
    dec_dim_head,
    dec_mlp,
    tokens=192,
    patch=16,
) -> dict[str, tuple]:
    """Keys and shapes of the checkpoint for one configuration ('heads' does not matter)."""
    s: dict[str, tuple] = {}
    b = "backbone."
    s[b + "pos_embed"] = (1, tokens + 1, dim)
    s[b + "patch_embed.proj.weight"] = (dim, 3, patch, patch)
    s[b + "patch_embed.proj.bias"] = (dim,)
    hidden = dim * mlp_ratio
    for i in range(depth):
        p = f"{b}blocks.{i}."
        s[p + "norm1.weight"] = s[p + "norm1.bias"] = (dim,)
        s[p + "attn.qkv.weight"] = (3 * dim, dim)
        s[p + "attn.qkv.bias"] = (3 * dim,)
        s[p + "attn.proj.weight"] = (dim, dim)
        s[p + "attn.proj.bias"] = (dim,)
        s[p + "norm2.weight"] = s[p + "norm2.bias"] = (dim,)
        s[p + "mlp.fc1.weight"] = (hidden, dim)
        s[p + "mlp.fc1.bias"] = (hidden,)
        s[p + "mlp.fc2.weight"] = (dim, hidden)
        s[p + "mlp.fc2.bias"] = (dim,)
    s[b + "last_norm.weight"] = s[b + "last_norm.bias"] = (dim,)

    h = "head."
    inner = dec_heads * dec_dim_head
    s[h + "init_body_pose"] = (1, 318)
    s[h + "init_betas"] = (1, 10)
    s[h + "init_betas_kid"] = (1, 11)
    s[h + "init_cam"] = (1, 3)
    s[h + "init_expression"] = (1, 10)
    s[h + "transformer.pos_embedding"] = (1, 1, dec_dim)
    s[h + "transformer.to_token_embedding.weight"] = (dec_dim, 1)
    s[h + "transformer.to_token_embedding.bias"] = (dec_dim,)
    for i in range(dec_depth):
        p = f"{h}transformer.transformer.layers.{i}."
        for j in range(3):
            s[f"{p}{j}.norm.weight"] = s[f"{p}{j}.norm.bias"] = (dec_dim,)
        s[p + "0.fn.to_qkv.weight"] = (3 * inner, dec_dim)
        s[p + "0.fn.to_out.0.weight"] = (dec_dim, inner)
        s[p + "0.fn.to_out.0.bias"] = (dec_dim,)
        s[p + "1.fn.to_kv.weight"] = (2 * inner, dim)
        s[p + "1.fn.to_q.weight"] = (inner, dec_dim)
        s[p + "1.fn.to_out.0.weight"] = (dec_dim, inner)
        s[p + "1.fn.to_out.0.bias"] = (dec_dim,)
        s[p + "2.fn.net.0.weight"] = (dec_mlp, dec_dim)
        s[p + "2.fn.net.0.bias"] = (dec_mlp,)
        s[p + "2.fn.net.3.weight"] = (dec_dim, dec_mlp)
        s[p + "2.fn.net.3.bias"] = (dec_dim,)
    for name, n in (
        ("smplx_poses", 312),
        ("smplx_scale", 6),
        ("smplx_shape", 200),
        ("smplx_expression", 50),
        ("smplx_joint", 165),
        ("flame_poses", 14),
        ("flame_shape", 300),
        ("flame_expression", 50),
        ("cam", 3),
    ):
        s[f"{h}{name}_decoder.weight"] = (n, dec_dim)
        s[f"{h}{name}_decoder.bias"] = (n,)
    return s


# --------------------------------------------------------------------------
# pictures
# --------------------------------------------------------------------------


def synthetic_image(seed: int, shape: tuple) -> np.ndarray:
    """Smooth coloured RGB uint8 picture of shape (H, W, 3); integer arithmetic only.

    Random integer grids with cells of 96, 24 and 6 pixels (a prime factor 3
    keeps them off the 16-pixel patch grid) are interpolated bilinearly with
    integer weights, mixed 4:2:1, stretched by 1.5 about 128 and given noise of
    -4..4; the result is clipped to 0..255.
    """
    height, width = int(shape[0]), int(shape[1])
    acc = np.zeros((height, width, 3), np.int64)
    for cell, share in ((96, 4), (24, 2), (6, 1)):
        grid = rng(f"image.grid{cell}", seed).integers(
            0, 256, size=(height // cell + 2, width // cell + 2, 3), dtype=np.int64
        )
        y, x = np.arange(height), np.arange(width)
        y0, x0 = y // cell, x // cell
        fy, fx = (y % cell)[:, None, None], (x % cell)[None, :, None]
        top = grid[y0][:, x0] * (cell - fx) + grid[y0][:, x0 + 1] * fx
        low = grid[y0 + 1][:, x0] * (cell - fx) + grid[y0 + 1][:, x0 + 1] * fx
        acc += share * ((top * (cell - fy) + low * fy) // (cell * cell))
    acc = acc // 7
    acc = 128 + ((acc - 128) * 3) // 2
    acc += rng("image.noise", seed).integers(-4, 5, size=acc.shape, dtype=np.int64)
    return np.clip(acc, 0, 255).astype(np.uint8)


def image_to_input(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) RGB -> float32 (3, H, W) in [0, 1]: float32(pixel) / float32(255)."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)


# --------------------------------------------------------------------------
# body models
# --------------------------------------------------------------------------

N_SMPLX, N_FLAME = 10475, 5023
F_SMPLX, F_FLAME = 20908, 9976
SMPLX_PARENTS = np.array(
    [
        -1,
        0,
        0,
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        9,
        9,
        12,
        13,
        14,
        16,
        17,
        18,
        19,
        15,
        15,
        15,
        20,
        25,
        26,
        20,
        28,
        29,
        20,
        31,
        32,
        20,
        34,
        35,
        20,
        37,
        38,
        21,
        40,
        41,
        21,
        43,
        44,
        21,
        46,
        47,
        21,
        49,
        50,
        21,
        52,
        53,
    ],
    np.int64,
)
FLAME_PARENTS = np.array([-1, 0, 1, 1, 1], np.int64)

# Rough stick figure, y up, facing +z, left side at +x.
_MID = {
    0: (0, -0.35, 0),
    3: (0, -0.23, -0.02),
    6: (0, -0.10, -0.03),
    9: (0, -0.02, -0.02),
    12: (0, 0.13, -0.03),
    15: (0, 0.27, 0),
    22: (0, 0.25, 0.02),
}
_LEFT = {
    1: (0.06, -0.44, 0),
    4: (0.11, -0.82, 0.01),
    7: (0.09, -1.22, -0.04),
    10: (0.12, -1.28, 0.09),
    13: (0.05, 0.05, -0.02),
    16: (0.17, 0.09, -0.02),
    18: (0.42, 0.07, -0.04),
    20: (0.67, 0.08, -0.05),
    23: (0.03, 0.30, 0.07),
}
_LEFT_TO_RIGHT = {1: 2, 4: 5, 7: 8, 10: 11, 13: 14, 16: 17, 18: 19, 20: 21, 23: 24}
# index, middle, pinky, ring, thumb: root, then the step from joint to joint
_FINGERS = (
    ((0.76, 0.08, -0.02), (0.030, 0, 0.002)),
    ((0.765, 0.08, -0.04), (0.032, 0, 0)),
    ((0.75, 0.075, -0.08), (0.022, 0, -0.004)),
    ((0.76, 0.08, -0.06), (0.028, 0, -0.002)),
    ((0.70, 0.07, 0.00), (0.025, -0.005, 0.022)),
)
_HEAD_ORIGIN = np.array((0, 0.27, 0))  # FLAME origin in the SMPL-X frame (= head joint)


def _stick_joints() -> np.ndarray:
    j = np.zeros((55, 3))
    for i, p in _MID.items():
        j[i] = p
    for i, p in _LEFT.items():
        j[i] = p
        j[_LEFT_TO_RIGHT[i]] = np.array(p) * (-1, 1, 1)
    for f, (root, step) in enumerate(_FINGERS):
        for k in range(3):
            p = np.array(root) + k * np.array(step)
            j[25 + 3 * f + k] = p
            j[40 + 3 * f + k] = p * (-1, 1, 1)
    return j


_FLAME_JOINTS = np.array(
    [(0, -0.14, -0.03), (0, 0, 0), (0, -0.02, 0.02), (0.03, 0.03, 0.07), (-0.03, 0.03, 0.07)]
)


def _spiral(n: int, a, b, radii, cap: bool) -> tuple[np.ndarray, np.ndarray]:
    """Make n points winding about the segment a-b, and the triangles between the windings.

    ``cap`` rounds the radius off towards both ends (an ellipsoid).
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    ring = max(6, int(np.sqrt(n) * 0.8))
    t = (np.arange(n) + 0.5) / n
    axis = b - a
    axis = axis / np.sqrt((axis * axis).sum())
    side = np.array((0, 0, 1.0)) if abs(axis[2]) < 0.9 else np.array((1.0, 0, 0))
    u = np.cross(axis, side)
    u = u / np.sqrt((u * u).sum())
    v = np.cross(axis, u)
    ang = 2 * np.pi * np.arange(n) / ring
    prof = np.sqrt(np.maximum(1 - (2 * t - 1) ** 2, 0)) if cap else np.ones(n)
    p = (
        a
        + t[:, None] * (b - a)
        + (prof * np.cos(ang) * radii[0])[:, None] * u
        + (prof * np.sin(ang) * radii[1])[:, None] * v
    )
    i = np.arange(n - ring - 1)
    k = np.arange(1, ring - 1)
    zero, last = np.zeros_like(k), np.full_like(k, n - 1)
    faces = np.concatenate(
        [
            np.stack([i, i + 1, i + ring], 1),
            np.stack([i + 1, i + ring + 1, i + ring], 1),
            np.stack([zero, k + 1, k], 1),
            np.stack([last, last - k - 1, last - k], 1),
        ]
    )
    return p, faces


def _assemble(parts) -> tuple[np.ndarray, np.ndarray]:
    points, faces, start = [], [], 0
    for part in parts:
        p, f = _spiral(*part)
        points.append(p)
        faces.append(f + start)
        start += len(p)
    return np.concatenate(points), np.concatenate(faces)


def _fit_faces(faces: np.ndarray, count: int) -> np.ndarray:
    """Cut off, or append reversed copies of the first ones, to reach the file's count."""
    if len(faces) < count:
        faces = np.concatenate([faces, faces[: count - len(faces), ::-1]])
    return np.ascontiguousarray(faces[:count])


_FLAME_PARTS = {  # vertices, from, to, radii, ellipsoid
    "skull": (3000, (0, -0.07, 0), (0, 0.16, 0), (0.095, 0.075), True),
    "neck": (600, (0, -0.14, -0.03), (0, -0.04, -0.01), (0.055, 0.055), False),
    "left_eyeball": (500, (0.03, 0.018, 0.07), (0.03, 0.042, 0.07), (0.012, 0.012), True),
    "right_eyeball": (500, (-0.03, 0.018, 0.07), (-0.03, 0.042, 0.07), (0.012, 0.012), True),
    "mouth": (423, (-0.03, -0.05, 0.07), (0.03, -0.05, 0.07), (0.02, 0.02), True),
}


def _flame_template(seed: int) -> tuple[np.ndarray, np.ndarray]:
    v, f = _assemble(_FLAME_PARTS.values())
    v = v + 0.0005 * rng("flame.jitter", seed).standard_normal(size=v.shape)
    return v, _fit_faces(f, F_FLAME)


def _segment_distance(v: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    d = b - a
    t = np.clip(((v - a) * d).sum(1) / max((d * d).sum(), 1e-12), 0, 1)
    r = v - a - t[:, None] * d
    return np.sqrt((r * r).sum(1))


def _skinning(v: np.ndarray, joints: np.ndarray, parents: np.ndarray, top: int) -> np.ndarray:
    """Weights 1/(distance to the joint's bone + 1 cm)^4 of the ``top`` nearest, rows sum to 1."""
    n = len(joints)
    dist = np.zeros((len(v), n))
    for j in range(n):
        kids = np.flatnonzero(parents == j)
        if len(kids):
            end = joints[kids].sum(0) / len(kids)
        else:  # a tip: as long as half the bone before
            end = joints[j] + 0.5 * (joints[j] - joints[parents[j]])
        dist[:, j] = _segment_distance(v, joints[j], end)
    keep = np.argsort(dist, axis=1, kind="stable")[:, :top]
    near = np.take_along_axis(dist, keep, 1)
    w = 1 / (near + 0.01) ** 4
    out = np.zeros_like(dist)
    np.put_along_axis(out, keep, w / w.sum(1, keepdims=True), 1)
    return out


def _regressor(
    v: np.ndarray, joints: np.ndarray, label: str, seed: int, support: int = 24
) -> np.ndarray:
    """Each row: random positive weights on the nearest vertices, summing to 1."""
    g = rng(label, seed)
    out = np.zeros((len(joints), len(v)))
    for j, p in enumerate(joints):
        ids = np.argsort(((v - p) ** 2).sum(1), kind="stable")[:support]
        w = 0.25 + g.random(support)
        out[j, ids] = w / w.sum()
    return out


def _blend_dirs(v: np.ndarray, label: str, seed: int, count: int = 400) -> np.ndarray:
    """(V, 3, 400) float32; 0..299 shape, 300..399 expression.

    Direction k is s_k * (noise + 4 * (v @ M_k) ), s_k = 0.002 / (1 + 0.1 k'), with k'
    counted from 0 again at 300 and M_k a random 3x3 matrix (left out for expressions).
    """
    k = np.concatenate([np.arange(300), np.arange(count - 300)])
    scale = (0.002 / (1 + 0.1 * k)).astype(np.float32)
    out = rng(label, seed).standard_normal(size=(len(v), 3, count), dtype=np.float32)
    mats = rng(label + ".linear", seed).standard_normal(size=(3, 3, 300))
    for axis in range(3):
        lin = (
            v[:, 0, None] * mats[0, axis]
            + v[:, 1, None] * mats[1, axis]
            + v[:, 2, None] * mats[2, axis]
        )
        out[:, axis, :300] += (4 * lin).astype(np.float32)
    out *= scale
    return out


def _barycentric(n, g) -> np.ndarray:
    b = 0.1 + g.random((*n, 3))
    return b / b.sum(-1, keepdims=True)


def _kintree(parents: np.ndarray) -> np.ndarray:
    """(2, J) uint32 as in the files: row 0 parents, the root being 4294967295."""
    k = np.stack([parents, np.arange(len(parents))])
    k[0, 0] = 4294967295
    return k.astype(np.uint32)


def synthetic_flame(seed: int = 0) -> dict:
    """Stand-in for FLAME 2020 ``generic_model.pkl``.

    f (9976,3) uint32 | v_template (5023,3) f8 | shapedirs (5023,3,400) f4 |
    posedirs (5023,3,36) f4 | J_regressor (5,5023) f8 | kintree_table (2,5) u4 |
    weights (5023,5) f8 | J (5,3) f8
    """
    v, f = _flame_template(seed)
    v = _f32(v)
    w = _skinning(v, _FLAME_JOINTS, FLAME_PARENTS, top=3)
    start = 0
    for name, (n, *_rest) in _FLAME_PARTS.items():  # eyeballs move with their joint only
        if name.endswith("eyeball"):
            w[start : start + n] = 0
            w[start : start + n, 3 if name.startswith("left") else 4] = 1
        start += n
    reg = _f32(_regressor(v, _FLAME_JOINTS, "flame.J_regressor", seed))
    return {
        "f": f.astype(np.uint32),
        "v_template": v,
        "shapedirs": _blend_dirs(v, "flame.shapedirs", seed),
        "posedirs": np.float32(0.001)
        * rng("flame.posedirs", seed).standard_normal(size=(N_FLAME, 3, 36), dtype=np.float32),
        "J_regressor": reg,
        "kintree_table": _kintree(FLAME_PARENTS),
        "weights": _f32(w),
        "J": _f32(reg @ v),
    }


def _vertex_ids(seed: int) -> np.ndarray:
    return rng("smplx.flame_ids", seed).permutation(N_SMPLX)[:N_FLAME].astype(np.int64)


def synthetic_smplx(seed: int = 0) -> dict:
    """Stand-in for ``SMPLX_NEUTRAL_2020.npz``.

    f (20908,3) uint32 | v_template (10475,3) f8 | shapedirs (10475,3,400) f4 |
    posedirs (10475,3,486) f4 | J_regressor (55,10475) f8 | kintree_table (2,55) u4 |
    weights (10475,55) f8 | lmk_faces_idx (51,) i8 | lmk_bary_coords (51,3) f8 |
    dynamic_lmk_faces_idx (79,17) i8 | dynamic_lmk_bary_coords (79,17,3) f8

    The vertices synthetic_extras()['smplx_flame_ids'] form a head of the shape of the
    FLAME template with the same seed (moved to the head joint, off by about 1 mm).
    Expression directions are zero outside the head.
    """
    joints = _stick_joints()
    ids = _vertex_ids(seed)
    head, head_faces = _flame_template(seed)
    rest = np.setdiff1d(np.arange(N_SMPLX), ids)  # sorted
    bones = [
        (j, int(p)) for j, p in enumerate(SMPLX_PARENTS) if p >= 0 and j not in (15, 22, 23, 24)
    ]
    fingers = [(j, p) for j, p in bones if j >= 25]
    limbs = [(j, p) for j, p in bones if j < 25]
    radius = {
        3: 0.11,
        6: 0.12,
        9: 0.12,
        12: 0.07,
        13: 0.06,
        14: 0.06,
        1: 0.08,
        2: 0.08,
        4: 0.07,
        5: 0.07,
        7: 0.045,
        8: 0.045,
        10: 0.035,
        11: 0.035,
        16: 0.05,
        17: 0.05,
        18: 0.045,
        19: 0.045,
        20: 0.03,
        21: 0.03,
    }
    free = len(rest) - 40 * len(fingers)
    share = [free // len(limbs) + (i < free % len(limbs)) for i in range(len(limbs))]
    parts = [
        (n, joints[p], joints[j], (radius[j], radius[j]), False)
        for n, (j, p) in zip(share, limbs, strict=True)
    ]
    parts += [
        (
            40,
            joints[p] if p >= 25 else joints[j] - 0.6 * (joints[j] - joints[p]),
            joints[j],
            (0.009, 0.009),
            False,
        )
        for j, p in fingers
    ]
    body, body_faces = _assemble(parts)

    v = np.zeros((N_SMPLX, 3))
    v[ids] = head + _HEAD_ORIGIN
    v[rest] = body
    v += 0.001 * rng("smplx.jitter", seed).standard_normal(size=v.shape)
    v = _f32(v)
    f = _fit_faces(np.concatenate([ids[head_faces], rest[body_faces]]), F_SMPLX)

    dirs = _blend_dirs(v, "smplx.shapedirs", seed)
    dirs[rest, :, 300:] = 0
    g = rng("smplx.landmarks", seed)
    n_head = len(head_faces)
    return {
        "f": f.astype(np.uint32),
        "v_template": v,
        "shapedirs": dirs,
        "posedirs": np.float32(0.001)
        * rng("smplx.posedirs", seed).standard_normal(size=(N_SMPLX, 3, 486), dtype=np.float32),
        "J_regressor": _f32(_regressor(v, joints, "smplx.J_regressor", seed)),
        "kintree_table": _kintree(SMPLX_PARENTS),
        "weights": _f32(_skinning(v, joints, SMPLX_PARENTS, top=4)),
        "lmk_faces_idx": g.integers(0, n_head, 51, dtype=np.int64),
        "lmk_bary_coords": _f32(_barycentric((51,), g)),
        "dynamic_lmk_faces_idx": g.integers(0, n_head, (79, 17), dtype=np.int64),
        "dynamic_lmk_bary_coords": _f32(_barycentric((79, 17), g)),
    }


def synthetic_extras(seed: int = 0, smplx: dict | None = None) -> dict:
    """Stand-ins for the small side files.

    smplx_flame_ids (5023,) i8, SMPL-X vertex of each FLAME vertex, in no order |
    flame_mask_neck, flame_mask_boundary: FLAME vertex ids; 15 ids are in both lists |
    l_eyelid, r_eyelid (5023,3) f8, zero but for the front of each eye |
    J14_regressor (14,10475) f8, rows sum to 1 |
    extra_joint_faces (22,) i8, extra_joint_bary (22,3) f8

    Pass the dictionary of synthetic_smplx(seed), if available, to save its making.
    """
    v, _ = _flame_template(seed)
    v = _f32(v)
    first = _FLAME_PARTS["skull"][0]
    neck_ids = first + np.argsort(v[first : first + 600, 1], kind="stable")  # lowest first
    boundary, neck = neck_ids[:120], neck_ids[105:315]

    lids = {}
    for name, eye in (("l_eyelid", _FLAME_JOINTS[3]), ("r_eyelid", _FLAME_JOINTS[4])):
        near = np.argsort(((v - eye) ** 2).sum(1) + (v[:, 2] < eye[2]), kind="stable")[:150]
        d = np.zeros((N_FLAME, 3))
        d[near] = 0.004 * rng("flame." + name, seed).standard_normal(size=(150, 3)) + (
            0,
            -0.006,
            0.001,
        )
        lids[name] = _f32(d)

    vs = (smplx or synthetic_smplx(seed))["v_template"]
    j = _stick_joints()
    j14 = j[[8, 5, 2, 1, 4, 7, 21, 19, 17, 16, 18, 20, 12, 15]] + (0.01, 0.01, 0.01)
    g = rng("smplx.extra_joints", seed)
    return {
        "smplx_flame_ids": _vertex_ids(seed),
        "flame_mask_neck": rng("flame.neck", seed).permutation(neck).astype(np.int64),
        "flame_mask_boundary": rng("flame.boundary", seed).permutation(boundary).astype(np.int64),
        **lids,
        "J14_regressor": _f32(_regressor(vs, j14, "smplx.J14", seed, support=40)),
        "extra_joint_faces": g.integers(0, F_SMPLX, 22, dtype=np.int64),
        "extra_joint_bary": _f32(_barycentric((22,), g)),
    }


def write_assets(folder, seed: int = 0) -> None:
    """Write the synthetic body models in the file layout of the real ones (about 125 MB).

    FLAME/FLAME2020/generic_model.pkl, FLAME/FLAME_masks/FLAME_masks.pkl (neck, boundary),
    FLAME/{l,r}_eyelid.npy, SMPLX/SMPLX_NEUTRAL_2020.npz, SMPLX/SMPL-X__FLAME_vertex_ids.npy,
    SMPLX/SMPLX_to_J14.pkl.  The pickles hold plain numpy arrays; the real FLAME file holds
    chumpy arrays and a scipy sparse J_regressor instead.
    """
    folder = Path(folder)
    smplx, flame = synthetic_smplx(seed), synthetic_flame(seed)
    extras = synthetic_extras(seed, smplx)
    for sub in ("FLAME/FLAME2020", "FLAME/FLAME_masks", "SMPLX"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    np.savez(folder / "SMPLX/SMPLX_NEUTRAL_2020.npz", **smplx)
    np.save(folder / "SMPLX/SMPL-X__FLAME_vertex_ids.npy", extras["smplx_flame_ids"])
    for path, obj in (
        ("FLAME/FLAME2020/generic_model.pkl", flame),
        (
            "FLAME/FLAME_masks/FLAME_masks.pkl",
            {"neck": extras["flame_mask_neck"], "boundary": extras["flame_mask_boundary"]},
        ),
        ("SMPLX/SMPLX_to_J14.pkl", extras["J14_regressor"]),
    ):
        with open(folder / path, "wb") as fh:
            pickle.dump(obj, fh, protocol=4)
    for name in ("l_eyelid", "r_eyelid"):
        np.save(folder / f"FLAME/{name}.npy", extras[name])


# --------------------------------------------------------------------------
# comparing big arrays by few numbers
# --------------------------------------------------------------------------


def mesh_summary(x: np.ndarray) -> np.ndarray:
    """(B, N, C) -> (B, 12, C) float64: mean, min, max, rms, 8 signed sums / sqrt(N).

    The signs are +-1 from rng('summary', N).  A signed sum moves by about the typical
    error of one element, so the same tolerance (times three) fits as for single elements.
    """
    x = np.asarray(x, np.float64)
    n = x.shape[1]
    signs = rng("summary", n).integers(0, 2, size=(8, n), dtype=np.int64) * 2.0 - 1.0
    rows = [x.mean(1), x.min(1), x.max(1), np.sqrt((x * x).mean(1))]
    rows += [(s[:, None] * x).sum(1) / np.sqrt(n) for s in signs]
    return np.stack(rows, 1)


# --------------------------------------------------------------------------
# self test
# --------------------------------------------------------------------------


def _digest(x) -> list[float]:
    x = np.asarray(x, np.float64).ravel()
    w = np.cos(0.37 * np.arange(len(x)))
    return [float(x.sum()), float((x * w).sum()), float(x[0]), float(x[len(x) // 2]), float(x[-1])]


def digests(bodies: bool = True) -> dict[str, list[float]]:
    """A few numbers of everything above (or all but the body models), for seed 7."""
    out = {}
    sd = fill_state_dict(
        {
            "backbone.blocks.3.attn.qkv.weight": (96, 32),
            "backbone.blocks.3.norm1.weight": (257,),
            "backbone.patch_embed.proj.weight": (8, 3, 16, 16),
            "head.init_body_pose": (1, 318),
            "head.smplx_scale_decoder.bias": (6,),
        },
        seed=7,
    )
    for k, a in sd.items():
        out["weights " + k] = _digest(a)
    out["image"] = _digest(synthetic_image(7, (90, 133, 3)))
    if not bodies:
        return out
    flame, smplx = synthetic_flame(7), synthetic_smplx(7)
    for name, d in (("flame", flame), ("smplx", smplx), ("extras", synthetic_extras(7, smplx))):
        for k, a in d.items():
            out[f"{name} {k}"] = _digest(a)
    return out


# Made with numpy 1.26.4; see self_test().
EXPECTED_DIGESTS: dict[str, list[float]] = {
    "weights backbone.blocks.3.attn.qkv.weight": [
        25.9060768,
        -5.61375198,
        0.102916151,
        0.00913559739,
        0.404063165,
    ],
    "weights backbone.blocks.3.norm1.weight": [
        260.564772,
        2.51807069,
        0.939688206,
        1.10563767,
        1.05228269,
    ],
    "weights backbone.patch_embed.proj.weight": [
        -0.10692248,
        -0.10046406,
        -0.00272159139,
        -0.00251648272,
        -0.00255238893,
    ],
    "weights head.init_body_pose": [
        107.163297,
        -1.1627568,
        0.964410603,
        -0.0350556821,
        0.117287472,
    ],
    "weights head.smplx_scale_decoder.bias": [
        5.96388757,
        2.93965933,
        0.998299837,
        1.02142251,
        0.942351341,
    ],
    "image": [4233981.0, -572.116785, 213, 181, 133],
    "flame f": [74771442.0, 28734.5624, 0, 2033, 5009],
    "flame v_template": [177.071922, 0.13118869, 0.00311741536, 0.121919736, 0.0695037395],
    "flame shapedirs": [11.5003992, 1.2262304, 0.00149131112, -9.32737894e-05, -4.74434927e-08],
    "flame posedirs": [-0.398950395, -0.221942051, 0.000829430181, 0.00150520902, -1.46199545e-05],
    "flame J_regressor": [5.00000001, -0.0733852069, 0, 0, 0],
    "flame kintree_table": [4294967308.0, 4294967287.0859804, 4294967295.0, 0, 4],
    "flame weights": [5023, -0.87208443, 0.962381065, 0, 0],
    "flame J": [0.002213347, -0.215567616, 0.00436628005, -0.0421405286, 0.0683861598],
    "smplx f": [326450229.0, 174397.272, 6322, 509, 9774],
    "smplx v_template": [115.630465, -8.62051236, -0.00625212118, 0.0309165977, 0.0396862589],
    "smplx shapedirs": [-5.04050915, -1.67110292, 0.00308865379, 2.4857929e-05, -9.69795838e-06],
    "smplx posedirs": [-0.281630707, 2.10900341, 0.000208304875, 0.000330667128, -0.000452282635],
    "smplx J_regressor": [55, -0.846591351, 0, 0, 0],
    "smplx kintree_table": [4294969982.0, 4294967456.191256, 4294967295.0, 0, 54],
    "smplx weights": [10475, -89.4193525, 0, 0, 0],
    "smplx lmk_faces_idx": [264102, -2975.67109, 4442, 3337, 155],
    "smplx lmk_bary_coords": [51, 0.309506184, 0.125573233, 0.316021889, 0.0872506797],
    "smplx dynamic_lmk_faces_idx": [6758249.0, 87405.2062, 290, 9168, 2360],
    "smplx dynamic_lmk_bary_coords": [1343, 1.25514202, 0.535969615, 0.44461301, 0.537870824],
    "extras smplx_flame_ids": [26094453.0, 256586.217, 6322, 3133, 10331],
    "extras flame_mask_neck": [674145, 8829.75887, 3115, 3224, 3218],
    "extras flame_mask_boundary": [368197, 4264.32151, 3094, 3071, 3145],
    "extras l_eyelid": [-0.693198082, -0.0472694973, 0, 0, 0],
    "extras r_eyelid": [-0.704329232, 0.0290336953, 0, 0, 0],
    "extras J14_regressor": [14, -1.27106637, 0, 0, 0],
    "extras extra_joint_faces": [271833, 53546.1976, 15697, 539, 19669],
    "extras extra_joint_bary": [22, -0.653176075, 0.111352205, 0.233695716, 0.206544057],
}


def self_test(verbose: bool = False, bodies: bool = True) -> float:
    """Compare digests() with the stored ones; returns the largest relative difference.

    Raises if this numpy (or this file) makes other numbers.  A difference up to 1e-6 can
    come from another libm in the last digit and does no harm.
    """
    worst = 0.0
    for key, got in digests(bodies).items():
        want = EXPECTED_DIGESTS[key]
        err = max(abs(a - b) / (1 + abs(b)) for a, b in zip(got, want, strict=True))
        worst = max(worst, err)
        if verbose:
            print(f"{err:9.1e}  {key}")
        if err > 1e-6:
            raise AssertionError(f"{key}: {got} but expected {want}")
    return worst


if __name__ == "__main__":
    import sys

    if "--print-digests" in sys.argv:
        import json

        print(json.dumps(digests(), indent=1))
    else:
        print("largest relative difference", self_test(verbose=True))
