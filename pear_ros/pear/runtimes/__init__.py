# SPDX-License-Identifier: Apache-2.0
"""Runtimes of PEAR's network: TensorRT, PyTorch, ONNX Runtime and OpenVINO, with one interface.

Each `with_*` module needs the library that it is named after, and is imported only when that
runtime is tried.
"""
