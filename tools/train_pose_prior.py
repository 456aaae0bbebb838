# SPDX-License-Identifier: Apache-2.0
"""Train the pose prior of the fit (pear_ros/fitting/pose_prior.npz) on renders of the open body.

    python -m tools.train_pose_prior render FOLDER --shards 60 --seed 1
    python -m tools.train_pose_prior render FOLDER --shards 40 --seed 101 --close-ups
    python -m tools.train_pose_prior train FOLDER

The first command draws dressed people of known pose and keeps what the landmark model says of their
pictures, about 0.1 s a picture and core. The second trains a small network from landmarks to pose
and shape, and calibrates where on the body each landmark is seen on average. Needs torch, and the
landmark models and the demo clip (`make setup`). The committed file was made from 67 shards of
whole people and 18 of close-ups, drawn before faces had brows, lips and irises.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial.transform import Rotation
from torch import nn
from tqdm import tqdm, trange

from pear_ros.body import load_open_body
from pear_ros.core.camera import Camera
from pear_ros.core.people import SMPLX_JOINT_NAMES, Image
from pear_ros.fitting.pose_prior import (
    OTHER_SIDE_JOINT,
    PRIOR_FILE,
    mirrored_input,
    mirrored_rotations,
    prior_input,
    viewing_rotation,
)
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS
from pear_ros.io.downloads import demo_clip
from pear_ros.landmarks.pose import PoseModel, PoseVariant
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.topology import NUM_POSE, Pose
from pear_ros.landmarks.types import PoseLandmarks
from tools.pose_prior_renders import RenderStudio, sample_region

SHARD = 250
VARIANTS: tuple[PoseVariant, ...] = ("full", "heavy")
TRACKED = 0.5
"""Share of pictures whose region comes from landmarks, as on video."""
HIDDEN = 768
EPOCHS = 100
BATCH = 512
ROOT_WEIGHT = 0.2
HELD_OUT = 0.05

# The body joint that each landmark moves with.
OWNERS = {
    "NOSE": "head",
    **{name.name: "head" for name in Pose if "EYE" in name.name or "EAR" in name.name},
    **{name.name: "head" for name in Pose if "MOUTH" in name.name},
    **{
        f"{side}_{landmark}": f"{side.lower()}_{joint}"
        for side in ("LEFT", "RIGHT")
        for landmark, joint in (
            *((name, name.lower()) for name in ("SHOULDER", "ELBOW", "WRIST")),
            *((name, name.lower()) for name in ("KNEE", "ANKLE")),
            *((name, "wrist") for name in ("PINKY", "INDEX", "THUMB")),
            # Hips move with the pelvis: their own rotation turns the thigh.
            *(("HIP", "hip"), ("HEEL", "ankle"), ("FOOT_INDEX", "foot")),
        )
    },
    "LEFT_HIP": "pelvis",
    "RIGHT_HIP": "pelvis",
}


def background() -> Image:
    """Return the demo clip's last image, which shows no people."""
    clip = cv2.VideoCapture(str(demo_clip()))
    clip.set(cv2.CAP_PROP_POS_FRAMES, clip.get(cv2.CAP_PROP_FRAME_COUNT) - 1)
    found, image = clip.read()
    if not found:
        raise SystemExit(f"{demo_clip()}: the last picture cannot be read")
    return np.asarray(image, np.uint8)


def render(folder: Path, shards: int, seed: int) -> None:
    """Write shards of landmarks and ground truth into `folder`; existing ones are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    studio = RenderStudio([background()])
    models = {variant: PoseModel(variant=variant) for variant in VARIANTS}
    for shard in trange(shards, unit="shard"):
        path = folder / f"{seed}_{shard:03d}.npz"
        if path.exists():
            continue
        rng = np.random.default_rng([seed, shard])
        records = [record(rng, studio, models) for _ in range(SHARD)]
        arrays = {key: np.stack([r[key] for r in records]) for key in records[0]}
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        part.replace(path)


def record(
    rng: np.random.Generator, studio: RenderStudio, models: dict[PoseVariant, PoseModel]
) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays that a shard holds of one picture; V landmark models see the same crop."""
    person = studio.shoot(rng)
    roi = sample_region(rng, person)
    if rng.random() < TRACKED:
        roi = models["full"](person.image, roi).roi
    found = [models[variant](person.image, roi) for variant in VARIANTS]
    camera = person.camera
    return {
        "image": np.stack([f.image for f in found]),
        "world": np.stack([f.world for f in found]),
        "visibility": np.stack([f.visibility for f in found]),
        "presence": np.stack([f.presence for f in found]),
        "score": np.array([f.score for f in found], np.float32),
        "roi": np.array([[f.roi.x, f.roi.y, f.roi.size, f.roi.angle] for f in found], np.float32),
        "cam": np.array([camera.fx, camera.cx, camera.cy], np.float32),
        "R": person.rotations[:25],
        "betas": person.betas,
        "joints": person.joints,
        "kind": np.array(person.kind),
    }


