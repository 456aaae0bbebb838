# SPDX-License-Identifier: Apache-2.0
"""Files and devices: video, downloads, arrays of `pear run`, description of the machine."""
