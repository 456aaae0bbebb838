# SPDX-License-Identifier: Apache-2.0
"""Metric scale of people: their true size and distance, from depth images or a known height.

`metric_scale` combines the measurements of a video, `visible_surface` computes which points of
meshes the camera sees and the depth measured there, and `beam_model` estimates a scale factor from
their ratios.
"""
