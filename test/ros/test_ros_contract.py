# SPDX-License-Identifier: Apache-2.0
"""All that the project takes from rclpy, launch and launch_ros exists in each supported ROS 2.

ros_api_surface.json lists the modules, classes, members and parameters of rclpy (Humble, Jazzy,
Kilted), launch and launch_ros (Humble, Jazzy), as read from the installed packages. From it a tree
of stubs is made for each distribution, and mypy checks every file that imports one of the three
against them. Two names of the list that are the same object stand in "objects" once.

A class that derives from one of rclpy's must not define a private name that the base class has in
any of them: rclpy would then call ours. rclpy sets further private names on its instances, which
the list does not have; they are read from the source of the rclpy that is installed.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mypy", reason="mypy compares the code with the list")

ROOT = Path(__file__).parents[2]
SURFACE: dict[str, Any] = json.loads((ROOT / "test" / "ros_api_surface.json").read_text())
FOLDERS = ("pear_ros", "launch", "tools", "benchmarks", "docs/examples", "test")
ROS = ("rclpy", "launch", "launch_ros")

RETURNS = {
    "create_client": "rclpy.client.Client",
    "create_lifecycle_publisher": "rclpy.lifecycle.LifecyclePublisher",
    "create_publisher": "rclpy.publisher.Publisher",
    "create_service": "rclpy.service.Service",
    "create_subscription": "rclpy.subscription.Subscription",
    "create_timer": "rclpy.timer.Timer",
    "declare_parameter": "rclpy.parameter.Parameter",
    "get_clock": "rclpy.clock.Clock",
    "get_logger": "rclpy.impl.rcutils_logger.RcutilsLogger",
    "get_parameter": "rclpy.parameter.Parameter",
    "get_publishers_info_by_topic": "list[rclpy.node.TopicEndpointInfo]",
    "get_subscriptions_info_by_topic": "list[rclpy.node.TopicEndpointInfo]",
    "now": "rclpy.time.Time",
}
"""What Node's and Clock's methods return, which the list does not say."""

UNLISTED = {
    # An extension class, whose constructor cannot be read.
    "Clock": "def __new__(cls, *, clock_type: Any = ...) -> Clock: ...",
    # Attributes of instances; in rclpy since before Humble.
    "DurabilityPolicy": "name: str",
    "ReliabilityPolicy": "name: str",
    "Subscription": "qos_profile: Any",
}
"""Members that the list does not have."""
CONSTANTS = {"rclpy.qos": "qos_profile_sensor_data: QoSProfile"}
"""The list has classes and functions alone; this one is in rclpy since before Humble."""

ABSENT = {"attr-defined", "call-arg", "import-not-found", "import-untyped"}
"""mypy's codes for a module, member or parameter that does not exist."""


def uses_ros(text: str) -> bool:
    return any(name in text for name in ROS) and any(
        name.split(".")[0] in ROS for _, name in imports(ast.parse(text))
    )


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and module of every import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module


