# SPDX-License-Identifier: Apache-2.0
"""Landmarks of bodies, hands and faces from images, by MediaPipe's models on LiteRT."""
