# SPDX-License-Identifier: Apache-2.0
"""Anchors of heels and toes in contact with the floor, and how far feet are off them.

Where contact begins, a point gets an anchor, the mean of the point's places since, on the floor if
it is known. The offset pulls the foot to the anchors of its heel and toes with the probability of
contact. Across the line of sight, where the image shows a difference, it is bounded by a share of
the person's box; along it by a length. Anchors that are further away slip. Of the offset remains
what a turn of the leg about the hip can do. Without contact it fades.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pear_ros.core.rigid_transform import RigidTransform

Doubles = npt.NDArray[np.float64]

_CONTACT = 0.5
"""Probability of contact from which on a point has an anchor."""
_FIRM_CONTACT = 0.8
"""Probability from which on the anchor alone determines where the foot is."""
_MEAN_TIME = 0.1
"""Time that the first place of an anchor stands for in its mean, seconds."""
_MAX_ALONG = 0.1
"""Greatest offset along the line of sight, metres."""
_FADING_TIME = 0.08
"""Time constant with which offsets fade, seconds."""
_TINY = 1e-9


@dataclass(frozen=True)
class FootAnchors:
    """Anchors of the heels and toes of N people."""

    places: Doubles
    """(N, 4, 3) in the camera's optical frame, metres; of points without contact: any."""
    time: Doubles
    """(N, 4) seconds since the contact began; negative: no contact."""
    offset: Doubles
    """(N, 2, 3) last offset of left and right foot, metres."""


def initialise(soles: Doubles) -> FootAnchors:
    """Return the anchors of people with these `soles` (N, 4, 3) without contact."""
    return FootAnchors(soles, np.full(soles.shape[:2], -1.0), np.zeros((len(soles), 2, 3)))


def update(
    anchors: FootAnchors,
    soles: Doubles,
    contact: Doubles,
    height: Doubles,
    up: Doubles,
    dt: Doubles,
    legs: Doubles,
    max_across: Doubles,
) -> FootAnchors:
    """Return the anchors `dt` (N,) seconds later, with the offsets of the feet.

    `soles` (N, 4, 3), metres, with the probability of `contact` (N, 4) and their `height` (N, 4)
    above the floor along `up` (3,), NaN: unknown. `legs` (N, 2, 3): from hips to ankles; offsets
    turn them. `max_across` (N,): greatest offset across the line of sight, metres.
    """
    elapsed = dt[:, None]  # (N, 1)
    weight = np.clip((contact - _CONTACT) / (_FIRM_CONTACT - _CONTACT), 0.0, 1.0)
    last = np.repeat(anchors.offset, 2, axis=1)  # (N, 4, 3)
    on_floor = soles - np.nan_to_num(height)[..., None] * up
    continued = anchors.time >= 0.0
    gain = elapsed / (_MEAN_TIME + np.maximum(anchors.time, 0.0) + elapsed)
    places = np.where(
        continued[..., None],
        anchors.places + gain[..., None] * (on_floor - anchors.places),
        on_floor + last,
    )
    in_contact = weight > 0.0
    time = np.where(in_contact, np.where(continued, anchors.time + elapsed, 0.0), -1.0)
    wanted = np.where(in_contact[..., None], places - soles, 0.0)
    possible = _bounded(wanted, soles, max_across)
    share = weight.reshape(-1, 2, 2)
    offset = (share[..., None] * possible.reshape(-1, 2, 2, 3)).sum(axis=2)
    offset /= np.maximum(share.sum(axis=2), _TINY)[..., None]
    strength = share.max(axis=2)[..., None]  # (N, 2, 1)
    fading = np.exp(-elapsed / _FADING_TIME)[..., None]
    offset = strength * offset + (1.0 - strength) * fading * anchors.offset
    offset = _turning(offset, legs, soles[:, ::2], max_across)
    return FootAnchors(soles + possible, time, offset)


def moved(anchors: FootAnchors, transform: RigidTransform) -> FootAnchors:
    """Return the anchors in the target frame of `transform`, the camera's after it has moved."""
    return replace(
        anchors,
        places=transform.apply(anchors.places),
        offset=transform.rotate(anchors.offset),
    )


def _turning(offsets: Doubles, legs: Doubles, soles: Doubles, max_across: Doubles) -> Doubles:
    """The part of offsets (N, 2, 3) that turns the legs, within the bound across."""
    leg = legs / np.linalg.norm(legs, axis=-1, keepdims=True)
    turning = offsets - (offsets * leg).sum(axis=-1, keepdims=True) * leg
    ray = soles / np.linalg.norm(soles, axis=-1, keepdims=True)
    across = turning - (turning * ray).sum(axis=-1, keepdims=True) * ray
    length = np.linalg.norm(across, axis=-1, keepdims=True)
    shorter = np.minimum(1.0, max_across[:, None, None] / np.maximum(length, _TINY))
    return np.asarray(turning * shorter)


def _bounded(offsets: Doubles, soles: Doubles, max_across: Doubles) -> Doubles:
    """Offsets (N, 4, 3) as far as they are possible."""
    ray = soles / np.linalg.norm(soles, axis=-1, keepdims=True)
    along = (offsets * ray).sum(axis=-1, keepdims=True)
    across = offsets - along * ray
    length = np.linalg.norm(across, axis=-1, keepdims=True)
    across = across * np.minimum(1.0, max_across[:, None, None] / np.maximum(length, _TINY))
    return np.asarray(np.clip(along, -_MAX_ALONG, _MAX_ALONG) * ray + across)
