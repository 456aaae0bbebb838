# SPDX-License-Identifier: Apache-2.0
"""Small files in the formats of published datasets and of the files that their protocols need."""

from __future__ import annotations

import json
import pickle
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy import sparse

SMPL_VERTICES = 6890
SMPLX_VERTICES = 10475
PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]
"""Parents of SMPL's joints."""


def write_picture(path: Path, width: int = 64, height: int = 48) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


def as_python_2(data: bytes) -> bytes:
    """Return a pickle of protocol 2 with the names of modules that NumPy had for Python 2."""
    return data.replace(b"numpy._core.", b"numpy.core.")


def smpl_arrays(seed: int = 0) -> dict[str, Any]:
    """Return the arrays of a random body in SMPL's layout, as `smplx.SMPL` takes them."""
    rng = np.random.default_rng(seed)
    nearest = rng.integers(0, 24, SMPL_VERTICES)
    weights = np.zeros((SMPL_VERTICES, 24), np.float32)
    weights[np.arange(SMPL_VERTICES), nearest] = 0.7
    weights[np.arange(SMPL_VERTICES), (nearest + 1) % 24] = 0.3
    regressor = np.where(rng.random((24, SMPL_VERTICES)) < 0.002, 1.0, 0.0)
    return {
        "v_template": rng.normal(0.0, 0.4, (SMPL_VERTICES, 3)),
        "shapedirs": rng.normal(0.0, 0.01, (SMPL_VERTICES, 3, 10)),
        "posedirs": rng.normal(0.0, 1e-3, (SMPL_VERTICES, 3, 207)).astype(np.float32),
        "J_regressor": regressor / regressor.sum(axis=1, keepdims=True),
        "weights": weights,
        "kintree_table": np.array([[2**32 - 1, *PARENTS[1:]], range(24)], np.int64),
        "f": rng.integers(0, SMPL_VERTICES, (20, 3)).astype(np.uint32),
    }


def write_smpl(folder: Path) -> dict[str, Any]:
    """Write SMPL_MALE.pkl and SMPL_FEMALE.pkl, equal; return their arrays."""
    arrays = smpl_arrays()
    stored = {**arrays, "J_regressor": sparse.csc_matrix(arrays["J_regressor"])}
    content = as_python_2(pickle.dumps(stored, 2))
    for gender in ("MALE", "FEMALE"):
        (folder / f"SMPL_{gender}.pkl").write_bytes(content)
    return arrays


def write_regressors(folder: Path) -> np.ndarray[Any, Any]:
    """Write J_regressor_h36m.npy and smplx2smpl.npy, whose vertices are SMPL-X's first ones."""
    rng = np.random.default_rng(5)
    regressor = rng.random((17, SMPL_VERTICES)) ** 200
    regressor /= regressor.sum(axis=1, keepdims=True)
    np.save(folder / "J_regressor_h36m.npy", regressor)
    transfer = sparse.eye(SMPL_VERTICES, SMPLX_VERTICES, format="csc")
    wide = sparse.hstack([transfer, transfer], format="csc")
    content = as_python_2(pickle.dumps({"mtx": wide}, 2))
    (folder / "smplx2smpl_deftrafo_setup.pkl").write_bytes(content)
    return regressor


def threedpw_sequence(frames: int = 3, people: int = 1, **changes: Any) -> dict[str, Any]:
    """Return the fields of a sequence of 3DPW; the last frame of each person is not aligned."""
    rng = np.random.default_rng(3)
    turn = cv2.Rodrigues(np.array([0.2, -0.4, 0.1]))[0]
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, [0.1, 0.2, 4.0]
    valid = np.ones(frames, np.int64)
    valid[-1] = 0
    points = np.stack([rng.uniform(100, 300, (frames, 18)), rng.uniform(50, 400, (frames, 18))], 1)
    return {
        "sequence": "street_00",
        "poses": [rng.normal(0.0, 0.3, (frames, 72)) for _ in range(people)],
        "trans": [rng.normal(0.0, 0.1, (frames, 3)) for _ in range(people)],
        "betas": [rng.normal(0.0, 1.0, 300) for _ in range(people)],
        "genders": ["m", "f"][:people],
        "poses2d": [np.concatenate([points, np.ones((frames, 1, 18))], 1) for _ in range(people)],
        "campose_valid": [valid for _ in range(people)],
        "jointPositions": [rng.normal(0.0, 0.4, (frames, 72)) for _ in range(people)],
        "cam_poses": np.repeat(pose[None], frames, 0),
        "cam_intrinsics": np.array([[900.0, 0, 300], [0, 900, 200], [0, 0, 1]]),
        "texture_maps": [],
        **changes,
    }


def write_threedpw(folder: Path, sequence: Mapping[str, Any]) -> Path:
    """Write a sequence and its pictures; return the pickle."""
    file = folder / "sequenceFiles" / "test" / "street_00.pkl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(as_python_2(pickle.dumps(dict(sequence), 2)))
    for frame in range(len(sequence["cam_poses"])):
        write_picture(folder / "imageFiles" / "street_00" / f"image_{frame:05d}.jpg", 600, 400)
    return file


