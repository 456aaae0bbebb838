# SPDX-License-Identifier: Apache-2.0
"""Fixtures and settings of all tests."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

if TYPE_CHECKING:
    from testing.ros_bench import Bench

# No timed tests: a busy machine is not a failure. `make fuzz` looks for input that takes for ever.
hypothesis.settings.register_profile("pear", deadline=None)
hypothesis.settings.register_profile("fuzz", deadline=20_000, max_examples=5_000)
hypothesis.settings.load_profile("pear")

# Isolates tests with real nodes from other ROS systems, and from other runs of these tests.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)

# Shells have what they start in the background ignore Ctrl-C, and so would what tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Have no test look for garbage in what is there already: benches of nodes collect it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def pear_assets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with synthetic files of SMPL-X and FLAME for PEAR, without a checkpoint.

    Making it takes seconds, so all tests share it: leave its files as they are.
    """
    from testing.parity.recipe import write_assets

    folder = tmp_path_factory.mktemp("pear_assets")
    write_assets(folder, 5)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def pear_folder(pear_assets: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder for this test with links to the files of `pear_assets`, which may be replaced."""
    folder = tmp_path / "my models"
    _link(pear_assets, folder)
    yield folder
    shutil.rmtree(tmp_path)  # Converted files are big.


@pytest.fixture(scope="session")
def pear_cache(pear_assets: Path) -> Path:
    """The file into which pear_ros converts those of `pear_assets`, which takes seconds."""
    from pear_ros.pear.cache import cache_file
    from pear_ros.pear.files import find_model_files, load_body_files

    smplx, _ = load_body_files(find_model_files(pear_assets))
    return cache_file(pear_assets, smplx.sha256)


@pytest.fixture
def converted_folder(pear_folder: Path, pear_cache: Path) -> Path:
    """`pear_folder` after its first use; do not write to the cache in it."""
    (pear_folder / pear_cache.name).symlink_to(pear_cache)
    return pear_folder


@pytest.fixture(scope="session")
def pear_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Random weights of a small network, in the layout of PEAR's file."""
    torch = pytest.importorskip("torch", reason="a checkpoint is written by torch")
    from testing.parity import recipe

    weights = recipe.fill_state_dict(recipe.network_layout(**recipe.CONFIG_SMALL), 5)
    parts: dict[str, dict[str, object]] = {"backbone": {}, "head": {}}
    for key, value in weights.items():
        part, _, name = key.partition(".")
        parts[part][name] = torch.from_numpy(value)
    path = tmp_path_factory.mktemp("checkpoint") / "pear_model.pt"
    torch.save(parts, path)
    yield path
    path.unlink()


@pytest.fixture(scope="session")
def pear_models(
    pear_assets: Path,
    pear_cache: Path,
    pear_checkpoint: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """A folder with synthetic versions of all of PEAR's files; shared, so do not change them."""
    folder = tmp_path_factory.mktemp("pear_models")
    _link(pear_assets, folder)
    (folder / pear_cache.name).symlink_to(pear_cache)
    (folder / "pear_model.pt").symlink_to(pear_checkpoint)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def executor() -> Iterator[Any]:
    """Spins the nodes of a test module; needs ROS 2."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    context = rclpy.Context()
    rclpy.init(context=context)
    executor = SingleThreadedExecutor(context=context)
    yield executor
    executor.shutdown()
    rclpy.shutdown(context=context)


@pytest.fixture
def make_bench(executor: Any) -> Iterator[Callable[..., Bench]]:
    """Create a node under test with a tiny pipeline and the parameters given, and a client."""
    from testing.ros_bench import Bench

    benches: list[Bench] = []

    def make(**parameters: Any) -> Bench:
        benches.append(Bench(executor, **parameters))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """A node under test with the default parameters, active."""
    return make_bench()


def _link(assets: Path, folder: Path) -> None:
    for file in filter(Path.is_file, assets.rglob("*/*")):
        link = folder / file.relative_to(assets)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
