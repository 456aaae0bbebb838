# SPDX-License-Identifier: Apache-2.0
"""Write the reference pages of docs/ and config/pear.yaml from the code that they describe.

Parameters come from their declarations, the command line from its parser, messages from their
definitions, launch arguments from the launch files. The pages are committed, since a code host
shows them as they are.

    python -m tools.reference_pages
"""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from pathlib import Path
from typing import Any

from pear_ros.body import load_open_body
from pear_ros.cli.parser import make_parser
from pear_ros.core.parameters import DECLARATIONS, DEFAULTS
from pear_ros.core.people import SMPLX_JOINT_NAMES
from tools.command_page import command_sections
from tools.inputs_page import inputs_sections
from tools.launch_page import launch_sections

ROOT = Path(__file__).resolve().parent.parent
MESSAGES = ROOT / "pear_msgs" / "msg"
LAUNCH = ROOT / "launch"

_MADE = "Made by tools/reference_pages.py; change {source} instead, then: make docs"
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "text"}


def main() -> None:
    """Write those files that have changed."""
    for name, text in pages().items():
        file = ROOT / name
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
            print(f"written: {file.relative_to(ROOT)}")


def pages() -> dict[str, str]:
    """Return the text of each generated file by its path in the repository."""
    return {
        "docs/parameters.md": parameters_page(),
        "docs/commands.md": commands_page(make_parser()),
        "docs/launch.md": launch_page(LAUNCH),
        "docs/messages.md": messages_page(MESSAGES),
        "docs/inputs.md": inputs_page(),
        "config/pear.yaml": parameter_file(),
    }


def parameters_page() -> str:
    """Return the page about the node's parameters."""
    rows = []
    sections = []
    for name, declaration in DECLARATIONS.items():
        default, live = _literal(DEFAULTS[name]), declaration.live
        rows.append(f"| [`{name}`](#{name}) | {default} | {'yes' if live else ''} |")
        sections += [
            f"## `{name}`",
            _marked(declaration.help),
            f"*{_values(name)}; default: {default}; "
            f"{'may be changed at any time' if live else 'takes effect at configuration'}*",
        ]
    table = "\n".join(["| name | default | may be changed at any time |", "|---|---|---|", *rows])
    return _page(
        "pear_ros/core/parameters.py",
        "# Parameters",
        "The parameters of the node `pear`. [config/pear.yaml](../config/pear.yaml) has all of "
        "them with their defaults: copy it, change it, and start with `params_file:=YOURS.yaml`. "
        "You can also change them while the node runs:",
        "    ros2 param describe /pear max_humans\n    ros2 param set /pear max_humans 2",
        "Parameters that take effect at configuration cannot be set while the node is configured: "
        "take it through `deactivate` and `cleanup` first (`ros2 lifecycle set /pear ...`), or "
        "restart it.",
        table,
        *sections,
    )


def parameter_file() -> str:
    """Return config/pear.yaml: every parameter with its default, its help as a comment."""
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        f"# {_MADE.format(source='pear_ros/core/parameters.py')}",
        "# Parameters of the node with their defaults.",
        "/**:",
        "  ros__parameters:",
    ]
    for name, declaration in DECLARATIONS.items():
        live = " May be changed while the node runs." if declaration.live else ""
        limits = declaration.low is not None and f" {declaration.low:g} to {declaration.high:g}."
        about = f"{declaration.help}{limits or ''}{live}"
        comment = textwrap.wrap(
            about,
            100,
            initial_indent="    # ",
            subsequent_indent="    # ",
            break_on_hyphens=False,
            break_long_words=False,
        )
        lines += [*comment, f"    {name}: {_yaml(DEFAULTS[name])}", ""]
    return "\n".join(lines[:-1]) + "\n"


def commands_page(parser: argparse.ArgumentParser) -> str:
    """The page about the command line, with every subcommand of `parser`."""
    return _page(
        "pear_ros/cli/",
        "# Command line",
        "`pear COMMAND --help` says the same. Where the package is built with colcon, the command "
        "is `ros2 run pear_ros pear`; in this repository, `.venv/bin/pear`.",
        *command_sections(parser),
    )


