# SPDX-License-Identifier: Apache-2.0
"""From landmarks to body parameters: a learned start and a few damped least-squares steps."""

from pear_ros.fit.fitter import BodyFitter, Fit

__all__ = ["BodyFitter", "Fit"]