class Samples:
    """The images of a folder as the network's inputs and targets."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(folder.glob("*.npz"))
        if not paths:
            raise SystemExit(f"{folder}: no shards; run the command `render` first")
        shards = [dict(np.load(path)) for path in paths]
        raw = {key: np.concatenate([shard[key] for shard in shards]) for key in shards[0]}
        # As in operation: people without landmarks are not fitted.
        self.raw = {key: value[raw["score"] > 0.5] for key, value in raw.items()}
        self.count = len(self.raw["image"])
        views, inputs = [], []
        for i in range(self.count):
            landmarks, camera = self.landmarks(i), self.camera(i)
            views.append(viewing_rotation(landmarks.roi, camera))
            inputs.append(prior_input(landmarks, camera))
        self.inputs = np.stack(inputs)
        view = np.stack(views).swapaxes(1, 2)
        self.rotations = self.raw["R"][:, :NUM_BODY_JOINTS].copy()
        self.rotations[:, 0] = view @ self.rotations[:, 0]
        relative = self.raw["joints"][:, :NUM_BODY_JOINTS] - self.raw["joints"][:, :1]
        self.joints = np.einsum("nij,nkj->nki", view, relative)

    def camera(self, i: int) -> Camera:
        """Return the camera of image `i`; its image size is arbitrary."""
        focal, cx, cy = (float(value) for value in self.raw["cam"][i])
        return Camera(0, 0, focal, focal, cx, cy)

    def landmarks(self, i: int) -> PoseLandmarks:
        """Return the landmarks of image `i`."""
        part = {key: self.raw[key][i] for key in ("image", "world", "visibility", "presence")}
        roi = Roi(*(float(value) for value in self.raw["roi"][i]))
        return PoseLandmarks(score=float(self.raw["score"][i]), roi=roi, **part)


class Network(nn.Module):
    """Landmarks -> 6D rotations, log of the joints' error, betas."""

    def __init__(self, inputs: npt.NDArray[np.float32], num_betas: int) -> None:
        super().__init__()
        self.mean = torch.from_numpy(inputs.mean(axis=0))
        self.scale = torch.from_numpy(inputs.std(axis=0) + 1e-3)
        sizes = [inputs.shape[1], HIDDEN, HIDDEN, HIDDEN]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(HIDDEN, 7 * NUM_BODY_JOINTS + num_betas))

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        out = self.layers((inputs - self.mean) / self.scale)
        six = out[:, : 6 * NUM_BODY_JOINTS].reshape(-1, NUM_BODY_JOINTS, 6)
        first = nn.functional.normalize(six[..., :3], dim=-1)
        second = six[..., 3:] - (first * six[..., 3:]).sum(-1, keepdim=True) * first
        second = nn.functional.normalize(second, dim=-1)
        third = torch.linalg.cross(first, second)
        rotations = torch.stack([first, second, third], dim=-1)
        log_error = out[:, 6 * NUM_BODY_JOINTS : 7 * NUM_BODY_JOINTS].clamp(-6.0, 1.0)
        return rotations, log_error, out[:, 7 * NUM_BODY_JOINTS :]


class Joints:
    """Joint positions relative to the pelvis, from rotations and shape."""

    def __init__(self) -> None:
        body = load_open_body()
        zeros = np.zeros((1, body.num_betas + body.num_expression), np.float32)
        rest = body.rest_joints(zeros[:, : body.num_betas], zeros[:, body.num_betas :])[0]
        self.rest = torch.from_numpy(rest[:NUM_BODY_JOINTS])
        self.dirs = torch.from_numpy(body.joint_dirs[:NUM_BODY_JOINTS, :, : body.num_betas].copy())
        self.parents = body.parents[:NUM_BODY_JOINTS].tolist()

    def __call__(self, rotations: torch.Tensor, betas: torch.Tensor) -> torch.Tensor:
        rest = self.rest + torch.einsum("jck,bk->bjc", self.dirs, betas)
        orientation = [rotations[:, 0]]
        position = [torch.zeros_like(rest[:, 0])]
        for joint in range(1, NUM_BODY_JOINTS):
            parent = self.parents[joint]
            bone = (rest[:, joint] - rest[:, parent])[..., None]
            position.append(position[parent] + (orientation[parent] @ bone)[..., 0])
            orientation.append(orientation[parent] @ rotations[:, joint])
        return torch.stack(position, dim=1)


