# SPDX-License-Identifier: Apache-2.0
"""The reference page about launch files, read from their source.

ROS 2's launch is only there where ROS 2 is installed, so the files are parsed instead of run.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from pear_ros.core import parameters
from pear_ros.ros.launch_arguments import BESIDE_NODE, LaunchArgument, parameter_arguments


def launch_sections(folder: Path) -> list[str]:
    """Blocks of Markdown about each launch file in `folder`: the plain node first."""
    blocks: list[str] = []
    for file in sorted(folder.glob("*.launch.py"), key=lambda f: (f.name != "pear.launch.py", f)):
        tree = ast.parse(file.read_text())
        blocks.append(f"## `{file.name}`")
        for paragraph in inspect.cleandoc(ast.get_docstring(tree) or "").split("\n\n"):
            command = paragraph.startswith("ros2 ")
            blocks.append(f"    {paragraph}" if command else paragraph)
        rows = [_row(argument) for argument in arguments_of(tree)]
        head = ["| argument | default | |", "|---|---|---|"]
        blocks.append("\n".join([*head, *rows]))
    return blocks


def arguments_of(tree: ast.Module) -> Iterator[LaunchArgument]:
    """Yield the arguments that a launch file declares, in order; those of parameters last."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if "BESIDE_NODE" in names:
        yield from BESIDE_NODE
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        declares = getattr(call.func, "id", "") == "DeclareLaunchArgument"
        if declares and isinstance(call.args[0], ast.Constant):
            yield _argument(call)
    if "parameter_arguments" in names:
        yield from parameter_arguments()


def _argument(call: ast.Call) -> LaunchArgument:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    return LaunchArgument(
        name=ast.literal_eval(call.args[0]),
        default=_default(given.get("default_value")),
        choices=_choices(given.get("choices")),
        description=ast.literal_eval(given["description"]),
    )


def _default(node: ast.expr | None) -> str | None:
    """A text as it is; of a path put together, the last part, which lies in the package."""
    if node is None:
        return None
    texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
    return str(texts[-1])


def _choices(node: ast.expr | None) -> tuple[str, ...]:
    """A list of texts and of names from pear_ros.core.parameters."""
    found: list[str] = []
    for item in node.elts if isinstance(node, ast.List) else ():
        if isinstance(item, ast.Starred) and isinstance(item.value, ast.Name):
            found += getattr(parameters, item.value.id)
        else:
            found.append(ast.literal_eval(item))
    return tuple(found)


def _row(argument: LaunchArgument) -> str:
    if argument.default is None:
        default = "required"
    else:
        default = f"`{argument.default}`" if argument.default else "empty"
    text = argument.description.replace("|", "\\|").replace("<", "&lt;")
    values = ", ".join(f"`{value}`" for value in argument.choices if value)
    return f"| `{argument.name}` | {default} | {text}{f' Values: {values}.' if values else ''} |"
