# SPDX-License-Identifier: Apache-2.0
"""The bank of renders that the pose prior is trained on, and the body's kinematics in PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from pear_ros.body import load_open_body
from pear_ros.core.camera import Camera
from pear_ros.fitting.pose_prior import prior_input, upright_rotation
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.topology import NUM_POSE, Pose
from pear_ros.landmarks.types import PoseLandmarks
from tools.pose_prior_calibration import Landmarks

MIN_SCORE = 0.5
"""Renders with a lower score of the landmark model are left out: such people are not fitted."""
CANDIDATES = 8192
"""Renders among which those of similar poses are looked for."""
NEAREST = 8
"""Renders of the most similar poses, one of which gives its residuals."""
COORDINATES = 6 * NUM_POSE
"""Coordinates in the network's input; scores follow."""
VIEW = 8 * NUM_POSE
"""Where the view begins in the network's input."""
HIPS = slice(Pose.LEFT_HIP, Pose.RIGHT_HIP + 1)


class Kinematics:
    """Joints and landmarks relative to the pelvis, from rotations and shape; differentiable."""

    def __init__(self, landmarks: Landmarks) -> None:
        """Prepare the open body's skeleton with these landmarks attached."""
        body = load_open_body()
        zeros = np.zeros((1, body.num_betas + body.num_expression), np.float32)
        rest = body.rest_joints(zeros[:, : body.num_betas], zeros[:, body.num_betas :])[0]
        self.num_betas = body.num_betas
        self._rest = torch.from_numpy(rest[:NUM_BODY_JOINTS])
        dirs = body.joint_dirs[:NUM_BODY_JOINTS, :, : body.num_betas]
        self._dirs = torch.from_numpy(dirs.copy())
        self._parents = body.parents[:NUM_BODY_JOINTS].tolist()
        self._joint = torch.from_numpy(landmarks.joint)
        self._offset = torch.tensor(landmarks.offset, dtype=torch.float32)[..., None]

    def joints(
        self, rotations: torch.Tensor, betas: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return positions (B, 22, 3), metres, and orientations (B, 22, 3, 3) of the joints."""
        rest = self._rest + torch.einsum("jck,bk->bjc", self._dirs, betas)
        orientation = [rotations[:, 0]]
        position = [torch.zeros_like(rest[:, 0])]
        for joint in range(1, NUM_BODY_JOINTS):
            parent = self._parents[joint]
            bone = (rest[:, joint] - rest[:, parent])[..., None]
            position.append(position[parent] + (orientation[parent] @ bone)[..., 0])
            orientation.append(orientation[parent] @ rotations[:, joint])
        return torch.stack(position, dim=1), torch.stack(orientation, dim=1)

    def landmarks(self, rotations: torch.Tensor, betas: torch.Tensor) -> torch.Tensor:
        """Return the true places (B, 33, 3) of the landmarks, metres."""
        position, orientation = self.joints(rotations, betas)
        turned = orientation[:, self._joint] @ self._offset
        return position[:, self._joint] + turned[..., 0]


class Shards:
    """The renders of a folder, each seen by one of the landmark models."""

    def __init__(self, folder: Path) -> None:
        """Read all shards; raises SystemExit when there is none."""
        paths = sorted(folder.glob("*_*.npz"))
        if not paths:
            raise SystemExit(f"{folder}: no shards; run the command `render` first")
        shards = [dict(np.load(path)) for path in paths]
        raw = {key: np.concatenate([shard[key] for shard in shards]) for key in shards[0]}
        render, variant = np.nonzero(raw["score"] > MIN_SCORE)
        seen = ("image", "world", "visibility", "presence", "score", "roi")
        self.raw = {k: v[render, variant] if k in seen else v[render] for k, v in raw.items()}
        self.count = len(render)

    def camera(self, i: int) -> Camera:
        """Return the camera of row `i`; its image size is arbitrary."""
        focal, cx, cy = (float(value) for value in self.raw["cam"][i])
        return Camera(0, 0, focal, focal, cx, cy)

    def landmarks(self, i: int) -> PoseLandmarks:
        """Return the landmarks of row `i`."""
        part = {key: self.raw[key][i] for key in ("image", "world", "visibility", "presence")}
        roi = Roi(*(float(value) for value in self.raw["roi"][i]))
        return PoseLandmarks(score=float(self.raw["score"][i]), roi=roi, **part)


class Bank:
    """Renders in their regions' frames: the truth, and what the landmark model made of it."""

    def __init__(self, shards: Shards, kinematics: Kinematics) -> None:
        """Compute inputs, truth and residuals of all rows of `shards`."""
        inputs, rotations, places = [], shards.raw["R"][:, :NUM_BODY_JOINTS].copy(), []
        for i in range(shards.count):
            landmarks, camera = shards.landmarks(i), shards.camera(i)
            inputs.append(prior_input(landmarks, camera))
            back = upright_rotation(landmarks.roi, camera).T
            rotations[i, 0] = back @ rotations[i, 0]
            places.append(back @ shards.raw["joints"][i, 0])
        self.inputs = torch.from_numpy(np.stack(inputs))
        self.rotations = torch.from_numpy(np.asarray(rotations, np.float32))
        self.betas = torch.from_numpy(np.asarray(shards.raw["betas"], np.float32))
        true = kinematics.landmarks(self.rotations, self.betas)
        centred = true - true[:, HIPS].mean(dim=1, keepdim=True)
        place = torch.from_numpy(np.asarray(places, np.float32))
        self.true_image = projected(true + place[:, None], self.inputs[:, VIEW + 4])
        image, world = self.inputs[:, :COORDINATES].reshape(-1, 2, NUM_POSE, 3).unbind(1)
        self.image_residual, self.world_residual = image - self.true_image, world - centred
        self.scores = self.inputs[:, COORDINATES:VIEW]
        self.key = centred.flatten(1)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.inputs)

    def similar(self, key: torch.Tensor) -> torch.Tensor:
        """Return for each pose (N, 99) the row of one of the most similar of some renders."""
        among = torch.randperm(len(self))[:CANDIDATES]
        near = torch.cat(
            [
                torch.cdist(part, self.key[among]).topk(NEAREST, largest=False).indices
                for part in torch.split(key, 2048)
            ]
        )
        chosen = near[torch.arange(len(key)), torch.randint(NEAREST, (len(key),))]
        return among[chosen]


def projected(points: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
    """Return points (B, 33, 3), metres, in units of a region's side, z relative to the hips.

    `side` (B,) is over the focal length.
    """
    depth = points[..., 2:].clamp(min=0.1)
    hips = points[:, HIPS, 2:].mean(dim=1, keepdim=True)
    z = (points[..., 2:] - hips) / hips.clamp(min=0.1)
    return torch.cat([points[..., :2] / depth, z], dim=-1) / side[:, None, None]