def train(folder: Path, output: Path, epochs: int) -> None:
    """Train on a folder of shards, write the prior, and print the validation error."""
    torch.manual_seed(0)
    samples = Samples(folder)
    held_out = int(samples.count * HELD_OUT)
    print(f"{samples.count} pictures, the last {held_out} held out")
    targets = [samples.inputs, samples.rotations, samples.joints, samples.raw["betas"]]
    tensors = [torch.from_numpy(np.asarray(target, np.float32)) for target in targets]
    network = Network(samples.inputs[:-held_out], tensors[3].shape[1])
    kinematics = Joints()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-3)
    steps = epochs * ((samples.count - held_out) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.5e-3, total_steps=steps)
    for _ in (bar := tqdm(range(epochs), unit="epoch")):
        order = torch.randperm(samples.count - held_out)
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            inputs, rotations, joints, betas = (tensor[chosen] for tensor in tensors)
            half = BATCH // 2
            # Half of them as in a mirror.
            inputs[:half] = torch.from_numpy(mirrored_input(inputs[:half].numpy()))
            rotations[:half] = torch.from_numpy(mirrored_rotations(rotations[:half].numpy()))
            joints[:half] = joints[:half, OTHER_SIDE_JOINT] * torch.tensor([-1.0, 1.0, 1.0])
            loss = loss_of(network, kinematics, noisy(inputs), rotations, joints, betas)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        bar.set_postfix(held_out_mm=f"{1000 * error(network, kinematics, tensors, held_out):.1f}")
    write(output, network, samples, rotation_error(network, tensors, held_out))


@torch.no_grad()
def rotation_error(
    network: Network, tensors: list[torch.Tensor], held_out: int
) -> npt.NDArray[np.float32]:
    """Return the validation error (22,) of the joints' rotations, radians, RMS per axis."""
    found, _, _ = network(tensors[0][-held_out:])
    difference = (found.transpose(-1, -2) @ tensors[1][-held_out:]).numpy()
    angle = Rotation.from_matrix(difference.reshape(-1, 3, 3)).magnitude()
    mean_square = (angle.reshape(held_out, -1) ** 2).mean(axis=0)
    return np.asarray(np.sqrt(mean_square / 3), np.float32)


def noisy(inputs: torch.Tensor) -> torch.Tensor:
    """Return inputs with noise, as landmarks of real images have it beyond those of renders."""
    noise = torch.zeros_like(inputs)
    points = 3 * NUM_POSE
    noise[:, :points] = 0.004 * torch.randn(len(inputs), points)
    noise[:, points : 2 * points] = 0.01 * torch.randn(len(inputs), points)
    return inputs + noise


def loss_of(
    network: Network,
    kinematics: Joints,
    inputs: torch.Tensor,
    rotations: torch.Tensor,
    joints: torch.Tensor,
    betas: torch.Tensor,
) -> torch.Tensor:
    """Return the loss: errors of joints and rotations, and the likelihood of the joint errors."""
    found, log_error, found_betas = network(inputs)
    difference = kinematics(found, found_betas) - joints
    distance = difference.norm(dim=-1)
    likelihood = 3 * log_error + distance.detach() ** 2 / (2 * torch.exp(2 * log_error))
    turns = (found - rotations).pow(2).sum(dim=(-1, -2))
    # A wrong root turns everything: it weighs as much as five other joints.
    turn = turns.mean() + ROOT_WEIGHT * turns[:, 0].mean()
    shape = (found_betas - betas).pow(2).mean()
    total: torch.Tensor = 10 * distance.mean() + turn + 0.05 * shape + 0.01 * likelihood.mean()
    return total


@torch.no_grad()
def error(
    network: Network, kinematics: Joints, tensors: list[torch.Tensor], held_out: int
) -> float:
    """Return the mean validation error of joints relative to the pelvis, metres."""
    inputs, _, joints, _ = (tensor[-held_out:] for tensor in tensors)
    rotations, _, betas = network(inputs)
    return float((kinematics(rotations, betas) - joints).norm(dim=-1).mean())


