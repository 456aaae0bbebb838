# SPDX-License-Identifier: Apache-2.0
"""Whole-body human pose and shape (SMPL-X) from camera images, for ROS 2 and for scripts.

Begin with a picture:

    import cv2
    from pear_ros import Camera, Pipeline

    image = cv2.imread("picture.jpg")
    people = Pipeline()(image, Camera.from_field_of_view(image.shape[1], image.shape[0]))
    for person in people.persons:
        print(person.id, person.score, person.joints[0])  # the pelvis in metres, optical frame

For a video keep the Pipeline and pass each image's stamp in seconds; ids then stay with people.

Public names:

    Pipeline, Settings                  images in, people out
    Camera, Distortion                  intrinsics, with which people are placed in space
    People, Person, SmplxParams, FlameParams, TrackingState, DepthSource, SMPLX_JOINT_NAMES
                                        results
    draw_overlay, draw_side_view        pictures of Pipeline.meshes(people)
    make_estimator, EstimatorChoice     PEAR, or the open default
    Estimator, Estimate, Region, Body   the interface of an estimator of your own
    Detector, Detection                 the interface of a detector of your own

The ROS 2 node is `ros2 launch pear_ros pear.launch.py`, the command line `pear --help`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pear_ros.core.camera import Camera
    from pear_ros.core.configuration import EstimatorChoice
    from pear_ros.core.distortion import Distortion
    from pear_ros.core.estimator import Body, Detection, Estimator, Region
    from pear_ros.core.parameters import Settings
    from pear_ros.core.people import (
        SMPLX_JOINT_NAMES,
        DepthSource,
        Estimate,
        FlameParams,
        People,
        Person,
        SmplxParams,
        TrackingState,
    )
    from pear_ros.detection.detectors import Detector
    from pear_ros.estimators.factory import make_estimator
    from pear_ros.pipeline import Pipeline
    from pear_ros.rendering.overlay import draw_overlay
    from pear_ros.rendering.side_view import draw_side_view

__version__ = "0.1.0"

__all__ = [
    "SMPLX_JOINT_NAMES",
    "Body",
    "Camera",
    "DepthSource",
    "Detection",
    "Detector",
    "Distortion",
    "Estimate",
    "Estimator",
    "EstimatorChoice",
    "FlameParams",
    "People",
    "Person",
    "Pipeline",
    "Region",
    "Settings",
    "SmplxParams",
    "TrackingState",
    "__version__",
    "draw_overlay",
    "draw_side_view",
    "make_estimator",
]

_MODULES = {
    "core.camera": ("Camera",),
    "core.configuration": ("EstimatorChoice",),
    "core.distortion": ("Distortion",),
    "core.estimator": ("Body", "Detection", "Estimator", "Region"),
    "core.parameters": ("Settings",),
    "core.people": (
        *("SMPLX_JOINT_NAMES", "DepthSource", "Estimate", "FlameParams"),
        *("People", "Person", "SmplxParams", "TrackingState"),
    ),
    "detection.detectors": ("Detector",),
    "estimators.factory": ("make_estimator",),
    "pipeline": ("Pipeline",),
    "rendering.overlay": ("draw_overlay",),
    "rendering.side_view": ("draw_side_view",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562): `import pear_ros` alone stays light."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
