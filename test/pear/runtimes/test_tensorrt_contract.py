# SPDX-License-Identifier: Apache-2.0
"""All that pear_ros takes from TensorRT is in each version that it supports.

tensorrt_api_surface.json lists classes and members of NVIDIA's Python bindings. From it a stub is
made for each version, in which a class has these members and no others, and mypy walks through all
modules that import tensorrt. The list does not contain what methods return: that has no members.
So results of TensorRT must be annotated before they are used:

    network: trt.INetworkDefinition = builder.create_network(flags)
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy walks through the code")

SURFACE: dict[str, dict[str, list[str]]] = json.loads(
    (Path(__file__).parents[2] / "tensorrt_api_surface.json").read_text()
)
PACKAGE = Path(importlib.util.find_spec("pear_ros").origin).parent
OURS = "10.3.0", "10.13.3.9", "10.16.1.11", "11.4.0.106"

UNLISTED = {
    # The list has classes only. Every package on Python's registry has a version.
    "__version__": "__version__: str",
    # A base class, of which nothing is called: pear_ros overrides what TensorRT calls. The list has
    # IBuilderConfig.progress_monitor, which takes one, for all versions. The names of its methods
    # are compared with those of TensorRT-RTX in test_engine.py.
    "IProgressMonitor": "class IProgressMonitor: ...",
    # Not in the list. NVIDIA's reference of 8.5, 10.16 and 11.4 has both, with these members.
    "EngineInspector": "class EngineInspector:\n    get_engine_information: Unknown",
    "LayerInformationFormat": "class LayerInformationFormat:\n    JSON: Unknown",
}
"""What modules may use though the list does not have it: how a stub declares it, and why."""

COUNTED = {"attr-defined", "union-attr", "index"}
"""mypy's errors that mean that something is not there, or was taken from a thing unknown."""
OPAQUE = """
from typing import Any

class Unknown:
    def __call__(self, *arguments: Any, **options: Any) -> Unknown: ...
"""


def importers(folder: Path) -> list[Path]:
    """All modules in `folder` that import tensorrt, or might."""
    return [path for path in sorted(folder.rglob("*.py")) if "tensorrt" in imported(path)]


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
            names |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    return names


def write_stubs(folder: Path, version: str) -> None:
    lines = [OPAQUE, *UNLISTED.values()]
    for name, members in SURFACE[version].items():
        lines.append(f"class {name}:")
        lines.append("    def __init__(self, *arguments: Any, **options: Any) -> None: ...")
        lines += [f"    {member}: Unknown" for member in members]
    folder.mkdir(exist_ok=True)
    (folder / "tensorrt.pyi").write_text("\n".join(lines))


def missing(modules: list[Path], version: str, folder: Path) -> dict[str, list[str]]:
    """What `modules` use that TensorRT `version` lacks, by module."""
    write_stubs(folder / version, version)
    stub = folder / version / "tensorrt.pyi"
    # All else is left out, which would take long.
    config = folder / "mypy.ini"
    config.write_text(
        "[mypy]\nfollow_imports = skip\nfollow_imports_for_stubs = True\n"
        "check_untyped_defs = True\n"
    )
    command = [sys.executable, "-m", "mypy", "--config-file", str(config)]
    command += ["--cache-dir", str(folder / "cache"), "--no-error-summary", "--hide-error-context"]
    command += ["--explicit-package-bases", "--namespace-packages", "--no-site-packages"]
    done = subprocess.run(
        [*command, str(stub), *map(str, modules)],
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
    )
    assert done.returncode in (0, 1) and not done.stderr, done.stdout + done.stderr
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        if match := re.fullmatch(r"(.+?):(\d+): error: (.+)  \[([a-z-]+)\]", line):
            path, number, text, code = match.groups()
            if code in COUNTED:
                found.setdefault(Path(path).name, []).append(f"{number}: {text}")
    return found


