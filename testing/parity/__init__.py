# SPDX-License-Identifier: Apache-2.0
"""Comparison with outputs of the original PEAR."""
