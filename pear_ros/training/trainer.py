# SPDX-License-Identifier: Apache-2.0
"""A training from its configuration to its results, in both stages; continues where it ended.

What is computed depends on the configuration and the number of processes alone: after a kill, the
state that was written last is continued, with the same samples and losses as without it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from tqdm import tqdm

from pear_ros.annotation.shard_index import ShardIndex
from pear_ros.body.ehm import EhmBody
from pear_ros.core.log import get_logger
from pear_ros.training.bodies import OPEN, body_files, load_training_body
from pear_ros.training.config import Config, Stage, as_mapping
from pear_ros.training.initial import load_initial
from pear_ros.training.learner import Learner
from pear_ros.training.network import TrainedNetwork
from pear_ros.training.results import Results, ResultsError
from pear_ros.training.samples import SampleMaker
from pear_ros.training.sheet import draw_sheet
from pear_ros.training.stream import Batch, SampleStream, Shares

logger = get_logger(__name__)

_STAGE2 = 1 << 32
"""First batch of stage 2: no sample of stage 1."""
_HELD_OUT = 1 << 60
"""First batch of the sheet, whose samples no training reaches."""
_SHEET = 8
"""Samples of the sheet."""
_MAX_SKIPPED = 20
"""Most steps in a row whose gradient is not finite."""


class TrainingError(RuntimeError):
    """A training cannot go on; the message has the reason."""


class Trainer:
    """Trains one network, as the configuration says."""

    def __init__(self, config: Config) -> None:
        """Prepare, or continue, the training in the folder `config.output`.

        Raises BodyError, ResultsError, InitialWeightsError or ShardsError where files are not what
        they should be, ValueError for backgrounds without pictures or damaged body files, OSError
        where the folder cannot be written.
        """
        folder = str(Path(config.model_folder).expanduser()) if config.model_folder else ""
        load = partial(load_training_body, config.body, folder)
        self._config, self._body = config, load()
        self._rank, self._processes = _rank(), _processes()
        self._results = Results(Path(config.output).expanduser())
        self._make = partial(SampleMaker, config.data, config.map_size, load)
        self.step = 0
        """Steps done, of both stages."""
        self.skipped = 0
        """Steps that were left out, as the gradient was not finite."""
        self.damaged = 0
        """Samples that were left out in this process."""
        self.lost = 0
        """Times that workers were lost in this process."""
        self._written = -1
        torch.manual_seed(config.data.seed)
        body = self._body
        network = TrainedNetwork(
            config.network, body.num_betas, body.num_expression, isinstance(body, EhmBody)
        )
        self._identity: dict[str, Any] = {
            **as_mapping(config),
            # Of the files that make it, too: other files, other results.
            "body": body.name if config.body == OPEN else f"{body.name} {body.sha256}",
            "processes": self._processes,
            "shards": _shards_digest(config.data.shards),
        }
        state = self._results.read_state(self._identity)
        if config.initial and state is None:
            path = Path(config.initial).expanduser()
            logger.info("Beginning with %s", load_initial(network, path, self._body.name))
        self._learner = Learner(network, self._body, config, _device(config.device))
        if state is not None:
            self._restore(state)
        if config.body != OPEN and self._rank == 0:
            self._results.link_body(body_files(config.body, folder))

    @property
    def network(self) -> TrainedNetwork:
        """A copy of the network with the average of its weights, as it is released."""
        averaged = deepcopy(self._learner.network)
        averaged.load_state_dict(self._learner.average)
        return averaged

    @property
    def weights_file(self) -> Path:
        """Path of the released weights."""
        return self._results.weights_file

    def run(self) -> bool:
        """Train until the last step; return whether it was reached, not stopped by Ctrl-C.

        State, weights and sheet are written after each epoch and at the end. Raises TrainingError
        where gradients stay not finite, StreamError without samples, OSError, as with a full disk.
        """
        with _stopping() as stopping, self._writer() as write_scalars:
            for stage, first in self._stages():
                if first <= self.step < first + stage.steps:
                    self._run_stage(stage, first, stopping, write_scalars)
                if stopping:
                    break
            self._write()
        return self.step >= self._config.steps

    def _stages(self) -> Iterator[tuple[Stage, int]]:
        """Both stages, each with the number of its first step."""
        yield self._config.stage1, 0
        yield self._config.stage2, self._config.stage1.steps

    def _run_stage(self, stage: Stage, first: int, stopping: list[int], write_scalars: Any) -> None:
        begin = (self.step - first) * stage.accumulate
        shares = Shares(stage.batch, self._rank, self._processes)
        offset = _STAGE2 if stage is self._config.stage2 else 0
        stream = SampleStream(self._make, shares, offset + begin, self._config.data.workers)
        in_a_row, damaged, lost = 0, self.damaged, self.lost
        name = "stage 2" if stage is self._config.stage2 else "stage 1"
        bar = tqdm(total=stage.steps, initial=self.step - first, desc=name, unit="step",
                   disable=self._rank > 0)  # fmt: skip
        try:
            while self.step < first + stage.steps and not self._agree(stopping):
                batches = [*islice(stream, stage.accumulate)]
                losses = self._learner.step(batches, stage, self.step - first)
                self.damaged, self.lost = damaged + stream.damaged, lost + stream.lost
                in_a_row = self._report(losses, batches, in_a_row, write_scalars)
                self.step += 1
                bar.update()
                bar.set_postfix(loss=f"{losses['loss']:.3f}" if losses else "none", refresh=False)
                if self.step % self._config.epoch == 0:
                    self._write()
        finally:
            bar.close()
            stream.close()

    def _report(
        self,
        losses: Mapping[str, float] | None,
        batches: list[Batch],
        in_a_row: int,
        write_scalars: Any,
    ) -> int:
        """Write the losses of a step; return how many steps in a row had none.

        Raises TrainingError where these are too many.
        """
        if losses is None:
            self.skipped += 1
            indices = [index for batch in batches for index in batch.indices]
            named = f"samples {indices[0]} to {indices[-1]}"
            logger.warning("Step %d is left out: NaN in its gradient (%s)", self.step, named)
            if in_a_row + 1 >= _MAX_SKIPPED:
                raise TrainingError(
                    f"{_MAX_SKIPPED} steps in a row, the last number {self.step} with {named}, "
                    "gave gradients with NaN: lower the learning rate, and continue from the last "
                    "state by the same command"
                )
            return in_a_row + 1
        if self._rank == 0:
            self._results.add_losses(self.step, losses)
            write_scalars(self.step, losses)
        return 0

    def _write(self) -> None:
        """Write state, weights and sheet."""
        if self._rank > 0 or self._written == self.step:
            return
        state = {
            "learner": self._learner.state(),
            "random": torch.get_rng_state(),
            "step": self.step,
            "skipped": self.skipped,
            "damaged": self.damaged,
            "lost": self.lost,
        }
        self._results.write_state(state, self._identity)
        self._results.write_weights(
            self._learner.network, self._learner.average, self._config.name, self._body.name
        )
        self._written = self.step
        self._results.write_sheet(draw_sheet(self._learner, self._held_out, self._body.faces))

    @cached_property
    def _held_out(self) -> Batch:
        """The samples of the sheet."""
        return next(SampleStream(self._make, Shares(_SHEET), _HELD_OUT, workers=0))

    def _restore(self, state: dict[str, Any]) -> None:
        try:
            self._learner.restore(state["learner"])
            torch.set_rng_state(state["random"])
            self.step, self.skipped = int(state["step"]), int(state["skipped"])
            self.damaged, self.lost = int(state["damaged"]), int(state["lost"])
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            raise ResultsError(
                f"{self._results.state_file} is damaged; move its folder away to begin anew"
            ) from error
        if self._rank == 0:
            self._results.keep_losses(self.step)
        logger.info("Continuing after %d of %d steps", self.step, self._config.steps)

    def _agree(self, stopping: list[int]) -> bool:
        """Return whether any process was asked to stop: all must stop after the same step."""
        if self._processes == 1:
            return bool(stopping)
        asked = torch.tensor([float(bool(stopping))], device=self._learner.device)
        distributed.all_reduce(asked, op=distributed.ReduceOp.MAX)
        if asked.item() and not stopping:
            stopping.append(0)
        return bool(stopping)

    @contextmanager
    def _writer(self) -> Iterator[Any]:
        """Give a function that writes losses for TensorBoard; where it is missing, to nowhere."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            logger.info("Without the Python package tensorboard, losses are in losses.jsonl alone")
            yield lambda step, losses: None
            return
        if self._rank > 0:
            yield lambda step, losses: None
            return
        writer = SummaryWriter(str(Path(self._config.output).expanduser() / "tensorboard"),
                               purge_step=self.step)  # fmt: skip

        def write(step: int, losses: Mapping[str, float]) -> None:
            for name, loss in losses.items():
                writer.add_scalar(f"loss/{name}", loss, step)

        try:
            yield write
        finally:
            writer.close()


@contextmanager
def processes_of_torchrun() -> Iterator[None]:
    """Join the other processes of the training, where torchrun started it; alone without it."""
    if "WORLD_SIZE" not in os.environ:
        yield
        return
    on_gpus = torch.cuda.is_available()
    if on_gpus:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("nccl" if on_gpus else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


@contextmanager
def _stopping() -> Iterator[list[int]]:
    """Give a list to which Ctrl-C and SIGTERM add themselves, instead of interrupting a step."""
    asked: list[int] = []
    names = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(name, lambda number, frame: asked.append(number)) for name in names]
    try:
        yield asked
    finally:
        for name, handler in zip(names, before, strict=True):
            signal.signal(name, handler)


def _rank() -> int:
    return distributed.get_rank() if distributed.is_initialized() else 0


def _processes() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1


def _device(name: str) -> torch.device:
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _shards_digest(folder: str) -> str:
    """Return the digest of the shards of a folder, of which damaged ones are named; "" for none."""
    if not folder:
        return ""
    shards = ShardIndex(Path(folder).expanduser())
    for fault in shards.damaged:
        logger.warning("Shard left out from its damage on: %s", fault)
    logger.info("%d annotated people in %s", len(shards), folder)
    return shards.digest
