# SPDX-License-Identifier: Apache-2.0
"""The first ten minutes on an NVIDIA GPU: what is tried first, and then the benchmark.

    python -m benchmarks.gpu_check --output FOLDER

Seven steps, the most basic first: CUDA by ctypes; torch's graphs, crops and meshes against the CPU;
images that stay on the GPU; a full GPU; attention and matrix products; a profile; benchmarks.gpu.
Each is a process with a time limit, so that one that hangs or crashes does not spoil the next.
FOLDER/gpu_check.md has a verdict for each step and is written after each; FOLDER/gpu_check.log has
their output, FOLDER/gpu.md the benchmark. It ends within nine minutes. FOLDER is benchmarks/results
by default.

On a machine without a network, bring the pure Python packages that an image of PyTorch lacks as
wheels, which are imported from where they lie:

    python3 -m pip download --no-deps --dest wheels smplx array_api_compat
    python3 -m benchmarks.gpu_check --wheels wheels --output FOLDER

`--smoke` tries all steps in a small size without a GPU, on stand-ins for CUDA; it needs pytest and
a C compiler. Weights and bodies are synthetic, so no licensed file is needed.
"""
