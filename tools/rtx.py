# SPDX-License-Identifier: Apache-2.0
"""TensorRT-RTX as a substitute for TensorRT: NVIDIA's parser and builder, without a GPU.

TensorRT for RTX has the Python API of TensorRT 11 under another name and version, and builds
engines, for desktop GPUs only, on a machine without any. It cannot run them there.
"""

from __future__ import annotations

import importlib
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from types import ModuleType

VERSION = "11.1.0"
"""TensorRT's version that has the API of TensorRT-RTX 1.7."""


def rtx_as_tensorrt() -> ModuleType:
    """Return TensorRT-RTX for sys.modules["tensorrt"]. Raises ImportError where it is missing."""
    rtx = importlib.import_module("tensorrt_rtx")
    module = module_from_spec(ModuleSpec("tensorrt", loader=None))
    module.__dict__.update(
        {name: value for name, value in vars(rtx).items() if not name.startswith("__")}
    )
    module.__dict__["__version__"] = VERSION
    return module
