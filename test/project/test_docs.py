# SPDX-License-Identifier: Apache-2.0
"""The documentation: reference pages match the code, its Python runs, the site builds."""

from __future__ import annotations

import argparse
import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from std_msgs.msg import Header

from pear_ros.core.parameters import DECLARATIONS, DEFAULTS
from pear_ros.core.people import People, Person
from pear_ros.ros.conversion.messages import human_array
from testing.open_people import CAMERA, open_body, person, t_pose
from tools.reference_pages import (
    commands_page,
    launch_page,
    messages_page,
    pages,
    parameters_page,
)

DOCS = Path(__file__).parents[2] / "docs"


def unquoted(text: str) -> str:
    return text.replace("'", "").replace("`", "")


@pytest.mark.parametrize("name", pages())
def test_reference_pages_are_what_the_code_says(name: str) -> None:
    assert (DOCS.parent / name).read_text() == pages()[name], (
        "out of date: run make docs and commit"
    )


def test_parameter_page_is_complete() -> None:
    page = parameters_page()
    for name, declaration in DECLARATIONS.items():
        section = page.split(f"\n## `{name}`\n")[1].split("\n## ")[0]
        assert unquoted(declaration.help) in unquoted(section)
        default = DEFAULTS[name]
        default = str(default).lower() if isinstance(default, bool) else default
        assert f"default: {f'`{default}`' if default != '' else 'empty'};" in section
        assert ("at any time" in section) == declaration.live
        assert all(f"`{choice}`" in section for choice in declaration.choices)
        if declaration.low is not None:
            assert f"from {declaration.low:g} to {declaration.high:g};" in section


def test_command_page_is_complete() -> None:
    parser = argparse.ArgumentParser(prog="pear")
    command = parser.add_subparsers().add_parser("cook", help="make a meal", description="Cooks.")
    command.add_argument("dish", help="what to cook")
    command.add_argument("--hot", action="store_true", help="with | pepper")
    command.add_argument("--for", type=int, default=4, metavar="N", help="people (%(default)s)")
    command.add_argument("--in", required=True, choices=("pot", "pan"))
    page = commands_page(parser)
    assert "| [`pear cook`](#pear-cook) | make a meal |" in page
    assert "    pear cook DISH --in {pot,pan} [OPTIONS]\n\nCooks.\n" in page
    assert "| `DISH` | what to cook |\n| `--hot` | with \\| pepper |" in page
    assert "| `--for N` | people (4) |\n" in page


def test_launch_page_is_complete(tmp_path: Path) -> None:
    (tmp_path / "cook.launch.py").write_text(
        '''"""Cooks.

ros2 launch pear_ros cook.launch.py dish:=soup
"""
DeclareLaunchArgument("dish", description="What to cook.")
DeclareLaunchArgument("book", default_value=Join([x, "soups.yaml"]), description="With <b>.")
DeclareLaunchArgument("by", default_value="", choices=["", *ESTIMATORS], description="Who.")
'''
    )
    page = launch_page(tmp_path)
    assert "## `cook.launch.py`\n\nCooks.\n\n    ros2 launch pear_ros cook.launch.py" in page
    assert "| `dish` | required | What to cook. |" in page
    assert "| `book` | `soups.yaml` | With &lt;b>. |" in page
    assert "| `by` | empty | Who. Values: `auto`, `pear`, `landmarks`, `example`. |" in page


def test_message_page_has_the_definitions(tmp_path: Path) -> None:
    definitions = {file.stem for file in (DOCS.parent / "pear_msgs" / "msg").glob("*.msg")}
    for name in definitions:
        (tmp_path / f"{name}.msg").write_text(f"# About {name}.\nfloat32 value\n")
    page = messages_page(tmp_path)
    assert "## Human\n\n```bash\n# About Human.\nfloat32 value\n```" in page
    assert "| 15 | `head` | 12 |" in page
    assert definitions == set(re.findall(r"^## (\w+)$", page, re.MULTILINE)) - {"Joints"}


@pytest.fixture(scope="module")
def example_person() -> Person:
    bent = person(
        t_pose(left_elbow=(0.3, 0.0, 1.0), jaw=(0.2, 0.0, 0.0), right_index1=(0.0, 0.4, 0.0))
    )
    shape = np.linspace(-1.0, 1.0, open_body().num_betas, dtype=np.float32)
    return dataclasses.replace(bent, smplx=dataclasses.replace(bent.smplx, betas=shape), scale=1.25)


def test_python_about_messages_runs(example_person: Person) -> None:
    people = People(CAMERA, "landmarks/3", open_body().name, (example_person,))
    (human,) = human_array(people, Header()).humans
    text = (DOCS / "messages_and_frames.md").read_text()
    names: dict[str, Any] = {"human": human}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, names)
    np.testing.assert_allclose([names[n] for n in "xyz"], example_person.joints[20])
    np.testing.assert_allclose([names[n] for n in "uv"], example_person.keypoints[20])
    smplx = example_person.smplx
    posed = open_body().vertices(
        smplx.pose[None], smplx.betas[None], smplx.expression[None], smplx.transl[None]
    )[0]
    expected = 1.25 * (posed - smplx.transl) + smplx.transl
    np.testing.assert_allclose(names["vertices"], expected, atol=1e-5)


def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    for library in ("sphinx", "furo", "myst_parser"):
        pytest.importorskip(library, reason="needs what make docs needs")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q"]
    command += ["-d", str(tmp_path / "read"), str(DOCS), str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "body_height" in (tmp_path / "site" / "parameters.html").read_text()
