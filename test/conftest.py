# SPDX-License-Identifier: Apache-2.0
"""Settings of the whole test run."""

from __future__ import annotations

import os

import hypothesis

# No timed tests: a busy machine is not a failure.
hypothesis.settings.register_profile("pear", deadline=None)
hypothesis.settings.load_profile("pear")

# Tests with real nodes must not meet other ROS systems, nor another run of these tests.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
