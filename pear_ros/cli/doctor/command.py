# SPDX-License-Identifier: Apache-2.0
"""`pear doctor`: what is here, what does not fit together, and what to do about it."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from pear_ros import __version__
from pear_ros.cli.doctor import engines, gpu, libraries, models, ros, shown
from pear_ros.cli.doctor.child import Ask, NoAnswerError, Probes, ask
from pear_ros.cli.doctor.findings import Check, Finding, Level, fail, findings_of, ok
from pear_ros.cli.doctor.topics import check_topics

_STARTS_WITHIN = 60.0
"""Seconds that looking at topics may take beyond those that were asked for."""


def doctor(folder: Path | None, seconds: float, as_json: bool) -> int:
    """Make all checks and print what they find; the exit code is 1 where something fails.

    `folder`: where PEAR's files are, the default one unless given. `seconds`: for how long to look
    at ROS topics; 0: not at all.
    """
    probes = Probes()
    findings: list[Finding] = []
    try:
        _begin(probes)
        for id, check in _checks(probes, folder, seconds):
            for finding in findings_of(id, check):
                if not as_json:
                    _print(finding, findings[-1] if findings else None)
                findings.append(finding)
    finally:
        probes.close()
    print(shown.as_json(findings) if as_json else f"\n{shown.summary(findings)}")
    return 1 if any(finding.level is Level.FAIL for finding in findings) else 0


def _begin(probes: Probes) -> None:
    """Ask first what takes longest."""
    probes.begin("gpu")
    for library in libraries.LIBRARIES:
        if importlib.util.find_spec(library.name) is not None:
            probes.begin("library", library.name)


def _checks(ask_probe: Ask, folder: Path | None, seconds: float) -> Iterator[tuple[str, Check]]:
    """All checks in the order in which they are told, each with an id for when it fails."""
    bind = functools.partial
    yield "machine.system", gpu.check_machine
    yield "gpu.device", bind(gpu.check_gpu, ask_probe)
    yield "python.version", libraries.check_python
    for library in libraries.LIBRARIES:
        yield f"library.{library.name}", bind(libraries.check_library, library, ask_probe)
    yield "library.cv2_packages", libraries.check_opencv
    yield "models.landmarks", models.check_assets
    yield "models.open_body", models.check_open_body
    yield "models.pear", bind(models.check_pear_files, folder)
    yield "engine.cache", bind(engines.check_engines, ask_probe)
    yield "ros.distribution", ros.check_distribution
    if not ros.has_rclpy():
        return
    yield "ros.rmw", bind(ros.check_rmw, ask_probe)
    yield "ros.domain", ros.check_domain
    yield "ros.node", bind(ros.check_node, ask_probe)
    yield "ros.cv_bridge", bind(ros.check_cv_bridge, ask_probe)
    yield "ros.vision_msgs", ros.check_optional
    yield "topics.images", bind(_look, seconds)


def _look(seconds: float) -> Iterator[Finding]:
    """At topics, when nothing else loads the machine any more."""
    if seconds <= 0.0:
        yield ok("topics.images", "not looked at")
        return
    try:
        seen = ask("pear_ros.cli.doctor.look", str(seconds), timeout=seconds + _STARTS_WITHIN)
    except NoAnswerError as error:
        yield fail("topics.images", f"cannot be looked at: {error}", "mend ROS 2 first, see above")
        return
    yield from check_topics(seen, seconds)


def _print(finding: Finding, before: Finding | None) -> None:
    if before is None:
        print(f"pear_ros {__version__}")
    if before is None or before.group != finding.group:
        print(f"\n{shown.title(finding.group)}")
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    width = shutil.get_terminal_size((100, 24)).columns
    print(shown.lines(finding, width, colour), flush=True)
