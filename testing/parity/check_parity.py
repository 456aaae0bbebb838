# SPDX-License-Identifier: Apache-2.0
"""Compare this package with outputs of the original PEAR code on recipe-made weights and files.

    python -m testing.parity.check_parity [SET] [--only net_small,ehm] [--dtype float64] [--loosen
    10]

Prints the error of each output against its tolerance; exit status 1 if any is beyond it. SET is a
folder made by the recipe, set_a by default. candidate.py says which functions are compared. The
references are the float64 run of the original on float32 inputs and weights, so only the
candidate's own rounding is left.
"""

from __future__ import annotations

import argparse
import collections.abc
import fnmatch
import functools
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from testing.parity import recipe

SET_A = Path(__file__).with_name("set_a")

# (fixture, output pattern, tolerance in float32, tolerance in float64): largest allowed
# absolute difference.  float32: at least 10 times the worst difference between the float32
# and the float64 run of the original over all sets; float64: far above double rounding, far
# below any real mistake.
TOLERANCES = [
    ("net_*", "raw_*", 5e-5, 1e-10),
    ("net_*", "*_pose", 2e-4, 1e-9),  # rotation matrices (some 6D inputs are nearly parallel)
    ("net_*", "pd_cam", 1e-4, 1e-6),  # float64: the 1e-9 in the divisor may be left out
    ("net_*", "token", 1e-4, 1e-10),
    ("net_*", "dec?_ff_branch", 5e-5, 1e-10),
    ("net_*", "features*", 1e-4, 1e-10),
    ("net_*", "patch_embed", 1e-5, 1e-10),
    ("net_*", "block*", 5e-4, 1e-9),
    ("net_*", "*", 5e-5, 1e-10),  # scales, shapes, expressions, FLAME parameters
    # metres (0.01 mm).  float64: the original adds 1e-8 to axis-angle components before the norm
    ("ehm*", "*", 1e-5, 1e-7),
    ("crop", "bbox_xywh", 1e-4, 1e-4),  # pixels; the original rounds to float32
    ("crop", "*trans", 5e-6, 5e-6),  # relative to the largest entry
    ("crop", "patch", 1.0, 1.0),  # grey levels: exact bilinear against 1/32 pixel steps
    ("crop", "patch_mean", 0.1, 0.1),  # mean absolute difference of the sampled pixels
    ("crop", "load_image", 1.01, 1.01),
    ("camera", "screen1024", 2e-3, 1e-4),  # float64: the 1e-7 in the divisor may be left out
    ("camera", "screen256", 5e-4, 1e-4),
    ("camera", "full_image", 2e-3, 2e-4),
    ("rot6d", "angle_1e-3", 5e-3, 1e-9),  # two vectors one milliradian apart
    ("rot6d", "tiny_1e-14", 1e-6, 1e-9),
    ("rot6d", "*", 1e-5, 1e-9),
]

POSED_JOINTS = [joint for joint in range(55) if joint not in (4, 5, 12, 15, 16, 17, 18, 19, 20, 21)]
"""SMPL-X's joints, but for the ten that the original overwrites by those of another regressor."""


def tolerance(fixture, name, dtype):
    for fix, pat, t32, t64 in TOLERANCES:
        if fnmatch.fnmatch(fixture, fix) and fnmatch.fnmatch(name, pat):
            return t32 if dtype == "float32" else t64
    raise KeyError((fixture, name))


class LazyState(collections.abc.Mapping):
    """State dict whose tensors are made by the recipe when asked for."""

    def __init__(self, shapes, seed):
        self.shapes, self.seed = shapes, seed

    def __getitem__(self, key):
        return recipe.fill_state_dict({key: self.shapes[key]}, self.seed)[key]

    def __iter__(self):
        return iter(self.shapes)

    def __len__(self):
        return len(self.shapes)


