# SPDX-License-Identifier: Apache-2.0
"""The public interface: what `from pear_ros import ...` and `help(pear_ros)` give."""

from __future__ import annotations

import importlib
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import pear_ros

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", pear_ros.__all__)
def test_public_names_can_be_imported(name: str) -> None:
    assert getattr(pear_ros, name) is not None
    assert name in dir(pear_ros)


def test_public_names_are_those_of_their_modules() -> None:
    """Lazily imported and seen by type checkers from the same module."""
    source = Path(pear_ros.__file__).read_text()
    block = source[source.index("if TYPE_CHECKING:") : source.index("__version__ =")]
    declared = {
        name: module
        for module, names in re.findall(r"from pear_ros\.([\w.]+) import (\([^)]*\)|.*)", block)
        for name in re.findall(r"\w+", names)
    }
    assert declared == pear_ros._MODULE_OF
    assert {*declared, "__version__"} == set(pear_ros.__all__)
    for name, module in declared.items():
        there = importlib.import_module(f"pear_ros.{module}")
        assert getattr(pear_ros, name) is getattr(there, name)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match=r"'pear_ros' has no attribute 'Pipelines'"):
        pear_ros.Pipelines  # noqa: B018
    with pytest.raises(ImportError, match="Pipelines"):
        exec("from pear_ros import Pipelines")


def test_importing_the_package_alone_imports_no_library() -> None:
    program = "import sys, pear_ros; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert not {"numpy", "scipy", "cv2", "ai_edge_litert", "rclpy"} & set(done.stdout.split())


def test_help_lists_the_names_and_how_to_begin() -> None:
    text = pydoc.plain(pydoc.render_doc(pear_ros))
    description = text[: text.index("PACKAGE CONTENTS")]
    assert "from pear_ros import Camera, Pipeline" in description
    for name in set(pear_ros.__all__) - {"__version__"}:
        assert re.search(rf"\b{name}\b", description), f"{name} is missing"
    assert "class Pipeline(builtins.object)" in text


def test_the_readmes_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert "from pear_ros import Camera, Pipeline" in block
    cv2.imwrite(str(tmp_path / "picture.jpg"), np.zeros((60, 80, 3), np.uint8))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(block, names)
    people = names["people"]
    assert isinstance(people, pear_ros.People) and people.persons == ()
