# SPDX-License-Identifier: Apache-2.0
"""Recorded people as motion for animation and retargeting: the pass over a whole recording.

The world has z up and the floor at z = 0. All of a recording is known here, later images included,
which the live smoothing (`pear_ros.smoothing`) lacks.

1. `world`: which way up is, and where the floor, from the camera's pose or from the people.
2. `segments`: images in which a person was seen; long gaps split a track.
3. `swaps`: images in which left and right limbs are exchanged, which count as not seen.
4. `rts`: a Rauch-Tung-Striebel smoother of every joint and the pelvis, evaluated at a constant
   rate, with standard deviations, also within gaps.
5. `contact`, `root`, `feet`: contact of heels and toes with the floor, the pelvis's path that lets
   them neither slide nor sink, and legs that hold what remains.
"""
