# SPDX-License-Identifier: Apache-2.0
"""Where meshes are computed: by NumPy, and as on a GPU, on one that is none."""

from __future__ import annotations

import dataclasses
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.core.estimator import DeviceLostError
from pear_ros.core.people import Array
from pear_ros.pear.body import PearBody, load_body
from pear_ros.pear.files import find_model_files
from pear_ros.pear.mesh import NumpyMesh, make_meshes
from testing.ehm_people import random_people

KERNELS = 100
"""Each takes a GPU some two microseconds, and 0.3 ms are all that one person may take."""


@pytest.fixture(scope="module", params=["ehm-s", "smplx"])
def body(request: pytest.FixtureRequest, pear_assets: Path) -> PearBody:
    return load_body(find_model_files(pear_assets), request.param)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    pytest.importorskip("torch", reason="meshes on GPUs are torch's")
    from testing.fake_torch_cuda import FakeGpu

    with FakeGpu(monkeypatch) as gpu:
        yield gpu


def expected(body: PearBody, people: EhmParameters) -> Array:
    return NumpyMesh(body)(people)


def test_by_numpy(body: PearBody) -> None:
    people = random_people(2)
    mesh = NumpyMesh(body)
    vertices = mesh(people)
    assert vertices.shape == (2, 10475, 3) and vertices.dtype == np.float32
    empty = random_people(0)
    assert mesh(empty).shape == (0, 10475, 3)
    mesh.close()


def test_on_a_gpu_the_same(body: PearBody, gpu) -> None:  # type: ignore[no-untyped-def]
    import torch

    from pear_ros.pear.cuda_mesh import CudaMesh, body_on

    device = torch.device("cpu")
    mesh = CudaMesh(body_on(device, body), device, 2)
    assert [graph.kernels < KERNELS for graph in gpu.graphs] == [True, True]
    for count in (3, 1, 0):
        people = random_people(count)
        vertices = mesh(people)
        assert vertices.shape == (count, 10475, 3) and vertices.dtype == np.float32
        np.testing.assert_allclose(vertices, expected(body, people), atol=1e-5)
    assert len(gpu.graphs) == 2 and gpu.waits == 3, "all recorded at the start, one wait a call"
    matrices = dataclasses.replace(people, pose=np.zeros((0, 55, 3, 3), np.float32))
    with pytest.raises(ValueError, match="pose of people has shape"):
        mesh(matrices)
    mesh.close()
    mesh.close()


def test_gpus_are_taken_where_they_work(
    body: PearBody, gpu: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    from pear_ros.pear import cuda_mesh

    class Small:
        """A GPU with room for one."""

        device = "small"
        made: ClassVar[list[Small]] = []
        closed = False

        def __init__(self, *_: object) -> None:
            if self.made:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            self.made.append(self)

        def close(self) -> None:
            self.closed = True

    monkeypatch.setattr(cuda_mesh, "CudaMesh", Small)
    monkeypatch.setattr(cuda_mesh, "body_on", lambda device, body: body)
    assert [type(mesh) for mesh in make_meshes(body, 1, 2)] == [Small]
    Small.made.clear()
    with caplog.at_level(logging.WARNING):
        assert [type(mesh) for mesh in make_meshes(body, 2, 2)] == [NumpyMesh, NumpyMesh]
    assert "CUDA out of memory" in caplog.text and Small.made[0].closed


def test_a_gpu_that_is_lost_later(
    body: PearBody, gpu: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from pear_ros.pear.cuda_mesh import CudaMesh, body_on

    def lost(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nDetails")

    mesh = CudaMesh(body_on(torch.device("cpu"), body), torch.device("cpu"), 1)
    monkeypatch.setattr(type(mesh._graphs), "run", lost)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        mesh(random_people(1))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lost)
    with pytest.raises(DeviceLostError, match=r"illegal memory access[^\n]*start it again$"):
        mesh(random_people(1))
    mesh.close()


@pytest.mark.parametrize("error", ["ImportError", "OSError", "ValueError", "AttributeError"])
def test_a_broken_torch_that_is_not_needed(error: str, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(f"raise {error}('broken')")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pear_ros.pear.mesh import make_meshes\n"
        "print([type(mesh).__name__ for mesh in make_meshes(None, 2, 2)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "['NumpyMesh', 'NumpyMesh']\n", done.stderr
    assert "as torch is broken: broken" in done.stderr


def test_robots_need_no_torch() -> None:
    code = "import pear_ros.pear.mesh, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_on_a_real_gpu(body: PearBody) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    (mesh,) = make_meshes(body, 1, 2)
    for count in (1, 8, 9):
        people = random_people(count)
        np.testing.assert_allclose(mesh(people), expected(body, people), atol=1e-5)
    mesh.close()
