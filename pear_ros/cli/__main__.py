# SPDX-License-Identifier: Apache-2.0
"""`python -m pear_ros.cli`: the command `pear` where it is not installed."""

import sys

from pear_ros.cli import main

sys.exit(main())
