# SPDX-License-Identifier: Apache-2.0
"""What a Jetson says about itself, in the words of real boards."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pear_ros.io import jetpacks
from pear_ros.io.jetson import (
    PowerMode,
    find_jetson,
    gpu_clocks,
    power_mode,
    power_modes,
    shared_memory,
)
from testing.jetson_files import ORIN_NANO, THOR, write_jetson


def test_an_orin_nano(tmp_path: Path) -> None:
    root = write_jetson(tmp_path, ORIN_NANO)
    jetson = find_jetson(root)
    assert jetson is not None
    assert (jetson.l4t, jetson.jetpack, jetson.power_mode) == ("36.4.7", "6", "25W")
    assert jetson.model == "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"
    assert power_mode(root) == 1
    modes = power_modes(root)
    assert modes[:2] == [PowerMode(0, "15W", 612e6), PowerMode(1, "25W", 918e6)]
    assert modes[2] == PowerMode(2, "MAXN_SUPER", math.inf)
    (clock,) = gpu_clocks(root)
    assert (clock.now, clock.lowest, clock.highest) == (305_000_000, 305_000_000, 918_000_000)
    assert not clock.fixed
    memory = shared_memory(root)
    assert (memory.total, memory.available) == (7_802_648 << 10, 816_128 << 10)
    assert (memory.swap, memory.gpu) == (3_901_312 << 10, 805_068 << 10)


def test_a_thor(tmp_path: Path) -> None:
    root = write_jetson(tmp_path, THOR)
    jetson = find_jetson(root)
    assert jetson is not None and (jetson.l4t, jetson.jetpack) == ("38.2.2", "7")
    clocks = gpu_clocks(root)
    assert [clock.name for clock in clocks] == ["gpu-gpc-0", "gpu-nvd-0"]
    assert all(clock.fixed for clock in clocks)


def test_what_is_missing_is_unknown(tmp_path: Path) -> None:
    assert find_jetson(tmp_path) is None and power_mode(tmp_path) is None
    assert power_modes(tmp_path) == [] == gpu_clocks(tmp_path)
    assert set(vars(shared_memory(tmp_path)).values()) == {None}


@pytest.mark.parametrize(
    "text", ["", "pmode:", "rubbish", "< POWER_MODEL ID= NAME= >", "< POWER_MODEL ID=0 >\nGPU"]
)
def test_files_of_another_form(tmp_path: Path, text: str) -> None:
    root = write_jetson(tmp_path, dict.fromkeys(ORIN_NANO, text))
    assert power_mode(root) is None and power_modes(root) == []
    (clock,) = gpu_clocks(root)
    assert clock.now is clock.highest is None and not clock.fixed


def test_jetpacks() -> None:
    assert jetpacks.jetpack_major("35.4.1") == 5
    assert jetpacks.jetpack_major("39.0") == 7
    assert jetpacks.jetpack_major("99.0") is jetpacks.jetpack_major("") is None
    assert jetpacks.own_tensorrt("39.1.0") == ("10.16", "11.4")
    assert not jetpacks.runs_on("10.13.3.9", "8.7")
    assert jetpacks.runs_on("10.13.3.9", "11.0") and jetpacks.runs_on("10.3.0", "8.7")


def test_the_page_has_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs/jetson.md").read_text().partition("\n## ")[0]
    for jetpack in jetpacks.JETPACKS:
        software = ", ".join(filter(None, (jetpack.tensorrt, jetpack.cuda)))
        cells = (
            *(jetpack.versions, jetpack.boards, f"{jetpack.ubuntu}, {jetpack.python}"),
            *(jetpack.ros, software),
        )
        assert f"| {' | '.join(cells)} |" in page
    rows = [line for line in page.splitlines() if line.startswith("| ") and "JetPack" not in line]
    assert len(rows) == len(jetpacks.JETPACKS)
