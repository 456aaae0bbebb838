# SPDX-License-Identifier: Apache-2.0
"""Files that protocols need and a user brings: what they are, where they come from, where they are.

Their licences forbid redistribution, so nothing is downloaded. They are found by name below the
folder of model files or that of the dataset.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pear_ros.io.folders import walk
from pear_ros.pear.files import ModelFile

_SMPL = "https://smpl.is.tue.mpg.de"
_SMPLX = "https://smpl-x.is.tue.mpg.de"
_SMPL_LICENCE = f"non-commercial research, {_SMPL}/modellicense.html"
_SMPLX_LICENCE = f"non-commercial research, {_SMPLX}/modellicense.html"
_AGORA_CODE = "https://github.com/pixelite1201/agora_evaluation"

_FILES = (
    ModelFile(
        "smpl_male",
        (
            *("SMPL_MALE.pkl", "basicmodel_m_lbs_10_207_0_v1.1.0.pkl"),
            *("basicModel_m_lbs_10_207_0_v1.0.0.pkl", "basicmodel_m_lbs_10_207_0_v1.0.0.pkl"),
        ),
        "SMPL body, male",
        f"{_SMPL} (registration)",
        _SMPL_LICENCE,
    ),
    ModelFile(
        "smpl_female",
        (
            *("SMPL_FEMALE.pkl", "basicmodel_f_lbs_10_207_0_v1.1.0.pkl"),
            *("basicModel_f_lbs_10_207_0_v1.0.0.pkl", "basicmodel_f_lbs_10_207_0_v1.0.0.pkl"),
        ),
        "SMPL body, female",
        f"{_SMPL} (registration)",
        _SMPL_LICENCE,
    ),
    ModelFile(
        "h36m",
        ("J_regressor_h36m.npy",),
        "regressor of Human3.6M's joints from SMPL's vertices",
        "data.tar.gz of https://github.com/nkolot/SPIN",
        "as stated there",
    ),
    ModelFile(
        "transfer",
        ("smplx2smpl.pkl", "smplx2smpl_deftrafo_setup.pkl", "smplx2smpl.npy"),
        "map of SMPL-X's vertices to SMPL's",
        f"assets/SMPLX2SMPL.zip of https://github.com/Pixel-Talk/PEAR; transfer_data of {_SMPLX}",
        _SMPLX_LICENCE,
    ),
    ModelFile(
        "smplx_neutral",
        ("SMPLX_NEUTRAL.npz",),
        "SMPL-X body, neutral, v1.1",
        f"{_SMPLX} (registration)",
        _SMPLX_LICENCE,
    ),
    ModelFile(
        "smplx_regressor",
        ("SMPLX_NEUTRAL.npz", "SMPLX_NEUTRAL_2020.npz"),
        "SMPL-X body, neutral: its pelvis and the landmarks of the face",
        f"{_SMPLX} (registration)",
        _SMPLX_LICENCE,
    ),
    ModelFile(
        "hands",
        ("MANO_SMPLX_vertex_ids.pkl",),
        "SMPL-X's vertices of the hands",
        f"{_SMPLX}, MANO and FLAME vertex indices",
        _SMPLX_LICENCE,
    ),
    ModelFile(
        "face",
        ("SMPL-X__FLAME_vertex_ids.npy",),
        "SMPL-X's vertices of the head",
        f"{_SMPLX}, MANO and FLAME vertex indices",
        _SMPLX_LICENCE,
    ),
    ModelFile(
        "j14",
        ("SMPLX_to_J14.pkl",),
        "regressor of 14 joints from SMPL-X's vertices",
        "https://github.com/vchoutas/expose, preparing the data",
        "non-commercial research, as stated there",
    ),
    ModelFile(
        "agora_body",
        ("body_verts_smplx.npy",),
        "SMPL-X's vertices that AGORA counts as body",
        f"folder utils of {_AGORA_CODE}",
        f"non-commercial research, {_AGORA_CODE}",
    ),
)
PROTOCOL_FILES: Mapping[str, ModelFile] = {file.key: file for file in _FILES}


def find_protocol_files(folders: Iterable[Path]) -> dict[str, Path]:
    """Return the paths of those PROTOCOL_FILES that are in `folders` or below, by their keys.

    Names may be in other capitals; of several, the preferred name wins, then the least depth.
    """
    places: dict[str, tuple[tuple[int, int, str], Path]] = {}
    names: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for key, file in PROTOCOL_FILES.items():
        for rank, name in enumerate(file.names):
            names[name.lower()].append((key, rank))
    for folder in folders:
        for parent, here in walk(folder.expanduser()):
            for name in here:
                for key, rank in names.get(name.lower(), ()):
                    path = parent / name
                    order = (rank, len(path.parts), str(path))
                    if key not in places or order < places[key][0]:
                        places[key] = (order, path)
    return {key: path for key, (_, path) in places.items()}


def missing_files(found: Mapping[str, Path], keys: Sequence[str]) -> list[str]:
    """Return a line on each of `keys` that was not found: name, content, origin and licence."""
    return [
        f"{PROTOCOL_FILES[key].name}: {PROTOCOL_FILES[key].what}; from "
        f"{PROTOCOL_FILES[key].origin}; licence: {PROTOCOL_FILES[key].licence}"
        for key in keys
        if key not in found
    ]


def left_out(what: str, found: Mapping[str, Path], keys: Sequence[str]) -> list[str]:
    """Return lines for a report: `what` is left out for want of files; none if all are there."""
    lines = missing_files(found, keys)
    head = f"{what} left out, as files are missing below --models and the dataset's folder:"
    return [head, *(f"  {line}" for line in lines)] if lines else []