def write_ply(file: Path, vertices: np.ndarray[Any, Any], form: str = "binary") -> None:
    kind = {"binary": "binary_little_endian", "big": "binary_big_endian", "ascii": "ascii"}[form]
    head = (
        f"ply\nformat {kind} 1.0\ncomment made in a test\nelement vertex {len(vertices)}\n"
        "property float x\nproperty float y\nproperty float z\nproperty uchar red\n"
        "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    )
    order = ">" if form == "big" else "<"
    table = np.zeros(len(vertices), [(a, f"{order}f4") for a in "xyz"] + [("red", "u1")])
    for axis, name in enumerate("xyz"):
        table[name] = vertices[:, axis]
    body = table.tobytes() + b"\x03\0\0\0\0\0\0\0\0\0\0\0\0"
    if form == "ascii":
        rows = "\n".join(f"{x!r} {y!r} {z!r} 7" for x, y, z in vertices.astype("f4").tolist())
        body = f"{rows}\n3 0 1 2\n".encode()
    file.write_bytes(head.encode() + body)


def write_ehf(folder: Path, vertices: np.ndarray[Any, Any]) -> None:
    """Write EHF with one picture, of a person with these vertices (10475, 3) in the world."""
    write_picture(folder / "01_img.jpg", 160, 120)
    write_ply(folder / "01_align.ply", vertices)
    points = [[10.0, 20.0, 0.9], [110.0, 100.0, 0.8], [0.0, 0.0, 0.0]]
    keypoints = np.concatenate([points, np.zeros((22, 3))]).ravel().tolist()
    (folder / "01_2Djnt.json").write_text(
        json.dumps({"version": 1.1, "people": [{"pose_keypoints_2d": keypoints}]})
    )


@contextmanager
def classes(*names: str) -> Iterator[list[Any]]:
    """Yield classes of these names, `module.Class`, that a pickle can be made with meanwhile."""
    made, before = [], dict(sys.modules)
    for full in names:
        module, _, name = full.rpartition(".")
        cls = type(name, (), {"__module__": module, "__qualname__": name})
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            sys.modules.setdefault(".".join(parts[:end]), types.ModuleType(parts[end - 1]))
        setattr(sys.modules[module], name, cls)
        made.append(cls)
    try:
        yield made
    finally:
        for name in set(sys.modules) - set(before):
            del sys.modules[name]


class _Made:
    """Pickles as a call with arguments."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self._call, self._arguments = call, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call, self._arguments


def data_frame(columns: Mapping[str, Sequence[Any]], old: bool = True, protocol: int = 2) -> bytes:
    """Return the pickle of a table as pandas 1.1 (`old`) or pandas 3 writes it."""
    objects = np.empty((len(columns), len(next(iter(columns.values())))), object)
    for row, values in enumerate(columns.values()):
        for index, value in enumerate(values):
            objects[row, index] = value
    labels = np.array(list(columns), object)
    rows = objects.shape[1]
    names = (
        *("pandas.core.frame.DataFrame", "pandas.core.internals.managers.BlockManager"),
        *("pandas.core.indexes.base._new_Index", "pandas.core.indexes.base.Index"),
        *("pandas.core.indexes.range.RangeIndex", "pandas._libs.internals._unpickle_block"),
        *("pandas._libs.arrays.__pyx_unpickle_NDArrayBacked", "pandas.arrays.StringArray"),
    )
    with classes(*names) as (Frame, Manager, new_index, Index, Range, block, backed, texts):
        # Text columns of pandas 3 are arrays within an array of its own.
        index = labels if old else _Made(backed, texts, 82904607, labels)
        axes = [
            _Made(new_index, Index, {"data": index, "name": None}),
            _Made(new_index, Range, {"name": None, "start": 0, "stop": rows, "step": 1}),
        ]
        first, rest = objects[:1], objects[1:]
        places = (slice(0, 1, 1), np.arange(1, len(columns)))
        if old:
            manager = Manager()
            blocks = [
                {"values": values, "mgr_locs": where}
                for values, where in zip((first, rest), places, strict=True)
            ]
            state = (axes, [first, rest], [labels[:1], labels[1:]], {})
            state[3]["0.14.1"] = {"axes": axes, "blocks": blocks}
            Manager.__getstate__ = lambda self: state
        else:
            parts = tuple(
                _Made(block, values, where, 2)
                for values, where in zip((first, rest), places, strict=True)
            )
            manager = _Made(Manager, parts, axes)
        frame = Frame()
        frame.__dict__.update({"_mgr": manager, "_typ": "dataframe", "_metadata": [], "attrs": {}})
        content = pickle.dumps(frame, protocol)
        return as_python_2(content) if protocol == 2 else content


def write_joblib(file: Path, array: np.ndarray[Any, Any], padding: int | None = 16) -> None:
    """Write `{"matrix": array}` as joblib does without compression."""
    with classes("joblib.numpy_pickle.NumpyArrayWrapper") as (Wrapper,):
        note = Wrapper()
        note.__dict__.update(
            {"subclass": np.ndarray, "shape": array.shape, "order": "C", "dtype": array.dtype}
        )
        note.__dict__.update({"allow_mmap": True, "numpy_array_alignment_bytes": padding})
        content = pickle.dumps({"matrix": note}, 3)
    # It ends with BUILD of the note, SETITEM and STOP; the numbers follow BUILD.
    fill = b"" if padding is None else bytes([3]) + b"\xff" * 3
    file.write_bytes(content[:-2] + fill + array.tobytes() + content[-2:])


def write_agora(
    folder: Path, meshes: Sequence[np.ndarray[Any, Any]], joints: Sequence[np.ndarray[Any, Any]]
) -> None:
    """Write AGORA's validation part with one picture, 1280x720, of these people.

    `meshes` (10475, 3) and `joints` (127, 3) in the camera's frame; the last one does not count.
    """
    focal = 50.0 / 36.0 * 3840
    pixels = [points[:, :2] / points[:, 2:] * focal + [1920.0, 1080.0] for points in joints]
    count = len(meshes)
    columns = {
        "imgPath": ["ag_validationset_hdri_50mm_00000.png"],
        "gt_joints_2d": [list(pixels)],
        "gt_joints_3d": [list(joints)],
        "gt_verts": [list(meshes)],
        "isValid": [[True] * count],
        "occlusion": [[10.0] * (count - 1) + [95.0]],
        "camX": [0.0],
    }
    (folder / "SMPLX").mkdir(parents=True)
    (folder / "SMPLX" / "validation_0_withjv.pkl").write_bytes(data_frame(columns))
    name = "ag_validationset_hdri_50mm_00000_1280x720.png"
    write_picture(folder / "validation" / name, 1280, 720)


def ubody_fit(**changes: Any) -> dict[str, Any]:
    """Return the parameters of one person of UBody, three metres in front of the camera."""
    rng = np.random.default_rng(8)
    sizes = {"body_pose": 63, "lhand_pose": 45, "rhand_pose": 45, "jaw_pose": 3, "shape": 10}
    parts = {name: rng.normal(0.0, 0.1, size).tolist() for name, size in sizes.items()}
    parts |= {"root_pose": [np.pi, 0.0, 0.0], "expr": [0.1] * 10, "trans": [0.0, 0.0, 3.0]}
    camera = {"focal": [500.0, 500.0], "princpt": [160.0, 120.0]}
    return {"smplx_param": {**parts, **changes}, "cam_param": camera}


def write_ubody(folder: Path, fit: Mapping[str, Any], annotations: int = 200) -> None:
    """Write UBody with one scene, of which each hundredth annotation counts."""
    names = ["test_01_Trim1", "train_02_Trim1"]
    images = [
        {"id": n, "file_name": f"/{name}/000001.png", "width": 320, "height": 240}
        for n, name in enumerate(names)
    ]
    labels = [
        {
            **{"id": n, "image_id": (n - 1) // 100, "bbox": [40, 30, 100, 150], "iscrowd": 0},
            **{"num_keypoints": 9, "valid_label": 2},
        }
        for n in range(1, annotations + 1)
    ]
    scene = folder / "annotations" / "Talkshow"
    scene.mkdir(parents=True)
    for name, content in (
        ("keypoint_annotation.json", {"images": images, "annotations": labels}),
        ("smplx_annotation.json", {str(n): dict(fit) for n in range(1, annotations + 1)}),
    ):
        (scene / name).write_text(json.dumps(content))
    (folder / "splits").mkdir()
    np.save(folder / "splits" / "intra_scene_test_list.npy", np.array(["test_01"]))
    for name in names:
        write_picture(folder / "images" / "Talkshow" / name / "000001.png", 320, 240)


def write_posetrack(folder: Path, labels: str = "annotations/val") -> None:
    """Write one video with one person and one without keypoints."""
    points = [[10.0 + n, 20.0 + 3 * n, 1] for n in range(17)]
    image = {"id": 7, "file_name": "images/val/000001_bonn/000000.jpg", "is_labeled": True}
    person = {"id": 1, "image_id": 7, "category_id": 1, "keypoints": np.ravel(points).tolist()}
    data = {
        "images": [image, {**image, "id": 8, "file_name": "images/val/000001_bonn/000001.jpg"}],
        "annotations": [{**person, "bbox": [5, 6, 70, 80]}, {**person, "keypoints": []}],
        "categories": [{"id": 1, "name": "person"}],
    }
    file = folder / labels / "000001_bonn.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(data))
    write_picture(folder / image["file_name"])


def write_lsp(folder: Path, pictures: int = 2) -> None:
    """Write LSP-extended with `pictures`; of the first person the ankles are not labelled."""
    from scipy.io import savemat

    joints = np.ones((14, 3, pictures))
    joints[:, 0] = np.arange(14)[:, None] * 3.0 + 5.0
    joints[:, 1] = np.arange(14)[:, None] * 2.0 + 4.0
    joints[[0, 5], :, 0] = 0.0
    folder.mkdir(parents=True, exist_ok=True)
    savemat(str(folder / "joints.mat"), {"joints": joints})
    for number in range(1, pictures + 1):
        write_picture(folder / f"im{number:05d}.png")
