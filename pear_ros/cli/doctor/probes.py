# SPDX-License-Identifier: Apache-2.0
"""Probes that run in a separate process: `python -m pear_ros.cli.doctor.probes NAME [ARGUMENT]`.

Each prints a JSON object, which the checks interpret.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Result = dict[str, Any]
"""Values that JSON can represent, by name."""


def library(name: str) -> Result:
    """Import a Python library; return its version and what its probe adds."""
    module = importlib.import_module(name)
    version = getattr(module, "__version__", None)
    extra = _EXTRAS.get(name)
    return {"version": str(version) if version else "", **(extra(module) if extra else {})}


def _torch(torch: Any) -> Result:
    usable = bool(torch.cuda.is_available())
    return {
        "cuda": torch.version.cuda,
        "usable": usable,
        "architectures": torch.cuda.get_arch_list() if usable else [],
    }


def _onnxruntime(onnxruntime: Any) -> Result:
    return {"providers": list(onnxruntime.get_available_providers())}


def _openvino(openvino: Any) -> Result:
    return {"devices": list(openvino.Core().available_devices)}


def _tensorrt(tensorrt: Any) -> Result:
    from pear_ros.pear.runtimes.engine import TensorRtError, tensorrt_version

    try:
        tensorrt_version()
    except TensorRtError as error:
        return {"unsupported": str(error)}
    return {}


def _scipy(_: Any) -> Result:
    # The import of scipy alone succeeds with any NumPy; those of its parts may fail.
    importlib.import_module("scipy.optimize")
    importlib.import_module("scipy.spatial.transform")
    return {}


def _litert(_: Any) -> Result:
    importlib.import_module("ai_edge_litert.interpreter")
    return {}


_EXTRAS: dict[str, Callable[[Any], Result]] = {
    "ai_edge_litert": _litert,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "scipy": _scipy,
    "tensorrt": _tensorrt,
    "torch": _torch,
}


def gpu() -> Result:
    """Return the first NVIDIA GPU, its driver and CUDA's runtime; "missing" gives the reason."""
    from pear_ros.pear.runtimes.cuda import memory
    from pear_ros.pear.runtimes.cudart import CudaError, cudart
    from pear_ros.pear.runtimes.driver import NoGpuError, cuda_version, first_gpu

    try:
        found = first_gpu()
    except NoGpuError as error:
        return {"missing": str(error)}
    result: Result = {
        "name": found.name,
        "compute_capability": "{}.{}".format(*found.compute_capability),
        "memory": found.memory,
        "integrated": found.integrated,
        "multiprocessors": found.multiprocessors,
        "driver": _driver_version(),
    }
    try:
        loaded = cudart()
        result["cuda_of_driver"] = cuda_version(loaded.version("cudaDriverGetVersion"))
        result["cuda_runtime"] = cuda_version(loaded.version("cudaRuntimeGetVersion"))
        result["memory_free"], _ = memory(found)
    except (NoGpuError, CudaError) as error:
        result["no_runtime"] = str(error)
    return result


def _driver_version() -> str:
    try:
        first = Path("/proc/driver/nvidia/version").read_text().splitlines()[0]
    except (OSError, IndexError):
        return ""
    return next((word for word in first.split() if word[0].isdigit() and "." in word), "")


def tensorrt_builder() -> Result:
    """Start TensorRT's builder on this GPU, which fails with a driver that is too old."""
    from pear_ros.pear.runtimes.engine import make_builder, tensorrt_version

    make_builder(tensorrt_version())
    return {"starts": True}


def engine_attention() -> Result:
    """Load each cached engine and count the layers that are attention as one kernel."""
    from pear_ros.pear.runtimes.engine_cache import EngineCache
    from pear_ros.pear.runtimes.runtime import RuntimeUnavailableError

    cache, engines = EngineCache(), []
    keys = cache.keys()
    if not keys:
        return {"engines": []}
    from pear_ros.pear.runtimes.engine_layers import fused_attention, layer_names

    for key in keys:
        kept = cache.load(key)
        if kept is None or kept.plan is None:
            continue
        found: Result = {"name": key.name, "precision": key.precision}
        try:
            names = layer_names(kept.plan)
            found |= {"layers": len(names), "fused": fused_attention(names)}
        except RuntimeUnavailableError as error:
            found["error"] = str(error)
        engines.append(found)
    return {"engines": engines}


def rclpy() -> Result:
    """Start rclpy and return its RMW implementation."""
    import rclpy
    from rclpy.utilities import get_rmw_implementation_identifier

    rclpy.init()
    try:
        return {"rmw": get_rmw_implementation_identifier(), "path": rclpy.__file__}
    finally:
        rclpy.shutdown()


def node() -> Result:
    """Import the node with everything that it needs."""
    importlib.import_module("pear_ros.ros.node.node")
    return {}


def pear_msgs() -> Result:
    """Serialise every message with all fields, of which another version may have fewer."""
    import numpy as np
    from rclpy.serialization import serialize_message
    from std_msgs.msg import Header

    from pear_ros.body import load_open_body
    from pear_ros.core.camera import Camera
    from pear_ros.core.people import FlameParams, People, Person, SmplxParams, TrackingState
    from pear_ros.ros.conversion.messages import body_model_info, human_array

    zeros = np.zeros(400, np.float32)
    body = load_open_body()
    person = Person(
        id="h1",
        state=TrackingState.NEW,
        score=1.0,
        box=zeros[:4],
        smplx=SmplxParams(zeros[:165].reshape(55, 3), zeros[:10], zeros[:10], zeros[:3]),
        joints=zeros[:165].reshape(55, 3),
        joint_confidence=zeros[:55],
        keypoints=zeros[:110].reshape(55, 2),
        flame=FlameParams(zeros[:300], zeros[:50], zeros[:3], zeros[:6], zeros[:2], zeros[:3]),
    )
    people = People(Camera.from_field_of_view(64, 48), "doctor", body.name, (person,))
    serialize_message(human_array(people, Header(), {"h1": zeros[:300].reshape(100, 3)}))
    serialize_message(body_model_info(body))
    return {}


def cv_bridge() -> Result:
    """Return whether cv_bridge converts an image, as the node tests it."""
    from pear_ros.ros.conversion import images

    if images.cv_bridge() is not None:
        return {"works": True}
    try:
        from cv_bridge import CvBridge

        CvBridge()
    except Exception as error:
        return {"works": False, "reason": f"{type(error).__name__}: {error}"}
    return {"works": False, "reason": "it converts no image"}


_PROBES: dict[str, Callable[..., Result]] = {
    probe.__name__: probe
    for probe in (
        *(library, gpu, tensorrt_builder, engine_attention),
        *(rclpy, node, pear_msgs, cv_bridge),
    )
}


def main(arguments: list[str]) -> int:
    """Print the result of the probe named first; an exception becomes its key "error"."""
    # From Jazzy on, messages otherwise accept unknown fields silently. They read the variable when
    # they are imported.
    os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
    name, *rest = arguments
    try:
        result = _PROBES[name](*rest)
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
