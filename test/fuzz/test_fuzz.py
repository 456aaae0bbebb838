# SPDX-License-Identifier: Apache-2.0
"""Input of any kind, odd or damaged, is read or refused with a documented exception.

Memory is bounded, too. The suite runs few examples of each property, `make fuzz` as many as its
time allows, each of them with a limit of time.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import pickle
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import lz4.frame
import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import StoragePlugin
from scipy import sparse

pytest.importorskip("rclpy", reason="replay and conversion of messages need ROS 2")

from pear_ros.bags.bag import METADATA, Bag, find_bags
from pear_ros.bags.definitions import types_of
from pear_ros.bags.parts import custom_data
from pear_ros.bags.resumable import ResumableBag
from pear_ros.bags.snapshot import MAGIC, SnapshotError, dumps, loads
from pear_ros.bags.topic import BagError
from pear_ros.bags.unfinished import SNAPSHOT, UNFINISHED, ResumeError
from pear_ros.body.array_files import read_npy, read_npz
from pear_ros.body.model_files import load_smplx
from pear_ros.core.frame_clock import FrameClock
from pear_ros.core.parameters import Parameters
from pear_ros.export.run_file import read_run_file
from pear_ros.export.tracks import ResultsError
from pear_ros.pear.unpickle import load_pickle
from pear_ros.replay.in_threads import replay_in_threads
from pear_ros.replay.statistics import ReplayStatistics
from pear_ros.ros.conversion.encodings import ENCODINGS
from pear_ros.ros.conversion.frame_input import (
    CAMERA_INFO,
    DEPTH,
    DETECTIONS,
    IMAGE,
    FrameAssembler,
)
from pear_ros.ros.conversion.images import ImageError
from pear_ros.ros.conversion.lenses import lens_name
from testing.image_bags import START, TYPES, camera_info, header, raw, write_bag
from testing.mcap_records import channel, chunk, indexed, mcap, message, schema
from testing.mutations import for_want_of_memory, memory_limit, mutated
from testing.replaying import Stopped, replayed
from testing.replaying import recorded as recorded_images
from testing.tiny_pipeline import TinyPipeline

MEGABYTES = 1000
FUZZED = settings(
    # The suite takes a tenth of the profile's examples: a few seconds for all properties.
    max_examples=settings.default.max_examples // 10 or 1,
    suppress_health_check=list(HealthCheck),
)
PICTURE = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)


@contextmanager
def refused_with(*documented: type[Exception]) -> Iterator[None]:
    """Accept these exceptions, unless they stand for a lack of memory, and no others."""
    with memory_limit(MEGABYTES):
        try:
            yield
        except documented as error:
            assert not for_want_of_memory(error), "it takes too much memory"
            assert str(error), "the text says why"


@contextmanager
def file_of(content: bytes, name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        yield path


# Messages

STAMP = SimpleNamespace(sec=1, nanosec=0)
FLOATS = st.one_of(
    st.floats(), st.sampled_from((0.0, 1.0, 0.5, 24.0, 16.0, 1e39, -1e308, math.nan, math.inf))
)
SIZES = st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1))
TEXTS = st.text(max_size=20)
NUMBERS = st.integers(-(2**31), 2**31 - 1)


def named(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[SimpleNamespace]:
    return st.builds(SimpleNamespace, **fields)


HEADERS = named(
    stamp=named(sec=NUMBERS, nanosec=st.integers(0, 2**32 - 1)),
    frame_id=st.one_of(st.just("camera"), TEXTS),
)
RAW = named(
    header=HEADERS,
    width=SIZES,
    height=SIZES,
    step=SIZES,
    encoding=st.one_of(st.sampled_from((*ENCODINGS, "8UC3", "16UC1", "32FC1")), TEXTS),
    is_bigendian=st.integers(0, 255),
    data=st.binary(max_size=4000),
)


@st.composite
def images_of_right_size(draw: Any) -> SimpleNamespace:
    """Images whose sizes agree, so that they reach the conversion."""
    width, height, bytes_per_pixel = (draw(st.integers(1, most)) for most in (40, 40, 12))
    data = draw(st.binary(min_size=1, max_size=64))
    size = width * height * bytes_per_pixel
    return SimpleNamespace(
        header=draw(HEADERS),
        width=width,
        height=height,
        step=width * bytes_per_pixel,
        encoding=draw(st.sampled_from((*ENCODINGS, "8UC1", "8UC3", "16UC1", "32FC1"))),
        is_bigendian=draw(st.integers(0, 1)),
        data=(data * size)[:size],
    )


def encoded(suffix: str, picture: Any = PICTURE) -> bytes:
    return bytes(cv2.imencode(suffix, picture)[1].tobytes())


DEEP = PICTURE[..., 0].astype(np.uint16) * 257
PICTURES = (
    *(encoded(suffix) for suffix in (".jpg", ".png", ".webp", ".bmp", ".tiff")),
    *(encoded(suffix, DEEP) for suffix in (".png", ".tiff")),
    encoded(".jpg", PICTURE[..., 0]),
    struct.pack("<iff", 0, 10.0, 0.1) + encoded(".png", DEEP),
)
COMPRESSED = named(
    header=HEADERS,
    format=st.one_of(
        st.sampled_from(
            (
                "jpeg",
                "rgb8; jpeg compressed rgb8",
                "bayer_rggb8; jpeg compressed",
                "16UC1; compressedDepth png",
                "32FC1; compressedDepth png",
            )
        ),
        TEXTS,
    ),
    data=st.one_of(mutated(*PICTURES), st.sampled_from(PICTURES), st.binary(max_size=64)),
)
IMAGES = st.one_of(RAW, images_of_right_size(), COMPRESSED)


def assembled(image: SimpleNamespace, **companions: Any) -> Any:
    """Return the input of the pipeline; None where the image is refused."""
    topics = {IMAGE: "/image", CAMERA_INFO: "/camera_info", DETECTIONS: "/found", DEPTH: "/depth"}
    found = None
    with refused_with(ImageError):
        found = FrameAssembler(topics)(image, companions, Parameters())
        assert found.image.dtype == np.uint8 and found.image.shape[2:] == (3,)
        assert found.image.size and (found.camera.width, found.camera.height) == (
            found.image.shape[1],
            found.image.shape[0],
        )
        assert not any("MemoryError" in one.text for one in found.issues)
    return found


@FUZZED
@given(IMAGES)
def test_image(image: SimpleNamespace) -> None:
    assembled(image)


GOOD = SimpleNamespace(
    header=SimpleNamespace(stamp=STAMP, frame_id="camera"),
    width=24,
    height=16,
    step=72,
    encoding="bgr8",
    is_bigendian=0,
    data=PICTURE.tobytes(),
)
MODELS = ("plumb_bob", "rational_polynomial", "equidistant", "fisheye", "radtan", "none", "")


@st.composite
def matrices(draw: Any, columns: int) -> list[float]:
    fx, fy, cx, cy = (draw(st.one_of(near, FLOATS)) for near in map(st.just, (20.0, 20.0, 12, 8)))
    values = [0.0] * 3 * columns
    values[0], values[2], values[columns + 1], values[columns + 2] = fx, cx, fy, cy
    return values


INFOS = named(
    header=HEADERS,
    width=st.one_of(st.just(24), SIZES),
    height=st.one_of(st.just(16), SIZES),
    distortion_model=st.one_of(st.sampled_from(MODELS), TEXTS),
    d=st.lists(st.one_of(st.floats(-1.0, 1.0), FLOATS), max_size=15),
    k=matrices(3),
    p=matrices(4),
    roi=named(
        **{
            name: st.one_of(st.just(0), SIZES)
            for name in ("x_offset", "y_offset", "width", "height")
        },
        do_rectify=st.booleans(),
    ),
)


@FUZZED
@given(INFOS)
def test_camera_info(info: SimpleNamespace) -> None:
    camera = assembled(GOOD, camera_info=info).camera
    assert np.isfinite([camera.fx, camera.fy, camera.cx, camera.cy]).all()
    assert camera.fx > 0.0 and camera.fy > 0.0
    if camera.distortion is not None:
        assert np.isfinite(camera.distortion.coefficients).all()
        assert lens_name(info.distortion_model)
    rays = camera.rays(np.array([[0.0, 0.0], [12.0, 8.0], [23.0, 15.0]], np.float32))
    assert rays.shape[0] == 3
    camera.project(np.array([[0.0, 0.0, 2.0], [1.0, -1.0, 0.1], [5.0, 5.0, 1e-3]], np.float32))


DETECTED = named(
    header=HEADERS,
    detections=st.lists(
        named(
            bbox=named(
                center=named(position=named(x=FLOATS, y=FLOATS), theta=FLOATS),
                size_x=FLOATS,
                size_y=FLOATS,
            ),
            results=st.lists(
                named(
                    hypothesis=named(
                        class_id=st.one_of(st.sampled_from(("person", "0")), TEXTS), score=FLOATS
                    )
                ),
                max_size=3,
            ),
        ),
        max_size=5,
    ),
)


@FUZZED
@given(DETECTED)
def test_detections(found: SimpleNamespace) -> None:
    detected = assembled(GOOD, detections=found).detected
    for one in detected.people:
        assert one.box.dtype == np.float32 and np.isfinite(one.box).all()
        assert np.isfinite((one.box[2:] - one.box[:2]).prod())
    detected.misses(24, 16)


@FUZZED
@given(IMAGES)
def test_depth(image: SimpleNamespace) -> None:
    metres = assembled(GOOD, depth=image).depth
    if metres is not None:
        assert metres.shape == (16, 24) and metres.dtype == np.float32
        assert not (metres <= 0.0).any() and not np.isinf(metres).any()


STAMPS = st.builds(lambda s, ns: s * 10**9 + ns, NUMBERS, st.integers(0, 2**32 - 1))


@FUZZED
@given(st.lists(st.tuples(STAMPS, st.integers(0, 2**62)), max_size=20))
def test_times(times: list[tuple[int, int]]) -> None:
    clock, last = FrameClock(), -math.inf
    for stamp, arrival in times:
        tick = clock(stamp, arrival)
        assert math.isfinite(tick.time)
        assert tick.reset or tick.time > last
        last = tick.time


# Bags

KIND = "std_msgs/msg/Header"
BORDER = "=" * 80 + "\n"
DEFINITION = (
    f"builtin_interfaces/Time stamp\nstring frame_id\n{BORDER}"
    "MSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n"
)
IDL = "module a { module msg { const long N = 2; struct A { sequence<long, N> x; }; }; };"
RECORDS = (
    schema(1, KIND, DEFINITION)
    + channel(1, 1, "/good")
    + schema(2, "a/msg/A", IDL, "ros2idl")
    + channel(2, 2, "/idl")
    + b"".join(message(1, START + n, bytes(TYPES.serialize_cdr(header(n), KIND))) for n in range(3))
)


@cache
def mcap_files() -> tuple[bytes, ...]:
    size = len(RECORDS)
    chunks = [
        chunk(data, name, size, START, START + 3)
        for name, data in (
            ("zstd", zstandard.compress(RECORDS)),
            ("lz4", lz4.frame.compress(RECORDS)),
            ("", RECORDS),
        )
    ]
    return (mcap(RECORDS), mcap(*chunks), *(indexed([one]) for one in chunks))


@cache
def recorded(storage: StoragePlugin) -> dict[str, bytes]:
    """The files of a bag of rosbag2, by name."""
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder, "bag")
        messages = [
            ("/info", 0, camera_info(24, 16, 20.0, 0)),
            *(("/image", n, raw(PICTURE[:4, :4], n)) for n in range(3)),
        ]
        write_bag(bag, messages, storage)
        return {path.name: path.read_bytes() for path in bag.iterdir()}


def read_bag(path: Path) -> None:
    """Open a bag and read all of it, with a limit of memory."""
    with refused_with(BagError):
        for found in find_bags(path):
            bag = Bag(found)
            for topic in bag.topics.values():
                types_of(topic)
            for count, one in enumerate(bag.messages()):
                assert count < 100_000
                try:
                    bag.deserialize(one)
                except Exception as error:  # It may raise anything but this.
                    assert not for_want_of_memory(error), "it takes too much memory"
            bag.last_before(next(iter(bag.topics)), bag.end)
            bag.fingerprint()


@FUZZED
@given(st.deferred(lambda: mutated(*mcap_files())))
def test_mcap(content: bytes) -> None:
    with file_of(content, "odd.mcap") as path:
        read_bag(path)


@FUZZED
@given(st.deferred(lambda: mutated(RECORDS)))
def test_records_in_a_chunk(records: bytes) -> None:
    compressed = zstandard.compress(records)
    for size in (len(records), len(RECORDS)):
        whole = indexed([chunk(compressed, "zstd", size, START, START + 3)])
        with file_of(whole, "odd.mcap") as path:
            read_bag(path)


@st.composite
def definitions(draw: Any) -> bytes:
    """Definitions of messages with a few faults, and messages of these types."""
    encoding, text, kind = draw(
        st.sampled_from((("ros2msg", DEFINITION, KIND), ("ros2idl", IDL, "a/msg/A")))
    )
    words = text.split(" ")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(words) - 1))
        odd = ("uint8[1000000000]", "string", "N", "[", "]", "{", "};", "\n", "<=3", "1e9", "a/A[]")
        words[at : at + draw(st.integers(0, 2))] = [draw(st.sampled_from((*odd, *words)))]
    data = draw(st.binary(max_size=40))
    return mcap(
        schema(1, kind, " ".join(words), encoding),
        channel(1, 1, "/odd"),
        message(1, START, b"\0\1\0\0" + data),
    )


@FUZZED
@given(definitions())
def test_definition_of_messages(content: bytes) -> None:
    with file_of(content, "odd.mcap") as path:
        read_bag(path)


@FUZZED
@given(st.deferred(lambda: mutated(recorded(StoragePlugin.SQLITE3)["bag.db3"])))
def test_database(content: bytes) -> None:
    with file_of(content, "odd.db3") as path:
        read_bag(path)


@FUZZED
@given(st.deferred(lambda: mutated(recorded(StoragePlugin.MCAP)[METADATA])))
def test_metadata(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, data in recorded(StoragePlugin.MCAP).items():
            Path(folder, name).write_bytes(content if name == METADATA else data)
        read_bag(Path(folder))
        custom_data(Path(folder))


# Model files


@cache
def pickles() -> tuple[bytes, ...]:
    arrays = {"a": np.eye(3), "b": sparse.csc_matrix(np.eye(3)), "c": [np.float64(1), {"d"}]}
    return tuple(pickle.dumps(arrays, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1))


@FUZZED
@given(st.deferred(lambda: mutated(*pickles())))
def test_pickle(content: bytes) -> None:
    with file_of(content, "odd.pkl") as path, refused_with(ValueError):
        load_pickle(path)


@cache
def array_files() -> tuple[bytes, ...]:
    """An npz file as it is, one that is compressed, and an npy file."""
    arrays = {"v_template": np.eye(3), "f": np.zeros((4, 3), np.int32), "id": np.array(["h1"])}
    files = [io.BytesIO() for _ in range(3)]
    np.savez(files[0], **arrays)  # type: ignore[arg-type]
    np.savez_compressed(files[1], **arrays)  # type: ignore[arg-type]
    np.save(files[2], np.eye(3))
    return tuple(file.getvalue() for file in files)


@FUZZED
@given(st.deferred(lambda: mutated(*array_files())))
def test_arrays_of_models(content: bytes) -> None:
    with file_of(content, "odd.npz") as path:
        with refused_with(ValueError):
            read_npz(path, ["v_template", "f", "id"], "a model")
        with refused_with(ValueError):
            read_npy(path, "a model")
        with refused_with(ValueError):
            load_smplx(path)
        with refused_with(ResultsError):
            read_run_file(path)


@cache
def checkpoints() -> tuple[bytes, ...]:
    """Files of torch.save and of safetensors with the layout of PEAR's checkpoint, but small."""
    import torch
    from safetensors.torch import save

    parts = {
        "backbone": {"pos_embed": torch.ones(1, 5, 64), "blocks.0.norm1.weight": torch.ones(64)},
        "head": {"init_cam": torch.ones(1, 3)},
    }
    files = [io.BytesIO(), io.BytesIO()]
    torch.save(parts, files[0])
    torch.save({**parts, "head": torch.nn.Parameter(torch.ones(3))}, files[1])
    named = {f"{part}.{key}": value for part, of in parts.items() for key, value in of.items()}
    return (*(file.getvalue() for file in files), save(named))


