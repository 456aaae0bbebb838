# SPDX-License-Identifier: Apache-2.0
"""A browser of the viewer without a screen: it keeps the nodes of scene and page it is sent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import msgspec.msgpack
import numpy as np
import viser
import zstandard
from viser import _messages
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from pear_ros.viewing.page import ITEM

TIMEOUT_SECONDS = 60.0


class ViewerClient:
    """A connection to a ViewServer; a context manager."""

    def __init__(
        self,
        url: str,
        query: str = "",
        *,
        dark: bool = False,
        narrow: bool = False,
        **headers: str,
    ) -> None:
        """Connect as a page at `url` with `query` in its address does."""
        parts = urlsplit(url)
        token = f"/?{parts.query}" if parts.query else "/"
        self.page = {"query": query, "dark": dark, "narrow": narrow}
        self.nodes: dict[str, dict[str, Any]] = {}
        """Properties of the scene's nodes by name, with wxyz, position, visible."""
        self.bones: dict[tuple[str, int], dict[str, tuple[float, ...]]] = {}
        """wxyz and position of bones, by name of the mesh and number."""
        self.eye: dict[str, tuple[float, ...]] = {}
        """Where the eye was put: position and look_at; `look` does not change it."""
        self.gui: dict[str, dict[str, Any]] = {}
        """Properties of the page's elements, with `type` and `value`, by their own id."""
        self.received: list[int] = []
        """Sizes of the messages, bytes."""
        self.files: list[str] = []
        self._socket = connect(
            f"ws://{parts.netloc}{token}",
            subprotocols=[f"viser-v{viser.__version__}"],  # type: ignore[list-item]
            origin=f"http://{parts.netloc}",  # type: ignore[arg-type]
            additional_headers=headers,
            compression=None,
            max_size=None,
        )
        self._failed: Exception | None = None
        self._reading = threading.Event()
        self._reading.set()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        self.look(np.array([3.0, 3.0, 3.0]), np.zeros(3))

    def __enter__(self) -> ViewerClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()
        self._thread.join(TIMEOUT_SECONDS)
        if error is None and self._failed:
            raise self._failed

    def wait(self, condition: Callable[[], Any]) -> Any:
        """Wait until the condition holds; return its value."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not (value := condition()):
            assert time.monotonic() < deadline, f"timed out; {self._failed or 'no error'}"
            time.sleep(0.01)
        return value

    def look(self, position: np.ndarray, at: np.ndarray) -> None:
        """Say where the eye is."""
        self._send(
            _messages.ViewerCameraMessage(
                wxyz=(1.0, 0.0, 0.0, 0.0),
                position=tuple(position.tolist()),
                fov=1.0,
                near=0.01,
                far=1000.0,
                image_height=720,
                image_width=1280,
                look_at=tuple(at.tolist()),
                up_direction=(0.0, 0.0, 1.0),
            )
        )

    def element(self, label: str) -> dict[str, Any]:
        """Return the element of the page with a label, as soon as there is one."""

        def found() -> dict[str, Any] | None:
            elements = list(self.gui.values())
            return next((one for one in elements if one.get("label") == label), None)

        result: dict[str, Any] = self.wait(found)
        return result

    def choose(self, label: str, value: Any) -> None:
        """Use the element of the page with a label, such as a list or a button (True)."""
        uuid = self.element(label)["uuid"]
        self._send(_messages.GuiUpdateMessage(uuid, {"value": value}))

    def pause(self) -> None:
        """Read nothing more, as a browser on a bad connection."""
        self._reading.clear()

    def resume(self) -> None:
        """Read on."""
        self._reading.set()

    def texts(self) -> str:
        """Return all HTML of the page."""
        return " ".join(str(one.get("content", "")) for one in list(self.gui.values()))

    def _send(self, message: _messages.Message) -> None:
        self._socket.send(msgspec.msgpack.encode(message.as_serializable_dict()))

    def _listen(self) -> None:
        try:
            for data in self._socket:
                self._reading.wait(TIMEOUT_SECONDS)
                assert isinstance(data, bytes)
                self.received.append(len(data))
                for message in _unpacked(data):
                    self._take(message)
        except ConnectionClosed:
            pass
        except Exception as error:
            self._failed = error

    def _take(self, message: dict[str, Any]) -> None:
        kind, name = message["type"], message.get("name", "")
        if kind == "LocalStorageGetItemRequestMessage":
            assert message["key"] == ITEM
            self._send(
                _messages.LocalStorageGetItemResponseMessage(
                    json.dumps(self.page), None, message["request_uuid"]
                )
            )
        elif kind == "LocalStorageSetItemMessage":
            self.page["query"] = message["value"]
        elif kind == "RemoveSceneNodeMessage":
            self.nodes = {n: v for n, v in self.nodes.items() if not f"{n}/".startswith(f"{name}/")}
        elif kind == "SetBoneOrientationMessage":
            self.bones.setdefault((name, message["bone_index"]), {})["wxyz"] = message["wxyz"]
        elif kind == "SetBonePositionMessage":
            bone = self.bones.setdefault((name, message["bone_index"]), {})
            bone["position"] = message["position"]
        elif kind == "SetCameraPositionMessage":
            self.eye["position"] = message["position"]
        elif kind == "SetCameraLookAtMessage":
            self.eye["look_at"] = message["look_at"]
        elif kind == "SceneNodeUpdateMessage":
            self.nodes.get(name, {}).update(message["updates"])
        elif kind.startswith("Set") and name in self.nodes:
            self.nodes[name].update(
                {key: message[key] for key in ("wxyz", "position", "visible") if key in message}
            )
        elif kind == "GuiUpdateMessage":
            self.gui.get(message["uuid"], {}).update(message["updates"])
        elif kind == "FileTransferStartDownload":
            self.files.append(message["filename"])
        elif "props" in message and "uuid" in message:
            value = {"value": message.get("value"), "type": kind, "uuid": message["uuid"]}
            self.gui[message["uuid"]] = {**message["props"], **value}
        elif "props" in message:
            self.nodes[name] = {**message["props"], "visible": True, "type": kind}


def _unpacked(data: bytes) -> list[dict[str, Any]]:
    """Return the messages of a frame; see viser.infra._infra._message_producer."""
    size = int.from_bytes(data[:8], "little")
    packed = int.from_bytes(data[8:16], "little")
    content = zstandard.ZstdDecompressor().decompress(data[16 : 16 + packed], size)
    decoded = msgspec.msgpack.decode(content)
    buffers, offset = [], 16 + packed
    for length in decoded["binaryBufferLengths"]:
        offset += -offset % 8
        buffers.append(data[offset : offset + length])
        offset += length
    result: list[dict[str, Any]] = _filled(decoded["messages"], buffers)
    return result


def _filled(value: Any, buffers: list[bytes]) -> Any:
    """Replace placeholders of arrays."""
    if isinstance(value, dict):
        if "__binary_index" in value:
            return np.frombuffer(buffers[value["__binary_index"]], value["dtype"])
        return {key: _filled(one, buffers) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, buffers) for one in value]
    return value
