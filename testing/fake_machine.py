# SPDX-License-Identifier: Apache-2.0
"""A fake machine with a GPU and TensorRT, and graphs for it."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pear_ros.core.people import Array
from pear_ros.pear import runtimes
from pear_ros.pear.graph import (
    Graph,
    GraphError,
    Progress,
    data_file,
    graph_name,
    read_graph,
    write_record,
)
from pear_ros.pear.runtimes.build_progress import BuildProgress
from pear_ros.pear.runtimes.reference_crops import bundled_crops
from testing.fakes import FakeCuda, fake_tensorrt

WEIGHTS = "0123456789abcdef"
MODULES = ("engine", "with_tensorrt", "engine_layers")


class FakeGraphs:
    """Graphs on disk, without a network in them; those that are not there cannot be made."""

    def __init__(self, folder: Path, reference: Array, *precisions: str) -> None:
        self.folder, self.reference = folder, reference
        for precision in precisions:
            self.write(precision)

    def write(self, precision: str, content: bytes = b"graph") -> None:
        path = self.path(precision)
        path.write_bytes(content)
        data_file(path).write_bytes(precision.encode())
        write_record(path, precision, WEIGHTS, self.reference)

    def path(self, precision: str) -> Path:
        return self.folder / graph_name(WEIGHTS, precision)

    def graph(self, precision: str, progress: Progress | None = None) -> Graph:
        """Return the graph in `precision`, as Weights.graph does."""
        existing = self.existing(precision)
        if existing is None:
            raise GraphError(f"there is no {precision} graph: `pear export-graph` makes one")
        return existing

    def existing(self, precision: str) -> Graph | None:
        """Return the graph in `precision` if it is there, as Weights.existing does."""
        return read_graph(self.path(precision)) if self.path(precision).exists() else None


def fake_reference() -> Array:
    """Outputs of FakeMachine's network for the bundled crops."""
    return fake_tensorrt.network(np.array(bundled_crops()))


@contextlib.contextmanager
def fake_machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    """All but CUDA, TensorRT and the building of engines is real; the cache is in `folder`."""
    fake = FakeCuda(folder, monkeypatch)
    monkeypatch.setattr(fake_tensorrt, "cuda", fake.library)
    monkeypatch.setitem(sys.modules, "tensorrt", fake_tensorrt)
    monkeypatch.setenv("PEAR_ROS_CACHE", str(folder / "cache"))
    unload_modules(monkeypatch)
    engine, *_ = (importlib.import_module(f"pear_ros.pear.runtimes.{name}") for name in MODULES)

    def build_plan(graph: Path, settings: Any, progress: Any) -> Any:
        assert settings.workspace >= 256 << 20
        assert settings.level == 3
        progress(BuildProgress("tactics", 0.5, 150.0))
        return engine.Built(memoryview(fake_tensorrt.plan(settings.max_people)), b"times")

    monkeypatch.setattr(engine, "build_plan", build_plan)
    yield fake
    fake.reset()
    for name in MODULES:
        sys.modules.pop(f"pear_ros.pear.runtimes.{name}", None)
        runtimes.__dict__.pop(name, None)


def unload_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the modules that import TensorRT, so that they are imported again."""
    for name in MODULES:
        monkeypatch.delitem(sys.modules, f"pear_ros.pear.runtimes.{name}", raising=False)
        monkeypatch.delattr(runtimes, name, raising=False)
