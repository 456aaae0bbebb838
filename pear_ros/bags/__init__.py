# SPDX-License-Identifier: Apache-2.0
"""Bags of rosbag2, read despite damage and written in resumable parts, without ROS."""
