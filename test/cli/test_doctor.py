# SPDX-License-Identifier: Apache-2.0
"""`pear doctor`: each check on a working machine and on one with problems."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pear_ros.cli import main
from pear_ros.cli.doctor import engines, formatting, gpu, libraries, models, probes, ros
from pear_ros.cli.doctor.findings import Finding, Level, ok, run_check, without_home
from pear_ros.cli.doctor.probe_process import ProbeError, run_module
from pear_ros.io.machine import this_machine
from pear_ros.pear.runtimes.accuracy import Verdict
from pear_ros.pear.runtimes.engine_cache import EngineCache
from pear_ros.pear.runtimes.engine_record import EngineKey

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL
GPU = {
    "name": "Orin",
    "compute_capability": "8.7",
    "memory": 64_000_000_000,
    "memory_free": 50_000_000_000,
    "integrated": True,
    "multiprocessors": 16,
    "driver": "540.4.0",
    "cuda_of_driver": "12.6",
    "cuda_runtime": "12.6",
}
TORCH = {"version": "2.8.0", "cuda": "12.6", "usable": True, "architectures": ["sm_80", "sm_87"]}


class Answers:
    """A fake of the probes, with a result for each probe that a test expects."""

    def __init__(self, answers: dict[tuple[str, ...], dict[str, Any]]) -> None:
        self._answers = answers

    def __call__(self, *question: str) -> dict[str, Any]:
        return dict(self._answers[question])


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every library appears to be installed."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)


def by_id(findings: Iterator[Finding]) -> dict[str, Finding]:
    found = list(findings)
    ids = [finding.id for finding in found]
    assert len(set(ids)) == len(ids), "ids are unique"
    assert all(finding.advice for finding in found if finding.level is not OK), "what to do"
    return {finding.id: finding for finding in found}


def levels(findings: Iterator[Finding]) -> dict[str, Level]:
    return {id: finding.level for id, finding in by_id(findings).items()}


# How checks are run and shown


def test_run_check_turns_an_exception_into_a_warning() -> None:
    def check() -> Iterator[Finding]:
        yield ok("a.first", "fine")
        raise KeyError("oops")

    first, second = run_check("a.second", check)
    assert (first.level, second.level, second.id) == (OK, WARN, "a.second")
    assert "KeyError: 'oops'" in second.text


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import os; os.abort()", "crashed with SIGABRT"),
        ("import sys; sys.exit('no such thing')", "ended with status 1: no such thing"),
        ("print('no json')", "no answer"),
        ("import time; time.sleep(60)", "no answer within 1 s"),
    ],
)
def test_run_module_reports_crashes_and_timeouts(
    code: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rough_probe.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ProbeError, match=expected):
        run_module("rough_probe", timeout=1.0 if "sleep" in code else 30.0)


def test_output_hides_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/al")
    text = "/home/al/models /home/alice/models /home/al"
    assert without_home(text) == "~/models /home/alice/models ~"
    finding = ok("a.b", "in /home/al/x", path=Path("/home/al/x"))
    assert "/home/al" not in formatting.as_json([finding]) + formatting.lines(finding, 80, False)


def test_output_lines_are_wrapped_between_words() -> None:
    advice = "python3 -m pip install " + "a-very-long-package-name " * 5
    text = formatting.lines(Finding("a.b", FAIL, "is not there", advice), 60, False)
    assert max(map(len, text.splitlines())) <= 60
    assert text.startswith("  FAIL b: is not there\n       -> python3")
    assert text.count("a-very-long-package-name") == 5


# Python and libraries


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


# Machine and GPU


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


# Models and engines


def test_missing_or_damaged_assets_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEAR_ROS_CACHE", str(tmp_path))
    found = by_id(models.check_assets())
    assert found["models.landmarks"].level is FAIL
    assert found["models.demo_clip"].level is WARN
    assert len(found["models.landmarks"].details["missing"]) == 6


def test_detector_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = by_id(models.check_detector())["models.detector"]
    assert found.level is OK and found.details["detector"] == "nanodet"
    monkeypatch.setattr("pear_ros.detection.nanodet.MODEL_FILE", tmp_path / "nanodet_g.tflite")
    found = by_id(models.check_detector())["models.detector"]
    assert found.level is WARN and found.details["detector"] == "blazepose"
    assert "nanodet_g.tflite" in found.text and "install pear_ros again" in found.text


def test_missing_pear_files_fail_only_if_requested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PEAR_ROS_MODELS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert levels(models.check_pear_files(None)) == {"models.pear": OK}
    assert levels(models.check_pear_files(tmp_path)) == {"models.pear": FAIL}


def test_pear_files_missing_empty_and_not_fetched(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("pear_model.pt", "generic_model.pkl", "FLAME_masks.pkl", "l_eyelid.npy"):
        (folder / name).write_bytes(b"content")
    (folder / "r_eyelid.npy").write_bytes(b"")
    (folder / "SMPL-X__FLAME_vertex_ids.npy").write_bytes(b"version https://git-lfs.github.com/")
    found = by_id(models.check_pear_files(folder))
    assert found["models.pear"].level is FAIL
    assert found["models.pear"].details["missing"] == ["SMPLX_NEUTRAL_2020.npz"]
    smplx = found["models.pear_smplx"]
    assert smplx.level is WARN and "smpl-x.is.tue.mpg.de" in smplx.advice
    assert "non-commercial" in smplx.text, "its licence"
    assert found["models.pear_checkpoint"].level is OK
    assert found["models.pear_right_eyelid"].level is FAIL
    assert "git lfs pull" in found["models.pear_flame_vertices"].advice


def test_graph_without_its_record_fails(tmp_path: Path) -> None:
    (tmp_path / "pear_01234567_fp16.onnx").write_bytes(b"graph")
    found = by_id(models.check_pear_files(tmp_path))
    assert found["models.pear_01234567_fp16"].level is FAIL


KEY = EngineKey("ab12", "cd34", "fp16", 8, 3, "10.3.0", "Orin", "8.7", 16, 60)
HERE = Answers({("gpu",): GPU, ("library", "tensorrt"): {"version": "10.3.0"}})


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    cache = EngineCache(tmp_path / "engines")
    cache.store(KEY, b"plan" * 100)
    cache.store_verdict(KEY, Verdict(0.05, 0.5, 0.5, 2.0, 1.0), "body")
    return cache


def judged(cache: EngineCache, answers: Answers = HERE) -> Finding:
    found = by_id(engines.check_engines(answers, cache.folder))
    assert found.pop("engine.cache").details["engines"] == 1
    (finding,) = found.values()
    return finding


def test_engine_for_this_machine_is_valid(cache: EngineCache) -> None:
    finding = judged(cache)
    assert finding.level is OK and "valid" in finding.text


@pytest.mark.parametrize(
    ("gpu_answer", "tensorrt", "expected"),
    [
        (GPU, "10.7.0", "TensorRT 10.3.0 instead of 10.7.0"),
        ({**GPU, "name": "Thor"}, "10.3.0", "device Orin instead of Thor"),
        ({**GPU, "compute_capability": "11.0"}, "10.3.0", "8.7 instead of 11.0"),
        ({**GPU, "multiprocessors": 8}, "10.3.0", "multiprocessors 16 instead of 8"),
        ({**GPU, "memory": 15 << 30}, "10.3.0", "GiB of memory 60 instead of 16"),
    ],
)
def test_engine_for_another_machine_is_a_warning(
    cache: EngineCache, gpu_answer: dict[str, Any], tensorrt: str, expected: str
) -> None:
    answers = Answers({("gpu",): gpu_answer, ("library", "tensorrt"): {"version": tensorrt}})
    finding = judged(cache, answers)
    assert finding.level is WARN and expected in finding.text


def test_engine_is_not_tried_without_a_gpu(cache: EngineCache) -> None:
    answers = Answers({("gpu",): {"missing": "none"}, ("library", "tensorrt"): {"error": "none"}})
    finding = judged(cache, answers)
    assert finding.level is OK and "not tried" in finding.text


def test_corrupted_engine_is_reported_and_kept(cache: EngineCache) -> None:
    plan = cache.folder / f"{KEY.name}.plan"
    plan.write_bytes(b"pear" * 100)
    finding = judged(cache)
    assert finding.level is WARN and f"{plan} is damaged" in finding.text
    assert plan.exists()


def test_damaged_record_and_plan_without_record_are_reported(cache: EngineCache) -> None:
    (cache.folder / f"{KEY.name}.json").write_text("{")
    assert "is damaged" in judged(cache).text
    (cache.folder / f"{KEY.name}.json").unlink()
    found = levels(engines.check_engines(HERE, cache.folder))
    assert found == {"engine.cache": OK, "engine.lonely": WARN}


def test_renamed_engine_is_reported(cache: EngineCache) -> None:
    for suffix in ("json", "plan"):
        file = cache.folder / f"{KEY.name}.{suffix}"
        file.rename(file.with_stem("engine_0123"))
    assert "was renamed" in judged(cache).text


# ROS 2


def test_distribution_without_ros_says_what_to_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (none,) = ros.check_distribution({}, tmp_path)
    assert none.level is WARN and "pear run" in none.text
    (tmp_path / "jazzy").mkdir()
    (tmp_path / "jazzy" / "setup.bash").touch()
    (unsourced,) = ros.check_distribution({}, tmp_path)
    assert unsourced.level is WARN and unsourced.advice.endswith("jazzy/setup.bash")
    (other_python,) = ros.check_distribution({"ROS_DISTRO": "jazzy"}, tmp_path)
    assert other_python.level is FAIL and "--system-site-packages" in other_python.advice


class Spec:
    def __init__(self, folder: Path) -> None:
        self.origin = str(folder / "__init__.py")


@pytest.mark.parametrize(
    ("compiled", "prefixes", "level"),
    [
        (None, ["humble"], OK),
        ("_rclpy_pybind11.cpython-399-x86_64-linux-gnu.so", ["humble"], FAIL),
        (None, ["humble", "jazzy"], WARN),
    ],
)
def test_distribution_that_is_sourced(
    compiled: str | None,
    prefixes: list[str],
    level: Level,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if compiled:
        (tmp_path / compiled).touch()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: Spec(tmp_path))
    paths = os.pathsep.join(["/my/workspace", *(f"/opt/ros/{name}" for name in prefixes)])
    environment = {"ROS_DISTRO": "humble", "AMENT_PREFIX_PATH": paths}
    (finding,) = ros.check_distribution(environment)
    assert finding.level is level
    assert finding.details["distribution"] == "humble" and finding.details["source"] == "sourced"


@pytest.mark.parametrize(
    ("environment", "answer", "level"),
    [
        ({}, {"rmw": "rmw_fastrtps_cpp"}, OK),
        ({"RMW_IMPLEMENTATION": "rmw_zenoh_cpp"}, {"rmw": "rmw_zenoh_cpp"}, OK),
        ({"RMW_IMPLEMENTATION": "rmw_zenoh_cpp"}, {"rmw": "rmw_fastrtps_cpp"}, FAIL),
        ({"RMW_IMPLEMENTATION": "rmw_x"}, {"error": "failed to load librmw_x.so"}, FAIL),
    ],
)
def test_middleware(environment: dict[str, str], answer: dict[str, Any], level: Level) -> None:
    found = levels(ros.check_rmw(Answers({("rclpy",): answer}), environment))
    assert found["ros.rmw"] is level


@pytest.mark.parametrize(
    ("environment", "id", "level"),
    [
        ({}, "ros.domain", OK),
        ({"ROS_DOMAIN_ID": "42"}, "ros.domain", OK),
        ({"ROS_DOMAIN_ID": "150"}, "ros.domain", WARN),
        ({"ROS_DOMAIN_ID": "233"}, "ros.domain", FAIL),
        ({"ROS_DOMAIN_ID": "robot"}, "ros.domain", FAIL),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, "ros.discovery", OK),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, "ros.discovery", WARN),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "subnet"}, "ros.discovery", FAIL),
    ],
)
def test_domain_and_discovery(environment: dict[str, str], id: str, level: Level) -> None:
    assert levels(ros.check_domain(environment))[id] is level


def test_discovery_counts_peers_without_names() -> None:
    environment = {"ROS_STATIC_PEERS": "192.168.7.9;robot.local"}
    found = by_id(ros.check_domain(environment))["ros.discovery"]
    assert "2 machines" in found.text
    assert "192.168" not in formatting.as_json([found])


@pytest.mark.parametrize(
    ("environment", "level"),
    [
        ({}, OK),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}, OK),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA?max_msg_size=1MB"}, OK),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "BIG"}, WARN),
        (
            {
                "FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA",
                "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            },
            WARN,
        ),
    ],
)
def test_transports(environment: dict[str, str], level: Level) -> None:
    assert levels(ros.check_transports("rmw_fastrtps_cpp", environment)) == {
        "ros.transports": level
    }
    assert not levels(ros.check_transports("rmw_cyclonedds_cpp", environment))


def test_missing_profiles_of_dds_fail(tmp_path: Path) -> None:
    (tmp_path / "there.xml").touch()
    for value, expected in {
        f"file://{tmp_path}/there.xml": {},
        "<CycloneDDS/>": {},
        f"{tmp_path}/absent.xml": {"ros.CYCLONEDDS_URI": FAIL},
    }.items():
        assert levels(ros.check_transports("rmw_x", {"CYCLONEDDS_URI": value})) == expected


def test_messages_of_another_version_fail() -> None:
    well = Answers({("node",): {}, ("pear_msgs",): {}})
    assert set(levels(ros.check_node(well)).values()) == {OK}
    old = Answers({("node",): {}, ("pear_msgs",): {"error": "AssertionError: no field scale"}})
    assert levels(ros.check_node(old)) == {"ros.node": OK, "ros.pear_msgs": FAIL}


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("answer", "level"),
    [
        ({"works": True}, OK),
        ({"works": False, "reason": "compiled for NumPy 1"}, WARN),
        ({"error": "crashed with SIGSEGV", "crashed": True}, FAIL),
    ],
)
def test_cv_bridge(answer: dict[str, Any], level: Level) -> None:
    assert levels(ros.check_cv_bridge(Answers({("cv_bridge",): answer}))) == {
        "ros.cv_bridge": level
    }


# The command


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main(["doctor", "--json", "--seconds", "0", *arguments])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started: the probes do not answer."""
    monkeypatch.setattr(
        "pear_ros.cli.doctor.probe_process.run_module",
        lambda *_, **__: {"error": "not run in this test"},
    )


