# SPDX-License-Identifier: Apache-2.0
"""The core's types and helpers: people, camera, boxes, rotations, timestamps, parameters."""