class Report:
    """Errors and tolerances, printed as they come in."""

    def __init__(self, dtype="float32", loosen=1.0):
        self.dtype, self.loosen = dtype, loosen
        self.rows = []

    def compare(self, fixture, name, got, want, label=None, err=None):
        if err is None:
            got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
            if got.shape != want.shape:
                err = np.inf
                print(f"shape {got.shape}, expected {want.shape}:")
            else:
                err = float(np.abs(got - want).max()) if got.size else 0.0
        err = err if np.isfinite(err) else np.inf
        tol = tolerance(fixture, name, self.dtype) * self.loosen
        self.rows.append((fixture, label or name, err, tol))
        mark = "ok  " if err <= tol else "FAIL"
        print(f"{mark} {fixture:9s} {label or name:32s} error {err:8.1e}  tolerance {tol:8.1e}")

    @property
    def failures(self):
        return [
            f"{fixture} {output}: {error:.1e} of {tol:.1e}"
            for fixture, output, error, tol in self.rows
            if error > tol
        ]

    def summarise(self):
        for fixture in dict.fromkeys(row[0] for row in self.rows):
            rows = [row for row in self.rows if row[0] == fixture]
            good = sum(error <= tol for *_, error, tol in rows)
            _, output, error, tol = max(rows, key=lambda row: row[2] / row[3])
            print(
                f"{fixture}: {good} of {len(rows)} within tolerance; "
                f"closest to its limit: {output} {error:.1e} of {tol:.1e}"
            )


def _open(folder, name):
    z = np.load(Path(folder) / f"{name}.npz")
    return z, json.loads(str(z["meta"]))


def check_network(cand, folder, name, rep):
    z, m = _open(folder, name)
    cfg = m["config"]
    state = LazyState(recipe.network_layout(**cfg), m["weights_seed"])
    images = np.stack(
        [recipe.image_to_input(recipe.synthetic_image(s, (256, 256, 3))) for s in m["image_seeds"]]
    )
    out = cand.network(cfg, state, images, rep.dtype)
    dim = cfg["dim"]
    step, channels = (1, 1) if dim <= 64 else (20, 40)
    for key in (k.removeprefix("ref64.") for k in z.files if k.startswith("ref64.")):
        short = key.removeprefix("probe.")
        if short == "features_summary":
            tokens = out["features"].reshape(len(images), dim, -1).transpose(0, 2, 1)
            got = recipe.mesh_summary(tokens[..., ::step])
        else:
            got = out[short]
        if short == "features":
            got = got[:, ::step, ::2, ::3]
        elif short.startswith("block") or short == "patch_embed":
            got = got[:, 5::24, ::channels]
        rep.compare(name, short, got, z["ref64." + key])


@functools.cache
def _body_files(seed):
    smplx = recipe.synthetic_smplx(seed)
    return smplx, recipe.synthetic_flame(seed), recipe.synthetic_extras(seed, smplx)


def check_body(body, folder, name, rep):
    z, m = _open(folder, "ehm")
    for s in m["sets"]:
        p = {k.split(".", 2)[2]: z[k] for k in z.files if k.startswith(f"in.{s}.")}
        out = body(*_body_files(m["body_seed"]), p, rep.dtype)
        found = {"rest_joints": out["rest_joints"], "joints": out["joints"][:, POSED_JOINTS]}
        for key in ("vertices", "tpose"):
            found[key] = out[key][:, :: m["vertex_step"]]
            found[key + "_summary"] = recipe.mesh_summary(out[key])
        for key, got in found.items():
            want = z[f"ref64.{s}.{key}"]
            want = want[:, POSED_JOINTS] if key == "joints" else want
            rep.compare(name, key, got, want, f"{s}.{key}")


