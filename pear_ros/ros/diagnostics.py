# SPDX-License-Identifier: Apache-2.0
"""What the node says on /diagnostics (REP-107), for rqt, robot monitors and the demo."""

from __future__ import annotations

from collections.abc import Mapping

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from pear_ros.ros.metrics import Statistics

_IMAGES = "images"
_COUNTS = ("lost", "received", "processed", "dropped", "refused", "failed", "unwatched", "people")


def diagnostic_array(
    statistics: Statistics, model_id: str, facts: Mapping[str, str], name: str, stamp: Time
) -> DiagnosticArray:
    """Two statuses of the node `name`: images, with all counts and the median of each stage; and
    the estimator, with its `model_id` and the `facts` that it tells of itself.
    """
    values = {count: str(getattr(statistics, count)) for count in _COUNTS}
    values |= {f"{stage} [ms]": f"{ms:.2f}" for stage, ms in statistics.stage_ms.items()}
    summary = f"{statistics.processed} of {statistics.received} images processed"
    status = [
        _status(f"{name}: {_IMAGES}", summary, values),
        _status(f"{name}: estimator", model_id, facts),
    ]
    return DiagnosticArray(header=Header(stamp=stamp), status=status)


def figures(message: DiagnosticArray) -> dict[str, float]:
    """Counts and, under "<stage> [ms]", medians out of a message of `diagnostic_array`."""
    (status,) = (status for status in message.status if status.name.endswith(f": {_IMAGES}"))
    return {pair.key: float(pair.value) for pair in status.values}


def _status(name: str, message: str, values: Mapping[str, str]) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=DiagnosticStatus.OK,
        name=name,
        message=message,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
