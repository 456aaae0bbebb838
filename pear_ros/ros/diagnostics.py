# SPDX-License-Identifier: Apache-2.0
"""The node's counts and timings on /diagnostics (REP-107), for rqt, robot monitors and the demo."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from pear_ros.ros.metrics import Statistics

_COUNTS = ("lost", "received", "processed", "dropped", "refused", "failed", "unwatched", "people")


def diagnostic_array(statistics: Statistics, name: str, stamp: Time) -> DiagnosticArray:
    """The statistics of the node `name` as one status: all counts, and the median of each stage."""
    values = {count: str(getattr(statistics, count)) for count in _COUNTS}
    values |= {f"{stage} [ms]": f"{ms:.2f}" for stage, ms in statistics.stage_ms.items()}
    status = DiagnosticStatus(
        level=DiagnosticStatus.OK,
        name=f"{name}: images",
        message=f"{statistics.processed} of {statistics.received} images processed",
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
    return DiagnosticArray(header=Header(stamp=stamp), status=[status])


def figures(message: DiagnosticArray) -> dict[str, float]:
    """Counts and, under "<stage> [ms]", medians out of a message of `diagnostic_array`."""
    (status,) = message.status
    return {pair.key: float(pair.value) for pair in status.values}
