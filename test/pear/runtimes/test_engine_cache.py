# SPDX-License-Identifier: Apache-2.0
"""Tests of the engines on disk: what was stored is found, and nothing else is ever loaded."""

from __future__ import annotations

import logging
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pear_ros.pear.runtimes.accuracy import Verdict
from pear_ros.pear.runtimes.engine_cache import EngineCache
from pear_ros.pear.runtimes.engine_record import EngineKey
from pear_ros.pear.runtimes.private_files import PrivateFolder

KEY = EngineKey("ab12", "cd34", "fp16", 8, 3, "10.3.0", "Orin", "8.7", 16, 32, "Linux aarch64")
PLAN = bytes(range(256)) * 40
GOOD = Verdict(0.05, 0.5, 0.5, 2.0, 1.0)
BAD = replace(GOOD, mean_rotation_deg=30.0)
BODY = "ehm-s/1 0123"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def cache(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> EngineCache:
    caplog.set_level(logging.INFO)
    return EngineCache(tmp_path / "cache" / "engines")


def plan_file(cache: EngineCache) -> Path:
    return cache.folder / f"{KEY.name}.plan"


def record_file(cache: EngineCache) -> Path:
    return cache.folder / f"{KEY.name}.json"


def plan_of(cache: EngineCache, key: EngineKey = KEY) -> bytes | None:
    """What would be given to TensorRT."""
    kept = cache.load(key)
    return None if kept is None or kept.plan is None else bytes(kept.plan)


def in_process(code: str, cache: EngineCache) -> subprocess.Popen[str]:
    """Another process with `cache`, KEY and PLAN defined."""
    start = (
        "import logging, sys, time; from pathlib import Path;"
        "from pear_ros.pear.runtimes.engine_cache import EngineCache;"
        "from pear_ros.pear.runtimes.engine_record import EngineKey;"
        "logging.basicConfig(level='INFO', format='%(message)s', stream=sys.stdout);"
        f"KEY = {KEY!r}; PLAN = bytes(range(256)) * 40;"
        f"cache = EngineCache(Path({str(cache.folder)!r}))\n"
    )
    command = [sys.executable, "-u", "-c", start + code]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def lines(child: subprocess.Popen[str], last: str) -> None:
    """Read the output of a process until the line `last`."""
    assert child.stdout is not None
    assert any(line.rstrip() == last for line in child.stdout), "it ended before"


def test_what_is_stored_is_found(cache: EngineCache) -> None:
    assert cache.load(KEY) is None
    cache.store(KEY, PLAN)
    kept = cache.load(KEY)
    assert kept is not None and kept.plan is not None
    assert bytes(kept.plan) == PLAN
    assert kept.verdict is None
    assert kept.path == plan_file(cache)


def test_folder_that_is_exchanged_after_its_check_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, planted = tmp_path / "own", tmp_path / "planted"
    folder = PrivateFolder(own)
    for path, content in ((own, b"own"), (planted, b"planted")):
        PrivateFolder(path).write("plan", content)
    fstat = os.fstat

    def exchange(descriptor: int) -> os.stat_result:
        status = fstat(descriptor)
        if stat.S_ISDIR(status.st_mode) and planted.exists():
            own.rename(tmp_path / "checked")
            planted.rename(own)
        return status

    monkeypatch.setattr(os, "fstat", exchange)
    assert bytes(folder.read("plan")) == b"own"
    own.rename(planted)
    (tmp_path / "checked").rename(own)
    folder.write("plan", b"new")
    assert (own / "plan").read_bytes() == b"planted"
    assert (tmp_path / "checked" / "plan").read_bytes() == b"new"


@pytest.mark.parametrize("umask", [0, 0o022])
def test_folder_and_files_are_the_users_alone(umask: int, cache: EngineCache) -> None:
    previous = os.umask(umask)
    try:
        cache.store(KEY, PLAN)
        cache.store_timing_cache(KEY, b"times")
        with cache.lock(KEY):
            pass
    finally:
        os.umask(previous)
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    files = list(cache.folder.iterdir())
    assert len(files) == 4
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_the_default_folder_is_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PEAR_ROS_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert EngineCache().folder == tmp_path / "pear_ros" / "engines"


def test_everything_in_a_key_counts(cache: EngineCache) -> None:
    for field in fields(EngineKey):
        value = getattr(KEY, field.name)
        other = replace(KEY, **{field.name: 7 if isinstance(value, int) else "another"})
        cache.store(other, b"other")
        assert other.name != KEY.name
        assert cache.load(KEY) is None, field.name


def test_the_log_says_what_the_kept_engine_is_for(
    cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.load(KEY)
    assert f"There is no engine in fp16 yet: none of these weights is kept in {cache.folder}." in (
        caplog.messages
    )
    cache.store(replace(KEY, tensorrt="10.13.3"), PLAN)
    cache.load(KEY)
    assert caplog.messages[-1].endswith("is for TensorRT 10.13.3 instead of 10.3.0.")


def test_engines_of_an_earlier_version_are_replaced_with_a_reason(
    cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.store(KEY, PLAN)
    old = {record_file(cache): b'{"schema": 1}', plan_file(cache): PLAN}
    for path, content in old.items():
        path.rename(path.with_stem("engine_old"))
        path.with_stem("engine_old").write_bytes(content)
    assert cache.load(KEY) is None
    assert caplog.messages[-1].endswith("are of an earlier version of this package.")
    cache.store(KEY, PLAN)
    assert not list(cache.folder.glob("engine_old.*")), "nothing uses it, and it is large"
    assert "engine_old, an engine of an earlier version" in caplog.text
    assert plan_of(cache) == PLAN


def test_engines_of_a_later_version_are_left_alone(cache: EngineCache) -> None:
    cache.store(KEY, PLAN)
    later = record_file(cache).with_stem("engine_later")
    later.write_bytes(b'{"schema": 99}')
    later.chmod(0o600)
    cache.store(KEY, PLAN)
    assert later.exists()


def test_a_renamed_engine_is_not_used(cache: EngineCache, caplog: pytest.LogCaptureFixture) -> None:
    other = replace(KEY, device="Thor")
    cache.store(other, PLAN)
    for file in list(cache.folder.iterdir()):
        file.rename(file.with_stem(KEY.name))
    assert cache.load(KEY) is None
    assert "is of another engine" in caplog.text


def test_only_outdated_engines_are_replaced(cache: EngineCache) -> None:
    outdated = [replace(KEY, tensorrt="9"), replace(KEY, graph="old", tensorrt="8")]
    others = [
        replace(KEY, **{name: value})
        for name, value in (
            *(("weights", "other"), ("precision", "bf16"), ("max_people", 2), ("level", 5)),
            *(("device", "Thor"), ("compute_capability", "9.0"), ("platform", "Linux x86_64")),
            *(("multiprocessors", 8), ("memory_gib", 16)),
        )
    ]
    for key in (*others, *outdated):
        cache.store(key, PLAN)
    cache.store(KEY, PLAN)
    assert [cache.load(key) is None for key in outdated] == [True, True]
    assert [plan_of(cache, key) for key in (*others, KEY)] == [PLAN] * 10


def test_verdicts_are_kept_beside_the_engine(cache: EngineCache) -> None:
    cache.store(KEY, PLAN)
    cache.store_verdict(KEY, GOOD, BODY)
    kept = cache.load(KEY)
    assert kept is not None
    assert (kept.verdict, kept.body) == (GOOD, BODY)
    assert plan_of(cache) == PLAN
    cache.store(KEY, PLAN[:100])
    kept = cache.load(KEY)
    assert kept is not None and kept.verdict is None, "it is another engine"


def test_refused_engines_leave_their_record_alone(cache: EngineCache) -> None:
    cache.store(KEY, PLAN)
    cache.store_verdict(KEY, BAD, BODY)
    kept = cache.load(KEY)
    assert kept is not None
    assert (kept.plan, kept.verdict, kept.path) == (None, BAD, record_file(cache))
    assert not plan_file(cache).exists()


def test_a_refusal_that_would_be_none_today_is_forgotten(cache: EngineCache) -> None:
    cache.store(KEY, PLAN)
    cache.store_verdict(KEY, BAD, BODY)
    text = record_file(cache).read_text()
    record_file(cache).write_text(text.replace("30.0", "0.03"))
    assert cache.load(KEY) is None


def test_a_verdict_on_an_engine_that_could_not_be_kept_is_not_kept(cache: EngineCache) -> None:
    cache.store_verdict(KEY, GOOD, BODY)
    assert cache.load(KEY) is None
    assert not record_file(cache).exists()


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_is_found(data: st.DataObject, cache: EngineCache) -> None:
    cache.store(KEY, PLAN)
    path = data.draw(st.sampled_from([plan_file(cache), record_file(cache)]))
    good = path.read_bytes()
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, len(good)))
    path.write_bytes(good[:start] + data.draw(st.binary(max_size=40)) + good[end:])
    found = plan_of(cache)
    assert found is None or found == PLAN
    if path == plan_file(cache):
        assert (found == PLAN) == (path.read_bytes() == good)
    cache.store(KEY, PLAN)
    assert plan_of(cache) == PLAN


@given(place=st.integers(0, len(PLAN) - 1), bit=st.integers(0, 7))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_single_changed_bit_is_found(place: int, bit: int, cache: EngineCache) -> None:
    cache.store(KEY, PLAN)
    changed = bytearray(PLAN)
    changed[place] ^= 1 << bit
    plan_file(cache).write_bytes(changed)
    assert cache.load(KEY) is None


@given(text=st.text() | st.sampled_from(["[" * 60000, "1" * 5000, '{"schema": 1}', "null"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rubbish_instead_of_a_record_is_no_engine(text: str, cache: EngineCache) -> None:
    cache.store(KEY, PLAN)
    record_file(cache).write_bytes(text.encode(errors="replace"))
    assert cache.load(KEY) is None
    cache.store_verdict(KEY, GOOD, BODY)
    assert cache.load(KEY) is None


@pytest.mark.parametrize("size", [0, 1, len(PLAN) - 1, len(PLAN) + 1])
def test_a_plan_of_another_size_is_not_used(
    size: int, cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.store(KEY, PLAN)
    plan_file(cache).write_bytes((PLAN + b"x")[:size])
    assert cache.load(KEY) is None
    assert f"has {size} bytes instead of {len(PLAN)}" in caplog.text


def test_a_plan_that_is_gone(cache: EngineCache, caplog: pytest.LogCaptureFixture) -> None:
    cache.store(KEY, PLAN)
    plan_file(cache).unlink()
    assert cache.load(KEY) is None
    assert "is gone" in caplog.text


@pytest.mark.parametrize("suffix", [".plan", ".json"])
def test_symbolic_links_are_not_followed(
    suffix: str, cache: EngineCache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.store(KEY, PLAN)
    path = plan_file(cache).with_suffix(suffix)
    target = tmp_path / "elsewhere"
    path.rename(target)
    path.symlink_to(target)
    assert cache.load(KEY) is None
    assert "is a symbolic link" in caplog.text
    content = target.read_bytes()
    cache.store(KEY, b"new")
    assert not path.is_symlink()
    assert target.read_bytes() == content, "was written through the link"
    assert plan_of(cache) == b"new"


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
@pytest.mark.parametrize("suffix", [".plan", ".json"])
def test_files_that_others_may_write_are_not_used(
    suffix: str, mode: int, cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.store(KEY, PLAN)
    plan_file(cache).with_suffix(suffix).chmod(mode)
    assert cache.load(KEY) is None
    assert "others may write to" in caplog.text
    cache.store(KEY, PLAN)
    assert plan_of(cache) == PLAN


@as_root
@pytest.mark.parametrize("suffix", [".plan", ".json"])
def test_files_of_others_are_not_used(
    suffix: str, cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.store(KEY, PLAN)
    os.chown(plan_file(cache).with_suffix(suffix), 12345, 12345)
    assert cache.load(KEY) is None
    assert "belongs to the user with id 12345, not to this one (0)" in caplog.text
    cache.store(KEY, PLAN)
    assert plan_of(cache) == PLAN


def test_a_named_pipe_is_not_waited_for(
    cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.store(KEY, PLAN)
    record_file(cache).unlink()
    os.mkfifo(record_file(cache), 0o600)
    assert cache.load(KEY) is None
    assert "is no file" in caplog.text


@as_root
def test_a_folder_of_others_is_not_used(
    cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.store(KEY, PLAN)
    os.chown(cache.folder, 12345, 12345)
    before, had = sorted(cache.folder.iterdir()), len(caplog.records)
    assert cache.load(KEY) is None
    assert "belongs to the user with id 12345" in caplog.text
    cache.store(KEY, b"new")
    cache.store_verdict(KEY, BAD, BODY)
    with cache.lock(KEY):
        pass
    assert cache.timing_cache(KEY) == b""
    assert len(caplog.records) == 1 + had, "one warning will do"
    assert sorted(cache.folder.iterdir()) == before
    assert plan_file(cache).read_bytes() == PLAN


def test_a_link_to_a_folder_is_not_used(
    cache: EngineCache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.store(KEY, PLAN)
    moved = tmp_path / "moved"
    cache.folder.rename(moved)
    cache.folder.symlink_to(moved)
    assert cache.load(KEY) is None
    assert "is a symbolic link" in caplog.text
    cache.store(KEY, b"new")
    assert (moved / plan_file(cache).name).read_bytes() == PLAN


def test_a_link_to_nowhere_is_not_made_a_folder(cache: EngineCache, tmp_path: Path) -> None:
    cache.folder.parent.mkdir()
    cache.folder.symlink_to(tmp_path / "nowhere")
    cache.store(KEY, PLAN)
    assert cache.load(KEY) is None
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_in_which_others_may_write_is_taken_from_them(cache: EngineCache) -> None:
    cache.store(KEY, PLAN)
    cache.folder.chmod(0o777)
    assert plan_of(cache) == PLAN
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_costs_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    cache = EngineCache(tmp_path / "file" / "engines")
    for _ in range(2):
        with cache.lock(KEY):
            assert cache.load(KEY) is None
            cache.store(KEY, PLAN)
            cache.store_timing_cache(KEY, b"times")
            assert cache.timing_cache(KEY) == b""
            cache.store_verdict(KEY, BAD, BODY)
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    (warning,) = warnings
    assert "they are built at each start" in warning.getMessage()


def test_a_full_disk_leaves_nothing_behind(cache: EngineCache) -> None:
    cache.store(KEY, PLAN)
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "cache.store(KEY, PLAN * 2); print(sorted(p.name for p in cache.folder.iterdir()))"
    )
    child = in_process(code, cache)
    output, _ = child.communicate(timeout=60)
    assert "Engines cannot be kept" in output
    assert output.splitlines()[-1] == str([record_file(cache).name, plan_file(cache).name])
    assert plan_of(cache) == PLAN


def test_an_end_in_the_middle_of_a_store_does_no_harm(cache: EngineCache) -> None:
    cache.store(KEY, PLAN)
    child = in_process("while True: cache.store(KEY, PLAN * 2000)", cache)
    try:
        deadline = time.monotonic() + 60
        while not list(cache.folder.glob(".*.part")):
            assert time.monotonic() < deadline and child.poll() is None
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert plan_of(cache) in (None, PLAN, PLAN * 2000)
    (cache.folder / f".{KEY.name}.plan.0000.part").touch()  # killed where it hurts, for sure
    cache.store(KEY, PLAN)
    assert plan_of(cache) == PLAN
    assert not list(cache.folder.glob(".*.part"))


def test_readers_see_one_engine_or_another(cache: EngineCache) -> None:
    """A plan that is loaded stays as it was, whatever happens to its file."""
    cache.store(KEY, PLAN)
    kept = cache.load(KEY)
    assert kept is not None and kept.plan is not None
    cache.store(KEY, PLAN[::-1])
    assert bytes(kept.plan) == PLAN
    cache.store_verdict(KEY, BAD, BODY)
    assert bytes(kept.plan) == PLAN


def test_the_second_process_waits_and_finds_the_engine(cache: EngineCache) -> None:
    code = (
        "with cache.lock(KEY):\n"
        "    if cache.load(KEY): sys.exit('found')\n"
        "    print('building'); input(); cache.store(KEY, PLAN)\n"
    )
    first = in_process(code, cache)
    lines(first, "building")
    second = in_process(code, cache)
    lines(second, "Waiting for another process that builds this fp16 engine")
    assert first.communicate("go on\n", timeout=60)[1] == ""
    assert second.communicate(timeout=60)[1] == "found\n"


def test_a_killed_process_holds_no_lock(cache: EngineCache) -> None:
    child = in_process("with cache.lock(KEY): print('locked'); time.sleep(60)", cache)
    lines(child, "locked")
    entered = threading.Event()

    def enter() -> None:
        with cache.lock(KEY):
            entered.set()

    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    assert not entered.wait(0.3)
    child.kill()
    child.communicate()
    assert entered.wait(30)
    thread.join()


def test_a_planted_lock_file_is_not_followed(
    cache: EngineCache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.store(KEY, PLAN)
    target = tmp_path / "elsewhere"
    target.write_bytes(b"untouched")
    (cache.folder / f"{KEY.name}.lock").symlink_to(target)
    with cache.lock(KEY):
        assert plan_of(cache) == PLAN
    assert "is a symbolic link" in caplog.text
    assert target.read_bytes() == b"untouched"


def test_engines_for_something_else_are_not_waited_for(cache: EngineCache) -> None:
    with cache.lock(KEY), cache.lock(replace(KEY, precision="bf16")):
        pass


def test_what_happens_within_a_lock_comes_out_of_it(cache: EngineCache) -> None:
    with pytest.raises(OSError, match="mine"), cache.lock(KEY):
        raise OSError("mine")


def test_timings_are_kept(cache: EngineCache, caplog: pytest.LogCaptureFixture) -> None:
    assert cache.timing_cache(KEY) == b""
    cache.store_timing_cache(KEY, b"times")
    assert cache.timing_cache(KEY) == b"times"
    assert cache.timing_cache(replace(KEY, precision="bf16", weights="other")) == b"times"
    assert cache.timing_cache(replace(KEY, tensorrt="11")) == b""
    for other in ({"device": "Thor"}, {"multiprocessors": 8}, {"memory_gib": 16}):
        assert cache.timing_cache(replace(KEY, **other)) == b""
    path = cache.folder / KEY.timing_name
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.timing_cache(KEY) == b""
    assert "is damaged" in caplog.text
    path.chmod(0o666)
    assert cache.timing_cache(KEY) == b""
    assert "others may write" in caplog.text