def check_crop(cand, folder, rep):
    z, m = _open(folder, "crop")
    plain = recipe.synthetic_image(m["image_seed"], m["image_shape"])
    small = recipe.synthetic_image(m["loaded_image_seed"], m["loaded_image_shape"])
    with tempfile.TemporaryDirectory() as tmp:
        path = write_ppm(Path(tmp) / "picture.ppm", small)
        loaded = cand.load_image(str(path))
    rep.compare("crop", "load_image", loaded[5::16, 5::16], z["out32.load_img"])
    for n in m["rejected"]:
        got = cand.crop(plain, z[f"in.{n}.box_xyxy"])
        rep.compare(
            "crop", "bbox_xywh", None, None, f"{n}: rejected", 0.0 if got is None else np.inf
        )
    for n in m["cases"]:
        img = loaded if n in m["uses_loaded"] else plain
        got = cand.crop(img, z[f"in.{n}.box_xyxy"])
        if got is None:
            rep.compare("crop", "bbox_xywh", None, None, f"{n}: accepted", np.inf)
            continue
        for key in ("bbox_xywh", "trans", "inv_trans"):
            want, err = z[f"out32.{n}.{key}"].astype(np.float64), None
            if key != "bbox_xywh":
                err = float(np.abs(got[key] - want).max() / np.abs(want).max())
            rep.compare("crop", key, got[key], want, f"{n}.{key}", err)
        want = z[f"out32.{n}.patch"].astype(np.float64)
        d = np.abs(np.asarray(got["patch"], np.float64)[3::8, 3::8] - want)
        # Next to the picture's border a 1/32 pixel step changes the share of black; such
        # pixels (a black one among the neighbours) count in the mean only.
        rep.compare("crop", "patch_mean", None, None, f"{n}.patch_mean", float(d.mean()))
        inner = inside_mask(z[f"out32.{n}.inv_trans"], img.shape)[3::8, 3::8]
        rep.compare("crop", "patch", None, None, f"{n}.patch", float(d[inner].max()))


def inside_mask(inv, shape):
    """Patch pixels whose source point lies at least a pixel inside, or outside, the picture."""
    y, x = np.mgrid[:256, :256].astype(np.float64)
    sx, sy = (inv[i, 0] * x + inv[i, 1] * y + inv[i, 2] for i in (0, 1))
    h, w = shape[:2]
    inside = (sx > 1) & (sx < w - 2) & (sy > 1) & (sy < h - 2)
    outside = (sx < -2) | (sx > w + 1) | (sy < -2) | (sy > h + 1)
    return inside | outside


def write_ppm(path, rgb):
    path.write_bytes(b"P6\n%d %d\n255\n" % (rgb.shape[1], rgb.shape[0]) + rgb.tobytes())
    return path


def check_camera(cand, folder, rep):
    z, _ = _open(folder, "camera")
    inv = z["in.inv_trans"].astype(np.float64)
    where = {
        **{f"screen{size}": np.tile([0.0, 0.0, size], (len(inv), 1)) for size in (1024, 256)},
        "full_image": np.stack([inv[:, 0, 2], inv[:, 1, 2], 256.0 * inv[:, 0, 0]], axis=1),
    }
    for name, places in where.items():
        got = cand.project(z["in.points"], z["in.RT"], places, rep.dtype)
        rep.compare("camera", name, got, z[f"ref64.{name}"])


def check_rot6d(cand, folder, rep):
    z, m = _open(folder, "rot6d")
    for name, cls in m["classes"].items():
        got = cand.rot6d(z["in." + name], rep.dtype)
        got = got if cls != "ill" else np.asarray(got)[..., 0]
        rep.compare("rot6d", name, got, z["ref64." + name], f"{name} ({cls})")


CHECKS = {
    "net_small": lambda c, f, r: check_network(c, f, "net_small", r),
    "net_vith": lambda c, f, r: check_network(c, f, "net_vith", r),
    "ehm": lambda c, f, r: check_body(c.body, f, "ehm", r),
    "ehm_torch": lambda c, f, r: check_body(c.body_torch, f, "ehm_torch", r),
    "crop": check_crop,
    "camera": check_camera,
    "rot6d": check_rot6d,
}


def main() -> int:
    ap = argparse.ArgumentParser(description="Compare pear_ros with a set of parity fixtures.")
    ap.add_argument("set", nargs="?", type=Path, default=SET_A)
    ap.add_argument("--only", help="comma list; all that the set holds by default")
    ap.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    ap.add_argument("--loosen", type=float, default=1.0, help="multiply all tolerances")
    a = ap.parse_args()
    from testing.parity import candidate

    held = [name for name in CHECKS if (a.set / f"{name.split('_torch')[0]}.npz").is_file()]
    if absent := [name for name in CHECKS if name not in held]:
        print(f"{a.set} does not hold {', '.join(absent)}")
    only = a.only.split(",") if a.only else held
    recipe.self_test(bodies="ehm" in only)
    rep = Report(a.dtype, a.loosen)
    for name in only:
        CHECKS[name](candidate, a.set, rep)
    rep.summarise()
    good = bool(rep.rows) and not rep.failures
    print(f"parity {'holds' if good else 'FAILED'} in {a.dtype} with {a.set}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
