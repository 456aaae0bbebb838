# SPDX-License-Identifier: Apache-2.0
"""The declarations of the parameters, and the command line options made from them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from pear_ros.cli.parameter_options import add_parameters, parameters_from
from pear_ros.core.configuration import EstimatorChoice, RuntimeChoice
from pear_ros.core.parameters import DECLARATIONS, DEFAULTS, Parameters, Settings


def parsed(*arguments: str, **defaults: Any) -> Parameters:
    parser = argparse.ArgumentParser()
    add_parameters(parser, DECLARATIONS, **defaults)
    return parameters_from(parser.parse_args(arguments))


@pytest.mark.parametrize("name", DECLARATIONS)
def test_declaration_is_complete(name: str) -> None:
    declaration, default = DECLARATIONS[name], DEFAULTS[name]
    assert declaration.help.endswith(".") and "  " not in declaration.help
    assert declaration.refusal(default) == ""
    is_number = isinstance(default, (int, float)) and not isinstance(default, bool)
    assert (declaration.low is not None) == (declaration.high is not None) == is_number


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("max_humans", 0, "must be from 1 to 32, not 0"),
        ("max_humans", 33, "must be from 1 to 32, not 33"),
        ("body_height", float("nan"), "must be from 0 to 2.5, not nan"),
        ("transforms", "on", "must be 'off' or 'roots' or 'joints', not 'on'"),
        ("id_prefix", "1st", "must match [A-Za-z][A-Za-z0-9_]*, not '1st'"),
    ],
)
def test_refusal_names_the_rule(name: str, value: Any, reason: str) -> None:
    assert DECLARATIONS[name].refusal(value) == reason


def test_options_without_arguments_give_the_defaults() -> None:
    assert parsed() == Parameters()
    assert parsed(max_humans=4) == Parameters(max_humans=4)


def test_options_set_their_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = "--max-humans 3 --no-smoothing --fov 70 --vertices --models files --runtime torch"
    assert parsed(*options.split()) == Parameters(
        max_humans=3,
        smoothing=False,
        field_of_view=70.0,
        publish_vertices=True,
        model_folder=str(tmp_path / "files"),
        runtime="torch",
    )


def test_parameters_are_the_settings_of_an_image() -> None:
    assert isinstance(Parameters(), Settings)
    assert Settings(max_humans=2).smoothing is Parameters.smoothing


def test_estimator_choice_follows_the_parameters() -> None:
    assert EstimatorChoice.of(Parameters()) == EstimatorChoice()
    parameters = Parameters(
        estimator="pear", model_folder="/files", pear_body="smplx", strict_runtime=True
    )
    expected = EstimatorChoice("pear", Path("/files"), "smplx", RuntimeChoice(strict=True))
    assert EstimatorChoice.of(parameters) == expected
    runtime = EstimatorChoice.of(Parameters(max_people=4, max_humans=2)).runtime
    assert (runtime.max_people, runtime.prepared_people) == (4, 2)
    assert RuntimeChoice(max_people=3, expected_people=32).prepared_people == 3


def test_numbers_of_any_length_are_refused_with_a_short_text() -> None:
    with pytest.raises(ValueError, match=r"^must be from 1 to 32, not 10+\.\.\.$"):
        DECLARATIONS["max_humans"].parse(int, "1" + 400 * "0")
