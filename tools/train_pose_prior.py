# SPDX-License-Identifier: Apache-2.0
"""Train the pose prior of the fit (pear_ros/fitting/pose_prior.npz) on renders of the open body.

    python -m tools.train_pose_prior render FOLDER --shards 80 --seed 1
    python -m tools.train_pose_prior train FOLDER --minutes 25

The first command draws dressed people of known pose and keeps what the full and the heavy landmark
model say of their pictures, about 0.1 s a picture and core; it can be stopped and resumed. The
second trains a small network on new poses with the errors that landmarks had on renders of similar
ones (tools/pose_prior_samples.py), and calibrates where on the body each landmark is seen on
average. Needs torch, and the landmark models, heavy too, and the demo clip (`make setup`). The
committed file was made from 76 shards, 19,000 renders, by three trainings on one shared core, each
continuing the last (--resume): 10 minutes on the first 14 shards, 18 on 26 and 25.5 on all, 30,000
steps in all.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from tqdm import trange

from pear_ros.fitting.pose_prior import (
    INPUT_LIMIT,
    LOG_JOINT_ERROR,
    LOG_ROTATION_ERROR,
    PRIOR_FILE,
)
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS
from pear_ros.landmarks.topology import Pose
from pear_ros.training.renders import sample_pose
from tools.pose_prior_bank import Bank, Kinematics, Shards
from tools.pose_prior_calibration import OWNERS, Landmarks, calibrate
from tools.pose_prior_renders import render
from tools.pose_prior_samples import PoseMixer, mirrored, roughened, synthesised

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


def train(folder: Path, output: Path, minutes: float, resume: bool, seed: int) -> None:
    """Train on a folder of shards for so many minutes on one core, and write the prior.

    `resume`: continue with the network of the last training in this folder (warm restart,
    Loshchilov and Hutter, ICLR 2017), for instance after more renders.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    shards = Shards(folder)
    landmarks = calibrate(shards.raw)
    kinematics = Kinematics(landmarks)
    bank = Bank(shards, kinematics)
    mix = PoseMixer(stock(folder))
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
    write(output, network, landmarks)


def stock(folder: Path) -> torch.Tensor:
    """Return the stock of random poses (N, 22, 3, 3), which is kept in the folder."""
    kept = folder / "poses.npy"
    if not kept.exists():
        rng = np.random.default_rng(0)
        drawn = [sample_pose(rng)[1][:NUM_BODY_JOINTS] for _ in trange(POSES, unit="pose")]
        np.save(kept, np.stack(drawn).astype(np.float32))
    return torch.from_numpy(np.load(kept))


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


def write(output: Path, network: Network, landmarks: Landmarks) -> None:
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
        "landmark_error": landmarks.error.astype(np.float32),
    }
    for name, linear in layers.items():
        arrays[f"{name}_weight"] = linear.weight.detach().numpy().T.astype(np.float16)
        arrays[f"{name}_bias"] = linear.bias.detach().numpy()
    np.savez_compressed(output, **arrays)  # type: ignore[arg-type]
    print(f"{output}: {output.stat().st_size / 1e6:.2f} MB")
    for landmark, offset, error in zip(Pose, landmarks.offset, landmarks.error, strict=True):
        place = " ".join(f"{1000 * value:6.0f}" for value in offset)
        print(f"{landmark.name:20s} {OWNERS[landmark.name]:15s} {place} mm, {100 * error:.1f} %")


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
    options = parser.parse_args()
    if options.command == "render":
        render(options.folder, options.shards, options.seed)
    else:
        train(
            options.folder,
            options.output,
            options.minutes,
            options.resume,
            options.seed,
        )


if __name__ == "__main__":
    main()
