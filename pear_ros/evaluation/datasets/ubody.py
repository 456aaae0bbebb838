# SPDX-License-Identifier: Apache-2.0
"""UBody (Lin et al., OSX, CVPR 2023) as its owners distribute it: the test part within scenes.

`annotations/SCENE/keypoint_annotation.json` (COCO-WholeBody's format) and `smplx_annotation.json`
(fitted SMPL-X, by the annotation's id), `images/SCENE/...`, `splits/intra_scene_test_list.npy`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pear_ros.body import BodyModel
from pear_ros.body.array_files import read_npy, read_npz
from pear_ros.body.model_files import load_smplx
from pear_ros.evaluation.datasets.comparisons import WHOLE_BODY_FILES, WholeBodyComparison
from pear_ros.evaluation.datasets.people import MeshBenchmark, TruePerson, TruePicture
from pear_ros.evaluation.datasets.protocol_files import left_out, missing_files
from pear_ros.evaluation.datasets.reading import require_pictures
from pear_ros.evaluation.labels import Doubles, LabelError
from pear_ros.evaluation.reading import damage_of, numbers, read_json

INTERVAL = 100
"""Of the annotations of a scene each 100th counts, as in the owners' evaluation."""
_PARTS = {
    **{"root_pose": 3, "body_pose": 63, "jaw_pose": 3, "lhand_pose": 45, "rhand_pose": 45},
    **{"shape": 10, "expr": 10, "trans": 3},
}


def read_ubody(folder: Path, files: Mapping[str, Path]) -> MeshBenchmark:
    """Return UBody's people of the test videos. Raises LabelError.

    `files`: PROTOCOL_FILES by their keys; SMPLX_NEUTRAL.npz is required, since UBody's labels are
    parameters of it.
    """
    if "smplx_neutral" not in files:
        (text,) = missing_files(files, ["smplx_neutral"])
        raise LabelError(
            "UBody's labels are parameters of SMPL-X, and a file is missing below --models and the "
            f"dataset's folder: {text}"
        )
    model = _LabelModel(files["smplx_neutral"])
    videos = _test_videos(folder / "splits" / "intra_scene_test_list.npy")
    scenes = sorted(path.parent for path in folder.glob("annotations/*/keypoint_annotation.json"))
    if not scenes:
        raise LabelError(f"{folder} has no annotations/*/keypoint_annotation.json of UBody")
    pictures = [
        picture
        for scene in scenes
        for picture in _pictures(scene, folder / "images" / scene.name, videos, model)
    ]
    require_pictures([one.path for one in pictures], "UBody")
    about = [
        f"Each {INTERVAL}th annotation of a scene, of the test videos; vertices inside the picture "
        "count",
        "Boxes: as labelled. Labels are fits of SMPL-X to keypoints, no measurements",
    ]
    about += left_out("Figures of parts of the body are", files, WHOLE_BODY_FILES)
    title = "UBody, intra-scene test, mm"
    return MeshBenchmark(title, pictures, WholeBodyComparison(files), about)


class _LabelModel:
    """SMPL-X as UBody's parameters mean it: hands relative to their mean pose, 10 betas."""

    def __init__(self, file: Path) -> None:
        with damage_of(file):
            self._body: BodyModel = load_smplx(file)
            found = read_npz(file, ["hands_meanl", "hands_meanr"], "an SMPL-X file")
            means = [found[name].reshape(15, 3) for name in ("hands_meanl", "hands_meanr")]
        self._hands = np.concatenate(means).astype(np.float64)

    def vertices(self, values: Mapping[str, Doubles], camera: Mapping[str, Doubles]) -> Doubles:
        """Return the mesh (10475, 3) in the optical frame, metres."""
        pose = np.zeros((55, 3))
        pose[0] = values["root_pose"]
        pose[1:22] = values["body_pose"].reshape(21, 3)
        pose[22] = values["jaw_pose"]
        hands = np.concatenate([values["lhand_pose"], values["rhand_pose"]]).reshape(30, 3)
        pose[25:] = hands + self._hands
        arrays = (pose, values["shape"], values["expr"], values["trans"])
        vertices = self._body.vertices(*(one[None].astype(np.float32) for one in arrays))
        mesh = np.asarray(vertices[0], np.float64)
        if "R" in camera:
            mesh = mesh @ camera["R"].T + camera["t"]
        return mesh


def _pictures(
    scene: Path, images: Path, videos: set[str], model: _LabelModel
) -> Iterator[TruePicture]:
    file = scene / "keypoint_annotation.json"
    labels = read_json(file, ["images", "annotations"])
    fits_file = scene / "smplx_annotation.json"
    if not fits_file.is_file():
        raise LabelError(f"{fits_file} is missing: it has the meshes")
    fits = read_json(fits_file)
    with damage_of(file):
        names = {one["id"]: one for one in labels["images"]}
        for number, one in enumerate(labels["annotations"], 1):
            if number % INTERVAL or not _counts(one) or str(one["id"]) not in fits:
                continue
            image = names[one["image_id"]]
            name = str(image["file_name"]).lstrip("/")
            if ".." in Path(name).parts:
                raise ValueError(f"a picture outside the folder, {name!a}")
            if Path(name).parent.name.split("_Trim")[0] not in videos:
                continue
            fit = fits[str(one["id"])]
            size = (int(image["width"]), int(image["height"]))
            yield _picture(images / name, one["bbox"], fit, size, model, fits_file)


def _picture(
    path: Path,
    box: Any,
    fit: Mapping[str, Any],
    size: tuple[int, int],
    model: _LabelModel,
    file: Path,
) -> TruePicture:
    with damage_of(file):
        values = {
            name: numbers(file, name, np.ravel(fit["smplx_param"][name]), (length,), finite=False)
            for name, length in _PARTS.items()
        }
        shapes: dict[str, tuple[int | None, ...]] = {
            **{"focal": (2,), "princpt": (2,), "R": (3, 3), "t": (3,)}
        }
        camera = {
            name: numbers(file, name, value, shapes[name])
            for name, value in fit["cam_param"].items()
            if name in shapes
        }
        intrinsics = (*camera["focal"].tolist(), *camera["princpt"].tolist())
        x, y, width, height = numbers(file, "bbox", box, (4,))
    person = TruePerson(
        np.array([x, y, x + width, y + height]),
        partial(model.vertices, values, camera),
        visible=partial(_inside, intrinsics, size),
    )
    return TruePicture(path, [person], intrinsics)


def _inside(
    intrinsics: tuple[float, float, float, float], size: tuple[int, int], mesh: Doubles
) -> npt.NDArray[np.bool_]:
    """Return for each vertex (V,) whether it is projected into the picture."""
    depth = np.maximum(mesh[:, 2:], 1e-4)
    pixels = mesh[:, :2] / depth * np.array(intrinsics[:2]) + np.array(intrinsics[2:])
    inside: npt.NDArray[np.bool_] = ((pixels > 0) & (pixels < np.array(size))).all(axis=1)
    return inside


def _counts(annotation: Mapping[str, Any]) -> bool:
    labelled = annotation.get("num_keypoints", 0) and annotation.get("valid_label", 0)
    return bool(labelled) and not annotation.get("iscrowd", 0)


def _test_videos(file: Path) -> set[str]:
    if not file.is_file():
        raise LabelError(f"{file} is missing: it names the test videos")
    with damage_of(file):
        found = read_npy(file, "a list of videos")
        if found.dtype.kind not in "US":
            raise ValueError("it has to be a list of names")
    return {str(name) for name in found.astype(str)}
