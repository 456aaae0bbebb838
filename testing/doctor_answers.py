# SPDX-License-Identifier: Apache-2.0
"""What `pear doctor` is told of a fictitious machine, and what it finds, by its id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pear_ros.cli.doctor.findings import Finding, Level

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL
GPU = {
    "name": "Orin",
    "compute_capability": "8.7",
    "memory": 64_000_000_000,
    "memory_free": 50_000_000_000,
    "integrated": True,
    "multiprocessors": 16,
    "driver": "540.4.0",
    "cuda_of_driver": "12.6",
    "cuda_runtime": "12.6",
}
TORCH = {"version": "2.8.0", "cuda": "12.6", "usable": True, "architectures": ["sm_80", "sm_87"]}


class Answers:
    """A fake of the probes, with a result for each probe that a test expects."""

    def __init__(self, answers: dict[tuple[str, ...], dict[str, Any]]) -> None:
        self._answers = answers

    def __call__(self, *question: str) -> dict[str, Any]:
        return dict(self._answers[question])


def by_id(findings: Iterator[Finding]) -> dict[str, Finding]:
    """Return findings by id; each has its own, and advice unless all is well."""
    found = list(findings)
    ids = [finding.id for finding in found]
    assert len(set(ids)) == len(ids), "ids are unique"
    assert all(finding.advice for finding in found if finding.level is not OK), "what to do"
    return {finding.id: finding for finding in found}


def levels(findings: Iterator[Finding]) -> dict[str, Level]:
    """Return how bad each finding is, by its id."""
    return {id: finding.level for id, finding in by_id(findings).items()}
