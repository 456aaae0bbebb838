# SPDX-License-Identifier: Apache-2.0
"""`pear build-engine`: builds the TensorRT engine that the node would build when it starts."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pear_ros.core.configuration import RuntimeChoice
from pear_ros.core.log import package_logger
from pear_ros.io.downloads import build_peaks_file
from pear_ros.io.tegrastats import Sample, watched
from pear_ros.pear.body import load_body
from pear_ros.pear.files import default_model_folder, find_model_files
from pear_ros.pear.runtimes.build_progress import BuildProgress
from pear_ros.pear.runtimes.engine_cache import EngineCache
from pear_ros.pear.runtimes.engines import Progress, ProgressLog, tensorrt_runtime, time_left
from pear_ros.pear.runtimes.runtime import RuntimeUnavailableError
from pear_ros.pear.weights import Weights


def build_engine(folder: Path | None, pear_body: str, precision: str, max_people: int) -> int:
    """Build the engine of the files below `folder`, unless cached, and print its accuracy.

    `folder`: by default the default model folder; `pear_body`, `precision` and `max_people`: see
    pear_ros.core.parameters. Return the exit code: 0 when there is an engine, otherwise 1, with the
    reason on standard error.
    """
    choice = RuntimeChoice("tensorrt", strict=True, precision=precision, max_people=max_people)
    try:
        with _log_printed():
            _build((folder or default_model_folder()).expanduser().absolute(), pear_body, choice)
    except ModuleNotFoundError as error:
        return _fail(f"the Python package {error.name} is missing: pip install {error.name}")
    except (RuntimeUnavailableError, ValueError, OSError) as error:
        return _fail(str(error))
    return 0


def _build(folder: Path, pear_body: str, choice: RuntimeChoice) -> None:
    files = find_model_files(folder)
    files.require()
    body = load_body(files, pear_body)
    with _progress() as progress, watched() as peaks:

        def building(state: BuildProgress) -> None:
            peaks.start()  # Not for an engine that is cached.
            progress(state)

        try:
            runtime = tensorrt_runtime(Weights(files), body, choice, building, insist=True)
        finally:
            _keep(peaks.stop())
    runtime.close()
    print(f"Ready: {runtime.info}, {runtime.info.verdict}")
    print(f"Engines are in {EngineCache().folder}")


def _keep(peaks: Sample) -> None:
    """Print the peaks of a build on a Jetson and keep them for `pear doctor --jetson`."""
    if not peaks.known:
        return
    print(f"Peaks of the build by tegrastats: {peaks}")
    with contextlib.suppress(OSError):  # It is printed.
        path = build_peaks_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(peaks)))


def _fail(reason: str) -> int:
    sys.stdout.flush()
    print(f"error: {reason}", file=sys.stderr)
    return 1


class _AboveBars(logging.Handler):
    """Prints records on standard output, above the progress bars of a terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record at once."""
        tqdm.write(self.format(record))
        sys.stdout.flush()


@contextlib.contextmanager
def _log_printed() -> Iterator[None]:
    """Print the package's log, with each step and its reason, on standard output."""
    level, printed = package_logger.level, _AboveBars()
    package_logger.addHandler(printed)
    package_logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        package_logger.setLevel(level)
        package_logger.removeHandler(printed)


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """Show progress as a bar on a terminal, otherwise in the log."""
    if not sys.stderr.isatty():
        yield ProgressLog()
        return
    bars: list[Any] = []

    def show(progress: BuildProgress) -> None:
        if not bars:
            shape = "{percentage:3.0f} %|{bar}| {elapsed}{postfix} {desc}"
            bars.append(tqdm(total=1.0, bar_format=shape, leave=False))
        (bar,) = bars
        left = progress.seconds_left
        bar.n = min(progress.done, 1.0)
        bar.set_postfix_str(f"{time_left(left)} left" if math.isfinite(left) else "", refresh=False)
        bar.set_description_str(progress.phase)

    try:
        yield show
    finally:
        for bar in bars:
            bar.close()
