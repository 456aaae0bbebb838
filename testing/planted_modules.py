# SPDX-License-Identifier: Apache-2.0
"""Modules for `pear annotate` that err, or end the process, as a test asks for."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import numpy as np

from pear_ros.annotation.default_modules import Body, Face, Hand
from pear_ros.annotation.modules import View
from pear_ros.core.people import Array
from pear_ros.landmarks.hands import HandModel
from pear_ros.landmarks.types import FaceLandmarks, HandLandmarks, PoseLandmarks

KILLING = "body=testing.planted_modules:killing_body"
"""Option of `pear annotate`, --module, for `killing_body`."""
KILL_AT = "PEAR_TEST_KILL_AT"
"""Environment variable: the call of `killing_body` that ends the process, from 1 on."""


class _ShiftedHand(Hand):
    name = "shifted_hand"

    def __call__(self, view: View, pose: PoseLandmarks) -> HandLandmarks | None:
        hand = super().__call__(view, pose)
        if hand is None:
            return None
        size = float(np.ptp(hand.image[:, :2], axis=0).max())
        return replace(hand, image=hand.image + np.array([1.5 * size, 0.0, 0.0], np.float32))


class _ShiftedFace(Face):
    name = "shifted_face"

    def __call__(self, view: View, pose: PoseLandmarks) -> FaceLandmarks | None:
        face = super().__call__(view, pose)
        if face is None:
            return None
        size = float(np.ptp(face.image[:, :2], axis=0).max())
        return replace(face, image=face.image + np.array([0.0, size, 0.0], np.float32))


class _WrongMask:
    name = "wrong_mask"

    def __call__(self, view: View, pose: PoseLandmarks, square: Array) -> Array:
        mask = np.zeros((256, 256), np.float32)
        mask[:60] = 1.0
        return mask


class _KillingBody(Body):
    name = "killing_body"

    def __init__(self) -> None:
        super().__init__(1, "full")
        self._calls = 0

    def __call__(self, view: View) -> PoseLandmarks | None:
        self._calls += 1
        if self._calls == int(os.environ.get(KILL_AT, "0")):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(view)


def shifted_left_hand() -> Hand:
    """Return a module that finds left hands 1.5 hands beside where they are."""
    return _ShiftedHand(HandModel(), "LEFT")


def shifted_face() -> Face:
    """Return a module that finds faces a face below where they are."""
    return _ShiftedFace(1)


def wrong_mask() -> _WrongMask:
    """Return a module of which every mask is the crop's upper quarter."""
    return _WrongMask()


def killing_body() -> Body:
    """Return a module that kills its own process at the call that KILL_AT names, if any."""
    return _KillingBody()


def without_name() -> object:
    """Return something that is no module."""
    return object()