def guarded_lines(tree: ast.Module) -> set[int]:
    """Lines that need not exist everywhere: a `try` with another way, or for type checkers."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        handled = isinstance(node, ast.Try) and any(
            handler.type is not None and "ImportError" in ast.unparse(handler.type)
            for handler in node.handlers
        )
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if handled or typing_only:
            lines |= {
                line for part in node.body for line in range(part.lineno, part.end_lineno + 1)
            }
    return lines


@cache
def our_files() -> dict[str, Path]:
    """Files that import rclpy, launch or launch_ros, by the module names under which they go."""
    return {
        re.sub(r"\W", "_", str(path.relative_to(ROOT).with_suffix(""))): path
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if uses_ros(path.read_text())
    }


def write_stubs(folder: Path, distribution: str) -> None:
    modules = dict(SURFACE[distribution]["modules"])
    objects = dict.fromkeys(modules, SURFACE[distribution]["objects"])
    if "launch" not in modules:  # no list for this distribution: that of the one before
        for name, content in SURFACE["jazzy"]["modules"].items():
            if name.split(".")[0] != "rclpy":
                modules[name], objects[name] = content, SURFACE["jazzy"]["objects"]
    for name, content in modules.items():
        path = folder.joinpath(*name.split("."))
        path.mkdir(parents=True, exist_ok=True)
        lines = ["from typing import Any", "import rclpy.clock, rclpy.client, rclpy.lifecycle"]
        lines += ["import rclpy.publisher, rclpy.service, rclpy.subscription, rclpy.timer"]
        lines += ["import rclpy.node, rclpy.parameter, rclpy.time, rclpy.impl.rcutils_logger"]
        for item, key in content.items():
            lines += declaration(item, objects[name][key])
        lines.append(CONSTANTS.get(name, ""))
        (path / "__init__.pyi").write_text("\n".join(lines))
    for path in folder.rglob("*"):
        if path.is_dir() and not (path / "__init__.pyi").exists():
            (path / "__init__.pyi").touch()


def declaration(name: str, found: dict[str, list[str] | None] | list[str]) -> list[str]:
    """Lines of a stub: a function of these parameters, or a class of these members."""
    if isinstance(found, list):
        return [function(name, found)]
    members = [UNLISTED[name]] if name in UNLISTED else []
    for member, parameters in found.items():
        if parameters is None:
            members.append(f"{member}: Any")
        elif member != "__init__" or name != "Clock":
            static = "" if parameters[:1] == ["self"] else "@staticmethod\n    "
            members.append(static + function(member, parameters))
    return [f"class {name}:", *(f"    {member}" for member in members or ["pass"])]


def function(name: str, parameters: list[str]) -> str:
    listed = []
    optional = False
    for parameter in parameters:
        if parameter in ("args", "arguments"):
            listed.append(f"*{parameter}: Any")
        elif parameter in ("kwargs", "kwds"):
            listed.append(f"**{parameter}: Any")
        else:
            optional = optional or parameter.endswith("=")
            listed.append(f"{parameter.rstrip('=')}: Any" + (" = ..." if optional else ""))
    return f"def {name}({', '.join(listed)}) -> {RETURNS.get(name, 'Any')}: ..."


def absent(files: dict[str, Path], distribution: str, folder: Path) -> dict[str, list[str]]:
    """What `files` use that a distribution does not have, by the files' names.

    In `folder`, mypy keeps what it knows of all else, which makes the next distribution quicker.
    """
    stubs, code = folder / distribution / "stubs", folder / distribution / "code"
    write_stubs(stubs, distribution)
    code.mkdir(parents=True)
    guarded = {}
    for name, path in files.items():
        (code / f"{name}.py").write_text(path.read_text())
        guarded[name] = guarded_lines(ast.parse(path.read_text()))
    config = folder / distribution / "mypy.ini"
    sections = "".join(f"[mypy-{name}.*]\nfollow_imports = silent\n" for name in ROS)
    config.write_text(
        f"[mypy]\nfollow_imports = skip\ncheck_untyped_defs = True\nmypy_path = {stubs}\n{sections}"
    )
    command = [sys.executable, "-m", "mypy", "--config-file", str(config), "--no-error-summary"]
    command += ["--hide-error-context", "--no-site-packages", "--cache-dir", str(folder / "cache")]
    done = subprocess.run(
        [*command, *sorted(f"{name}.py" for name in files)],
        capture_output=True,
        text=True,
        cwd=code,
    )
    assert done.returncode in (0, 1) and not done.stderr, done.stdout + done.stderr
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        if match := re.fullmatch(r"(\w+)\.py:(\d+): error: (.+)  \[([a-z-]+)\]", line):
            name, number, text, kind = match.groups()
            if kind in ABSENT and is_of_ros(kind, text) and int(number) not in guarded[name]:
                found.setdefault(name, []).append(f"{number}: {text}")
    return found


def is_of_ros(kind: str, text: str) -> bool:
    """Whether an error of mypy is about ROS, and not about what is left out here."""
    if kind.startswith("import"):
        return any(f'"{name}' in text for name in ROS)
    return not text.startswith('"object" has no attribute')


PLANTED = {
    "newer_method": """
from rclpy.node import Node
def use(node: Node) -> None:
    node.add_post_set_parameters_callback(print)
""",
    "newer_method_inherited": """
from rclpy.lifecycle import LifecycleNode
class Ours(LifecycleNode):
    def use(self) -> None:
        self.add_post_set_parameters_callback(print)
""",
    "newer_module": "from rclpy.event_handler import SubscriptionEventCallbacks",
    "newer_function": "from rclpy import get_rmw_implementation_identifier, no_such_function",
    "newer_parameter": """