@pytest.mark.skipif(
    not (find_spec("torch") and find_spec("safetensors")), reason="they read checkpoints"
)
@FUZZED
@given(st.deferred(lambda: mutated(*checkpoints())))
def test_checkpoint(content: bytes) -> None:
    from pear_ros.pear.checkpoint import CheckpointError, load_checkpoint

    with file_of(content, "odd.pt") as path, refused_with(CheckpointError):
        load_checkpoint(path)


# State of replay


def forged_states(content: bytes) -> st.SearchStrategy[bytes]:
    """Snapshots of a replay in which one value is another: `content` is that of a genuine one."""
    end = 8 + struct.unpack_from("<Q", content)[0]
    whole = json.loads(content[8:end])
    paths = list(_paths(whole))

    def forged(case: tuple[tuple[Any, ...], Any]) -> bytes:
        path, value = case
        copy = json.loads(content[8:end])
        place = copy
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        text = json.dumps(copy).encode()
        return signed(struct.pack("<Q", len(text)) + text + content[end:])

    return st.tuples(st.sampled_from(paths), JSON).map(forged)


def _paths(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value in a tree of JSON."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from _paths(value, (*path, key))


def run_with(pipeline: TinyPipeline) -> Any:
    return partial(replay_in_threads, build=lambda _, count: [pipeline] * count)


@cache
def stopped_replay() -> tuple[dict[str, bytes], bytes]:
    """The files of a bag that is replayed, and of its unfinished results, by relative path."""
    with tempfile.TemporaryDirectory() as folder:
        source = write_bag(Path(folder, "bag"), recorded_images())
        with contextlib.suppress(KeyboardInterrupt):
            replayed([source], Path(folder, "out"), run_with(Stopped()))
        files = {
            str(path.relative_to(folder)): path.read_bytes()
            for path in Path(folder).rglob("*")
            if path.is_file()
        }
    return files, files[f"out/{UNFINISHED}/{SNAPSHOT}"][len(MAGIC) + 32 :]


@FUZZED
@given(st.deferred(lambda: forged_states(stopped_replay()[1])))
def test_resumed_replay(snapshot: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in stopped_replay()[0].items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(snapshot if path.name == SNAPSHOT else content)
        run = run_with(TinyPipeline())
        assert replayed([Path(folder, "bag")], Path(folder, "out"), run).code in (0, 1)


def signed(content: bytes) -> bytes:
    """A snapshot with this content and a hash that fits: what was forged, not damaged."""
    return MAGIC + hashlib.sha256(content).digest() + content


STATE = {"a": [1, 2.5, None], "b": (np.arange(3), "text"), "c": {1, 2}, "n": math.nan}
CONTENT = dumps(STATE)[len(MAGIC) + 32 :]
TAGS = (
    *("float", "array", "scalar", "tuple", "set", "deque", "dict", "enum", "dataclass"),
    *("maxlen", "fields", "value", "x"),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda values: st.one_of(
        st.lists(values, max_size=3),
        st.dictionaries(
            st.sampled_from(TAGS),
            values,
            max_size=3,
        ),
    ),
    max_leaves=8,
)


def tree(value: Any) -> bytes:
    text = json.dumps(value).encode()
    end = 8 + struct.unpack_from("<Q", CONTENT)[0]
    return struct.pack("<Q", len(text)) + text + CONTENT[end:]


@FUZZED
@given(st.one_of(mutated(CONTENT), JSON.map(tree)))
def test_snapshot(content: bytes) -> None:
    with refused_with(SnapshotError):
        loads(signed(content))
    with tempfile.TemporaryDirectory() as folder, refused_with(ResumeError):
        work = Path(folder, UNFINISHED)
        work.mkdir()
        (work / SNAPSHOT).write_bytes(signed(content))
        bag = ResumableBag(Path(folder), "humans", {})
        try:
            bag.resume()
        finally:
            bag.abandon()


FIELDS = tuple(vars(ReplayStatistics()))


@FUZZED
@given(st.one_of(JSON, st.dictionaries(st.sampled_from(FIELDS), JSON)))
def test_summary_of_a_replay(value: Any) -> None:
    statistics = ReplayStatistics.loads(json.dumps(value))
    if statistics is not None:
        assert isinstance((statistics + ReplayStatistics()).dumps(), str)
        assert isinstance(statistics.useless, str)


@pytest.mark.parametrize("content", PICTURES[:5])
def test_examples_are_read_without_faults(content: bytes) -> None:
    """The properties start from input that is good, or they would test little."""
    image = SimpleNamespace(header=GOOD.header, format="jpeg", data=content)
    assert assembled(image).image.shape == PICTURE.shape
    for one in mcap_files():
        with file_of(one, "good.mcap") as path:
            assert len(list(Bag(path).messages())) % 3 == 0
    assert loads(signed(CONTENT)).keys() == STATE.keys()
