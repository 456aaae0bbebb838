# SPDX-License-Identifier: Apache-2.0
"""From landmarks to body parameters: a learned start and a few damped least-squares steps."""

from pear_ros.fitting.body_fitter import BodyFit, BodyFitter
from pear_ros.fitting.part_fitter import PartFitter

__all__ = ["BodyFit", "BodyFitter", "PartFitter"]