@pytest.mark.usefixtures("quick")
def test_json_has_stable_keys_and_the_exit_code_shows_failures(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, report = run_json(capsys, "--models", str(tmp_path))
    assert code == 1, "numpy, as far as is known, does not work"
    assert list(report) == ["schema", "pear_ros", "summary", "findings"]
    assert report["schema"] == 2
    for check in report["findings"]:
        assert list(check) == ["id", "level", "text", "advice", "details"]
        assert check["level"] in ("ok", "warn", "fail")
        assert check["advice"] or check["level"] == "ok"
        assert isinstance(check["details"], dict)
    ids = [check["id"] for check in report["findings"]]
    assert len(set(ids)) == len(ids)
    counted = {
        level: sum(c["level"] == level for c in report["findings"]) for level in ("ok", "warn")
    }
    assert counted.items() <= report["summary"].items()
    assert {"python.version", "library.numpy", "models.landmarks", "models.pear"} <= set(ids)


@pytest.mark.usefixtures("quick")
def test_check_that_raises_does_not_stop_the_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Iterator[Finding]:
        raise RuntimeError("broken")

    names = {"gpu": "check_gpu", "models": "check_pear_files", "ros": "check_domain"}
    for module, name in names.items():
        monkeypatch.setattr(f"pear_ros.cli.doctor.{module}.{name}", broken)
    _, report = run_json(capsys)
    bad = {c["id"] for c in report["findings"] if "RuntimeError: broken" in c["text"]}
    assert bad >= {"gpu.device", "models.pear"}
    assert "engine.cache" in {c["id"] for c in report["findings"]}


def test_doctor_runs_without_ros_and_libraries() -> None:
    """Without NumPy every check reports what is missing, and none crashes."""
    program = """
import importlib.abc, sys
allowed = {"pear_ros"} | set(sys.stdlib_module_names)
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in allowed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
import importlib.util
importlib.util.find_spec = lambda name: None
from pear_ros.cli import main
sys.exit(main(["doctor"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "500"},
    )
    assert done.returncode == 1 and not done.stderr, done.stderr
    assert "FAIL numpy: not installed" in done.stdout
    assert "No module named 'numpy'" in done.stdout
    assert "WARN distribution: " in done.stdout
    assert str(Path.home()) not in done.stdout or Path.home() == Path("/")
