# SPDX-License-Identifier: Apache-2.0
"""True size and distance of people, from depth images or a known height."""
