# SPDX-License-Identifier: Apache-2.0
"""The quickest precision that is accurate enough: each is judged, until one passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pear_ros.core.log import get_logger
from pear_ros.core.people import Array
from pear_ros.pear.body import PearBody
from pear_ros.pear.runtimes.accuracy import Verdict, judge
from pear_ros.pear.runtimes.reference_crops import infer_bundled
from pear_ros.pear.runtimes.runtime import Runtime, RuntimeUnavailableError

logger = get_logger(__name__)


def accurate(
    runtime: Runtime,
    reference: Array,
    body: PearBody | None,
    remember: Callable[[Verdict], None] | None = None,
) -> Runtime:
    """`runtime`, its info with a verdict, if that is in its favour; else it is closed.

    `reference` (8, VECTOR_SIZE): what the network in fp32 says of the bundled crops. `remember` is
    told the verdict, whatever it is. Raises RuntimeUnavailableError, and what `infer` does.
    """
    try:
        verdict = judge(infer_bundled(runtime), reference, body)
        runtime.info = replace(runtime.info, verdict=verdict)
        if remember is not None:
            remember(verdict)
        if verdict.fault:
            raise RuntimeUnavailableError(f"it is not accurate enough: {verdict.fault}")
    except BaseException:
        runtime.close()
        raise
    return runtime


def first_accurate(precisions: Sequence[str], make: Callable[[str], Runtime]) -> Runtime:
    """The runtime that `make` gives for the first of `precisions` for which it gives one.

    Raises RuntimeUnavailableError with all reasons where it gives none.
    """
    reasons = []
    for number, precision in enumerate(precisions):
        try:
            return make(precision)
        except RuntimeUnavailableError as error:
            reasons.append(f"{precision} cannot be used, as {error}")
            if number + 1 < len(precisions):
                logger.warning("%s; %s is tried", reasons[-1], precisions[number + 1])
    if len(precisions) == 1:
        reasons.append("with precision auto others are tried")
    raise RuntimeUnavailableError("; ".join(reasons))
