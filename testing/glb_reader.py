# SPDX-License-Identifier: Apache-2.0
"""Reads binary glTF animations by the specification alone, and poses their skinned meshes."""

from __future__ import annotations

import json
import struct
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

_TYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_SIZES = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Glb:
    """One binary glTF file with one animation."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        size, kind = struct.unpack_from("<I4s", data, 12)
        assert kind == b"JSON" and size % 4 == 0
        self.json: dict[str, Any] = json.loads(data[20 : 20 + size])
        binary, kind = struct.unpack_from("<I4s", data, 20 + size)
        assert kind == b"BIN\0" and 28 + size + binary == len(data)
        self._bytes = data[28 + size :]
        self._parents = {
            child: parent
            for parent, node in enumerate(self.json["nodes"])
            for child in node.get("children", ())
        }
        self.array = cache(self._array)
        self.world = cache(self._world)
        (animation,) = self.json["animations"]
        self._samplers = {
            (channel["target"]["node"], channel["target"]["path"]): animation["samplers"][
                channel["sampler"]
            ]
            for channel in animation["channels"]
        }

    def _array(self, index: int) -> Any:
        """Return an accessor's values (N, size)."""
        accessor = self.json["accessors"][index]
        assert "byteOffset" not in accessor or accessor["byteOffset"] == 0
        kind, size = _TYPES[accessor["componentType"]], _SIZES[accessor["type"]]
        if "bufferView" in accessor:
            values = self._view(accessor["bufferView"], kind).reshape(accessor["count"], size)
        else:
            values = np.zeros((accessor["count"], size), kind)
        if "sparse" in accessor:
            sparse = accessor["sparse"]
            index_kind = _TYPES[sparse["indices"]["componentType"]]
            rows = self._view(sparse["indices"]["bufferView"], index_kind)
            assert len(rows) == sparse["count"] and (np.diff(rows.astype(int)) > 0).all()
            values = values.copy()
            values[rows] = self._view(sparse["values"]["bufferView"], kind).reshape(-1, size)
        if "min" in accessor:
            np.testing.assert_array_equal(values.min(axis=0), accessor["min"])
            np.testing.assert_array_equal(values.max(axis=0), accessor["max"])
        return values

    def node(self, name: str) -> int:
        """Return the index of the only node of this name."""
        (found,) = [n for n, node in enumerate(self.json["nodes"]) if node.get("name") == name]
        return found

    def vertices(self, name: str, seconds: float) -> Any:
        """Return the vertices (V, 3) of the mesh of node `name` in world coordinates at a time."""
        node = self.json["nodes"][self.node(name)]
        skin = self.json["skins"][node["skin"]]
        (primitive,) = self.json["meshes"][node["mesh"]]["primitives"]
        attributes = primitive["attributes"]
        places = self.array(attributes["POSITION"]).astype(float)
        weights_of_targets = self._sampled(self.node(name), "weights", seconds)
        for target, weight in zip(primitive["targets"], weights_of_targets, strict=True):
            places = places + weight * self.array(target["POSITION"])
        bind = self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2)
        matrices = np.stack(
            [
                self.world(joint, seconds) @ inverse
                for joint, inverse in zip(skin["joints"], bind, strict=True)
            ]
        )
        joints = np.hstack([self.array(attributes[f"JOINTS_{n}"]) for n in range(2)])
        weights = np.hstack([self.array(attributes[f"WEIGHTS_{n}"]) for n in range(2)])
        np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-5)
        blended = np.einsum("vi,viab->vab", weights, matrices[joints])
        return np.einsum("vab,vb->va", blended[:, :3, :3], places) + blended[:, :3, 3]

    def _world(self, node: int, seconds: float) -> Any:
        """Return the transform (4, 4) from a node's own frame to the world."""
        own = self.json["nodes"][node]
        local = np.eye(4)
        turn = self._sampled(node, "rotation", seconds, own.get("rotation", [0, 0, 0, 1]))
        scale = self._sampled(node, "scale", seconds, own.get("scale", [1, 1, 1]))
        local[:3, :3] = Rotation.from_quat(turn).as_matrix() * scale
        local[:3, 3] = self._sampled(node, "translation", seconds, own.get("translation", [0] * 3))
        parent = self._parents.get(node)
        return local if parent is None else self.world(parent, seconds) @ local

    def _sampled(self, node: int, path: str, seconds: float, rest: Any = None) -> Any:
        if (node, path) not in self._samplers:
            assert rest is not None, f"{path} of node {node} is not animated"
            return rest
        sampler = self._samplers[node, path]
        times = self.array(sampler["input"])[:, 0].astype(float)
        assert (np.diff(times) > 0).all()
        values = self.array(sampler["output"]).reshape(len(times), -1).astype(float)
        return _between(times, values, seconds, path, sampler["interpolation"])

    def _view(self, index: int, kind: Any) -> Any:
        view = self.json["bufferViews"][index]
        start = view["byteOffset"]
        assert start % np.dtype(kind).itemsize == 0
        return np.frombuffer(self._bytes[start : start + view["byteLength"]], kind)


def _between(times: Any, values: Any, seconds: float, path: str, interpolation: str) -> Any:
    seconds = float(np.clip(seconds, times[0], times[-1]))
    before = int(np.searchsorted(times, seconds, "right")) - 1
    if interpolation == "STEP" or before == len(times) - 1:
        return values[before]
    if path == "rotation":
        return Slerp(times, Rotation.from_quat(values))(seconds).as_quat()
    share = (seconds - times[before]) / (times[before + 1] - times[before])
    return (1.0 - share) * values[before] + share * values[before + 1]
