# SPDX-License-Identifier: Apache-2.0
"""Export of recorded people: arrays, a table, animations, and motion for retargeting."""
