# SPDX-License-Identifier: Apache-2.0
"""Every parameter of the node, declared once: name, type, default, range, unit and help.

From these declarations come the node's ROS parameters and their checks, the options of the
commands, config/pear.yaml, the launch arguments, the page docs/parameters.md, and what a replay's
results depend on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pear_ros.core.declaration import Declaration, declarations_of, declared, defaults_of

ESTIMATORS = ("auto", "pear", "landmarks", "example")
LANDMARKS = ("auto", "full", "heavy")
PEAR_BODIES = ("ehm-s", "smplx")
RUNTIMES = ("auto", "tensorrt", "torch", "onnxruntime", "openvino")
PRECISIONS = ("auto", "fp32", "fp16", "bf16", "int8", "fp8", "int8_static")
DETECTORS = ("built_in", "blazepose", "topic", "full_frame")
MESH_DETAILS = ("full", "medium", "low")
FLOORS = ("off", "tf", "given", "depth")
TRANSFORMS = ("off", "roots", "joints")
IMAGE_TRANSPORTS = ("raw", "compressed")
CALIBRATIONS = ("auto", "raw", "rectified")
JPEG_DECODERS = ("cpu", "gpu")
RELIABILITIES = ("auto", "reliable", "best_effort")


@dataclass(frozen=True)
class Settings:
    """The parameters that the pipeline applies to each image; they may change between images."""

    max_humans: int = declared(
        8,
        "Maximum number of people tracked at once. Each person costs time.",
        low=1,
        high=32,
        live=True,
    )
    smoothing: bool = declared(
        True,
        "Smooth poses and positions over time.",
        live=True,
    )
    foot_contact: bool = declared(
        False,
        "Tell which heels and toes touch the floor (foot_contact), and keep feet that do from "
        "sliding. It takes about as long as smoothing, which it needs.",
        live=True,
    )
    body_height: float = declared(
        0.0,
        "Standing height in metres of all people in view. It gives true distances without a depth "
        "image. 0: unknown.",
        low=0.0,
        high=2.5,
        unit="metres",
        live=True,
    )
    rotate: int = declared(
        0,
        "Degrees clockwise by which the images are turned so that people are upright, of a camera "
        "that is mounted on its side or its head: 0, 90, 180 or 270. Results are in the frame and "
        "the pixels of the camera as it is.",
        low=0,
        high=270,
        step=90,
        unit="degrees",
        live=True,
    )


@dataclass(frozen=True)
class Parameters(Settings):
    """Values of all parameters of the node; a Settings, too."""

    estimator: str = declared(
        "auto",
        "What estimates bodies: 'pear' for PEAR, whose licensed files must be in model_folder, "
        "'landmarks' for the open default, 'auto' for PEAR if its files are complete, else the "
        "default; the log says why. 'example' shows PEAR's path without its files: a small network "
        "of this package, trained by pear train. It is not PEAR, and less accurate than the "
        "default.",
        choices=ESTIMATORS,
    )
    landmarks: str = declared(
        "auto",
        "Model of the body landmarks of the open default: 'full', 'heavy' for the more accurate "
        "one, which takes about three times as long, 'auto' for heavy for detected people who are "
        "new and for one who fits badly, else full. Without the heavy model's file, auto is full.",
        choices=LANDMARKS,
    )
    model_folder: str = declared(
        "",
        "Folder with PEAR's files, at any depth below it. Empty: $PEAR_ROS_MODELS, else "
        "~/.local/share/pear_ros/models. The command pear import-model checks them.",
        affects_results=False,
        option="models",
    )
    pear_body: str = declared(
        "ehm-s",
        "Body model of PEAR: 'ehm-s' for SMPL-X with FLAME's head, 'smplx' for SMPL-X alone.",
        choices=PEAR_BODIES,
    )
    runtime: str = declared(
        "auto",
        "What runs PEAR's network. 'auto': the first available of TensorRT, torch on the GPU, ONNX "
        "Runtime, OpenVINO and torch on the CPU. If the named one is not available, the others are "
        "tried, with a warning.",
        choices=RUNTIMES,
    )
    strict_runtime: bool = declared(
        False,
        "Fail if the named runtime is not available, instead of trying the others.",
    )
    precision: str = declared(
        "auto",
        "Number format of PEAR's network: 'fp16' and 'bf16' on GPUs, 'int8' with onnxruntime, "
        "'fp32' everywhere; 'fp8' and 'int8_static' with TensorRT, of graphs that pear "
        "export-graph calibrated; 'auto' for the fastest that is accurate enough, as measured at "
        "the start or when an engine is built.",
        choices=PRECISIONS,
    )
    max_people: int = declared(
        8,
        "Maximum number of people in one batch of PEAR's network; more take several batches. A "
        "lower one takes less memory. A TensorRT engine is built for it: another value builds "
        "another engine. max_humans bounds who is tracked, and how many are prepared for at the "
        "start.",
        low=1,
        high=8,
    )
    blocking_wait: bool = declared(
        False,
        "Let the CPU sleep while the GPU runs PEAR. Polling, as CUDA does by default, keeps one "
        "core busy; waking up takes longer. Not yet measured.",
        affects_results=False,
    )
    detector: str = declared(
        "built_in",
        "What detects people: 'built_in' for NanoDet, 'blazepose' for BlazePose's detector, which "
        "takes less time but misses many people, 'topic' for vision_msgs/Detection2DArray of any "
        "detector on the topic detections, or 'full_frame' for one person anywhere in the image.",
        choices=DETECTORS,
    )
    min_detection_score: float = declared(
        0.3,
        "Minimum score of a person whom the built-in detector finds. A lower one finds more "
        "people, and more that are none.",
        low=0.2,
        high=1.0,
    )
    detection_classes: str = declared(
        "person",
        "Class ids of people on the topic detections, separated by commas. Empty: every class.",
        live=True,
    )
    detection_score: float = declared(
        0.3,
        "Minimum score of a person on the topic detections (min_detection_score: of the built-in "
        "detector).",
        low=0.0,
        high=1.0,
        live=True,
    )
    depth: bool = declared(
        False,
        "Measure true distance and size in a depth image on the topic depth, aligned with the "
        "image: 16UC1 in millimetres or 32FC1 in metres (REP-118). On a topic that ends in "
        "/compressed or /compressedDepth, CompressedImage messages with a PNG of 16 bits.",
    )
    floor: str = declared(
        "off",
        "Where the floor is known from, on which people's feet give their size and distance: 'tf' "
        "for z = 0 of ground_frame, 'given' for camera_height and camera_tilt, 'depth' for a floor "
        "in the depth image (parameter depth), or 'off'. It needs a calibrated camera_info.",
        choices=FLOORS,
    )
    ground_frame: str = declared(
        "base_footprint",
        "Frame on the floor with z upwards, for floor = 'tf': /tf and /tf_static must lead from "
        "the camera to it.",
    )
    camera_height: float = declared(
        0.0,
        "Height in metres of the camera above the floor, for floor = 'given'. 0: unknown.",
        low=0.0,
        high=50.0,
        unit="metres",
        live=True,
    )
    camera_tilt: float = declared(
        0.0,
        "Degrees by which the camera looks down, for floor = 'given'; for 'depth' within 30.",
        low=-90.0,
        high=90.0,
        unit="degrees",
        live=True,
    )
    floor_tilt_error: float = declared(
        0.5,
        "Standard deviation in degrees of the camera's tilt against the floor, for floor = 'tf' "
        "and 'given'. At a height of 1 m, 1 degree is an error of 10 % at 6 m.",
        low=0.0,
        high=45.0,
        unit="degrees",
        live=True,
    )
    floor_height_error: float = declared(
        0.02,
        "Standard deviation in metres of the camera's height, for floor = 'tf' and 'given'.",
        low=0.001,
        high=5.0,
        unit="metres",
        live=True,
    )
    target_frame: str = declared(
        "",
        "Fixed frame, such as odom or map, in which mesh_markers, points and body_joint_states are "
        "given, at the image's stamp; humans stays in the camera's frame. With it, people are "
        "tracked and smoothed as in that frame, also by a camera that turns. Empty: none. While "
        "/tf does not lead to it, results are in the camera's frame, and the log says why.",
    )
    transform_timeout: float = declared(
        0.1,
        "Maximum time in seconds that an image waits for a late transform of ground_frame or "
        "target_frame.",
        low=0.0,
        high=1.0,
        unit="seconds",
        live=True,
        affects_results=False,
    )
    calibration: str = declared(
        "auto",
        "Calibration of camera_info that belongs to the image: 'raw' for K and the lens distortion "
        "D, 'rectified' for P without distortion, 'auto' for rectified if the last part of the "
        "image topic's name begins with image_rect, else raw.",
        choices=CALIBRATIONS,
        live=True,
    )
    field_of_view: float = declared(
        60.0,
        "Field of view in degrees across the longer side of the image, used while there is no "
        "calibrated camera_info. Distances are then only as good as this guess.",
        low=1.0,
        high=179.0,
        unit="degrees",
        live=True,
        option="fov",
    )
    max_pixels: int = declared(
        50_000_000,
        "Maximum number of pixels of an image; the default is enough for 8192 x 4320. Larger ones "
        "are refused before they are decoded: an image of a few hundred bytes can declare a size "
        "that takes all memory.",
        low=10_000,
        high=500_000_000,
        live=True,
    )
    sync_tolerance: float = declared(
        0.02,
        "Maximum difference in seconds between the stamp of an image and those of its detections "
        "and depth image.",
        low=0.0,
        high=1.0,
        unit="seconds",
        live=True,
    )
    sync_timeout: float = declared(
        0.2,
        "Maximum time in seconds that an image waits for its detections and depth image. Then it "
        "is processed without them.",
        low=0.0,
        high=10.0,
        unit="seconds",
        live=True,
        affects_results=False,
    )
    id_prefix: str = declared(
        "h",
        "Beginning of people's ids, before their number; a letter comes first (REP-155). Cameras "
        "that share /tf or /humans need different ones, as cameras.launch.py sets.",
        pattern="[A-Za-z][A-Za-z0-9_]*",
    )
    reidentify_seconds: float = declared(
        0.0,
        "Seconds for which a person who has left is known by the colours of clothes and hair, and "
        "by height where it is metric, and gets the same id again on a sure return. Privacy: only "
        "these few numbers are kept of a person, in memory, never written to disk nor published, "
        "and dropped after this time. Live only: pear replay has none of it. 0: off, nothing is "
        "kept.",
        low=0.0,
        high=3600.0,
        unit="seconds",
    )
    publish_vertices: bool = declared(
        False,
        "Put every mesh vertex (over 150 kB a person) into humans, beside the parameters.",
        live=True,
        option="vertices",
    )
    mesh_detail: str = declared(
        "medium",
        "Triangles of the meshes in mesh_markers and overlay: 'full' for all of the body, over "
        "20,000 (2 MB of markers per person and image), 'medium' for about 7,000 (0.5 MB), 'low' "
        "for about 2,000 (0.14 MB).",
        choices=MESH_DETAILS,
        live=True,
    )
    transforms: str = declared(
        "off",
        "Frames published on /tf while it has a subscriber: 'roots' for body_<id> of each person, "
        "'joints' for every joint as well, or 'off'.",
        choices=TRANSFORMS,
        live=True,
        affects_results=False,
    )
    image_transport: str = declared(
        "raw",
        "Transport of the images: 'raw' for sensor_msgs/Image, 'compressed' for "
        "sensor_msgs/CompressedImage on the image topic with /compressed appended. pear.launch.py "
        "always sets it from its own argument.",
        choices=IMAGE_TRANSPORTS,
        affects_results=False,
    )
    jpeg_decoder: str = declared(
        "cpu",
        "Decoder of compressed colour images in JPEG: 'cpu' for OpenCV, 'gpu' for an NVIDIA GPU by "
        "the package nvImageCodec, which frees the CPU of decoding; if it is not available, OpenCV "
        "decodes, with a warning. Where PEAR runs on that GPU, images stay there and are copied to "
        "the CPU only for what reads them there. Pixels may differ by rounding. Not yet run on a "
        "GPU.",
        choices=JPEG_DECODERS,
        affects_results=False,
    )
    image_reliability: str = declared(
        "auto",
        "Reliability of the subscriptions to images, camera_info, detections and depth: 'reliable' "
        "loses no raw image but needs reliable publishers; 'auto' takes it if all publishers offer "
        "it, else 'best_effort'. rclpy's parameter qos_overrides.<topic>.subscription.reliability "
        "(also history, depth) overrides it.",
        choices=RELIABILITIES,
        live=True,
        affects_results=False,
    )
    autostart: bool = declared(
        True,
        "Configure and activate the node when it starts. If false, it waits for a lifecycle "
        "manager, or for `ros2 lifecycle set /pear configure`, then `activate`.",
        affects_results=False,
    )
    build_only: bool = declared(
        False,
        "Only build and store what PEAR's runtime needs, such as a TensorRT engine, and exit.",
        affects_results=False,
    )


DECLARATIONS: dict[str, Declaration] = declarations_of(Parameters)
"""The declaration of each parameter, by name."""
DEFAULTS: dict[str, Any] = defaults_of(Parameters)
"""The default of each parameter, by name; its type is the parameter's."""
