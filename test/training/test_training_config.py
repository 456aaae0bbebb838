# SPDX-License-Identifier: Apache-2.0
"""Configurations: typed, with defaults, refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs torch")

from pear_ros.training.config import ConfigError, as_mapping, read_config


def write(folder: Path, text: str) -> Path:
    path = folder / "train.yaml"
    path.write_text(text)
    return path


def test_what_is_not_given_has_its_default(tmp_path: Path) -> None:
    text = "name: desk-1\noutput: out\nstage2: {steps: 7}\nnetwork: {width: 64, heads: 1}\nema: 0\n"
    config = read_config(write(tmp_path, text))
    assert (config.name, config.ema, config.network.width) == ("desk-1", 0.0, 64)
    assert config.network.depth == 12 and config.stage1.steps == 20_000
    assert config.stage2.steps == 7 and config.stage2.pixels and not config.stage1.pixels
    assert config.steps == 20_007


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nme: a", "unknown key nme; known are name, output"),
        ("stage1: {stepz: 3}", "unknown key stage1.stepz; known are steps, batch"),
        ("stage1: {steps: many}", "stage1.steps must be a whole number, not 'many'"),
        ("stage1: {steps: 1.5}", "stage1.steps must be a whole number, not 1.5"),
        ("bf16: 1", "bf16 must be true or false, not 1"),
        ("ema: .nan", "ema must be finite"),
        ("{name: x, output: y, ema: 1.0}", "ema must be from 0 to below 1"),
        ("network: 3", "network must hold keys and values"),
        ("- a", "the file must hold keys and values"),
        ("", "the file must hold keys and values"),
        ("a: [", "is no YAML"),
        ("output: x", "name must be letters"),
        ("{name: a/b, output: x}", "name must be letters"),
        ("name: x", "output must name a folder"),
        ("{name: x, output: y, body: smpl}", "body must be one of open, ehm-s, smplx, not smpl"),
        ("{name: x, output: y, map_size: 60}", "map_size must be 16, 32"),
        ("{name: x, output: y, network: {width: 100, heads: 3}}", "a multiple of network.heads"),
        ("{name: x, output: y, stage1: {batch: 0}}", "stage1: batch and accumulate"),
        ("{name: x, output: y, losses: {mask: -1}}", "losses must not be negative"),
        ("{name: x, output: y, stage1: {steps: 0}}", "must be above 0"),
    ],
)
def test_invalid_files_are_refused_with_the_key(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=message) as refused:
        read_config(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.yaml cannot be read"):
        read_config(tmp_path / "nothing.yaml")


def test_where_results_lie_and_who_makes_samples_does_not_change_them(tmp_path: Path) -> None:
    one = read_config(write(tmp_path, "{name: x, output: y}"))
    text = "{name: x, output: z, device: cpu, epoch: 3, data: {workers: 5}, model_folder: f}"
    assert as_mapping(read_config(write(tmp_path, text))) == as_mapping(one)
    # Losses of a head that the body does not have.
    text = "{name: x, output: y, losses: {head_scale: 2}}"
    assert as_mapping(read_config(write(tmp_path, text))) == as_mapping(one)
    text = "{name: x, output: y, body: ehm-s, losses: {head_scale: 2}}"
    assert as_mapping(read_config(write(tmp_path, text)))["losses"]["head_scale"] == 2.0
    other = read_config(write(tmp_path, "{name: x, output: y, data: {seed: 5}}"))
    assert as_mapping(other) != as_mapping(one)
