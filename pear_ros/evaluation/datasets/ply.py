# SPDX-License-Identifier: Apache-2.0
"""Vertices of meshes in PLY files (Turk, The PLY Polygon File Format, 1994)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pear_ros.evaluation.labels import Doubles, LabelError
from pear_ros.evaluation.reading import damage_of

_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2"},
    **{"int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8"},
}
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}
_END = b"end_header\n"


def read_vertices(file: Path, count: int) -> Doubles:
    """Return the vertices (count, 3) of a PLY, binary or ascii. Raises LabelError."""
    content = file.read_bytes()
    head, end, body = content.replace(b"end_header\r\n", _END, 1).partition(_END)
    lines = [line.split() for line in head[:4096].decode("latin1").splitlines()]
    if not end or not lines or lines[0] != ["ply"]:
        raise LabelError(f"{file} is not a PLY file")
    with damage_of(file):
        form = next(line[1] for line in lines if line[0] == "format")
        first = next(n for n, line in enumerate(lines) if line[0] == "element")
        if lines[first][1] != "vertex" or int(lines[first][2]) != count:
            raise ValueError(f"it has to begin with {count} vertices")
        properties = []
        for line in lines[first + 1 :]:
            if line[0] == "element":
                break
            if line[0] == "property":
                properties.append((line[2], _TYPES[line[1]]))
        if form == "ascii":
            rows = np.array(b" ".join(body.splitlines()[:count]).split(), np.float64)
            names = [name for name, _ in properties]
            points = rows.reshape(count, len(names))[:, [names.index(axis) for axis in "xyz"]]
        else:
            kind = np.dtype([(name, _ORDERS[form] + code) for name, code in properties])
            table = np.frombuffer(body, kind, count)
            points = np.stack([table[axis].astype(np.float64) for axis in "xyz"], axis=1)
        if not np.isfinite(points).all():
            raise ValueError("a vertex is not finite")
    return points
