# SPDX-License-Identifier: Apache-2.0
"""MediaPipe Pose as a baseline, in a virtual environment of its own (it needs an older NumPy)."""

from __future__ import annotations

import json
import shutil
import subprocess
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pear_ros.core.camera import Camera
from pear_ros.core.people import Image
from pear_ros.evaluation.keypoint_names import COCO_OF_POSE
from pear_ros.evaluation.matching import FoundPerson
from pear_ros.io.downloads import cache_directory
from pear_ros.landmarks.pose import VISIBLE_MARGIN

REQUIREMENTS = ("mediapipe==0.10.21", "numpy<2")
VARIANTS: Mapping[str, int] = {"full": 1, "heavy": 2}
"""Landmark models of MediaPipe Pose, with MediaPipe's numbers for them."""

_HEAVY = "pose_landmark_heavy.tflite"

# Run by the other Python: for each image on the input (a line of JSON, then its pixels), a line
# with the landmarks of the one person that MediaPipe finds.
_WORKER = """
import json, sys
import numpy
from mediapipe.python.solutions.pose import Pose

complexity, pose = int(sys.argv[1]), None
for line in sys.stdin.buffer:
    task = json.loads(line)
    height, width = task["size"]
    pixels = numpy.frombuffer(sys.stdin.buffer.read(height * width * 3), numpy.uint8)
    if pose is None or (task["new"] and not task["still"]):
        pose = Pose(static_image_mode=task["still"], model_complexity=complexity)
    seen = pose.process(pixels.reshape(height, width, 3))
    points, world = seen.pose_landmarks, seen.pose_world_landmarks
    points = points and [[p.x, p.y, p.visibility] for p in points.landmark]
    world = world and [[p.x, p.y, p.z] for p in world.landmark]
    print("FOUND", json.dumps([points, world]), flush=True)
"""


class BaselineError(RuntimeError):
    """MediaPipe cannot be installed or run; the text says why and what to do."""


def mediapipe_python() -> Path:
    """Return the Python of the environment with MediaPipe, which is made on the first call.

    Raises BaselineError where it cannot be installed.
    """
    folder = cache_directory() / "mediapipe-venv"
    python = folder / "bin" / "python"
    ready = folder / "installed"
    if not ready.exists():
        print(f"Installing {REQUIREMENTS[0]} into {folder} (once)", flush=True)
        try:
            venv.create(folder, with_pip=True, clear=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise BaselineError(
                f"no virtual environment could be made in {folder} ({error}); check that it can be "
                "written, and that Python has its venv: sudo apt install python3-venv"
            ) from error
        command = [str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise BaselineError(
                f"pip could not install {REQUIREMENTS[0]}; it exists for Python 3.9 to 3.12 and "
                f"needs the network: {done.stderr.strip()[-300:]}"
            )
        ready.touch()
    heavy = cache_directory() / _HEAVY
    if heavy.exists():  # Else MediaPipe downloads it by itself.
        for part in folder.glob("lib/python*/site-packages/mediapipe/modules/pose_landmark"):
            if not (part / _HEAVY).exists():
                shutil.copy(heavy, part)
    return python


class MediaPipePose:
    """MediaPipe Pose, which finds one person: a method to compare with."""

    def __init__(self, variant: str, still: bool) -> None:
        """Start MediaPipe; `variant`: a key of VARIANTS, `still`: single images, no video.

        Raises BaselineError.
        """
        self.name = f"MediaPipe {variant}"
        self._still, self._new = still, True
        self._process = subprocess.Popen(
            [mediapipe_python(), "-c", _WORKER, str(VARIANTS[variant])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def __call__(self, image: Image, camera: Camera, stamp: float) -> Sequence[FoundPerson]:
        """Return the person in an image, if any; joints are relative to the hips."""
        assert self._process.stdin and self._process.stdout
        height, width = image.shape[:2]
        task = {"size": [height, width], "still": self._still, "new": self._new}
        self._new = False
        try:
            self._process.stdin.write(json.dumps(task).encode() + b"\n")
            self._process.stdin.write(np.ascontiguousarray(image[..., ::-1]).tobytes())
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # The error is raised below.
        for line in self._process.stdout:
            if line.startswith(b"FOUND"):
                points, world = json.loads(line[5:])
                return [_found(points, world, width, height)] if points else []
        raise BaselineError(
            f"{self.name} ended with code {self._process.wait()}; remove "
            f"{cache_directory() / 'mediapipe-venv'} to install it again"
        )

    def reset(self) -> None:
        """Begin a new video with the next image."""
        self._new = True

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()


def _found(points: Any, world: Any, width: int, height: int) -> FoundPerson:
    landmarks = np.array(points, float)
    pixels = landmarks[:, :2] * (width, height) - 0.5  # Whole coordinates are pixel centres.
    inside = ((pixels >= -0.5) & (pixels < (width, height))).all(axis=1)
    shown = pixels[inside] if inside.any() else pixels
    low, high = shown.min(axis=0), shown.max(axis=0)
    margin = VISIBLE_MARGIN * float((high - low).max())
    return FoundPerson(
        box=np.concatenate([low - margin, high + margin]).astype(np.float32),
        score=float(landmarks[:, 2].mean()),
        keypoints=pixels[COCO_OF_POSE],
        joints=np.array(world, float)[COCO_OF_POSE],
        placed=False,
        name="one",
    )
