# SPDX-License-Identifier: Apache-2.0
"""Where in the image people may be."""
