# SPDX-License-Identifier: Apache-2.0
"""The folder of a training: its state, its weights, its losses and a sheet of pictures."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pear_ros.core.log import get_logger
from pear_ros.io.output_files import replaced, write_picture
from pear_ros.pear.files import BODY_FILES, ModelFiles
from pear_ros.training.network import TrainedNetwork, release

logger = get_logger(__name__)

State = dict[str, Any]
MODEL_FOLDER = "model"
"""Folder in that of a training which is a model folder for the node."""
_FORMAT = 1


class ResultsError(ValueError):
    """A training cannot be continued; the message has the file, the reason and a remedy."""


class Results:
    """Reads and writes a training's folder. Files are complete or absent."""

    def __init__(self, folder: Path) -> None:
        """Make `folder` where there is none. Raises OSError."""
        (folder / MODEL_FOLDER).mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._losses = folder / "losses.jsonl"

    @property
    def state_file(self) -> Path:
        """Path of the state, with which a training is continued."""
        return self._folder / "state.pt"

    @property
    def weights_file(self) -> Path:
        """Path of the released weights."""
        return self._folder / MODEL_FOLDER / "pear_model.pt"

    def write_state(self, state: State, config: Mapping[str, Any]) -> None:
        """Write a state of tensors and plain data. Raises OSError, as with a full disk."""
        content = {"format": _FORMAT, "config": json.dumps(config), "state": state}
        _save(self.state_file, content)

    def read_state(self, config: Mapping[str, Any]) -> State | None:
        """Return the state that was written last; None where there is none.

        Raises ResultsError where it is damaged or of another configuration.
        """
        path = self.state_file
        if not path.exists():
            return None
        remedy = "move its folder away, or name another output, to begin anew"
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            state, own = content["state"], json.loads(content["config"])
        except (OSError, RuntimeError, ValueError, LookupError, TypeError, EOFError) as error:
            raise ResultsError(f"{path} is damaged; {remedy}") from error
        except pickle.UnpicklingError as error:
            raise ResultsError(f"{path} is no state of `pear train`; {remedy}") from error
        if content.get("format") != _FORMAT:
            raise ResultsError(f"{path} is of another version of this package; {remedy}")
        if changed := sorted(key for key in config if own.get(key) != config[key]):
            raise ResultsError(
                f"{path} belongs to another configuration ({', '.join(changed)} differ); {remedy}"
            )
        found: State = state
        return found

    def write_weights(
        self, network: TrainedNetwork, weights: dict[str, Tensor], name: str, body: str
    ) -> None:
        """Write weights as `pear import-model` and the node read them. Raises OSError."""
        content: State = {
            "body": body,
            "model_id": f"pear-train/{name}",
            "heads": network.size.heads,
            **release(network, weights),
        }
        _save(self.weights_file, content)

    def link_body(self, files: ModelFiles) -> None:
        """Make links to a body's files in the model folder, where the node looks for them.

        What is there by these names stays. Where links cannot be made, the log says so.
        """
        for file in BODY_FILES:
            link, own = self.weights_file.with_name(file.name), files.found[file.key].resolve()
            if link.exists():
                continue
            try:
                link.unlink(missing_ok=True)  # One to a file that is gone.
                link.symlink_to(own)
            except OSError as error:
                logger.warning("Copy %s to %s for the node: no link (%s)", own, link, error)

    def write_sheet(self, sheet: npt.NDArray[np.uint8]) -> None:
        """Write the sheet of pictures. Raises OSError."""
        write_picture(self._folder / "sheet.jpg", sheet)

    def keep_losses(self, steps: int) -> None:
        """Leave out losses of later steps than the first `steps`, which a killed run had written.

        Raises OSError.
        """
        if not self._losses.exists():
            return
        kept = [line for line in self._losses.read_bytes().splitlines() if _step(line) < steps]
        with replaced(self._losses) as file:
            file.writelines(line + b"\n" for line in kept)

    def add_losses(self, step: int, losses: Mapping[str, float]) -> None:
        """Append the losses of a step, one line of JSON. Raises OSError."""
        with self._losses.open("a") as file:
            file.write(json.dumps({"step": step, **losses}) + "\n")


def _save(path: Path, content: State) -> None:
    with replaced(path) as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            # What torch makes of an error of the system while it writes an archive.
            if isinstance(cause := error.__context__, OSError):
                raise cause from error
            raise OSError(None, f"cannot be written ({error})", str(path)) from error


def _step(line: bytes) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, LookupError, TypeError):
        return float("inf")  # Half a line, as of a killed process.
