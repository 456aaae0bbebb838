# SPDX-License-Identifier: Apache-2.0
"""How long each stage takes on somebody's own machine and pictures: the parts of `pear bench`."""
