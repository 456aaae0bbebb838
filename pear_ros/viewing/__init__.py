# SPDX-License-Identifier: Apache-2.0
"""People in a web browser: scene, views and playback, without ROS."""
