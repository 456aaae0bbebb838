# SPDX-License-Identifier: Apache-2.0
"""`pear annotate`: annotate inputs into shards, with a report and picture sheets."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from tqdm import tqdm

from pear_ros.annotation import report
from pear_ros.annotation.job import Job, ResumeError, begin
from pear_ros.annotation.modules import ModuleError
from pear_ros.annotation.shards import Shard, ShardsError, require_webdataset
from pear_ros.annotation.sheets import write_sheets
from pear_ros.annotation.sources import LabelledSource, SourceError, find_sources
from pear_ros.annotation.worker import Ended, OutputError, Worker
from pear_ros.bags.topic import BagError
from pear_ros.cli.stopping import INTERRUPTED
from pear_ros.core.quoting import printable
from pear_ros.evaluation.labels import LabelError
from pear_ros.replay.job import WorkersError

_THREADS = 2
"""Threads of a network in a single process."""
_FAILURES = (
    *(OSError, BagError, LabelError, ModuleError, OutputError),
    *(ResumeError, ShardsError, SourceError, WorkersError, ValueError),
)
"""Errors whose texts are for the user."""


@dataclass(frozen=True)
class Run:
    """Where sources are annotated."""

    by_ray: bool = False
    address: str | None = None
    """Of a Ray cluster; None: the one of this machine."""
    workers: int | None = None


def annotate(job: Job, run: Run, sheet: int, *, overwrite: bool = False) -> int:
    """Annotate as `job` says, print the report and return the exit code.

    `sheet`: samples on each picture sheet at most.
    """
    try:
        require_webdataset()
        sources = find_sources(job.inputs, job.per_shard)
        begin(job, overwrite)
        ends = _annotated(sources, job, run)
        files = report.save(ends, job.output)
        shards = [Shard(job.output, name).tar for one in ends for name in one.shards]
        written = [path for path in shards if path.exists()]
        files += write_sheets(written, report.total(ends), job.output, sheet)
    except OutputError as error:
        print(f"error: {error}. The same command resumes", file=sys.stderr)
        return 1
    except _FAILURES as error:
        print(printable(f"error: {error}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. The same command resumes.")
        return INTERRUPTED
    print(printable(report.as_text(ends)))
    print(f"{len(written)} shards and {', '.join(one.name for one in files)} are in {job.output}")
    for one in ends:
        if one.failure:
            print(printable(f"error: {one.failure}"), file=sys.stderr)
    found = report.total(ends)
    return 1 if found.unreadable or any(one.failure for one in ends) else 0


def _annotated(sources: Sequence[LabelledSource], job: Job, run: Run) -> list[Ended]:
    """Return how the sources ended, in their order."""
    ends = {}
    with closing(_ends(sources, job, run)) as found:
        for one in found:
            ends[one.name] = one
            if one.earlier:
                shards = "shard" if one.earlier == 1 else "shards"
                tqdm.write(f"{one.name}: {one.earlier} {shards} of an earlier run kept")
    return [ends[one.source.name] for one in sources]


def _ends(sources: Sequence[LabelledSource], job: Job, run: Run) -> Generator[Ended, None, None]:
    if run.by_ray:
        try:
            from pear_ros.annotation.on_ray import annotate_by_ray
        except ImportError as error:
            raise WorkersError("--ray needs Ray: pip install ray") from error
        yield from annotate_by_ray(sources, job, address=run.address, workers=run.workers)
        return
    worker = Worker(job, _THREADS)
    with tqdm(unit="image", disable=None) as bar:
        for source in sources:
            yield worker(source, bar.update)