PLANTED = {
    "gone_in_11": """
def build(config: trt.IBuilderConfig) -> None:
    config.set_flag(trt.BuilderFlag.FP16)
""",
    "gone_from_engine": """
def size(runtime: trt.Runtime, plan: bytes) -> int:
    engine: trt.ICudaEngine | None = runtime.deserialize_cuda_engine(plan)
    assert engine is not None
    return engine.device_memory_size
""",
    "gone_from_attribute": """
class Holder:
    def __init__(self, engine: trt.ICudaEngine) -> None:
        self.engine = engine

    def ask(self) -> object:
        return self.engine.has_implicit_batch_dimension
""",
    "new_in_11": """
def build(network: trt.INetworkDefinition) -> object:
    return network.add_attention_v2
""",
    "nowhere": """
def build() -> object:
    return trt.NoSuchClass()
""",
    "nowhere_inherited": """
class Log(trt.ILogger):
    def log(self, severity: object, msg: str) -> None:
        self.warn(msg)
""",
    "chain": """
def build(builder: trt.Builder) -> object:
    return builder.create_network(0).get_input(0)
""",
    "chain_of_variables": """
def build(builder: trt.Builder) -> object:
    network = builder.create_network(0)
    return network.num_layers
""",
    "item": """
def shape(engine: trt.ICudaEngine) -> object:
    return engine.get_tensor_profile_shape("crops", 0)[2].anything
""",
    "annotated": """
def build(builder: trt.Builder) -> object:
    network: trt.INetworkDefinition = builder.create_network(0)
    cache: trt.ITimingCache | None = builder.create_builder_config()
    return network.num_layers, cache is not None and cache.serialize()
""",
}
EVERYWHERE = {
    *("nowhere", "nowhere_inherited", "chain", "chain_of_variables", "item"),
}
EXPECTED = {
    "10.3.0": EVERYWHERE | {"new_in_11"},
    "11.4.0.106": EVERYWHERE
    | {"gone_in_11", "ours_gone_in_11", "gone_from_engine", "gone_from_attribute"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contract")


@pytest.fixture(scope="module")
def planted(folder: Path) -> Iterator[list[Path]]:
    """Modules that do what they must not, and one that may do what it does."""
    for name, text in PLANTED.items():
        (folder / f"{name}.py").write_text(f"import tensorrt as trt\n{text}")
    ours = (PACKAGE / "pear" / "runtimes" / "engine.py").read_text()
    line = "config.clear_flag(trt.BuilderFlag.TF32)"
    assert line in ours
    changed = ours.replace(line, "config.set_flag(trt.BuilderFlag.FP16)")
    (folder / "ours_gone_in_11.py").write_text(changed)
    return sorted(folder.glob("*.py"))


@pytest.fixture(scope="module")
def modules() -> list[Path]:
    return importers(PACKAGE)


def test_modules_are_found(modules: list[Path], planted: list[Path], folder: Path) -> None:
    assert {path.stem for path in modules} >= {"engine", "with_tensorrt"}
    assert importers(folder) == planted
    hidden = folder / "hidden"
    hidden.mkdir()
    for number, text in enumerate(
        ("from tensorrt import Builder", "def late():\n    import tensorrt.plugin as p")
    ):
        (hidden / f"{number}.py").write_text(text)
    (hidden / "2.py").write_text('import importlib\ntrt = importlib.import_module("tensorrt")')
    (hidden / "no.py").write_text("import tensorrt_rtx\nNAME = 'tensorrt'")
    assert [path.name for path in importers(hidden)] == ["0.py", "1.py", "2.py"]


@pytest.mark.parametrize("version", OURS)
def test_nothing_is_used_that_a_version_lacks(
    version: str, modules: list[Path], planted: list[Path], folder: Path
) -> None:
    """And what was planted is found."""
    found = missing([*modules, *planted], version, folder)
    for path in modules:
        assert path.name not in found, "\n".join(found[path.name])
    if version in EXPECTED:
        assert found.keys() == {f"{name}.py" for name in EXPECTED[version]}
    else:
        assert {f"{name}.py" for name in EVERYWHERE} <= found.keys()


def test_the_list_has_all_versions() -> None:
    assert set(SURFACE) == set(OURS)


def test_nothing_is_hidden_from_mypy(modules: list[Path]) -> None:
    """Ways to take something from TensorRT that mypy would not see."""
    for path in modules:
        text = path.read_text()
        names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        assert not names & {"Any", "cast", "getattr", "setattr", "hasattr", "import_module"}, path
        ignored = set(re.findall(r"# type: ignore\[?([a-z-, ]*)", text))
        # A class without types as base, and memory that TensorRT lends.
        assert ignored <= {"misc", "arg-type"}, path
        imports = re.findall(r"^[ \t]*(?:import|from) tensorrt.*$", text, re.MULTILINE)
        assert imports == ["import tensorrt as trt"], path
