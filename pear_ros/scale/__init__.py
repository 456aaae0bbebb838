# SPDX-License-Identifier: Apache-2.0
"""Metric scale of people: true size and distance, from depth images, a floor or a known height.

`metric_scale` combines the measurements of a video. `depth_scale` measures people in a depth image:
`visible_surface` computes which points of meshes the camera sees and the depth measured there, and
`beam_model` estimates a scale factor from their ratios. `floor_contact` measures people who touch a
floor, `floor_fit` finds a floor in a depth image, `learnt_height` remembers people's heights.
"""
