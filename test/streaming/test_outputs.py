# SPDX-License-Identifier: Apache-2.0
"""Packets over real sockets on this machine, recordings, URLs, and consumers that come and go."""

from __future__ import annotations

import json
import math
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pear_ros.streaming.live import LiveStream
from pear_ros.streaming.options import StreamOptions
from pear_ros.streaming.outputs import StreamError
from pear_ros.streaming.recording import MAGIC, Recording, StreamWriter
from pear_ros.streaming.replaying import replay
from pear_ros.streaming.urls import parse_stream_url
from pear_ros.streaming.websocket_output import WebSocketOutput
from testing.open_people import t_pose
from testing.streamed_people import UdpReceiver, observed, steps

OPTIONS = StreamOptions()
HEADER = MAGIC + b'{"version": 1, "url": "x"}\n'


def packet_head(seconds: float, size: int) -> bytes:
    return struct.pack("<dI", seconds, size)


@pytest.fixture
def receiver() -> Iterator[UdpReceiver]:
    with closing(UdpReceiver()) as one:
        yield one


def json_url(receiver: UdpReceiver) -> str:
    return f"json+udp://127.0.0.1:{receiver.port}"


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.01)


def live(url: str, said: list[str] | None = None, **others: Any) -> LiveStream:
    say = (said if said is not None else []).append
    return LiveStream([parse_stream_url(url)], OPTIONS, say, **others)


def send(stream: LiveStream, frames: int, begin: float = 0.0) -> None:
    """Send frames of a person who is seen at 50 Hz; time is not the clock's."""
    for n in range(frames):
        now = begin + n / 50
        stream.add(now, now, [observed()], None)
        stream.tick(now)


