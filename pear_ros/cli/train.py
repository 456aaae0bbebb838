# SPDX-License-Identifier: Apache-2.0
"""`pear train`: trains PEAR's network as a configuration says."""

from __future__ import annotations

import sys
from pathlib import Path

from pear_ros.cli.stopping import INTERRUPTED


def train(path: Path) -> int:
    """Train as the YAML file `path` says, printing where results are; return the exit code.

    It is 0 after the last step, 130 when stopped by Ctrl-C or SIGTERM, after which the same command
    continues, and otherwise 1, with the reason on standard error.
    """
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        return _fail(f"training needs the Python package {error.name}: pip install pear_ros[train]")
    from pear_ros.training.bodies import BodyError
    from pear_ros.training.config import ConfigError, read_config
    from pear_ros.training.initial import InitialWeightsError
    from pear_ros.training.results import ResultsError
    from pear_ros.training.stream import StreamError
    from pear_ros.training.trainer import Trainer, TrainingError, processes_of_torchrun

    try:
        config = read_config(path)
        with processes_of_torchrun():
            trainer = Trainer(config)
            is_done = trainer.run()
    except (
        *(BodyError, ConfigError, InitialWeightsError),
        *(ResultsError, StreamError, TrainingError),
    ) as error:
        return _fail(str(error))
    except (OSError, ValueError) as error:
        return _fail(f"training in {config.output} ended: {error}")
    counts = (("steps", trainer.skipped), ("samples", trainer.damaged), ("workers", trainer.lost))
    left_out = ", ".join(f"{count} {what}" for what, count in counts if count)
    print(f"{trainer.step} of {config.steps} steps; lost or left out: {left_out or 'nothing'}")
    print(f"Weights for the node: {trainer.weights_file}")
    return 0 if is_done else INTERRUPTED


def _fail(reason: str) -> int:
    print(f"error: {reason}", file=sys.stderr)
    return 1
