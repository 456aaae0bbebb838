# SPDX-License-Identifier: Apache-2.0
"""Joint angles and skeleton points of REP-155 (ROS4HRI), from SMPL-X bodies; free of ROS types."""
