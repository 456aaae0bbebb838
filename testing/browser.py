# SPDX-License-Identifier: Apache-2.0
"""A page in headless Chromium, driven by the Chrome DevTools Protocol; without a GPU or display.

Every host but this machine is unknown to the browser, and requests to others are noted. WebGL is
drawn by SwiftShader on the CPU, which takes a second or so for a scene. The protocol:
https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import cv2
import numpy as np

from pear_ros.core.people import Image

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_LOCAL = ("localhost", "127.0.0.1", "[::1]")
_START_SECONDS = 60.0
_FLAGS = (
    "--headless=new",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--host-resolver-rules=MAP * ~NOTFOUND, " + ", ".join(f"EXCLUDE {name}" for name in _LOCAL),
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--remote-debugging-port=0",
)


def chromium() -> str | None:
    """Return the path of Chromium or Chrome; None where neither is installed."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class PageError(AssertionError):
    """What a page did not do, or not in time."""


class Page:
    """A page of a new browser without a history; a context manager that ends the browser."""

    def __init__(self, *, width: int = 1280, height: int = 720, phone: bool = False) -> None:
        """Start the browser with an empty page of `width` x `height` pixels."""
        from websockets.sync.client import connect

        self.errors: list[str] = []
        """Errors of the page: of its console, of its scripts, of what it could not load."""
        self.requests: list[str] = []
        """Addresses of all requests and WebSockets, of workers, too."""
        self._last = 0
        self._folder = tempfile.mkdtemp(prefix="chromium")
        self._process = self._start(width, height)
        try:
            self._socket = connect(
                self._address(), max_size=None, compression=None, ping_interval=None
            )
            self.call("Page.enable")
            self._listen("")
            self.resize(width, height, phone=phone)
        except BaseException:
            self._stop()
            raise

    def __enter__(self) -> Page:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._send("Browser.close", "")
        self._socket.close()
        self._stop()

    @property
    def requests_elsewhere(self) -> list[str]:
        """Addresses of requests to other machines."""
        hosts = {name.strip("[]") for name in _LOCAL}
        schemes = ("http", "https", "ws", "wss")
        split = [(urlsplit(address), address) for address in self.requests]
        return [
            address
            for parts, address in split
            if parts.scheme in schemes and parts.hostname not in hosts
        ]

    def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        """Make the page `width` x `height` pixels large, on a phone or a computer."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone},
        )

    def open(self, address: str) -> None:
        """Go to an address and wait until its document has been loaded."""
        before = self.evaluate("location.href")
        self.call("Page.navigate", url=address)
        self.until(f"document.readyState === 'complete' && location.href !== {json.dumps(before)}")

    def evaluate(self, script: str) -> Any:
        """Return the value of a JavaScript expression, awaited where it is a promise."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageError(details.get("exception", details).get("description", details["text"]))
        return answer["result"].get("value")

    def until(self, script: str, seconds: float = 30.0) -> None:
        """Wait until a JavaScript expression is true."""
        end = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({script})"):
            if time.monotonic() > end:
                said = "; ".join(self.errors) or "no errors"
                raise PageError(f"after {seconds} s still not: {script} ({said})")
            time.sleep(0.05)

    def screenshot(self) -> Image:
        """Return what the page shows (height, width, 3) uint8 BGR."""
        answer = self.call("Page.captureScreenshot", format="png")
        data = np.frombuffer(base64.b64decode(answer["data"]), np.uint8)
        picture: Image = cv2.imdecode(data, cv2.IMREAD_COLOR)
        return picture

    def settled(self, seconds: float = 30.0) -> Image:
        """Return what the page shows as soon as two pictures in a row are equal."""
        end = time.monotonic() + seconds
        before = self.screenshot()
        while True:
            time.sleep(0.2)
            now = self.screenshot()
            if np.array_equal(before, now):
                return now
            if time.monotonic() > end:
                raise PageError(f"the page still changes after {seconds} s")
            before = now

    def click_on(self, text: str, seconds: float = 30.0) -> None:
        """Click on the button or tab with this text, as soon as there is one."""
        buttons = "[...document.querySelectorAll('button, label, [role=tab]')]"
        self._click(
            f"{buttons}.find(one => one.textContent.trim() === {json.dumps(text)})", seconds
        )

    def click_at(self, selector: str, seconds: float = 30.0) -> None:
        """Click on the first element that a CSS selector finds, as soon as there is one."""
        self._click(f"document.querySelector({json.dumps(selector)})", seconds)

    def press(self, key: str) -> None:
        """Press a key on what has the focus, such as ArrowRight."""
        codes = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, " ": 32}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                **{"type": kind, "key": key, "code": "Space" if key == " " else key},
                windowsVirtualKeyCode=codes.get(key, 0),
            )

    def prefer_dark(self, dark: bool) -> None:
        """Have the browser ask pages for dark or light colours."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; return its result."""
        number = self._send(method, "", **parameters)
        while True:
            message = json.loads(self._socket.recv(timeout=_START_SECONDS))
            if message.get("id") == number:
                break
            self._note(message)
        if "error" in message:
            raise PageError(f"{method}: {message['error']['message']}")
        result: dict[str, Any] = message["result"]
        return result

    def _click(self, element: str, seconds: float) -> None:
        """Click in the middle of an element that a JavaScript expression finds."""
        self.until(element, seconds)
        middle = "box => ({x: box.x + box.width / 2, y: box.y + box.height / 2})"
        place = self.evaluate(f"({middle})(({element}).getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def _send(self, method: str, session: str, **parameters: Any) -> int:
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self._socket.send(json.dumps(message))
        return self._last

    def _listen(self, session: str) -> None:
        """Ask for the events of the page, or of a worker."""
        for domain in ("Runtime", "Log", "Network"):
            self._send(f"{domain}.enable", session)
        self._send(
            "Target.setAutoAttach",
            session,
            **{"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True},
        )
        if session:
            self._send("Runtime.runIfWaitingForDebugger", session)

    def _note(self, message: dict[str, Any]) -> None:
        """Note an event; answers to what `_listen` sent are none."""
        what = message.get("params", {})
        match message.get("method"):
            case "Target.attachedToTarget":
                self._listen(what["sessionId"])
            case "Network.requestWillBeSent":
                self.requests.append(what["request"]["url"])
            case "Network.webSocketCreated":
                self.requests.append(what["url"])
            case "Runtime.exceptionThrown":
                details = what["exceptionDetails"]
                self.errors.append(str(details.get("exception", details).get("description")))
            case "Runtime.consoleAPICalled" if what["type"] in ("error", "assert"):
                words = (str(part.get("value", part.get("description"))) for part in what["args"])
                self.errors.append(" ".join(words))
            case "Log.entryAdded" if what["entry"]["level"] == "error":
                self.errors.append(f"{what['entry']['text']} {what['entry'].get('url', '')}")

    def _start(self, width: int, height: int) -> subprocess.Popen[bytes]:
        command = chromium()
        if command is None:
            raise FileNotFoundError(f"none of {', '.join(_NAMES)} is installed")
        flags = [*_FLAGS, f"--window-size={width},{height}", f"--user-data-dir={self._folder}"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # The sandbox refuses to run as root.
        with open(Path(self._folder) / "log", "wb") as log:
            return subprocess.Popen([command, *flags, "about:blank"], stdout=log, stderr=log)

    def _address(self) -> str:
        """Return the address of the page's socket as soon as the browser has written its port."""
        file = Path(self._folder) / "DevToolsActivePort"
        end = time.monotonic() + _START_SECONDS
        while not (file.exists() and file.read_text().strip()):
            if self._process.poll() is not None or time.monotonic() > end:
                log = (Path(self._folder) / "log").read_text(errors="replace")[-2000:]
                raise PageError(f"Chromium did not start: {log}")
            time.sleep(0.05)
        port = file.read_text().split()[0]
        while True:
            with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=_START_SECONDS) as answer:
                pages = [one for one in json.load(answer) if one["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
            time.sleep(0.05)

    def _stop(self) -> None:
        """End the browser, which may have been asked to close."""
        try:
            self._process.wait(3.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
