# SPDX-License-Identifier: Apache-2.0
"""Contact of heels and toes with the floor z = 0, from earlier and from later frames.

The hidden Markov model of `pear_ros.smoothing.foot_contact`, forwards and backwards in time; its
two log odds are averaged, so that contact begins and ends without delay.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.smoothing import foot_contact

Doubles = npt.NDArray[np.float64]

_HEIGHT_STD = 0.03
"""Standard deviation of the floor's height below a person, metres."""


def contact_probability(soles: Doubles, confidence: Doubles, camera: Doubles, rate: int) -> Doubles:
    """Return the probability of contact (T, 4) of heels and toes.

    `soles` (T, 4, 3) in the world, metres; `confidence` (T, 4), 0 to 1, NaN: unknown; `camera`
    (3,): its position in the world; `rate`: frames a second.
    """
    forward = _log_odds(soles, confidence, camera, rate)
    backward = _log_odds(soles[::-1], confidence[::-1], camera, rate)[::-1]
    return foot_contact.probability(0.5 * (forward + backward))


def _log_odds(soles: Doubles, confidence: Doubles, camera: Doubles, rate: int) -> Doubles:
    """(T, 4) after each frame."""
    from_camera = soles - camera
    states = foot_contact.initialise(from_camera[:1], 0.0)
    odds = [states.log_odds[0]]
    std = np.full((1, 4), _HEIGHT_STD)
    for t in range(1, len(soles)):
        height = soles[t : t + 1, :, 2]
        states = foot_contact.update(
            states, from_camera[t : t + 1], t / rate, confidence[t : t + 1], height, std
        )
        odds.append(states.log_odds[0])
    return np.stack(odds)
