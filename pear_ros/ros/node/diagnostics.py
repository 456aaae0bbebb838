# SPDX-License-Identifier: Apache-2.0
"""Messages on /diagnostics (REP-107), for rqt, robot monitors and the demo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from pear_ros.ros.node.image_statistics import Statistics

_IMAGES = "images"
_COUNTS = (
    *("lost", "received", "processed", "dropped", "refused", "failed", "unwatched", "people"),
    *("missing_detections", "late_detections", "missing_depth", "late_depth"),
)


@dataclass(frozen=True)
class Report:
    """The state of a node at one moment."""

    state: str
    """State of the node's life cycle, in a word."""
    statistics: Statistics
    rates: Mapping[str, float] = field(default_factory=dict)
    """Rates over the last seconds, Hz, by name."""
    topics: Mapping[str, str] = field(default_factory=dict)
    """Description of each input topic, by kind."""
    warnings: Sequence[str] = ()
    """Sentences on what the user has to change, the worst first."""
    model_id: str = ""
    """Name and version of the estimator; empty while none is loaded."""
    diagnostics: Mapping[str, str] = field(default_factory=dict)
    """Descriptions of the estimator by name, such as its runtime."""
    failure: str = ""
    """Why the estimator can no longer be used; empty while it can."""


def diagnostic_array(report: Report, name: str, stamp: Time) -> DiagnosticArray:
    """Return three statuses of the node `name`: images, topics and estimator.

    Images have all counts, also of what was odd in inputs, rates and the median duration of each
    stage. Topics have the level WARN if there are warnings, the estimator ERROR after its failure.
    """
    statistics = report.statistics
    images = {count: str(getattr(statistics, count)) for count in _COUNTS}
    images |= {name: str(count) for name, count in sorted(statistics.issues.items())}
    images |= {f"{rate} [Hz]": f"{hertz:.2f}" for rate, hertz in report.rates.items()}
    images |= {f"{stage} [ms]": f"{ms:.2f}" for stage, ms in statistics.stage_ms.items()}
    summary = f"{statistics.processed} of {statistics.received} images processed"
    status = [
        _status(f"{name}: {_IMAGES}", summary, images),
        _status(f"{name}: topics", report.state, report.topics, report.warnings),
        _status(f"{name}: estimator", report.model_id or "not loaded", report.diagnostics),
    ]
    if report.failure:
        status[-1].level, status[-1].message = DiagnosticStatus.ERROR, report.failure
    return DiagnosticArray(header=Header(stamp=stamp), status=status)


def figures(message: DiagnosticArray) -> dict[str, float]:
    """Return the counts, stages ("<stage> [ms]") and rates ("<rate> [Hz]") of a message."""
    (status,) = (status for status in message.status if status.name.endswith(f": {_IMAGES}"))
    return {pair.key: float(pair.value) for pair in status.values}


def _status(
    name: str, message: str, values: Mapping[str, str], warnings: Sequence[str] = ()
) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=DiagnosticStatus.WARN if warnings else DiagnosticStatus.OK,
        name=name,
        message="; ".join(warnings) or message,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
