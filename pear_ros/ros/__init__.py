# SPDX-License-Identifier: Apache-2.0
"""The ROS nodes, and the conversion of messages; no lower floor imports it."""
