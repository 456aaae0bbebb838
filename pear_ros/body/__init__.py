# SPDX-License-Identifier: Apache-2.0
"""Body models in SMPL-X's layout: blend shapes, kinematics and skinning."""

from pear_ros.body.model import BodyModel
from pear_ros.body.model_files import load_open_body, load_smplx

__all__ = ["BodyModel", "load_open_body", "load_smplx"]
