# SPDX-License-Identifier: Apache-2.0
"""`pear replay` in pieces, in threads and on Ray: the same results."""

from __future__ import annotations

import os
import queue
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from testing import tiny_pipeline

pytest.importorskip("rclpy", reason="needs ROS 2")

from pear_ros.bags.bag import Bag
from pear_ros.bags.time_range import TimeRange
from pear_ros.core.camera import IntrinsicsSource
from pear_ros.core.parameters import Parameters
from pear_ros.replay.in_threads import replay_in_threads
from pear_ros.replay.job import Job, plan
from pear_ros.replay.options import ReplayOptions
from testing.image_bags import PERIOD, Recorded, camera_info, detections, raw, write_bag
from testing.replaying import (
    IMAGE,
    INFO,
    SQUARES,
    Replayed,
    Stopped,
    content,
    ids_of,
    recorded,
    replayed,
)
from testing.tiny_pipeline import TinyPipeline, picture

CHUNK = 0.5
"""Seconds: five images."""


class Uneven(TinyPipeline):
    """Takes now more, now less time, so that pieces overtake each other."""

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        time.sleep(random.uniform(0.0, 0.003))
        return super().__call__(*arguments, **more)


def uneven(_: Parameters, count: int) -> list[TinyPipeline]:
    return [Uneven() for _ in range(count)]


class Slow(TinyPipeline):
    def __call__(self, *arguments: Any, **more: Any) -> Any:
        time.sleep(0.05)
        return super().__call__(*arguments, **more)


def slow(_: Parameters, count: int) -> list[TinyPipeline]:
    return [Slow() for _ in range(count)]


Replay = Callable[..., Replayed]


@pytest.fixture
def replay(tmp_path: Path) -> Replay:
    def run(*sources: Path, output: str = "out", count: int = 1, **how: Any) -> Replayed:
        here = partial(replay_in_threads, count=count, build=uneven)
        return replayed(list(sources), tmp_path / output, here, **how)

    return run


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return write_bag(tmp_path / "walk", recorded())


@pytest.mark.parametrize(("storage", "suffix"), [("mcap", "mcap"), ("sqlite3", "db3")])
def test_chunks_have_new_tracks_and_become_one_bag(
    replay: Replay, bag: Path, capsys: pytest.CaptureFixture[str], storage: str, suffix: str
) -> None:
    run = replay(bag, chunk=CHUNK, markers=True, storage=storage)
    assert run.code == 0
    stamps = [time for time, _ in run.messages()]
    assert stamps == [k * PERIOD + 3_000_000 for k in range(12)], "every image, once, in order"
    expected = [
        [f"c{k // 5}_{name}" for name in present] for k, present in enumerate(ids_of(SQUARES))
    ]
    assert run.ids == expected
    _, sixth = run.messages()[5]
    states = [human.tracking_state == human.NEW for human in sixth.humans]
    assert states == [True, True], "no track of the chunk before continues"
    assert len(run.messages("/mesh_markers")) == 12
    assert set(content(run.folder)) == {
        *(f"humans_{n}_0.{suffix}" for n in range(3)),
        "metadata.yaml",
    }
    printed = capsys.readouterr().out
    assert "images                12" in printed and printed.count("images          ") == 1
    assert replay(bag, chunk=CHUNK, markers=True, storage=storage).code == 0
    assert "complete already" in capsys.readouterr().out


