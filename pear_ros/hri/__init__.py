# SPDX-License-Identifier: Apache-2.0
"""What REP-155 (ROS4HRI) says about bodies, computed from SMPL-X's; free of ROS types."""
