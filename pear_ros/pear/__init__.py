# SPDX-License-Identifier: Apache-2.0
"""PEAR (Pixel-aligned Expressive humAn mesh Recovery, arXiv 2601.22693).

The network, the files that a user brings for it, and the way from its crop to the robot's camera.
"""
