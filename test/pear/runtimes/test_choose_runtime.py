# SPDX-License-Identifier: Apache-2.0
"""Choice of the runtime, and its diagnostics."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="weights are read by torch")
pytest.importorskip("onnxruntime", reason="the default on the CPU")

from pear_ros.core.configuration import EstimatorChoice, EstimatorError, RuntimeChoice
from pear_ros.estimators.factory import make_estimator, make_estimators
from pear_ros.pear.body import PearBody, load_body
from pear_ros.pear.files import find_model_files
from pear_ros.pear.runtimes.choose import choose_runtime
from pear_ros.pear.runtimes.runtime import DeviceUnavailableError, RuntimeUnavailableError
from pear_ros.pear.weights import Weights


@pytest.fixture(scope="module", autouse=True)
def no_gpu() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("these tests are about a machine without a GPU")


@pytest.fixture(scope="module")
def weights(pear_models: Path) -> Weights:
    return Weights(find_model_files(pear_models))


@pytest.fixture(scope="module")
def body(pear_models: Path) -> PearBody:
    return load_body(find_model_files(pear_models), "ehm-s")


def test_auto_takes_onnxruntime_where_there_is_no_gpu(
    weights: Weights, body: PearBody, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pear_ros"):
        chosen = choose_runtime(weights, body, RuntimeChoice())
    assert chosen.runtime.info.name == "onnxruntime"
    assert chosen.runtime.info.precision == "fp32"
    assert chosen.runtime.info.weights == weights.fingerprint
    assert "tensorrt: there is no driver of NVIDIA" in chosen.reason
    assert "torch: " in chosen.reason and "finds no NVIDIA GPU" in chosen.reason
    assert "PEAR runs on onnxruntime" in caplog.text and chosen.reason in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    chosen.runtime.close()


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "torch"])
def test_a_runtime_that_is_named_is_taken(weights: Weights, body: PearBody, name: str) -> None:
    if name == "openvino":
        pytest.importorskip("openvino")
    chosen = choose_runtime(weights, body, RuntimeChoice(name, strict=True, precision="fp32"))
    assert chosen.runtime.info.name == name
    assert chosen.reason == "named"
    chosen.runtime.close()


@pytest.mark.parametrize(("cameras", "prepared"), [(1, 2), (2, 4), (4, 5)])
def test_no_more_people_are_prepared_than_can_be_seen(
    pear_models: Path, cameras: int, prepared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_onnxruntime = pytest.importorskip("pear_ros.pear.runtimes.with_onnxruntime")
    warmed: list[int] = []
    monkeypatch.setattr(
        with_onnxruntime.OnnxRuntime, "warmup", lambda self, people: warmed.append(people)
    )
    runtime = RuntimeChoice("onnxruntime", strict=True, max_people=5, expected_people=2)
    for estimator in make_estimators(
        EstimatorChoice("pear", pear_models, runtime=runtime), cameras
    ):
        estimator.close()
    assert warmed == [prepared]


def test_another_one_is_taken_with_a_warning(
    weights: Weights, body: PearBody, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = choose_runtime(weights, body, RuntimeChoice("tensorrt"))
    assert chosen.runtime.info.name == "onnxruntime"
    (warning,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert "not on tensorrt, which was named" in warning.message
    chosen.runtime.close()


def test_strict_forbids_that(weights: Weights, body: PearBody) -> None:
    with pytest.raises(RuntimeUnavailableError, match=r"^tensorrt: there is no driver of NVIDIA"):
        choose_runtime(weights, body, RuntimeChoice("tensorrt", strict=True))
    with pytest.raises(RuntimeUnavailableError, match="but runtime is auto"):
        choose_runtime(weights, body, RuntimeChoice("auto", strict=True))


def test_a_library_that_is_missing_is_named_with_the_command_that_installs_it(
    weights: Weights, body: PearBody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "pear_ros.pear.runtimes.with_onnxruntime", raising=False)
    with pytest.raises(
        RuntimeUnavailableError, match=r"onnxruntime is not installed .*pip install onnxruntime"
    ):
        choose_runtime(weights, body, RuntimeChoice("onnxruntime", strict=True))


@pytest.mark.parametrize("error", [OSError, ValueError, AttributeError])
@pytest.mark.parametrize("name", ["torch", "onnxruntime", "openvino"])
def test_a_library_that_is_broken_is_no_reason_to_end(
    name: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{name}.py").write_text(f"raise {error.__name__}('broken')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(RuntimeUnavailableError, match=rf"{name} cannot be loaded \(broken\)"):
        choose_runtime(None, None, RuntimeChoice(name, strict=True))  # type: ignore[arg-type]


def test_a_gpu_that_is_full_is_passed_over_with_a_warning(
    weights: Weights,
    body: PearBody,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: object) -> None:
        raise DeviceUnavailableError("cudaMalloc failed: out of memory")

    monkeypatch.setattr("pear_ros.pear.runtimes.engines.tensorrt_runtime", full)
    chosen = choose_runtime(weights, body, RuntimeChoice())
    assert chosen.runtime.info.name == "onnxruntime"
    assert "tensorrt: cudaMalloc failed: out of memory" in chosen.reason
    (warning,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert chosen.reason in warning.getMessage()
    chosen.runtime.close()


def test_a_precision_that_a_runtime_has_not_is_no_reason_to_take_another_precision(
    weights: Weights, body: PearBody
) -> None:
    with pytest.raises(RuntimeUnavailableError, match="fp16"):
        choose_runtime(weights, body, RuntimeChoice("torch", strict=True, precision="fp16"))


def test_messages_tell_what_ran_the_network(pear_models: Path) -> None:
    estimator = make_estimator(EstimatorChoice("pear", pear_models, runtime=RuntimeChoice("torch")))
    name, weights, runtime = estimator.model_id.split("/")
    assert (name, runtime) == ("pear", "torch-fp32")
    assert estimator.diagnostics["weights"].startswith(weights)
    assert estimator.diagnostics["chosen because"] == "named"
    estimator.close()


def test_an_estimator_that_nothing_may_run_says_why(pear_models: Path) -> None:
    choice = EstimatorChoice("pear", pear_models, runtime=RuntimeChoice("tensorrt", strict=True))
    with pytest.raises(EstimatorError, match="PEAR is not available: tensorrt: there is no driver"):
        make_estimator(choice)
