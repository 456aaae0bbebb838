# SPDX-License-Identifier: Apache-2.0
"""The configuration of a training: a YAML file, checked against typed declarations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pear_ros.training.bodies import BODIES
from pear_ros.training.losses import FLAME_LOSSES
from pear_ros.training.network import NetworkSize

_Options = TypeVar("_Options")


class ConfigError(ValueError):
    """A configuration is not valid; the message has file, key and remedy."""


@dataclass(frozen=True)
class Data:
    """Renders of the body, and annotated people."""

    seed: int = 0
    """Seed of all samples, and of the network's first weights."""
    workers: int = 2
    """Processes that make samples; 0: they are made between the steps."""
    backgrounds: str = ""
    """Folder of pictures without people (jpg, png); empty: plain walls."""
    shards: str = ""
    """Folder of shards of `pear annotate`; empty: renders alone."""
    annotated: float = 0.5
    """Share of samples that are taken from the shards, where there are some."""


@dataclass(frozen=True)
class Losses:
    """Weights of the losses; with 0 one is not computed into the sum.

    Those of pixels (mask to colours) are such that each one's gradient, in the network's weights,
    is at most half as long as that of all others together, once meshes are near the people.
    """

    rotations: float = 1.0
    joints: float = 5.0
    vertices: float = 2.0
    keypoints: float = 2.0
    camera: float = 0.5
    betas: float = 0.02
    expression: float = 0.1
    flame_shape: float = 0.02
    flame_expression: float = 0.1
    eyelids: float = 0.1
    head_scale: float = 1.0
    tokens: float = 0.3
    mask: float = 0.15
    parts: float = 0.02
    normals: float = 0.1
    colours: float = 0.2


@dataclass(frozen=True)
class Stage:
    """One stage of training."""

    steps: int = 0
    """Steps of the optimiser."""
    batch: int = 16
    """Samples of a batch, in each process."""
    accumulate: int = 1
    """Batches whose gradients are added up for one step."""
    learning_rate: float = 3e-4
    """Highest learning rate: it rises linearly, then falls as half a cosine."""
    warmup: int = 100
    """Steps until the learning rate is highest."""
    pixels: bool = False
    """Whether predictions are rendered and compared with masks, parts, normals and colours."""


@dataclass(frozen=True)
class Config:
    """All of a training."""

    name: str
    """Name of the weights: `model_id` of their results begins with pear-train/NAME."""
    output: str
    """Folder of all results; what is there of the same configuration is continued."""
    body: str = "open"
    """Body that the network is trained for: open, smplx (SMPL-X) or ehm-s (PEAR's own, SMPL-X with
    FLAME's head); the latter two of files that you have."""
    model_folder: str = ""
    """Folder of those files, see docs/pear.md; empty: the node's default folder."""
    initial: str = ""
    """Checkpoint to begin with: PEAR's, one of `pear train`, or a ViT's; empty: none."""
    device: str = "auto"
    """Device of torch, such as cpu or cuda; auto: cuda where there is one."""
    bf16: bool = False
    """Whether the network is computed in bfloat16 where that is safe (mixed precision)."""
    ema: float = 0.999
    """Decay of the average of weights, which is what is released."""
    weight_decay: float = 0.05
    """Weight decay of AdamW."""
    clip: float = 1.0
    """Largest norm of the gradient; longer ones are shortened to it."""
    epoch: int = 500
    """Steps after which state, weights and a sheet of pictures are written."""
    map_size: int = 64
    """Pixels of a side in which pixels are compared: a divisor of 256."""
    sigma: float = 0.3
    """Softness of rendered edges, pixels of the map."""
    network: NetworkSize = field(default_factory=NetworkSize)
    data: Data = field(default_factory=Data)
    losses: Losses = field(default_factory=Losses)
    stage1: Stage = field(default_factory=lambda: Stage(steps=20_000))
    stage2: Stage = field(default_factory=lambda: Stage(learning_rate=1e-4, pixels=True))

    @property
    def steps(self) -> int:
        """Steps of both stages."""
        return self.stage1.steps + self.stage2.steps


