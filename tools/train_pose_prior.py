# SPDX-License-Identifier: Apache-2.0
"""Train the pose prior of the fit (pear_ros/fitting/pose_prior.npz) on renders of the open body.

    python -m tools.train_pose_prior render FOLDER --shards 80 --seed 1
    python -m tools.train_pose_prior train FOLDER --minutes 25

The first command draws dressed people of known pose and keeps what the full and the heavy landmark
model say of their pictures, about 0.1 s a picture and core; it can be stopped and resumed. The
second trains a small network on new poses with the errors that landmarks had on renders of similar
ones (tools/pose_prior_samples.py), and calibrates where on the body each landmark is seen on
average. Needs torch, and the landmark models and the demo clip (`make setup`).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from tqdm import trange

from pear_ros.body import load_open_body
from pear_ros.core.people import SMPLX_JOINT_NAMES, Image
from pear_ros.fitting.pose_prior import (
    INPUT_LIMIT,
    LOG_JOINT_ERROR,
    LOG_ROTATION_ERROR,
    PRIOR_FILE,
)
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS
from pear_ros.io.downloads import demo_clip
from pear_ros.landmarks.pose import PoseModel, PoseVariant
from pear_ros.landmarks.topology import Pose
from tools.pose_prior_renders import RenderStudio, sample_pose, sample_region
from tools.pose_prior_samples import (
    Bank,
    Kinematics,
    Landmarks,
    PoseMixer,
    Shards,
    mirrored,
    roughened,
    synthesised,
)

SHARD = 250
VARIANTS: tuple[PoseVariant, ...] = ("full", "heavy")
TRACKED = 0.5
"""Share of pictures whose region comes from landmarks, as on video."""
WIDTH = 640
BLOCKS = 2
POSES = 16000
"""Random poses in the stock."""
MINUTES = 25.0
CHECKPOINT = "network.pt"
CHUNK = 16384
"""Samples that are synthesised at once, and used PASSES times."""
PASSES = 2
BATCH = 512
MAX_RATE = 1.5e-3
RENDERS = 0.15
"""Share of samples that are renders themselves."""
ROUGHNESS = 0.5
ROOT_WEIGHT = 0.4

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


class Network(nn.Module):
    """Inputs -> 6D rotations, log errors of joints' positions and rotations, betas."""

    def __init__(self, mean: torch.Tensor, scale: torch.Tensor, num_betas: int) -> None:
        """Build a network that standardises inputs by `mean` and `scale` (269,)."""
        super().__init__()
        self.mean = nn.Buffer(mean)
        self.scale = nn.Buffer(scale)
        self.first = nn.Linear(len(mean), WIDTH)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
            for _ in range(BLOCKS)
        )
        self.last = nn.Linear(WIDTH, 8 * NUM_BODY_JOINTS + num_betas)

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = ((inputs - self.mean) / self.scale).clamp(-INPUT_LIMIT, INPUT_LIMIT)
        # Half of the time of full precision, and as good.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            x = torch.relu(self.first(x))
            for block in self.blocks:
                x = torch.relu(x + block(x))
        joints = NUM_BODY_JOINTS
        sizes = (6 * joints, joints, joints, self.last.out_features - 8 * joints)
        six, log_joint, log_rotation, betas = self.last(x.float()).split(sizes, dim=1)
        six = six.reshape(-1, joints, 6)
        first = nn.functional.normalize(six[..., :3], dim=-1)
        second = six[..., 3:] - (first * six[..., 3:]).sum(-1, keepdim=True) * first
        second = nn.functional.normalize(second, dim=-1)
        third = torch.linalg.cross(first, second)
        rotations = torch.stack([first, second, third], dim=-1)
        return (
            rotations,
            log_joint.clamp(*LOG_JOINT_ERROR),
            log_rotation.clamp(*LOG_ROTATION_ERROR),
            betas,
        )