def test_what_was_refused_is_printed_again(
    replay: Replay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = list(recorded())
    messages[3] = (IMAGE, messages[3][1], raw(picture(0), PERIOD, "strange"))
    bag = write_bag(tmp_path / "bad", messages)
    for _ in range(2):
        assert replay(bag, chunk=CHUNK).code == 1
        assert "refused               1: 1 encoding strange" in capsys.readouterr().out


def test_a_start_beyond_the_end_leaves_no_state(replay: Replay, bag: Path) -> None:
    assert replay(bag, chunk=CHUNK, start=99.0).code == 1
    assert replay(bag, chunk=CHUNK).code == 0


def test_the_same_bytes_however_many_at_once(replay: Replay, tmp_path: Path) -> None:
    for name in "abc":
        write_bag(tmp_path / "many" / name, recorded(SQUARES[: 4 + ord(name) % 5]))
    options: dict[str, Any] = {"chunk": CHUNK, "with_inputs": True}
    one = replay(tmp_path / "many", output="one", **options)
    assert one.code == 0 and len(content(one.folder)) == 9
    for count in (2, 8):
        several = replay(tmp_path / "many", output=f"{count}", count=count, **options)
        assert several.code == 0 and content(several.folder) == content(one.folder)


def test_what_belongs_to_images_is_found_beyond_the_ends_of_a_chunk(
    replay: Replay, tmp_path: Path
) -> None:
    """CameraInfo is recorded once, at the beginning; detections and depth are late."""
    messages: list[Recorded] = [(INFO, 0, camera_info(64, 48, 90.0, 0))]
    for k in range(30):
        stamp, late = k * PERIOD, k * PERIOD + 350_000_000
        messages.append((IMAGE, stamp, raw(picture(k % 4), stamp)))
        messages.append(("/boxes", late, detections([(k, 0, k + 10, 20)], stamp)))
        metres = np.full((48, 64), 1.0 + k, np.float32)
        messages.append(("/depth", late, raw(metres, stamp, "32FC1")))
    bag = write_bag(tmp_path / "late", sorted(messages, key=lambda message: message[1]))
    seen: dict[bool, dict[float, Any]] = {True: {}, False: {}}
    for chunked, found in seen.items():
        tiny = TinyPipeline()
        run = replayed(
            [bag],
            tmp_path / f"out_{chunked}",
            partial(replay_in_threads, build=lambda _, count, tiny=tiny: [tiny]),
            Parameters(detector="topic", detection_classes="", depth=True),
            chunk=CHUNK if chunked else None,
            image=IMAGE,
            depth="/depth",
            detections="/boxes",
        )
        assert run.code == 0
        for given in zip(tiny.stamps, tiny.cameras, tiny.detections, tiny.depths, strict=True):
            stamp, camera, boxes, depth = given
            assert boxes is not None and depth is not None
            assert camera.source is IntrinsicsSource.CAMERA_INFO
            found[stamp] = (boxes[0].box.tolist(), float(depth[0, 0]))
    assert len(seen[True]) == 30 and seen[True] == seen[False]


def test_inputs_are_copied_once(replay: Replay, bag: Path) -> None:
    folder = replay(bag, chunk=0.3, with_inputs=True).folder
    assert sorted(Bag(folder).messages([IMAGE, INFO])) == sorted(Bag(bag).messages())


def test_chunks_without_images(
    replay: Replay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [(IMAGE, k * PERIOD, raw(picture(k % 4), k * PERIOD)) for k in (0, 1, 2, 20, 21)]
    run = replay(write_bag(tmp_path / "gap", images), chunk=CHUNK, count=2)
    assert run.code == 0 and len(run.messages()) == 5
    times = [(INFO, k * PERIOD, camera_info(64, 48, 90.0, 0)) for k in range(9)]
    last = [(IMAGE, 0, raw(picture(0), 0)), *times]
    none = replay(write_bag(tmp_path / "none", last), start=0.2, chunk=CHUNK, output="nothing")
    assert none.code == 1 and "no image on /front/image_raw" in capsys.readouterr().err


def test_chunks_and_the_whole_are_not_mixed(
    replay: Replay, bag: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(output: Path, chunk: float | None) -> None:
        run = partial(replay_in_threads, build=lambda _, count: [Stopped()])
        assert replayed([bag], output, run, chunk=chunk).code == 130

    folder = bag.parent / "out"
    stopped(folder, None)
    assert replay(bag, chunk=CHUNK).code == 1
    assert "was begun without --chunk" in capsys.readouterr().err
    assert replay(bag, chunk=CHUNK, overwrite=True).code == 0
    stopped(folder / "of", CHUNK)
    assert replay(bag, output="out/of").code == 1
    assert "was begun with --chunk" in capsys.readouterr().err
    assert replay(bag, output="out/of", chunk=0.4).code == 1
    printed = capsys.readouterr().err
    assert "chunk was '0.5' and is '0.4'" in printed
    rest = replay(bag, output="out/of", chunk=CHUNK)
    assert rest.code == 0
    whole = replay(bag, output="whole", chunk=CHUNK)
    assert content(rest.folder) == content(whole.folder)
    (bag.parent / "thesis").mkdir()
    (bag.parent / "thesis" / "thesis.tex").touch()
    assert replay(bag, output="thesis", chunk=CHUNK).code == 1
    assert "is not empty" in capsys.readouterr().err


def test_killed_while_chunks_are_put_together(
    replay: Replay, bag: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = content(replay(bag, output="whole", chunk=CHUNK).folder)
    move = os.replace

    for kept in (0, 2):
        moved: list[str] = []

        def dying(source: Any, target: Any, moved: list[str] = moved, kept: int = kept) -> None:
            if Path(source).parent.name.startswith("chunk_") and "metadata" not in str(source):
                if len(moved) == kept:
                    raise KeyboardInterrupt
                moved.append(str(source))
            move(source, target)

        with monkeypatch.context() as patch:
            patch.setattr("pear_ros.bags.chunks.os.replace", dying)
            code = replay(bag, output=f"at{kept}", chunk=CHUNK).code
        assert code == 130 and len(moved) == kept
        again = replay(bag, output=f"at{kept}", chunk=CHUNK)
        assert again.code == 0 and content(again.folder) == whole


def test_time_ranges_are_all_of_it_and_do_not_overlap() -> None:
    whole = TimeRange(7, 7 + 3_600_000_000)
    parts = whole.split(1.0)
    assert len(parts) == 4 and parts[0].first == whole.first and parts[-1].last == whole.last
    assert all(b.first == a.last + 1 for a, b in pairwise(parts))
    assert whole.split(None) == [whole]


# Ray


def test_worker_of_ray_limits_the_threads_of_blas_while_it_replays(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="needs Ray")
    from pear_ros.replay.on_ray import _Actor

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    seen: set[int] = set()

    class Counting(TinyPipeline):
        def __call__(self, *arguments: Any, **more: Any) -> Any:
            seen.update(blas_threads())
            return super().__call__(*arguments, **more)

    job = Job(ReplayOptions(), Parameters())
    (piece,) = plan(bag, tmp_path / "out", job).pieces
    with threadpool_limits(2, "blas"):
        actor = _Actor(job, 1, lambda _, count: [Counting() for _ in range(count)])  # type: ignore[misc]
        before = blas_threads()
        assert 2 in before
        actor.replay(piece, queue.SimpleQueue())  # type: ignore[arg-type]
        assert seen == {1}
        assert blas_threads() == before


def blas_threads() -> set[int]:
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_ray_gives_the_same_bytes_though_a_worker_is_killed(
    replay: Replay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ray = pytest.importorskip("ray", reason="needs Ray")
    for module in (tiny_pipeline, sys.modules[__name__]):
        ray.cloudpickle.register_pickle_by_value(module)  # Workers do not see the tests' folder.
    from pear_ros.replay.on_ray import replay_by_ray

    squares = [tuple(np.flatnonzero(np.random.default_rng(k).random(4) < 0.5)) for k in range(60)]
    bags = [write_bag(tmp_path / "many" / name, recorded(squares)) for name in "ab"]
    one = replay(tmp_path / "many", output="one", chunk=1.5)
    killed: list[int] = []

    def kill_a_worker() -> None:
        """As soon as one of them has begun."""
        unfinished = tmp_path / "by_ray" / "a" / ".unfinished"
        while not list(unfinished.glob("*/.unfinished/snapshot")):
            time.sleep(0.02)
        found = [int(p.name) for p in Path("/proc").glob("[0-9]*") if _is_worker(p)]
        killed.append(random.choice(found))
        os.kill(killed[0], signal.SIGKILL)

    threading.Thread(target=kill_a_worker, daemon=True).start()
    by_ray = partial(replay_by_ray, address="local", workers=2, build=slow)
    run = replayed([bag.parent for bag in bags[:1]], tmp_path / "by_ray", by_ray, chunk=1.5)
    assert killed and run.code == 0
    assert content(run.folder) == content(one.folder)


def _is_worker(process: Path) -> bool:
    try:
        return b"ray::_Actor.replay" in (process / "cmdline").read_bytes()
    except OSError:
        return False