from launch_ros.actions import Node
Node(executable="pear_node", no_such_option=1)
import rclpy
rclpy.init(no_such_option=1)
""",
    "nowhere_returned": """
from rclpy.node import Node
def use(node: Node) -> object:
    return node.get_clock().now().no_such_unit
""",
    "guarded": """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from rclpy.event_handler import QoSMessageLostInfo
try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:
    from rclpy.qos_event import SubscriptionEventCallbacks
""",
    "fine": """
from rclpy.node import Node
def use(node: Node) -> object:
    return node.create_publisher(int, "topic", 1, event_callbacks=None).get_subscription_count()
""",
}
NOWHERE = {"newer_function", "newer_parameter", "nowhere_returned"}
EXPECTED = {
    "humble": NOWHERE | {"newer_method", "newer_method_inherited", "newer_module"},
    "jazzy": NOWHERE,
    "kilted": NOWHERE,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contract")


@pytest.fixture(scope="module")
def planted(folder: Path) -> dict[str, Path]:
    code = folder / "planted"
    code.mkdir()
    for name, text in PLANTED.items():
        (code / f"{name}.py").write_text(text)
    return {path.stem: path for path in code.glob("*.py")}


def test_the_files_are_found() -> None:
    names = set(our_files())
    assert {"pear_ros_ros_node_node", "launch_pear_launch", "docs_examples_wave"} <= names


@pytest.mark.parametrize("distribution", EXPECTED)
def test_nothing_is_used_that_a_distribution_does_not_have(
    distribution: str, planted: dict[str, Path], folder: Path
) -> None:
    """And what was planted is found."""
    found = absent({**our_files(), **planted}, distribution, folder)
    assert set(found) & set(planted) == EXPECTED[distribution]
    ours = {name: lines for name, lines in found.items() if name not in planted}
    assert not ours


def private_names(files: dict[str, Path]) -> dict[str, tuple[str, set[str]]]:
    """Private names that a class of ours defines, by file and class, with the name of its base."""
    found = {}
    for name, path in files.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                for base in node.bases:
                    where = f"{name}.{node.name}"
                    found[where] = ast.unparse(base).split(".")[-1], defined_in(node)
    return found


def defined_in(node: ast.ClassDef) -> set[str]:
    names = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
            names |= {part.attr} if ast.unparse(part.value) == "self" else set()
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store) and part in node.body:
            names.add(part.id)
    return {name for name in names if name.startswith("_") and not name.endswith("__")}


def members_of(base: str) -> set[str]:
    """Members, in any distribution, of the classes of this name."""
    return {
        member
        for distribution in SURFACE.values()
        for key, members in distribution["objects"].items()
        if key.split("#")[0] == base and isinstance(members, dict)
        for member in members
    }


def instance_attributes(base: str) -> set[str]:
    """What the installed rclpy sets on instances of its class of this name."""
    node, lifecycle = (pytest.importorskip(f"rclpy.{name}") for name in ("node", "lifecycle"))
    kind = getattr(lifecycle, base, None) or getattr(node, base, None)
    names: set[str] = set()
    for one in inspect.getmro(kind) if inspect.isclass(kind) else ():
        if one.__module__.split(".")[0] == "rclpy":
            (tree,) = ast.parse(inspect.cleandoc("\n" + inspect.getsource(one))).body
            assert isinstance(tree, ast.ClassDef)
            names |= defined_in(tree)
    return names


def hidden(files: dict[str, Path], installed: bool = False) -> dict[str, set[str]]:
    """Private names of a base class that ours hide, by file and class."""
    known = instance_attributes if installed else members_of
    found = {where: known(base) & ours for where, (base, ours) in private_names(files).items()}
    return {where: names for where, names in found.items() if names}


HIDING = """
from rclpy.lifecycle import LifecycleNode
class Ours(LifecycleNode):
    def _set_parameters(self) -> None:
        self._parameters = 1
        self._ours = 2
"""


@pytest.mark.parametrize(("installed", "name"), [(False, "_set_parameters"), (True, "_parameters")])
def test_no_private_name_of_a_base_class_is_hidden(
    installed: bool, name: str, tmp_path: Path
) -> None:
    assert "pear_ros_ros_node_node.PearNode" in private_names(our_files())
    assert not hidden(our_files(), installed)
    planted = tmp_path / "planted.py"
    planted.write_text(HIDING)
    assert name in hidden({"planted": planted}, installed)["planted.Ours"]
