# SPDX-License-Identifier: Apache-2.0
"""Smoothing of poses, positions, shapes and faces over time.

The pipeline has three models of time. Each answers one question, and each is independent of the
others:

1. Fit continuity (`pear_ros.fitting`, with the landmark estimator only). Which pose explains the
   landmarks? One picture leaves several answers, such as front and back or near and far. The last
   fit of the same region is therefore a weak prior of the next fit. Its standard deviations grow
   with the elapsed time, and it has no influence on a joint that has clearly moved. It resolves
   ambiguities and does not reduce noise. PEAR estimates each image on its own.
2. Identity (`pear_ros.tracking`). Which estimate belongs to which person? A Kalman filter of the
   root predicts where each track is in the next image, and for how long it may be hidden. Its
   innovation covariance gates and scores the assignment. The filter is tuned to walking people and
   to occlusions of a second. Its states are used for association, for regions and for predicted
   people. Measured people pass through unchanged.
3. Smoothing (this package). Where is each joint, given all measurements until now? An interacting
   multiple model filter for each joint and for the pelvis removes jitter from measured people. Its
   states belong to the ids of 2, and start again when a track was not measured for half a second.
   Then a hidden Markov model tells which heels and toes touch the floor, and feet in contact are
   held in place.

After people cross, the fit's prior may be of the wrong person for an image, since it belongs to a
region. The assignment of 2 corrects the identity, so that 3 filters each person separately.

Modules: `imm_filter` (the filter), `measurement_noise` (noise adaptation, outliers and jumps),
`tangent_space` (error states of rotations and positions), `measurements` (what one image measures),
`person_states` (filter states of whole people), `smoother` (the people of one video), `batches`
(indexing of batches); `feet` (feet of the people of one video), `soles` (heels and toes of a body),
`foot_contact` (probability of contact), `foot_anchors` (where feet came down), `leg_turn` (inverse
kinematics).
"""
