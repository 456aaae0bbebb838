# SPDX-License-Identifier: Apache-2.0
"""The model files that a user provides for PEAR: their names, origins, licences and locations.

Their licences forbid redistribution, so nothing is downloaded here. They are found by name anywhere
below one folder, such as the `assets` folder of PEAR's own repository or a flat one.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch, translate
from itertools import chain
from pathlib import Path, PurePath
from types import MappingProxyType

from pear_ros.body import BodyModel
from pear_ros.body.ehm import EHM_S
from pear_ros.body.flame import FlameModel
from pear_ros.io.downloads import cache_directory
from pear_ros.io.folders import walk
from pear_ros.pear.cache import converted, files_key
from pear_ros.pear.convert import BODY_NAME, bodies
from pear_ros.pear.graph import GraphError, find_graphs, read_graph
from pear_ros.pear.origin import peek_origin


@dataclass(frozen=True)
class ModelFile:
    """One file that PEAR needs."""

    key: str
    """Key in ModelFiles.found."""
    names: tuple[str, ...]
    """Accepted names, the preferred first; with the folder where the name alone is ambiguous."""
    what: str
    """Content of the file."""
    origin: str
    """Where to download the file."""
    licence: str
    """Licence of the file, with a link."""
    near: tuple[str, ...] = ()
    """Patterns, in small letters, of names that files of other editions, or renamed ones, have."""

    @property
    def name(self) -> str:
        """The preferred name, without folder."""
        return self.names[0].rsplit("/", 1)[-1]


_PEAR = "https://github.com/Pixel-Talk/PEAR"
_SMPLX = "https://smpl-x.is.tue.mpg.de"
_FLAME = "https://flame.is.tue.mpg.de"
_TRACKER = "https://github.com/Zielon/metrical-tracker"
_SMPLX_LICENCE = f"non-commercial research, {_SMPLX}/modellicense.html"
_FLAME_LICENCE = f"depends on FLAME's edition, {_FLAME}/modellicense.html"
_EYELID_ORIGIN = f"assets/FLAME of {_PEAR}; the same in flame/blendshapes of {_TRACKER}"
_EYELID_LICENCE = f"non-commercial research, {_TRACKER}"

CHECKPOINT = ModelFile(
    "checkpoint",
    (
        *("pear_model.pt", "pear_model.safetensors"),
        *("ehm_model_stage1.pt", "ehm_model_stage1.safetensors"),
    ),
    "weights of PEAR's network",
    "Hugging Face, BestWJH/PEAR_models (2.7 GB); or graphs that `pear export-graph` makes of it",
    "as stated there",
    ("*pear*.pt*", "*pear*.safetensors", "ehm_model*", "*stage1*"),
)
BODY_FILES = (
    ModelFile(
        "smplx",
        ("SMPLX_NEUTRAL_2020.npz",),
        "SMPL-X body, neutral, edition of 2020",
        f"{_SMPLX} (registration)",
        _SMPLX_LICENCE,
        ("smplx*neutral*.np*", "smplx*neutral*.pkl", "smplx*2020*"),
    ),
    ModelFile(
        "flame",
        ("FLAME2020/generic_model.pkl", "generic_model.pkl"),
        "FLAME head, neutral, edition of 2020",
        f"{_FLAME}, FLAME 2020 (registration)",
        _FLAME_LICENCE,
        ("flame20*.pkl", "*generic_model*", "flame_neutral*.pkl", "flame_generic*"),
    ),
    ModelFile(
        "flame_vertices",
        ("SMPL-X__FLAME_vertex_ids.npy",),
        "FLAME's vertices on SMPL-X",
        f"{_SMPLX}, MANO and FLAME vertex indices; also assets/SMPLX of {_PEAR}",
        _SMPLX_LICENCE,
        ("*flame*vertex*id*", "*flame*vert*.npy"),
    ),
    ModelFile(
        "flame_masks",
        ("FLAME_masks.pkl",),
        "regions of FLAME's head",
        f"{_FLAME}, FLAME Vertex Masks; also assets/FLAME/FLAME_masks of {_PEAR}",
        _FLAME_LICENCE,
        ("*flame*mask*",),
    ),
    ModelFile(
        "left_eyelid",
        ("l_eyelid.npy",),
        "blend shape that closes FLAME's left eyelid",
        _EYELID_ORIGIN,
        _EYELID_LICENCE,
        ("l*eyelid*", "eyelid*l*"),
    ),
    ModelFile(
        "right_eyelid",
        ("r_eyelid.npy",),
        "blend shape that closes FLAME's right eyelid",
        _EYELID_ORIGIN,
        _EYELID_LICENCE,
        ("r*eyelid*", "eyelid*r*"),
    ),
)
FILES = (CHECKPOINT, *BODY_FILES)
BODIES_OF_FILES = {"ehm-s": EHM_S, "smplx": BODY_NAME}
"""Names of the bodies that are made of BODY_FILES, by pear_ros.core.parameters.PEAR_BODIES."""
EXAMPLE = Path(__file__).with_name("example.pt")
"""Weights of `pear train` that are part of this package, in half precision."""
_NAMED = 3
"""Most near names in an error message."""


class MissingFilesError(FileNotFoundError):
    """Model files are missing; the message lists each with its origin and licence."""

    def __init__(
        self,
        folder: Path,
        missing: Sequence[ModelFile],
        near: Mapping[str, Sequence[Path]] = MappingProxyType({}),
    ) -> None:
        """Describe the files `missing` below `folder`.

        `near`: by ModelFile.key, files with names that are almost right.
        """
        where = f"{folder} and below" if folder.is_dir() else f"{folder}, which is no folder"
        verb = "is" if len(missing) == 1 else "are"
        lines = [f"{len(missing)} of PEAR's {len(FILES)} files {verb} missing in {where}:"]
        for file in missing:
            lines += [f"  {file.name}: {file.what}", f"    from {file.origin}"]
            lines += [f"    licence: {file.licence}"]
            if others := near.get(file.key):
                names = ", ".join(ascii(str(path))[1:-1] for path in others[:_NAMED])
                lines += [
                    f"    there is {names}: another edition, which does not fit, or the same file "
                    f"under another name; then rename it to {file.name}"
                ]
        super().__init__("\n".join(lines))
        self.missing = tuple(missing)


@dataclass(frozen=True)
class ModelFiles:
    """The model files and graphs that were found below a folder."""

    folder: Path
    """Folder that was searched."""
    found: Mapping[str, Path]
    """Paths of the files that were found, by ModelFile.key."""
    graphs: tuple[Path, ...] = ()
    """The network as ONNX graphs, see pear_ros.pear.graph; not read yet."""
    near: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    """By ModelFile.key, files with names that are almost those of missing ones."""
    body: str = ""
    """Name of the body that the weights were trained for, if `pear train` wrote them."""

    @property
    def needs_body(self) -> bool:
        """Whether the weights' body is made of BODY_FILES; the open body is not."""
        return self.body in ("", *BODIES_OF_FILES.values())

    @property
    def missing(self) -> tuple[ModelFile, ...]:
        """Required files that were not found; with graphs, no checkpoint is required."""
        required = (
            *(() if self.graphs else (CHECKPOINT,)),
            *(BODY_FILES if self.needs_body else ()),
        )
        return tuple(file for file in required if file.key not in self.found)

    @property
    def checkpoint(self) -> Path:
        """Path of the network's weights. Raises MissingFilesError where there is no checkpoint."""
        if CHECKPOINT.key not in self.found:
            raise MissingFilesError(self.folder, [CHECKPOINT], self.near)
        return self.found[CHECKPOINT.key]

    def require(self, files: Sequence[ModelFile] = FILES) -> None:
        """Raise MissingFilesError if any of `files` is missing."""
        if missing := [file for file in self.missing if file in files]:
            raise MissingFilesError(self.folder, missing, self.near)


