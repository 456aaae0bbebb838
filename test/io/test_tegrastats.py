# SPDX-License-Identifier: Apache-2.0
"""Lines of tegrastats from several boards, and the peaks of a process that prints them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pear_ros.io.tegrastats import Peaks, Sample, parse, watched

MB = 1 << 20
AGX_ORIN = (
    "04-11-2025 10:36:27 RAM 4321/62801MB (lfb 1759x4MB) SWAP 19/31400MB (cached 0MB) CPU "
    "[0%@729,0%@729,off,off] EMC_FREQ 0%@2133 GR3D_FREQ 12%@[1300,1300] VIC_FREQ 729 APE 174 "
    "CV0@-256C CPU@44.562C Tboard@32C SOC2@40.093C GPU@-256C tj@44.343C VDD_GPU_SOC "
    "2340mW/2340mW VDD_CPU_CV 390mW/390mW VIN_SYS_5V0 4025mW/4025mW NC 0mW/0mW"
)
ORIN_NANO = (
    "10-08-2026 04:38:21 RAM 1343/7620MB (lfb 157x4MB) SWAP 165/3810MB (cached 3MB) CPU "
    "[0%@1497,0%@729] EMC_FREQ 15%@204 GR3D_FREQ 0%@[305] NVDEC off NVJPG off VIC off OFA off "
    "APE 200 cpu@48.562C soc2@46.593C gpu@49.625C tj@49.312C VDD_IN 5251mW/8535mW "
    "VDD_CPU_GPU_CV 512mW/1944mW VDD_SOC 2720mW/3659mW"
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (AGX_ORIN, Sample(4321 * MB, 62801 * MB, 19 * MB, 12, 44.562, 4.025)),
        (ORIN_NANO, Sample(1343 * MB, 7620 * MB, 165 * MB, 0, 49.625, 5.251)),
        ("", Sample()),
        ("tegrastats: unknown option", Sample()),
    ],
)
def test_lines_of_boards(line: str, expected: Sample) -> None:
    assert parse(line) == expected
    assert expected.known == (line in (AGX_ORIN, ORIN_NANO))


def test_the_most_of_each_value() -> None:
    assert Sample(ram=1, power=5.0).most(Sample(ram=3, swap=2)) == Sample(ram=3, swap=2, power=5.0)


def test_peaks_of_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "tegrastats"
    program.write_text(f"#!/bin/sh\necho '{ORIN_NANO}'\necho '{AGX_ORIN}'\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with watched() as peaks:
        assert peaks.stop() == Sample(), "it has not begun"
        peaks.start()
        while peaks.most.gpu_load != 12:
            time.sleep(0.01)
        peaks.start()
        assert peaks.stop() == Sample(4321 * MB, 62801 * MB, 165 * MB, 12, 49.625, 5.251)


def test_without_the_program(tmp_path: Path) -> None:
    peaks = Peaks(str(tmp_path / "no tegrastats"))
    peaks.start()
    assert peaks.stop() == Sample()
