# SPDX-License-Identifier: Apache-2.0
"""The ament_python package pear_ros, for colcon and for pip."""

from glob import glob

from setuptools import find_packages, setup

NAME = "pear_ros"

setup(
    name=NAME,
    version="0.1.0",
    description="Whole-body human pose and shape estimation (SMPL-X) from camera images",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={"": ["*.npz", "*.tflite", "*.cu", "*.ptx", "*.pt", "py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", glob("launch/*.py")),
        (f"share/{NAME}/config", glob("config/*")),
    ],
    # The oldest versions that tests run on: those of Ubuntu 22.04 and of requirements/robot.txt.
    install_requires=[
        "ai-edge-litert>=2.3",
        "apsw>=3.54",
        "array-api-compat>=1.16",
        "av>=17.1",
        'backports.zstd>=1.8; python_version < "3.14"',
        "filelock>=4.1",
        "flatbuffers>=25.12",
        "lz4>=4.4",
        "numpy>=1.21.5",
        "opencv-python-headless>=4.5.4",
        "rosbags>=0.11.9",
        "ruamel.yaml>=0.19",
        "scipy>=1.8",
        "threadpoolctl>=3.6",
        "tqdm>=4.57",
    ],
    extras_require={
        "pear": [
            "ml-dtypes",
            "numba",
            "onnx",
            "onnx-ir",
            "onnxruntime",
            "onnxscript",
            "safetensors",
            "torch",
        ],
        "annotate": ["webdataset"],
        "calibration": ["huggingface-hub", "nvidia-modelopt"],
        "fast": ["numba"],
        "docs": ["furo", "myst-parser", "sphinx"],
        "openvino": ["openvino"],
        "export": ["pygltflib", "rerun-sdk", "usd-core"],
        "mesh-detail": ["meshoptimizer"],
        "ray": ["ray"],
        "stream": ["python-osc", "pyzmq", "websockets"],
        "test": [
            "hypothesis",
            "mcap",
            "pygltflib",
            "pytest",
            "pytest-timeout",
            "pyyaml",
            "ray",
            "smplx",
        ],
        "train": ["tensorboard", "torch"],
        "view": ["viser>=1.1.1,<1.2", "websockets"],
    },
    entry_points={
        "console_scripts": [
            "hri_bridge = pear_ros.ros.programs:hri_bridge",
            "pear = pear_ros.cli:main",
            "people_bridge = pear_ros.ros.programs:people_bridge",
            "pear_node = pear_ros.ros.programs:pear_node",
            "retarget_stream = pear_ros.ros.programs:retarget_stream",
            "separation = pear_ros.ros.programs:separation",
            "video_source = pear_ros.ros.programs:video_source",
        ],
    },
    zip_safe=True,
)
