# SPDX-License-Identifier: Apache-2.0
"""Everything that knows ROS: messages, parameters and the nodes. The core does not import it."""
