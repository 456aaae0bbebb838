# SPDX-License-Identifier: Apache-2.0
"""Options of the commands that are made from the declarations of the node's parameters."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pear_ros.core.parameters import DECLARATIONS, DEFAULTS, Parameters

_METAVARS = {int: "N", float: "NUMBER", str: "TEXT"}


def add_parameters(
    group: argparse._ActionsContainer,
    names: Iterable[str],
    **defaults: Any,
) -> None:
    """Add an option for each of the parameters `names`.

    `defaults`: of those whose default in this command is not the node's. A switch that is on by
    default becomes `--no-NAME`.
    """
    for name in names:
        declaration, default = DECLARATIONS[name], defaults.get(name, DEFAULTS[name])
        option = (declaration.option or name).replace("_", "-")
        text = declaration.help.replace("%", "%%")
        if isinstance(default, bool):
            group.add_argument(
                f"--no-{option}" if default else f"--{option}",
                dest=name,
                action="store_false" if default else "store_true",
                help=f"Do not {text[0].lower()}{text[1:]}" if default else text,
            )
            continue
        group.add_argument(
            f"--{option}",
            dest=name,
            type=_parser(name),
            default=default,
            metavar=_metavar(name),
            help=f"{text} (default: {_spelled(default)})",
        )


def parameters_from(options: argparse.Namespace, **values: Any) -> Parameters:
    """Return the node's parameters with those that are among `options`, and with `values`.

    A relative model_folder becomes absolute, since processes that get it may run elsewhere.
    """
    given = {name: value for name, value in vars(options).items() if name in DECLARATIONS}
    parameters = Parameters(**{**given, **values})
    folder = parameters.model_folder
    if not folder:
        return parameters
    return replace(parameters, model_folder=str(Path(folder).expanduser().absolute()))


def _parser(name: str) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return DECLARATIONS[name].parse(type(DEFAULTS[name]), text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse


def _metavar(name: str) -> str:
    declaration = DECLARATIONS[name]
    if declaration.choices:
        return "{" + ",".join(declaration.choices) + "}"
    if name.endswith("_folder"):
        return "FOLDER"
    return declaration.unit.upper() or _METAVARS[type(DEFAULTS[name])]


def _spelled(default: Any) -> str:
    if isinstance(default, float):
        return f"{default:g}"
    return str(default) or "empty"
