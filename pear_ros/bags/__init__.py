# SPDX-License-Identifier: Apache-2.0
"""Bags of rosbag2, read as far as they can be read, and written in parts. No ROS is needed."""