def read_config(path: Path) -> Config:
    """Return the configuration of a YAML file.

    Raises ConfigError, which names file and key, where the file cannot be read, a key is unknown
    or missing, or a value has another type or is out of range.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe", pure=True).load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error})") from error
    except YAMLError as error:
        first = str(error).splitlines()[0]
        raise ConfigError(f"{path} is no YAML ({first})") from error
    try:
        config = _filled(Config(name="", output=""), content, "")
        _check(config)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return config


def as_mapping(config: Config) -> dict[str, Any]:
    """Return all that results depend on, but for the content of files, as plain data."""
    content = asdict(config)
    for name in ("output", "device", "epoch", "model_folder"):
        del content[name]
    for name in ("workers", "shards"):
        del content["data"][name]
    if config.body != "ehm-s":
        for name in FLAME_LOSSES:
            del content["losses"][name]
    return content


def _filled(defaults: _Options, content: Any, where: str) -> _Options:
    """Return `defaults` with the values of a YAML mapping, that of the section `where`."""
    if not isinstance(content, Mapping):
        raise ConfigError(f"{where.rstrip('.') or 'the file'} must hold keys and values")
    known = vars(defaults)
    for key in content:
        if key not in known:
            raise ConfigError(f"unknown key {where}{key}; known are {', '.join(known)}")
    given = {key: _value(known[key], value, f"{where}{key}") for key, value in content.items()}
    return replace(defaults, **given)  # type: ignore[type-var]


def _value(default: Any, value: Any, name: str) -> Any:
    """Return `value`, which must have the type of the default."""
    if is_dataclass(default):
        return _filled(default, value, f"{name}.")
    kind = type(default)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        word = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
        raise ConfigError(f"{name} must be {word[kind]}, not {value!r}")
    if kind is float and not math.isfinite(value):
        raise ConfigError(f"{name} must be finite, not {value}")
    return value


def _check(config: Config) -> None:
    size, data = config.network, config.data
    bodies = ", ".join(BODIES)
    letters = config.name.replace("-", "").replace("_", "")
    rules = {
        "name must be letters, digits, - and _": letters.isascii() and letters.isalnum(),
        "output must name a folder": bool(config.output),
        f"body must be one of {bodies}, not {config.body}": config.body in BODIES,
        "map_size must be 16, 32, 64, 128 or 256": config.map_size in (16, 32, 64, 128, 256),
        "ema must be from 0 to below 1": 0.0 <= config.ema < 1.0,
        "sigma and clip must be above 0": min(config.sigma, config.clip) > 0.0,
        "epoch must be 1 or more": config.epoch >= 1,
        "weight_decay must not be negative": config.weight_decay >= 0.0,
        "all of network must be 1 or more": min(vars(size).values()) >= 1,
        "network.width must be a multiple of network.heads": size.width % max(size.heads, 1) == 0,
        "data.workers and data.seed must not be negative": min(data.workers, data.seed) >= 0,
        "data.annotated must be from 0 to 1": 0.0 <= data.annotated <= 1.0,
        "losses must not be negative": min(vars(config.losses).values()) >= 0.0,
        "stage1.steps or stage2.steps must be above 0": config.steps > 0,
    }
    for name, stage in (("stage1", config.stage1), ("stage2", config.stage2)):
        rules |= {
            f"{name}: steps and warmup must not be negative": min(stage.steps, stage.warmup) >= 0,
            f"{name}: batch and accumulate must be 1 or more": min(stage.batch, stage.accumulate)
            >= 1,
            f"{name}.learning_rate must be above 0": stage.learning_rate > 0.0,
        }
    for rule, is_kept in rules.items():
        if not is_kept:
            raise ConfigError(rule)
