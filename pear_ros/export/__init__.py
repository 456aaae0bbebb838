# SPDX-License-Identifier: Apache-2.0
"""Export of recorded people: arrays (npz), a table (csv), animations, and motion for retargeting."""
