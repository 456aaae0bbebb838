# SPDX-License-Identifier: Apache-2.0
"""Recognisers of gestures and postures: which are taken for which.

    python -m benchmarks.recognisers

People with the open body make a gesture or take a posture, in random variations, turned by up to
60 degrees (postures: anyhow). Rows say what they do, columns what is recognised.

- noisy joints: the joints of the truth with errors (standard deviations) of 2 cm along the image's
  axes and 5 cm along the viewing direction; fingers keep their shape and move with the wrist
- pictures: the same people rendered and estimated by the default estimator, one picture each
- demo clip: a woman walks by, a man on a roof stands and swings both arms before he jumps,
  estimated by the pipeline in every third image. By eye, both stand in the images that count, and
  none waves

Gestures of people in pictures include the hands as the estimator reads them. Waving: stick figures
at 15 images a second with 1.5 cm of noise, three seconds each, that wave or do something else with
their arms. Thresholds were set on other random numbers of the same kinds, not on pictures. `NONE`
are people who walk or carry something: real scenes hold more that is taken for a gesture. Pictures
are small and few (480 pixels, without time to smooth over), and their people bend at joints as rigs
do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from benchmarks.report import Table, write_report
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Region
from pear_ros.core.people import Array
from pear_ros.estimators.landmark_estimator import LandmarkEstimator
from pear_ros.hri.gestures import gesture
from pear_ros.hri.posture import posture
from pear_ros.hri.waving import Waving
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.pipeline import Pipeline
from pear_ros.training.studio import SyntheticStudio
from testing.acting_people import GESTURES, POSTURES, Actor, Random
from testing.open_people import batch, open_body
from testing.waving_people import (
    LEFT,
    RATE,
    RIGHT,
    Motion,
    beats,
    conducts_low,
    dangles,
    figure,
    jumps,
    raises_arm,
    swings_below,
    walks,
    waves,
    waves_aside,
    waves_straight,
)

SEED = 9000
NOISY_PEOPLE, PICTURES = 60, 6
"""People per gesture or posture."""
NOISE = np.array([0.02, 0.02, 0.05])
"""Standard deviations of joints along the axes of the optical frame, metres."""
SIZE = (480, 480)
DISTANCE = 3.0
CLIP_STEP, CLIP_END, MAN_END = 3, 150, 90
"""Images of the demo clip: every which, the last, and the last before the man jumps."""
NOBODY = "not found"

Actors = Mapping[str, Callable[[Random], Actor]]
Reading = tuple[Array, Array]
"""Joints (55, 3) and confidence (55,)."""
Confusion = dict[str, Counter[str]]
Source = tuple[str, int, Callable[[Random, Array], Reading | None]]
"""Heading, number of people, and how a person in a pose is read."""

OTHER_MOTIONS: tuple[Motion, ...] = (
    *(lambda t: {}, walks, raises_arm, jumps, swings_below, conducts_low, dangles, beats),
    waves(hertz=0.3, swing=1.0),
)


def recognise_gesture(reading: Reading) -> str:
    """Return the name of the gesture."""
    return gesture(*reading).name


def recognise_posture(reading: Reading) -> str:
    """Return the name of the posture."""
    return posture(*reading).name


def noisy(rng: Random, pose: Array) -> Reading:
    """Return joints with noise; fingers move with their wrist."""
    joints = open_body().joints(*batch(pose, (0.0, 0.0, DISTANCE)))[0].copy()
    errors = rng.normal(0.0, NOISE, (25, 3))
    joints[:25] += errors
    joints[25:40] += errors[20]
    joints[40:] += errors[21]
    return joints, np.full(55, np.nan, np.float32)


class Photographer:
    """Renders people and reads them by the default estimator."""

    def __init__(self) -> None:
        self._studio = SyntheticStudio()
        self._estimator = LandmarkEstimator(threads=1)

    def __call__(self, rng: Random, pose: Array) -> Reading | None:
        """Return what the estimator reads in a picture of a person; None: nothing."""
        width, height = SIZE
        camera = Camera(width, height, width, width, (width - 1) / 2, (height - 1) / 2)
        centred = open_body().vertices(*batch(pose, (0.0, 0.0, 0.0)))[0]
        transl = self._studio.place(rng, camera, centred, 1.15)
        vertices = centred + transl
        pixels = camera.project(vertices)
        box = np.array([*pixels.min(axis=0), *pixels.max(axis=0)], np.float32)
        self._estimator.reset()
        picture = self._studio.picture(rng, camera, vertices)
        (estimate,) = self._estimator.estimate(picture, camera, [Region("h1", box)], 0.0)
        return None if estimate is None else (estimate.joints, estimate.joint_confidence)


def confusion(
    actors: Actors,
    count: int,
    widest: float,
    read: Callable[[Random, Array], Reading | None],
    recognise: Callable[[Reading], str],
) -> Confusion:
    """Return for each kind how often what is recognised; `widest`: greatest turn, radians."""
    found: Confusion = {}
    for name, make in actors.items():
        found[name] = Counter()
        for seed in tqdm(range(SEED, SEED + count), desc=name):
            rng = np.random.default_rng(seed)
            reading = read(rng, make(rng).seen(rng.uniform(-widest, widest))[0])
            found[name][NOBODY if reading is None else recognise(reading)] += 1
    return found


def waving_confusion() -> Confusion:
    """Return how often stick figures that wave, and others, are said to wave."""
    found: Confusion = {"waving": Counter(), "something else": Counter()}
    for seed in tqdm(range(SEED, SEED + NOISY_PEOPLE), desc="waving"):
        rng = np.random.default_rng(seed)
        hand = LEFT if rng.random() < 0.5 else RIGHT
        own = waves(rng.uniform(1.0, 3.0), rng.uniform(0.3, 0.8), hand)
        does = (own, waves_straight, waves_aside)[rng.choice(3, p=[0.6, 0.2, 0.2])]
        other = OTHER_MOTIONS[rng.integers(len(OTHER_MOTIONS))]
        for name, motion in (("waving", does), ("something else", other)):
            found[name]["waves" if _waves(rng, motion) else "does not"] += 1
    return found


def _waves(rng: Random, motion: Motion) -> bool:
    turn = Rotation.from_rotvec([0.0, rng.uniform(-1.0, 1.0), 0.0])
    waving, confidence = Waving(), np.full(55, np.nan, np.float32)
    seen = False
    for frame in range(round(3 * RATE)):
        noise = rng.normal(0.0, 0.015, (55, 3)).astype(np.float32)
        joints = figure(motion, frame / RATE, turn) + noise
        seen |= waving.update(frame / RATE, joints, confidence)
    return seen


def clip_counts() -> Table:
    """Return what is recognised of the woman who walks and of the man until he jumps."""
    pipeline, tracks = Pipeline(), dict[str, Waving]()
    postures, waved = (
        {name: Counter[str]() for name in ("woman walks", "man swings his arms")} for _ in range(2)
    )
    for number, (seconds, image) in enumerate(tqdm(FrameSource(str(demo_clip())), unit="image")):
        if number % CLIP_STEP or number > CLIP_END:
            continue
        height, width = image.shape[:2]
        camera = Camera.from_field_of_view(width, height)
        for one in pipeline(image, camera, seconds).persons:
            reading = one.joints, one.joint_confidence
            waves_now = tracks.setdefault(one.id, Waving()).update(seconds, *reading)
            woman = one.box[[1, 3]].mean() > height / 2
            if woman or number <= MAN_END:
                who = "woman walks" if woman else "man swings his arms"
                postures[who][recognise_posture(reading)] += 1
                waved[who]["waves" if waves_now else "does not wave"] += 1
    rows = [[who, *_counts(postures[who]), *_counts(waved[who])] for who in postures]
    return ["", "posture, images", "waving, images"], rows


def _counts(counter: Counter[str]) -> list[str]:
    return [", ".join(f"{name} {count}" for name, count in counter.most_common())]


def table(found: Confusion, columns: Sequence[str] = ()) -> Table:
    """Return the rows in percent; `columns` come first, then whatever else was recognised."""
    names = list(columns)
    for counter in found.values():
        names += [name for name in counter if name not in names]
    rows = [
        [row, *(_percent(counter[name], counter) for name in names)]
        for row, counter in found.items()
    ]
    return ["", *names], rows


def _percent(count: int, counter: Counter[str]) -> str:
    return f"{100 * count / sum(counter.values()):.0f} %" if count else ""


def main() -> None:
    """Measure and write the report."""
    photographer = Photographer()
    kinds = (
        ("Gestures", GESTURES, np.pi / 3, recognise_gesture),
        ("Postures", POSTURES, np.pi, recognise_posture),
    )
    sources: tuple[Source, ...] = (
        (f"noisy joints, {NOISY_PEOPLE} people each", NOISY_PEOPLE, noisy),
    )
    sources += ((f"pictures, {PICTURES} people each", PICTURES, photographer),)
    tables = {
        f"{title}: {name}": table(confusion(actors, count, widest, read, recognise), list(actors))
        for title, actors, widest, recognise in kinds
        for name, count, read in sources
    }
    tables[f"Waving, {NOISY_PEOPLE} people each"] = table(waving_confusion())
    tables["Demo clip"] = clip_counts()
    write_report("recognisers", __doc__ or "", tables)


if __name__ == "__main__":
    main()
