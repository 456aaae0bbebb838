# SPDX-License-Identifier: Apache-2.0
"""Fallback from one precision to the next: the fastest whose accuracy is sufficient is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pear_ros.core.log import get_logger
from pear_ros.core.people import Array
from pear_ros.pear.body import PearBody
from pear_ros.pear.runtimes.accuracy import Verdict, judge
from pear_ros.pear.runtimes.reference_crops import infer_bundled
from pear_ros.pear.runtimes.runtime import (
    DeviceUnavailableError,
    Runtime,
    RuntimeUnavailableError,
)

logger = get_logger(__name__)


def require_accurate(
    runtime: Runtime,
    reference: Array,
    body: PearBody | None,
    on_verdict: Callable[[Verdict], None] | None = None,
) -> Runtime:
    """Return `runtime` with the verdict on its accuracy in its info, or close it and raise.

    `reference` (8, VECTOR_SIZE): outputs of the network in fp32 for the bundled crops. `body`: see
    `judge`. `on_verdict` is called with the verdict, whether it passed or not.

    Raises RuntimeUnavailableError when the runtime is not accurate enough, and what `infer` raises.
    """
    try:
        verdict = judge(infer_bundled(runtime), reference, body)
        runtime.info = replace(runtime.info, verdict=verdict)
        if on_verdict is not None:
            on_verdict(verdict)
        if verdict.fault:
            raise RuntimeUnavailableError(f"it is not accurate enough: {verdict.fault}")
    except BaseException:
        runtime.close()
        raise
    return runtime


def first_available(precisions: Sequence[str], make: Callable[[str], Runtime]) -> Runtime:
    """Return the runtime that `make` makes for the first of `precisions` for which it succeeds.

    `make` fails by raising RuntimeUnavailableError; each fallback is logged as a warning. Its
    DeviceUnavailableError is passed on: no other precision would help.

    Raises RuntimeUnavailableError with the reasons of all precisions when `make` fails for each.
    """
    reasons = []
    for number, precision in enumerate(precisions):
        try:
            return make(precision)
        except DeviceUnavailableError:
            raise
        except RuntimeUnavailableError as error:
            reasons.append(f"{precision} cannot be used: {error}")
            if number + 1 < len(precisions):
                logger.warning("%s; falling back to %s", reasons[-1], precisions[number + 1])
    if len(precisions) == 1:
        reasons.append("set precision to auto to allow others")
    raise RuntimeUnavailableError("; ".join(reasons))
