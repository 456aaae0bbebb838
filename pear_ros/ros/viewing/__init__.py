# SPDX-License-Identifier: Apache-2.0
"""The viewer's side that knows ROS: transforms, and the node that listens for it."""
