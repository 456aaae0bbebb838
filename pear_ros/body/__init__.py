# SPDX-License-Identifier: Apache-2.0
"""Body models in SMPL-X's layout: blend shapes, kinematics and skinning."""

from pear_ros.body.files import load_open_body, load_smplx
from pear_ros.body.model import BodyModel

__all__ = ["BodyModel", "load_open_body", "load_smplx"]
