# SPDX-License-Identifier: Apache-2.0
"""What runs PEAR's network: TensorRT, PyTorch, ONNX Runtime or OpenVINO, behind one interface.

Each `with_*` module needs the library that it is named after, and is imported only when that
runtime is tried.
"""
