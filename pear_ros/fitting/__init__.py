# SPDX-License-Identifier: Apache-2.0
"""From landmarks to body parameters: a learned pose prior and a Levenberg-Marquardt solver."""

from pear_ros.fitting.body_fitter import BodyFit, BodyFitter
from pear_ros.fitting.part_fitter import PartFitter

__all__ = ["BodyFit", "BodyFitter", "PartFitter"]