def launch_page(folder: Path) -> str:
    """The page about the launch files in `folder`."""
    return _page(
        "launch/",
        "# Launch files",
        "`ros2 launch pear_ros FILE --show-args` says the same. Arguments are given as "
        "`name:=value`; `cameras.launch.py` and `replay.launch.py` take those of "
        "`pear.launch.py`, too.",
        *launch_sections(folder),
    )


def messages_page(folder: Path) -> str:
    """The page with the message definitions in `folder` and the order of the joints."""
    order = (
        *("HumanArray", "Human", "SmplxParams", "FlameParams", "BodyModelInfo"),
        *("SeparationArray", "Separation"),
    )
    sections: list[str] = []
    for name in order:
        definition = (folder / f"{name}.msg").read_text().strip()
        sections += [f"## {name}", f"```bash\n{definition}\n```"]
    parents = load_open_body().parents
    joints = [
        f"| {index} | `{name}` | {'' if parents[index] < 0 else parents[index]} |"
        for index, name in enumerate(SMPLX_JOINT_NAMES)
    ]
    return _page(
        "pear_msgs/msg/",
        "# Messages, field by field",
        "The definitions of `pear_msgs/msg` as they are. What they mean together, with a picture "
        "of the frames: [messages and frames](messages_and_frames.md).",
        *sections,
        "## Joints",
        "The 55 joints of SMPL-X, in the order of `Human.joints`, `joint_confidence`, `keypoints` "
        "and `BodyModelInfo.joint_names`. *Left* is the person's own left.",
        "\n".join(["| | name | parent |", "|---|---|---|", *joints]),
    )


def inputs_page() -> str:
    """The page about what is done with inputs that are odd."""
    return _page(
        "pear_ros/ros/conversion/",
        "# Inputs",
        "What the node and `pear replay` do with images, calibrations, detections and stamps that "
        "are not as ROS says. Where something is mended or left out, one sentence in the log names "
        "topic, value and remedy; `/diagnostics` and the table of `pear replay` count the images, "
        "and `pear doctor` finds the same on live topics. If nobody was found for a fault of the "
        "detections, the exit code of `pear replay` is 1.",
        *inputs_sections(),
    )


def _page(source: str, *blocks: str) -> str:
    return "\n\n".join([f"<!-- {_MADE.format(source=source)} -->", *blocks]) + "\n"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value != "" else "empty"


def _values(name: str) -> str:
    """Type of a parameter, and which values are allowed."""
    declaration, kind = DECLARATIONS[name], _TYPES[type(DEFAULTS[name])]
    if declaration.choices:
        return f"{kind}: {', '.join(f'`{choice}`' for choice in declaration.choices)}"
    if declaration.pattern:
        return f"{kind} that matches `{declaration.pattern}`"
    if declaration.low is None:
        return kind
    steps = f", by steps of {declaration.step}," if declaration.step else ""
    return f"{kind}{steps} from {declaration.low:g} to {declaration.high:g}"


def _yaml(value: Any) -> str:
    """A default as YAML 1.1, in which a bare `off` would be a boolean."""
    plain = isinstance(value, str) and re.fullmatch(r"[a-z][\w-]*", value)
    boolean = value in ("on", "off", "yes", "no", "y", "n")
    return str(value) if plain and not boolean else json.dumps(value)


def _marked(text: str) -> str:
    """A description with names, values, paths and types set as code."""
    quoted = re.sub(r"(?<!\w)'([^' ]+)'(?!\w)", r"`\1`", text)
    name = r"(?<![\w`])~?\$?[\w<>]*[/_<][\w/<>.]*[\w>]"
    parts = re.split(r"(`[^`]*`)", quoted)  # odd ones are code already
    return "".join(p if n % 2 else re.sub(name, r"`\g<0>`", p) for n, p in enumerate(parts))


if __name__ == "__main__":
    main()
