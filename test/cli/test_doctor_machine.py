# SPDX-License-Identifier: Apache-2.0
"""`pear doctor` on Python, libraries, the machine and its GPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pear_ros.cli.doctor import gpu, libraries, probes
from pear_ros.cli.doctor.findings import Level
from pear_ros.io.machine import this_machine
from testing.doctor_answers import FAIL, GPU, OK, TORCH, WARN, Answers, levels


@pytest.mark.parametrize(
    ("version", "level"), [((3, 9), FAIL), ((3, 10), OK), ((3, 14), OK), ((3, 15), FAIL)]
)
def test_python_versions(version: tuple[int, int], level: Level) -> None:
    assert levels(libraries.check_python(version)) == {"python.version": level}


def library(name: str) -> Any:
    return next(one for one in libraries.LIBRARIES if one.name == name)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "answer", "level", "expected"),
    [
        ("numpy", {"version": "2.2.6"}, OK, "2.2.6"),
        ("cv2", {"error": "ImportError: libGL.so.1: cannot open"}, FAIL, "libgl1"),
        ("torch", {"error": "OSError: libcudnn.so.9"}, WARN, "reinstall it"),
        ("torch", {**TORCH, "cuda": None}, OK, "built without CUDA"),
        ("scipy", {"error": "_ARRAY_API not found", "crashed": True}, FAIL, "'numpy<2'"),
        ("tensorrt", {"version": "8.5", "unsupported": "TensorRT 8.5 is not"}, WARN, "8.5 is not"),
        ("onnxruntime", {"version": "1", "providers": ["CPU"]}, OK, "1, CPU"),
    ],
)
def test_libraries(name: str, answer: dict[str, Any], level: Level, expected: str) -> None:
    answers = Answers({("library", name): answer})
    (finding,) = libraries.check_library(library(name), answers)
    assert finding.level is level
    assert expected in finding.text + finding.advice


def test_missing_library_fails_only_if_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert levels(libraries.check_library(library("scipy"), Answers({}))) == {"library.scipy": FAIL}
    assert levels(libraries.check_library(library("torch"), Answers({}))) == {"library.torch": OK}


def test_several_opencv_packages_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"opencv-python": "4.10", "opencv-python-headless": "5.0"}
    monkeypatch.setattr(libraries, "_installed_version", lambda name: there.get(name, ""))
    assert levels(libraries.check_opencv()) == {"library.cv2_packages": WARN}
    del there["opencv-python"]
    assert not levels(libraries.check_opencv())


def test_library_probes_return_versions() -> None:
    assert probes.library("numpy")["version"] == __import__("numpy").__version__
    assert probes.main(["library", "no_such_library"]) == 0


def jetson(root: Path, l4t: str = "R36 (release), REVISION: 4.3") -> Path:
    for name, text in {
        "proc/device-tree/model": "NVIDIA Jetson AGX Orin\0",
        "proc/cpuinfo": "processor : 0\nmodel name\t: ARMv8\n",
        "proc/meminfo": "MemTotal:  64000000 kB\n",
        "etc/nv_tegra_release": f"# {l4t}, GCID: 1, BOARD: generic\n",
        "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=2 NAME=MODE_30W >\n",
        "var/lib/nvpmodel/status": "pmode:0002\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_jetson_is_described(tmp_path: Path) -> None:
    machine = this_machine(jetson(tmp_path))
    assert str(machine.jetson) == ("NVIDIA Jetson AGX Orin (JetPack 6, L4T 36.4.3, power MODE_30W)")
    assert (machine.processor, machine.memory) == ("ARMv8", 65_536_000_000)
    assert levels(gpu.check_machine(machine, 0.5))["machine.jetson"] is OK
    old = this_machine(jetson(tmp_path, "R35 (release), REVISION: 4.1"))
    assert levels(gpu.check_machine(old, 0.5))["machine.jetson"] is FAIL


def test_machine_load_is_a_warning() -> None:
    machine = replace(this_machine(), cores=2)
    assert levels(gpu.check_machine(machine, 1.9))["machine.load"] is OK
    assert levels(gpu.check_machine(machine, 2.1))["machine.load"] is WARN


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("changed", "id", "level"),
    [
        ({}, "gpu.device", OK),
        ({}, "gpu.torch", OK),
        ({}, "gpu.tensorrt", OK),
        ({("gpu",): {**GPU, "no_runtime": "there is no libcudart"}}, "gpu.cuda", WARN),
        ({("library", "torch"): {**TORCH, "cuda": None}}, "gpu.torch", WARN),
        ({("library", "torch"): {**TORCH, "usable": False}}, "gpu.torch", WARN),
        ({("library", "torch"): {**TORCH, "architectures": ["sm_90"]}}, "gpu.torch", WARN),
        ({("library", "tensorrt"): {"version": "10.13.3.9"}}, "gpu.tensorrt", FAIL),
        ({("tensorrt_builder",): {"error": "CUDA is too new"}}, "gpu.tensorrt", FAIL),
    ],
)
def test_gpu_and_its_libraries(changed: dict[Any, Any], id: str, level: Level) -> None:
    well = {
        ("gpu",): GPU,
        ("library", "torch"): TORCH,
        ("library", "tensorrt"): {"version": "10.3.0"},
        ("tensorrt_builder",): {"starts": True},
    }
    found = levels(gpu.check_gpu(Answers({**well, **changed}), True))
    assert found.pop(id) is level
    assert set(found.values()) <= {OK}, "the rest is well"


def test_gpu_without_a_driver_is_a_warning() -> None:
    answers = Answers({("gpu",): {"missing": "there is no driver"}})
    assert levels(gpu.check_gpu(answers, built_in=True)) == {"gpu.device": WARN}
    assert levels(gpu.check_gpu(answers, built_in=False)) == {"gpu.device": OK}


def test_runs_on_compares_compute_capabilities() -> None:
    assert gpu.runs_on(["sm_80"], "8.7") and gpu.runs_on(["sm_90a", "sm_86"], "8.6")
    assert not gpu.runs_on(["sm_89"], "8.7") and not gpu.runs_on(["sm_80"], "9.0")
    assert gpu.runs_on(["compute_80"], "12.1") and not gpu.runs_on(["sm_120"], "11.0")


def test_gpu_probe_does_not_raise() -> None:
    assert set(probes.gpu()) & {"missing", "name"}
