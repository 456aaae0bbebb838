# SPDX-License-Identifier: Apache-2.0
"""Filters over time for poses, positions and shapes."""
