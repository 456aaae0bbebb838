# SPDX-License-Identifier: Apache-2.0
"""Measurements, each a command of its own, with their result files."""
