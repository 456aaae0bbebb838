# SPDX-License-Identifier: Apache-2.0
"""Files and devices: video, downloads, files of `pear run`, facts of the machine."""
