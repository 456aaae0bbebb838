# SPDX-License-Identifier: Apache-2.0
"""`pear doctor`: run all checks of this installation and print their findings."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from pear_ros import __version__
from pear_ros.cli.doctor import engines, formatting, gpu, jetson, libraries, models, ros
from pear_ros.cli.doctor.findings import Check, Finding, Level, fail, ok, run_check
from pear_ros.cli.doctor.network_report import NetworkReport
from pear_ros.cli.doctor.probe_process import Probe, ProbeError, ProbeRunner, run_module
from pear_ros.cli.doctor.topics import check_topics
from pear_ros.io.downloads import build_peaks_file

_STARTUP_SECONDS = 60.0
"""Time that the observation of topics may take beyond its own duration."""


def doctor(folder: Path | None, seconds: float, as_json: bool, on_jetson: bool = False) -> int:
    """Run all checks and print their findings; return the exit code, 1 where something fails.

    `folder`: where PEAR's files are, the default one unless given. `seconds`: how long ROS topics
    are observed; 0: not at all. `as_json`: print one JSON object instead of lines. `on_jetson`:
    check what matters on a Jetson, too.
    """
    probe = ProbeRunner()
    findings: list[Finding] = []
    try:
        _start_slow_probes(probe)
        for id, check in _checks(probe, folder, seconds, on_jetson):
            for finding in run_check(id, check):
                if not as_json:
                    _print(finding, findings[-1] if findings else None)
                findings.append(finding)
    finally:
        probe.close()
    print(formatting.as_json(findings) if as_json else f"\n{formatting.summary(findings)}")
    return 1 if any(finding.level is Level.FAIL for finding in findings) else 0


def _start_slow_probes(probe: ProbeRunner) -> None:
    """Start the probes that take longest, so that they run while other checks are printed."""
    probe.start("gpu")
    for library in libraries.LIBRARIES:
        if importlib.util.find_spec(library.name) is not None:
            probe.start("library", library.name)


def _checks(
    probe: Probe, folder: Path | None, seconds: float, on_jetson: bool
) -> Iterator[tuple[str, Check]]:
    """Yield all checks in the order of output, each with the id of a warning if it raises."""
    bind = functools.partial
    yield "machine.system", gpu.check_machine
    yield "gpu.device", bind(gpu.check_gpu, probe)
    yield "python.version", libraries.check_python
    for library in libraries.LIBRARIES:
        yield f"library.{library.name}", bind(libraries.check_library, library, probe)
    yield "library.cv2_packages", libraries.check_opencv
    yield "models.landmarks", models.check_assets
    yield "models.detector", models.check_detector
    yield "models.open_body", models.check_open_body
    yield "models.pear", bind(models.check_pear_files, folder)
    yield "engine.cache", bind(engines.check_engines, probe)
    if on_jetson:
        yield "jetson.board", bind(jetson.check_jetson, probe, build_peaks_file())
    yield "ros.distribution", ros.check_distribution
    if not ros.has_rclpy():
        return
    yield "ros.rmw", bind(ros.check_rmw, probe)
    yield "ros.domain", ros.check_domain
    yield "ros.node", bind(ros.check_node, probe)
    yield "ros.cv_bridge", bind(ros.check_cv_bridge, probe)
    yield "ros.vision_msgs", ros.check_optional
    yield "topics.images", bind(_check_network, seconds)


def _check_network(seconds: float) -> Iterator[Finding]:
    """Observe topics; the last check, since other probes would load the machine meanwhile."""
    if seconds <= 0.0:
        yield ok("topics.images", "not observed")
        return
    timeout = seconds + _STARTUP_SECONDS
    try:
        content = run_module("pear_ros.cli.doctor.network", str(seconds), timeout=timeout)
    except ProbeError as error:
        yield fail("topics.images", f"cannot be observed: {error}", "fix ROS 2 first, see above")
        return
    yield from check_topics(NetworkReport.from_dict(content), seconds)


def _print(finding: Finding, before: Finding | None) -> None:
    if before is None:
        print(f"pear_ros {__version__}")
    if before is None or before.group != finding.group:
        print(f"\n{formatting.title(finding.group)}")
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    width = shutil.get_terminal_size((100, 24)).columns
    print(formatting.lines(finding, width, colour), flush=True)