def test_json_over_udp(receiver: UdpReceiver) -> None:
    with closing(live(json_url(receiver))) as stream:
        send(stream, 15)
        numbers = [json.loads(one)["frame"] for one in receiver.receive(4)]
    assert numbers == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("stamp_of", "fault"),
    [
        (lambda n: 0.0, "stamps stand still"),
        (lambda n: 5.0, "stamps stand still"),
        (lambda n: n / 50 + 1000.0 * (n % 2), "stamps of several clocks"),
    ],
)
def test_people_are_followed_by_arrival_where_stamps_make_no_sense(
    receiver: UdpReceiver, stamp_of: Callable[[int], float], fault: str
) -> None:
    said: list[str] = []
    with closing(live(json_url(receiver), said)) as stream:
        states = []
        for n in range(150):
            stream.add(stamp_of(n), n / 50, [observed()], None)
            stream.tick(n / 50)
            states.append(stream.frame.state.value if stream.frame else "")
    assert states[-100:] == ["tracking"] * 100
    assert said == [f"images: {fault}; their times of arrival are used"]


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Hosts that were looked up; `robot` is this machine."""
    look_up, asked = socket.getaddrinfo, []

    def known(host: str, *others: Any, **options: Any) -> Any:
        asked.append(host)
        return look_up("127.0.0.1" if host == "robot" else host, *others, **options)

    monkeypatch.setattr(socket, "getaddrinfo", known)
    return asked


def test_hosts_are_resolved_once_at_the_start(
    receiver: UdpReceiver, name_server: list[str]
) -> None:
    with closing(live(f"json+udp://robot:{receiver.port}")) as stream:
        assert name_server.pop() == "robot"
        send(stream, 15)
        assert receiver.receive(1)
    assert set(name_server) == {"127.0.0.1"}, "without a name server"


@pytest.mark.parametrize(("scheme", "package"), [("ws", "websockets"), ("sonic", "zmq")])
def test_hosts_to_listen_on_are_resolved_once_at_the_start(
    scheme: str, package: str, name_server: list[str]
) -> None:
    pytest.importorskip(package)
    with closing(live(f"{scheme}://robot:0")) as stream:
        assert name_server.pop() == "robot"
        assert not stream.is_wanted(0.0)
        output = stream.channels[0].output
        assert output is not None and output.address.startswith("127.0.0.1:")
    assert set(name_server) <= {"127.0.0.1"}, "without a name server"


@pytest.mark.parametrize(
    ("scheme", "package"),
    [("json+udp", "socket"), ("vmc", "pythonosc"), ("ws", "websockets"), ("sonic", "zmq")],
)
def test_unknown_host_is_refused_at_the_start(scheme: str, package: str) -> None:
    pytest.importorskip(package)
    url = f"{scheme}://no.such.host.invalid:1"
    said = f"{re.escape(url)}: unknown host no.such.host.invalid .*IP address"
    with pytest.raises(StreamError, match=said):
        live(url)


def test_recording_is_not_sent_to_an_unknown_host(tmp_path: Path) -> None:
    pytest.importorskip("websockets", reason="needs websockets")
    path = tmp_path / "recording"
    with StreamWriter(path, "ws://no.such.host.invalid:1") as writer:
        writer.write(0.0, b"{}")
    with pytest.raises(StreamError, match=r"ws://no\S+: unknown host no\.such\.host"):
        replay(Recording(path), None)


@pytest.mark.parametrize(("scheme", "package"), [("ws", "websockets"), ("sonic", "zmq")])
def test_a_star_listens_on_all_interfaces(
    scheme: str, package: str, name_server: list[str]
) -> None:
    pytest.importorskip(package)
    with closing(live(f"{scheme}://*:0")) as stream:
        assert not name_server
        stream.is_wanted(0.0)
        output = stream.channels[0].output
        assert output is not None
        port = int(output.address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 5.0):
            pass


def test_sonic_listens_on_an_interface_by_its_name() -> None:
    pytest.importorskip("zmq", reason="needs pyzmq")
    with closing(live(f"sonic://{socket.if_nameindex()[0][1]}:0")) as stream:
        stream.is_wanted(0.0)
        assert stream.channels[0].output is not None


def test_udp_without_receiver_is_said_once_and_goes_on() -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    said: list[str] = []
    with closing(live(f"json+udp://127.0.0.1:{port}", said)) as stream:
        send(stream, 20)
    assert said == [f"nobody receives on UDP port 127.0.0.1:{port}; sending goes on"]


def test_sonic_publishes_for_subscribers_only() -> None:
    zmq = pytest.importorskip("zmq", reason="needs pyzmq")
    with closing(live("sonic://127.0.0.1:0?frames=2")) as stream:
        assert not stream.is_wanted(0.0)
        send(stream, 10)
        assert stream.frame is None
        address = stream.channels[0].output.address
        with zmq.Context.instance().socket(zmq.SUB) as subscriber:
            subscriber.setsockopt(zmq.RCVTIMEO, 10_000)
            subscriber.setsockopt(zmq.SUBSCRIBE, b"pose")
            subscriber.connect(f"tcp://{address}")
            wait(lambda: stream.is_wanted(1.0))
            send(stream, 10, begin=1.0)
            packet = subscriber.recv()
        assert packet.startswith(b'pose{"v":3,')
        assert json.loads(packet[4:1284].rstrip(b"\0"))["count"] == 2
        wait(lambda: not stream.is_wanted(2.0))


def test_a_port_in_use_is_said_once_and_taken_when_free() -> None:
    pytest.importorskip("zmq", reason="needs pyzmq")
    said: list[str] = []
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        stream = live(f"sonic://127.0.0.1:{port}", said)
        for second in range(5):
            stream.tick(float(second))
    with closing(stream):
        (sentence,) = said
        assert sentence.startswith(f"sonic://127.0.0.1:{port}: cannot publish on 127.0.0.1:{port}:")
        assert "in use" in sentence
        stream.tick(10.0)
        assert stream.channels[0].output is not None


class Client:
    """A WebSocket client in a thread, that keeps what arrives."""

    def __init__(self, address: str, **options: Any) -> None:
        from websockets.sync.client import connect

        self.connection = connect(f"ws://{address}", **options)
        self.messages: list[str] = []
        self.thread = threading.Thread(target=self._receive, daemon=True)
        self.thread.start()

    def _receive(self) -> None:
        from websockets import ConnectionClosed

        with suppress(ConnectionClosed):
            for message in self.connection:
                assert isinstance(message, str)
                self.messages.append(message)

    def close(self) -> None:
        self.connection.close()
        self.thread.join()


def test_websocket_clients_come_and_go() -> None:
    pytest.importorskip("websockets.sync.client", reason="needs websockets")
    with closing(live("ws://127.0.0.1:0")) as stream:
        send(stream, 5)
        assert stream.frame is None  # nothing is computed without a client
        address = stream.channels[0].output.address
        with closing(Client(address)) as first, closing(Client(address)) as second:
            wait(lambda: len(stream.channels[0].output._clients) == 2)
            send(stream, 20, begin=1.0)
            wait(lambda: first.messages and second.messages)
            wait(lambda: json.loads(first.messages[-1])["frame"] == stream.frame.index)
        wait(lambda: not stream.is_wanted(3.0))
        stream.tick(3.0)
        with closing(Client(address)) as third:
            wait(lambda: stream.is_wanted(4.0))
            last = stream.frame
            frames = []
            for n in range(60):  # somebody else, elsewhere, in another pose
                now = 4.0 + n / 50
                bent = t_pose(left_elbow=(0.0, -2.0, 0.0))
                stream.add(now, now, [observed(bent, (1.0, 0.0, 3.0), "h2")], None)
                stream.tick(now)
                frames.append(stream.frame)
            wait(lambda: third.messages)
            # A robot that is connected again is where it was.
            assert json.loads(third.messages[0])["frame"] > last.index
            found = steps([last, *dict.fromkeys(one for one in frames if one is not last)])
            assert 0.0 < found.joint <= OPTIONS.max_joint_rate / OPTIONS.rate * 1.000001
            assert 0.0 < found.root <= OPTIONS.max_root_speed / OPTIONS.rate * 1.000001


def test_ipv6_hosts() -> None:
    for module in ("zmq", "websockets"):
        pytest.importorskip(module)
    try:
        with closing(socket.socket(socket.AF_INET6)) as one:
            one.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    for scheme in ("sonic", "ws"):
        with closing(parse_stream_url(f"{scheme}://[::1]:0").output()) as output:
            port = int(output.address.rpartition(":")[2])
            socket.create_connection(("::1", port), 10.0).close()


def handshake(port: int) -> socket.socket:
    """Return a WebSocket client that will never read."""
    client = socket.create_connection(("127.0.0.1", port), 10.0)
    client.sendall(
        b"GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    return client


def test_clients_that_stall_or_speak_no_websocket_hold_up_nothing(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("websockets", reason="needs websockets")
    output = parse_stream_url("ws://127.0.0.1:0").output()
    port = int(output.address.rpartition(":")[2])
    with closing(socket.create_connection(("127.0.0.1", port), 10.0)) as stranger:
        stranger.sendall(b"no HTTP\r\n\r\n")
        while stranger.recv(4096):
            pass
    stalled = [handshake(port) for _ in range(3)]
    wait(lambda: len(output._clients) == 3)
    for _ in range(200):  # more than the sockets take
        assert output.send(b"x" * 50_000) == ""
    assert "no text" in output.send(b"\xff")
    closer = threading.Thread(target=output.close)
    closer.start()
    closer.join(5.0)
    assert not closer.is_alive()
    for client in stalled:
        client.close()
    assert "Traceback" not in capsys.readouterr().err + caplog.text


def test_pages_of_other_hosts_get_nothing() -> None:
    pytest.importorskip("websockets.sync.client", reason="needs websockets")
    with closing(live("ws://127.0.0.1:0")) as stream:
        stream.tick(0.0)
        address = stream.channels[0].output.address
        with closing(Client(address, origin="https://example.org")) as stranger:
            stranger.thread.join(10.0)
            assert stranger.connection.close_code == 1008
            assert not stream.is_wanted(0.0)
        with closing(Client(address, origin="http://localhost:8000")):
            wait(lambda: stream.is_wanted(0.0))


def test_websocket_port_in_use() -> None:
    pytest.importorskip("websockets", reason="needs websockets")
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        url = f"ws://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(StreamError, match=f"{url}: cannot listen on .* in use"):
            parse_stream_url(url).output()


def test_a_recorded_stream_replays_byte_for_byte(receiver: UdpReceiver, tmp_path: Path) -> None:
    file, url = tmp_path / "walk.stream", json_url(receiver)
    with StreamWriter(file, url) as writer, closing(live(url, writer=writer)) as stream:
        send(stream, 20)
        assert not file.exists()
    sent = receiver.receive(len(list(Recording(file))))
    assert len(sent) > 10
    assert [one.content for one in Recording(file)] == sent
    waits: list[float] = []
    count = replay(Recording(file), None, sleep=waits.append)
    again = receiver.receive(count)
    assert again == sent
    assert count == len(sent) and sum(waits) < 0.02 * count * count


def test_what_has_no_consumer_can_be_recorded(tmp_path: Path) -> None:
    pytest.importorskip("zmq", reason="needs pyzmq")
    file = tmp_path / "pose.stream"
    with (
        StreamWriter(file, "sonic://127.0.0.1:0") as writer,
        closing(live("sonic://127.0.0.1:0?frames=3", writer=writer)) as stream,
    ):
        send(stream, 10)
    packets = list(Recording(file))
    assert packets[0].seconds == 0.0
    assert packets[1].seconds == pytest.approx(0.02)
    assert all(one.content.startswith(b"pose{") for one in packets)


def test_an_interrupted_recording_leaves_no_file(tmp_path: Path) -> None:
    file = tmp_path / "walk.stream"
    with pytest.raises(RuntimeError), StreamWriter(file, "ws://127.0.0.1:1") as writer:
        writer.write(0.0, b"{}")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    file = tmp_path / "walk.stream"
    for size in (10, 100_000):  # noticed on closing, and on writing
        writer = StreamWriter(file, "ws://127.0.0.1:1")
        writer._file.close()
        writer._file = open("/dev/full", "wb")  # noqa: SIM115
        with pytest.raises(OSError, match=r"No space left on device.*walk\.stream"), writer:
            writer.write(0.0, bytes(size))
        assert list(tmp_path.iterdir()) == []


@settings(max_examples=50)
@given(content=st.binary(max_size=200), cut=st.integers(0, 400))
def test_damaged_recordings_are_refused(content: bytes, cut: int, tmp_path_factory: Any) -> None:
    file = tmp_path_factory.mktemp("recording") / "a.stream"
    with StreamWriter(file, "ws://127.0.0.1:1") as writer:
        writer.write(1.0, content)
        writer.write(1.5, content)
    whole = file.read_bytes()
    file.write_bytes(whole[:cut])
    if cut >= len(whole):
        assert [one.content for one in Recording(file)] == [content, content]
        return
    try:
        assert len(list(Recording(file))) < 2
    except StreamError as error:
        assert str(file) in str(error)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not a stream at all", "is no recorded stream"),
        (MAGIC + b"[]\n", "is damaged"),
        (MAGIC + b'{"version": 9, "url": "x"}\n', "is of version '9', not 1"),
        (MAGIC + b"[" * 100_000, "is damaged"),
        (MAGIC + b'{"version": "\x1b[2J", "url": "x"}\n', "is damaged"),
        (MAGIC + b'{"version": "\\u001b[2J", "url": "x"}\n', r"version '\\x1b\[2J', not 1"),
        (MAGIC + b'{"version": 1, "url": "x"}\n' + b"\xff" * 12, "is damaged"),
        (HEADER + packet_head(0.0, 1 << 31), "is damaged: a packet of 2147483648 bytes"),
        (HEADER + packet_head(1e300, 0), "is damaged: a packet at 1e\\+300 s"),
        (HEADER + packet_head(1.0, 0) + packet_head(0.5, 0), "at 0.5 s behind one at 1 s"),
        (HEADER + packet_head(-1.0, 0), "is damaged"),
        (HEADER + packet_head(math.nan, 0), "is damaged"),
    ],
)
def test_files_of_other_kinds_are_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "a.stream"
    file.write_bytes(content)
    with pytest.raises(StreamError, match=reason):
        list(Recording(file))


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port"),
    [
        ("sonic://127.0.0.1:5556", "sonic", "127.0.0.1", 5556),
        ("sonic://127.0.0.1?version=2&frames=4", "sonic", "127.0.0.1", 5556),
        ("json+udp://localhost", "json+udp", "localhost", 9870),
        ("ws://0.0.0.0:80/", "ws", "0.0.0.0", 80),
        ("vmc://[::1]:39540", "vmc", "::1", 39540),
    ],
)
def test_urls(text: str, scheme: str, host: str, port: int) -> None:
    url = parse_stream_url(text)
    assert (url.scheme, url.host, url.port) == (scheme, host, port)
    assert (url.version, url.frames) == ((2, 4) if "frames" in text else (3, 10))


@pytest.mark.parametrize(
    "text",
    [
        *("", "sonic", "http://127.0.0.1:1", "sonic://", "ws://127.0.0.1:99999", "ws://a/path"),
        *("sonic://a?version=1", "sonic://a?frames=0", "sonic://a?frames=x", "ws://a?frames=4"),
        *("sonic://a?speed=3", "ws://[::1", "ws://a..b", "ws://me@a", "ws://a#b", "vmc://a:0"),
        *(f"vmc://{'a' * 300}", f"sonic://a?frames={'9' * 5000}"),
    ],
)
def test_wrong_urls_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must "):
        parse_stream_url(text)


@settings(max_examples=50)
@given(text=st.text(max_size=30).map("sonic://".__add__) | st.text(max_size=30))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    try:
        parse_stream_url(text)
    except ValueError as error:
        assert str(error).startswith("must ")


def test_unknown_hosts_are_named() -> None:
    with pytest.raises(StreamError, match=r"cannot send to no\.such\.host\.invalid:1"):
        parse_stream_url("vmc://no.such.host.invalid:1").output()


@pytest.mark.parametrize(
    ("url", "module", "package"),
    [
        ("sonic://127.0.0.1:0", "zmq", "pyzmq"),
        ("ws://127.0.0.1:0", "websockets", "websockets"),
        ("vmc://127.0.0.1:1", "pythonosc.osc_bundle_builder", "python-osc"),
    ],
)
def test_missing_packages_are_named(
    url: str, module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(StreamError, match=f"needs {package}: pip install {package}$"):
        live(url)


def test_a_package_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("websockets", reason="needs websockets")
    monkeypatch.setattr("pear_ros.streaming.urls.metadata.version", lambda package: "9.1")
    with pytest.raises(StreamError, match=r"needs websockets 10 or newer, not 9\.1: pip install"):
        live("ws://127.0.0.1:0")


def test_the_address_has_the_port_that_its_host_listens_on() -> None:
    pytest.importorskip("websockets")
    output = WebSocketOutput([f"127.0.0.{last}" for last in range(1, 9)], 0)
    host, _, port = output.address.partition(":")
    with closing(output):
        socket.create_connection((host, int(port)), 5.0).close()