def default_model_folder() -> Path:
    """Return the default folder of model files; it need not exist.

    `$PEAR_ROS_MODELS`, else `$XDG_DATA_HOME/pear_ros/models`, else
    `~/.local/share/pear_ros/models`.
    """
    if own := os.environ.get("PEAR_ROS_MODELS"):
        return Path(own)
    if xdg := os.environ.get("XDG_DATA_HOME"):
        return Path(xdg) / "pear_ros" / "models"
    return Path.home() / ".local" / "share" / "pear_ros" / "models"


def example_files() -> ModelFiles:
    """Return the weights of `estimator: example`; graphs of them are kept in the cache."""
    folder = cache_directory() / "example"
    with contextlib.suppress(OSError):  # Whatever needs the folder says why there is none.
        folder.mkdir(parents=True, exist_ok=True)
    found = {CHECKPOINT.key: EXAMPLE}
    return ModelFiles(folder, found, tuple(find_graphs(folder)), body=peek_origin(EXAMPLE).body)


def find_model_files(folder: Path) -> ModelFiles:
    """Return the FILES and graphs in `folder` and below, also in linked folders, each once.

    Names may be in other capitals. Of several files for one purpose, the preferred name wins, then
    the least depth, then alphabetical order.
    """
    folder = folder.expanduser()
    present = sorted(_files_below(folder), key=lambda path: (len(path.parts), path.parts))
    found, near = {}, {}
    for file in FILES:
        exact = (path for name in file.names for path in present if path.match(name))
        small = (
            path
            for name in file.names
            for path in present
            if PurePath(str(path).lower()).match(name.lower())
        )
        if (first := next(chain(exact, small), None)) is not None:
            found[file.key] = folder / first
        else:
            near[file.key] = [
                path
                for path in present
                if any(fnmatch(path.name.lower(), pattern) for pattern in file.near)
            ]
    graphs = tuple(find_graphs(folder))
    return ModelFiles(folder, found, graphs, near, _body(found.get(CHECKPOINT.key), graphs))


def _body(checkpoint: Path | None, graphs: Sequence[Path]) -> str:
    """Return the body that the weights name; empty where they are PEAR's or cannot be read."""
    if checkpoint is not None:
        return peek_origin(checkpoint).body
    for graph in graphs:
        with contextlib.suppress(GraphError):
            return read_graph(graph).origin.body
    return ""


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the paths, relative to `folder`, of the files in it that may be FILES, or near them."""
    patterns = [
        pattern
        for file in FILES
        for pattern in (*file.near, *(PurePath(name).name.lower() for name in file.names))
    ]
    wanted = re.compile("|".join(translate(pattern) for pattern in patterns))
    for parent, here in walk(folder):
        for name in here:
            if wanted.fullmatch(name.lower()) and (parent / name).is_file():
                yield (parent / name).relative_to(folder)


def load_body_files(files: ModelFiles) -> tuple[BodyModel, FlameModel]:
    """Return SMPL-X with 200 shape and 50 expression coefficients, and FLAME with 300 and 50.

    The first call converts the files and caches the result beside them, see `pear_ros.pear.cache`.
    `sha256` of the body is a hash of all body files.

    Raises MissingFilesError when a file is missing, ValueError when one is damaged or another than
    it should be, OSError when one cannot be read.
    """
    files.require(BODY_FILES)
    key = files_key(files.found[file.key] for file in BODY_FILES)
    return bodies(converted(files.folder, key, files.found), key)
