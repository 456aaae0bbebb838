# SPDX-License-Identifier: Apache-2.0
"""Perceive people in full: body, hands and face, from camera images, for ROS 2 and for scripts."""

__version__ = "0.1.0"
