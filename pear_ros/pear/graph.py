# SPDX-License-Identifier: Apache-2.0
"""PEAR's network as an ONNX graph on disk, in three files.

`pear_<weights>_<precision>.onnx`, its weights in `.onnx.data`, and a record of both in `.json`.
Imports neither torch nor onnx.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pear_ros.core.configuration import GRAPH_PRECISIONS
from pear_ros.core.people import Array
from pear_ros.io.folders import walk
from pear_ros.io.output_files import write_text
from pear_ros.pear.origin import Origin, read_origin
from pear_ros.pear.prediction import LAYOUT, VECTOR_SIZE

SCHEMA = 1
"""Version of the format. Increase it when earlier graphs or records can no longer be used: other
inputs, outputs, fields, or other crops for `Graph.reference`."""

OPSET = 20
"""ONNX opset: the newest that TensorRT 10.3 reads, and the first with Gelu."""

INPUT, OUTPUT = "crops", "people"
"""Names of the graph's input (B, 256, 256, 3), uint8, blue, green and red, and of its output
(B, VECTOR_SIZE), float32."""

SCRATCH = ".pear_export_"
"""Prefix of temporary folders in which graphs are written."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with the stage, the bytes done and the bytes in all; 0 and 0 for stages without bytes."""

_NAME = re.compile(rf"pear_[0-9a-f]{{8}}_({'|'.join(GRAPH_PRECISIONS)})\.onnx")
_ADVICE = "export it again with `pear export-graph`"
_BLOCK = 1 << 22


class GraphError(ValueError):
    """A graph cannot be used or made; the message has its name, the reason and a remedy."""


@dataclass(frozen=True, eq=False)
class Graph:
    """PEAR's network as an ONNX graph with a dynamic batch size."""

    path: Path
    """Path of the .onnx file."""
    precision: str
    """Precision of the backbone: one of GRAPH_PRECISIONS; inputs and outputs never differ."""
    weights: str
    """Fingerprint of the weights, hexadecimal."""
    hashes: Mapping[str, str]
    """SHA-256 of the .onnx and the .onnx.data file, by file name, as written."""
    reference: Array
    """(N, VECTOR_SIZE) float32: outputs of the network in fp32 for the bundled crops."""
    origin: Origin = field(default_factory=Origin)
    """Whose weights they are, and the body that they belong to."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole graph, hexadecimal."""
        return hashlib.sha256("".join(self.hashes.values()).encode()).hexdigest()

    @property
    def nbytes(self) -> int:
        """Size of the files, bytes; 0 for one that is gone."""
        paths = (self.path.with_name(name) for name in self.hashes)
        return sum(path.stat().st_size for path in paths if path.exists())

    def verify(self, progress: Progress | None = None) -> None:
        """Raise GraphError unless the files' hashes are those of the record. Reads all bytes."""
        for name, expected in self.hashes.items():
            if _sha256(self.path.with_name(name), progress) != expected:
                raise GraphError(f"{self.path.with_name(name)} is damaged; {_ADVICE}")


def graph_name(weights: str, precision: str) -> str:
    """Return the name of the .onnx file for weights with the fingerprint `weights`."""
    return f"pear_{weights[:8]}_{precision}.onnx"


def data_file(path: Path) -> Path:
    """Return the file with the weights of the .onnx file `path`."""
    return path.with_name(path.name + ".data")


def record_file(path: Path) -> Path:
    """Return the record of the .onnx file `path`."""
    return path.with_suffix(".json")


def find_graphs(folder: Path) -> list[Path]:
    """Return the .onnx files of graphs in `folder` and below, not read, the least deep first.

    Linked folders are searched as well, each once.
    """
    found = [
        parent / name
        for parent, here in walk(folder)
        for name in here
        if _NAME.fullmatch(name) and not parent.name.startswith(SCRATCH)
    ]
    return sorted(found, key=lambda path: (len(path.parts), path))


def read_graph(path: Path) -> Graph:
    """Return the graph of the .onnx file `path`; of the files only names and sizes are checked.

    `Graph.verify` checks their hashes.

    Raises GraphError when one of the three files is missing, damaged or of another version.
    """
    try:
        text = record_file(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise GraphError(
            f"{path} cannot be used without {record_file(path).name}, which belongs beside it "
            f"({_reason(error)}); {_ADVICE}"
        ) from error
    try:
        record = json.loads(text)
        schema = record["schema"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise GraphError(f"{record_file(path)} is damaged; {_ADVICE}") from error
    if schema != SCHEMA:
        raise GraphError(
            f"{path} is of another version of this package (schema {schema}, not {SCHEMA}); "
            f"{_ADVICE}"
        )
    try:
        return _graph(path, record)
    except GraphError:
        raise
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError) as error:
        raise GraphError(f"{record_file(path)} is damaged; {_ADVICE}") from error


def _graph(path: Path, record: Mapping[str, Any]) -> Graph:
    if list(record["layout"].items()) != list(LAYOUT.items()):
        raise GraphError(f"{path} has another layout of outputs than this version; {_ADVICE}")
    weights, precision, files = record["weights"], record["precision"], record["files"]
    if path.name != (name := graph_name(weights, precision)):
        raise GraphError(f"{path} was renamed: call it {name} again, and its .data and .json too")
    names = [path.name, data_file(path).name]
    for name in names:
        _check_size(path.with_name(name), int(files[name]["bytes"]))
    reference = np.array(record["reference"], np.float32)
    if reference.ndim != 2 or reference.shape[1] != VECTOR_SIZE or not np.isfinite(reference).all():
        raise GraphError(f"{record_file(path)} is damaged: its reference is; {_ADVICE}")
    return Graph(
        path=path,
        precision=precision,
        weights=weights,
        hashes={name: str(files[name]["sha256"]) for name in names},
        reference=reference,
        origin=read_origin(record),
    )


def _check_size(path: Path, expected: int) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise GraphError(f"{path} cannot be read ({_reason(error)}); {_ADVICE}") from error
    if size != expected:
        raise GraphError(f"{path} has {size} bytes instead of {expected}; copy it again")


def write_record(
    path: Path,
    precision: str,
    weights: str,
    reference: Array,
    progress: Progress | None = None,
    origin: Origin | None = None,
) -> None:
    """Write the record of the .onnx file `path` and its data.

    `precision` of the backbone; `weights`: fingerprint; `reference` (N, VECTOR_SIZE): outputs in
    fp32 for the bundled crops; `progress`: of hashing the files; `origin` of the weights, by
    default PEAR's release.

    Raises GraphError when a file cannot be read, OSError when the record cannot be written.
    """
    files = {
        part.name: {"bytes": part.stat().st_size, "sha256": _sha256(part, progress)}
        for part in (path, data_file(path))
    }
    record = {
        "schema": SCHEMA,
        "weights": weights,
        "precision": precision,
        "layout": LAYOUT,
        "files": files,
        "reference": reference.tolist(),
        **(origin or Origin()).named(),
    }
    write_text(record_file(path), json.dumps(record))


def _sha256(path: Path, progress: Progress | None) -> str:
    """SHA-256, hexadecimal. Raises GraphError when the file cannot be read."""
    digest = hashlib.sha256()
    done = 0
    try:
        with path.open("rb") as file:
            total = path.stat().st_size
            while block := file.read(_BLOCK):
                digest.update(block)
                done += len(block)
                if progress is not None:
                    progress(f"hashing {path.name}", done, total)
    except OSError as error:
        raise GraphError(f"{path} cannot be read ({_reason(error)}); {_ADVICE}") from error
    return digest.hexdigest()


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
