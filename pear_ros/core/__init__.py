# SPDX-License-Identifier: Apache-2.0
"""The vocabulary of the core: people, camera, boxes, rotations, timestamps, settings."""