def train(
    folder: Path, output: Path, minutes: float, motion: Path | None, resume: bool, seed: int
) -> None:
    """Train on a folder of shards for so many minutes on one core, and write the prior.

    `resume`: continue with the network of the last training in this folder (warm restart,
    Loshchilov and Hutter, ICLR 2017), for instance after more renders.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    shards = Shards(folder)
    landmarks, spreads = calibrate(shards)
    kinematics = Kinematics(landmarks)
    bank = Bank(shards, kinematics)
    mix = PoseMixer(stock(folder, motion))
    print(f"{len(bank)} rows in the bank", flush=True)
    samples = synthesised(CHUNK, mix, bank, kinematics)
    mean, scale = samples.inputs.mean(dim=0), samples.inputs.std(dim=0) + 1e-3
    network = Network(mean, scale, kinematics.num_betas)
    if resume:
        network.load_state_dict(torch.load(folder / CHECKPOINT))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-3)
    begin, step, share = time.monotonic(), 0, 0.0
    while share < 1.0:
        of_renders = torch.randint(len(bank), (int(RENDERS * CHUNK),))
        samples = synthesised(CHUNK, mix, bank, kinematics)
        samples.inputs[: len(of_renders)] = bank.inputs[of_renders]
        samples.rotations[: len(of_renders)] = bank.rotations[of_renders]
        samples.betas[: len(of_renders)] = bank.betas[of_renders]
        for _ in range(PASSES):
            for chosen in torch.split(torch.randperm(CHUNK), BATCH):
                share = min(1.0, (time.monotonic() - begin) / (60 * minutes))
                rate = MAX_RATE * min(1.0, (step + 1) / 200) * 0.5 * (1 + np.cos(np.pi * share))
                for group in optimizer.param_groups:
                    group["lr"] = rate + 1e-6
                inputs, rotations = samples.inputs[chosen], samples.rotations[chosen]
                if step % 2:
                    inputs, rotations = mirrored(inputs, rotations)
                inputs = roughened(inputs, ROUGHNESS)
                loss, distance = loss_of(
                    network, kinematics, inputs, rotations, samples.betas[chosen]
                )
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(network.parameters(), 5.0)
                optimizer.step()
                step += 1
        torch.save(network.state_dict(), folder / CHECKPOINT)
        print(
            f"{100 * share:3.0f} %, {step} steps, loss {loss.item():.3f}, "
            f"joints {1000 * distance:.1f} mm",
            flush=True,
        )
    write(output, network, landmarks, spreads)


def stock(folder: Path, motion: Path | None) -> torch.Tensor:
    """Return the stock of poses (N, 22, 3, 3): random ones and, a quarter, captured ones.

    The random ones are kept in the folder; `motion` has captured ones (tools.motion_capture).
    """
    kept = folder / "poses.npy"
    if not kept.exists():
        rng = np.random.default_rng(0)
        drawn = [sample_pose(rng)[1][:NUM_BODY_JOINTS] for _ in trange(POSES, unit="pose")]
        np.save(kept, np.stack(drawn).astype(np.float32))
    poses = torch.from_numpy(np.load(kept))
    if motion is None:
        return poses
    captured = torch.from_numpy(np.load(motion).astype(np.float32))
    captured = captured[torch.randint(len(captured), (len(poses) // 3,))]
    return torch.cat([poses, captured])


def loss_of(
    network: Network,
    kinematics: Kinematics,
    inputs: torch.Tensor,
    rotations: torch.Tensor,
    betas: torch.Tensor,
) -> tuple[torch.Tensor, float]:
    """Return the loss, and the mean error of joints relative to the pelvis, metres.

    The loss: errors of joints, rotations and shape, and the negative log likelihood of the errors
    of joints and rotations, which trains the predicted standard deviations alone.
    """
    found, log_joint, log_rotation, found_betas = network(inputs)
    distance = (
        kinematics.joints(found, found_betas)[0] - kinematics.joints(rotations, betas)[0]
    ).norm(dim=-1)
    square = (found - rotations).pow(2).sum(dim=(-1, -2))  # twice the squared angle, if small
    likelihood = (
        _negative_log_likelihood(log_joint, distance**2)
        + _negative_log_likelihood(log_rotation, square / 2)
    ).mean()
    # A wrong root turns everything: it weighs as much as ten other joints.
    turn = 0.5 * (square + 1e-4).sqrt().mean() + 0.5 * square.mean()
    turn = turn + ROOT_WEIGHT * square[:, 0].mean()
    shape = (found_betas - betas).pow(2).mean()
    mean = distance.mean()
    loss = 10 * mean + turn + 0.05 * shape + 0.01 * likelihood
    return loss, float(mean.detach())


def _negative_log_likelihood(log_error: torch.Tensor, square: torch.Tensor) -> torch.Tensor:
    """Return that of a squared distance under a Gaussian of three dimensions."""
    return 3 * log_error + square.detach() / (2 * torch.exp(2 * log_error))


def calibrate(shards: Shards) -> tuple[Landmarks, list[float]]:
    """Return how landmarks are attached, and their standard deviations per axis.

    These are shares of the region's side.
    """
    body, raw = load_open_body(), shards.raw
    orientation = np.empty_like(raw["R"][:, :NUM_BODY_JOINTS])
    for joint, parent in enumerate(body.parents[:NUM_BODY_JOINTS]):
        above = orientation[:, parent] if parent >= 0 else np.eye(3)
        orientation[:, joint] = above @ raw["R"][:, joint]
    joints, offsets, spreads = [], [], []
    for landmark in Pose:
        joint = SMPLX_JOINT_NAMES.index(OWNERS[landmark.name])
        offset, spread = offset_of(raw, landmark, joint, orientation[:, joint])
        joints.append(joint)
        offsets.append(offset)
        spreads.append(spread)
    return Landmarks(np.array(joints), np.array(offsets)), spreads


def offset_of(
    raw: dict[str, npt.NDArray[Any]],
    landmark: Pose,
    joint: int,
    orientation: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the offset in a joint's axes that fits the landmarks, by robust least squares."""
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
    # The median of a Rayleigh distribution is 1.177 standard deviations per axis.
    return offset, float(scale) / 1.177


