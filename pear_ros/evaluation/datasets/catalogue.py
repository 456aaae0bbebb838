# SPDX-License-Identifier: Apache-2.0
"""The datasets of PEAR's paper: where they come from, what they may be used for, what is read.

A module of data: it imports nothing, as the command's arguments are made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Dataset:
    """One dataset."""

    title: str
    origin: str
    """Where to get it."""
    licence: str
    layout: tuple[str, ...]
    """What has to be below the folder."""
    protocol: str
    """What is measured, and what is left out."""


_NON_COMMERCIAL = "non-commercial research, registration"

DATASETS: Mapping[str, Dataset] = {
    "3dpw": Dataset(
        "3DPW, test",
        "https://virtualhumans.mpi-inf.mpg.de/3DPW",
        "non-commercial research, as stated there",
        ("sequenceFiles/test/*.pkl", "imageFiles/SEQUENCE/image_00000.jpg"),
        "people with an aligned camera; 14 joints of LSP by Human3.6M's regressor from SMPL's "
        "vertices, to which SMPL-X's are mapped; MPJPE and PVE relative to the middle of the hips",
    ),
    "ehf": Dataset(
        "EHF",
        "https://smpl-x.is.tue.mpg.de",
        _NON_COMMERCIAL,
        ("01_img.jpg (or .png)", "01_align.ply", "01_2Djnt.json"),
        "SMPL-X's vertices, of hands and head each after their own similarity transform; PVE "
        "relative to the pelvis",
    ),
    "agora": Dataset(
        "AGORA, validation",
        "https://agora.is.tue.mpg.de",
        _NON_COMMERCIAL,
        ("SMPLX/validation_*_withjv.pkl", "*.png of 3840x2160 or 1280x720, in any folder"),
        "people who are hidden by 90 % at most; a detector finds them; body vertices and 22 joints "
        "relative to the middle of the hips; N-: over F1. The test part's labels are not public",
    ),
    "ubody": Dataset(
        "UBody, intra-scene test",
        "https://osx-ubody.github.io",
        "non-commercial research, form to fill in",
        (
            "annotations/SCENE/keypoint_annotation.json",
            "annotations/SCENE/smplx_annotation.json",
            "images/SCENE/VIDEO/*",
            "splits/intra_scene_test_list.npy",
        ),
        "each 100th annotation of the test videos; as EHF, vertices inside the picture",
    ),
    "lsp-extended": Dataset(
        "LSP-extended",
        "https://sam.johnson.io/research/lspet.html (or HR-LSPET)",
        "research, as stated there",
        ("joints.mat", "im00001.png (or .jpg)"),
        "PCK of 12 joints; neck and top of the head are left out",
    ),
    "coco-val": Dataset(
        "COCO, val2017",
        "https://cocodataset.org, or COCO-WholeBody's labels",
        "labels CC BY 4.0, pictures by Flickr's terms; COCO-WholeBody: non-commercial research",
        (
            "annotations/person_keypoints_val2017.json (or coco_wholebody_val_v1.0.json)",
            "val2017/*.jpg",
        ),
        "PCK of 17 keypoints of people with keypoints, without crowds",
    ),
    "posetrack": Dataset(
        "PoseTrack18 or 21, validation",
        "https://posetrack.net, https://github.com/anDoer/PoseTrack21",
        "non-commercial research, as stated there",
        ("annotations/val/*.json (or posetrack_data/val/*.json)", "images/val/VIDEO/*.jpg"),
        "PCK of 13 keypoints; ears, neck and top of the head are left out",
    ),
}
"""Datasets by the names that `pear evaluate --dataset` takes."""