def calibrate(samples: Samples) -> tuple[list[int], npt.NDArray[np.float64], list[float]]:
    """Return for each landmark its joint, its mean offset from it, and the deviation (fraction)."""
    body = load_open_body()
    raw = samples.raw
    orientation = np.empty_like(raw["R"][:, :NUM_BODY_JOINTS])
    for joint, parent in enumerate(body.parents[:NUM_BODY_JOINTS]):
        above = orientation[:, parent] if parent >= 0 else np.eye(3)
        orientation[:, joint] = above @ raw["R"][:, joint]
    joints, offsets, spreads = [], [], []
    for landmark in Pose:
        joint = SMPLX_JOINT_NAMES.index(OWNERS[landmark.name])
        offset, spread = offset_of(samples, landmark, joint, orientation[:, joint])
        joints.append(joint)
        offsets.append(offset)
        spreads.append(spread)
    return joints, np.array(offsets), spreads


def offset_of(
    samples: Samples, landmark: Pose, joint: int, orientation: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the offset in a joint's axes that fits the landmarks, by robust least squares."""
    raw = samples.raw
    seen = raw["visibility"][:, landmark] > 0.7
    focal, centre = raw["cam"][seen, :1], raw["cam"][seen, 1:]
    target = (raw["image"][seen, landmark, :2] - centre) / focal
    pixels = raw["roi"][seen, 2:3] / focal
    offset: npt.NDArray[np.float64] = np.zeros(3)
    for _ in range(10):
        point = raw["joints"][seen, joint] + orientation[seen] @ offset
        depth = point[:, 2:]
        residual = (point[:, :2] / depth - target) / pixels
        projection = orientation[seen][:, :2] / depth[..., None]
        projection -= (point[:, :2] / depth**2)[..., None] * orientation[seen][:, 2:]
        jacobian = projection / pixels[..., None]
        size = np.linalg.norm(residual, axis=1)
        scale = np.median(size)
        weight = 1.0 / (1.0 + (size / (2 * scale)) ** 2) ** 2
        normal = np.einsum("n,nij,nik->jk", weight, jacobian, jacobian)
        gradient = np.einsum("n,nij,ni->j", weight, jacobian, residual)
        offset = offset - np.linalg.solve(normal + 1e-6 * np.eye(3), gradient)
    return offset, float(scale)


def write(
    output: Path, network: Network, samples: Samples, rotation_errors: npt.NDArray[np.float32]
) -> None:
    """Write the network and the calibration, with weights in half precision."""
    linear = [layer for layer in network.layers if isinstance(layer, nn.Linear)]
    joints, offsets, spreads = calibrate(samples)
    arrays: dict[str, npt.NDArray[Any]] = {
        "layers": np.array(len(linear)),
        "input_mean": network.mean.numpy(),
        "input_scale": network.scale.numpy(),
        "rotation_error": rotation_errors,
        "landmark_joint": np.array(joints, np.int8),
        "landmark_offset": offsets.astype(np.float32),
        "landmark_error": np.array(spreads, np.float32),
    }
    for number, layer in enumerate(linear):
        arrays[f"weight{number}"] = layer.weight.detach().numpy().T.astype(np.float16)
        arrays[f"bias{number}"] = layer.bias.detach().numpy()
    np.savez_compressed(output, **arrays)  # type: ignore[arg-type]
    print(f"{output}: {output.stat().st_size / 1e6:.2f} MB")
    for landmark, offset, spread in zip(Pose, offsets, spreads, strict=True):
        place = " ".join(f"{1000 * value:6.0f}" for value in offset)
        print(f"{landmark.name:20s} {OWNERS[landmark.name]:15s} {place} mm, {100 * spread:.1f} %")


def main() -> None:
    """Run the subcommand given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("render", "train"):
        command = commands.add_parser(name)
        command.add_argument("folder", type=Path)
        if name == "render":
            command.add_argument("--shards", type=int, default=60)
            command.add_argument("--seed", type=int, default=1)
        else:
            command.add_argument("--output", type=Path, default=PRIOR_FILE)
            command.add_argument("--epochs", type=int, default=EPOCHS)
    options = parser.parse_args()
    if options.command == "render":
        render(options.folder, options.shards, options.seed)
    else:
        train(options.folder, options.output, options.epochs)


if __name__ == "__main__":
    main()