def write(output: Path, network: Network, landmarks: Landmarks, spreads: list[float]) -> None:
    """Write the network and the calibration, with weights in half precision."""
    layers = {"first": network.first, "last": network.last}
    for number in range(BLOCKS):
        for end, position in {"in": 0, "out": 2}.items():
            linear = network.get_submodule(f"blocks.{number}.{position}")
            assert isinstance(linear, nn.Linear)
            layers[f"block{number}_{end}"] = linear
    arrays: dict[str, npt.NDArray[Any]] = {
        "blocks": np.array(BLOCKS),
        "input_mean": network.mean.numpy(),
        "input_scale": network.scale.numpy(),
        "landmark_joint": landmarks.joint.astype(np.int8),
        "landmark_offset": landmarks.offset.astype(np.float32),
        "landmark_error": np.array(spreads, np.float32),
    }
    for name, linear in layers.items():
        arrays[f"{name}_weight"] = linear.weight.detach().numpy().T.astype(np.float16)
        arrays[f"{name}_bias"] = linear.bias.detach().numpy()
    np.savez_compressed(output, **arrays)  # type: ignore[arg-type]
    print(f"{output}: {output.stat().st_size / 1e6:.2f} MB")
    for landmark, offset, spread in zip(Pose, landmarks.offset, spreads, strict=True):
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
            command.add_argument("--minutes", type=float, default=MINUTES)
            command.add_argument("--seed", type=int, default=0)
            command.add_argument("--resume", action="store_true", help="continue the last training")
            command.add_argument(
                "--motion", type=Path, help="captured poses (tools.motion_capture)"
            )
    options = parser.parse_args()
    if options.command == "render":
        render(options.folder, options.shards, options.seed)
    else:
        train(
            options.folder,
            options.output,
            options.minutes,
            options.motion,
            options.resume,
            options.seed,
        )


if __name__ == "__main__":
    main()
