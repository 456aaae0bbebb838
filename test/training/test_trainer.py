# SPDX-License-Identifier: Apache-2.0
"""Trainings of tiny networks: they learn, continue exactly, and end in one sentence."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pear_ros.training.sample import Sample, SampleError
from pear_ros.training.samples import SampleMaker

torch = pytest.importorskip("torch", reason="training needs torch")

from pear_ros.cli import main  # noqa: E402
from pear_ros.training import trainer as trainer_module  # noqa: E402
from pear_ros.training.config import Config, Data, Stage  # noqa: E402
from pear_ros.training.learner import learning_rate  # noqa: E402
from pear_ros.training.network import NetworkSize  # noqa: E402
from pear_ros.training.results import Results, ResultsError  # noqa: E402
from pear_ros.training.stream import StreamError  # noqa: E402
from pear_ros.training.trainer import Trainer, TrainingError  # noqa: E402
from testing.annotated_people import annotated_person, rendered_person, write_people  # noqa: E402

TINY = NetworkSize(depth=1, width=32, heads=1, decoder_width=32, decoder_layers=1)
YAML = """
name: tiny
output: {output}
epoch: 1
map_size: 32
network: {{depth: 1, width: 32, heads: 1, decoder_width: 32, decoder_layers: 1}}
data: {{workers: {workers}}}
stage1: {{steps: 3, batch: 2, warmup: 1}}
stage2: {{steps: 2, batch: 2, warmup: 1, pixels: true}}
"""


@pytest.fixture(scope="module")
def rendered() -> list[Sample]:
    make, found = SampleMaker(Data(seed=2), 32), []
    for index in range(20):
        try:
            found.append(make(index))
        except SampleError:
            continue
    return found[:4]


class Few:
    """Gives few samples again and again; what is done about one index can be changed."""

    def __init__(self, samples: list[Sample]) -> None:
        self.samples = samples
        self.special: dict[int, Any] = {}

    def __call__(self, index: int) -> Sample:
        sample = self.samples[index % len(self.samples)]
        if index in self.special:
            return self.special[index](sample)
        return sample


@pytest.fixture
def few(rendered: list[Sample], monkeypatch: pytest.MonkeyPatch) -> Few:
    """Stands in for the renders, which take long."""
    maker = Few(rendered)
    monkeypatch.setattr(trainer_module, "SampleMaker", lambda *_: maker)
    return maker


def config(output: Path, **changes: Any) -> Config:
    return replace(
        Config(
            name="tiny",
            output=str(output),
            network=TINY,
            map_size=32,
            epoch=2,
            data=Data(workers=0),
            stage1=Stage(steps=4, batch=2, warmup=1),
            stage2=Stage(steps=2, batch=2, warmup=1, pixels=True),
        ),
        **changes,
    )


def losses(output: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (output / "losses.jsonl").read_text().splitlines()]


def test_the_network_learns_and_writes_what_it_sees(few: Few, tmp_path: Path) -> None:
    few.samples = few.samples[:2]
    stage = Stage(steps=25, batch=2, warmup=2, learning_rate=6e-3)
    trainer = Trainer(config(tmp_path, stage1=stage, stage2=Stage(), epoch=100, ema=0.5))
    assert trainer.run()
    course = losses(tmp_path)
    assert [one["step"] for one in course] == [*range(25)]
    assert course[-1]["loss"] < 0.7 * course[0]["loss"]
    assert "mask" not in course[0]
    sheet = cv2.imread(str(tmp_path / "sheet.jpg"))
    assert sheet.shape == (512, 8 * 256, 3)
    drawn = np.abs(sheet[256:].astype(int) - sheet[:256]).max(axis=2) > 60
    assert 0.01 < drawn.mean() < 0.6


def test_both_stages_have_their_losses_and_a_second_run_changes_nothing(
    few: Few, tmp_path: Path
) -> None:
    assert Trainer(config(tmp_path)).run()
    course = losses(tmp_path)
    assert ["mask" in one for one in course] == [False] * 4 + [True] * 2
    weights = (tmp_path / "model/pear_model.pt").read_bytes()
    again = Trainer(config(tmp_path))
    assert again.step == 6 and again.run()
    assert losses(tmp_path) == course
    assert (tmp_path / "model/pear_model.pt").read_bytes() == weights


def test_a_training_that_stopped_continues_with_the_same_losses(few: Few, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert Trainer(config(whole)).run()

    def interrupt(sample: Sample) -> Sample:
        os.kill(os.getpid(), signal.SIGINT)
        return sample

    few.special = {5: interrupt}  # In step 2.
    stopped = Trainer(config(cut))
    assert not stopped.run()
    assert stopped.step == 3
    few.special = {}
    with (cut / "losses.jsonl").open("a") as file:
        file.write('{"step": 3, "loss": 9}\n{"step": 4, "lo')  # After the state, as of a kill.
    continued = Trainer(config(cut))
    assert continued.step == 3 and continued.run()
    assert losses(cut) == losses(whole)
    one, other = (torch.load(f / "model/pear_model.pt", weights_only=True) for f in (whole, cut))
    assert all(torch.equal(v, other["head"][k]) for k, v in one["head"].items())


def test_accumulated_batches_count_as_one(few: Few, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    stage = Stage(steps=2, batch=4, warmup=0)
    Trainer(config(one, stage1=stage, stage2=Stage())).run()
    Trainer(config(two, stage1=replace(stage, batch=2, accumulate=2), stage2=Stage())).run()
    expected, found = losses(one), losses(two)
    for name in ("rotations", "betas", "joints"):  # The second step after the first was learnt.
        for a, b in zip(expected, found, strict=True):
            assert b[name] == pytest.approx(a[name], rel=2e-3), name


def test_unknown_truth_is_left_out_and_gradients_that_are_not_finite_are_counted(
    few: Few, tmp_path: Path
) -> None:
    few.special = {
        0: lambda sample: replace(sample, betas=sample.betas * np.nan),
        4: lambda sample: replace(sample, keypoints=sample.keypoints + np.inf),
    }
    trainer = Trainer(config(tmp_path, stage2=Stage()))
    assert trainer.run()
    assert trainer.skipped == 1
    assert [one["step"] for one in losses(tmp_path)] == [0, 1, 3]


def test_training_ends_where_no_gradient_is_finite(few: Few, tmp_path: Path) -> None:
    stage = Stage(steps=30, batch=1, warmup=1)
    few.special = {
        index: lambda sample: replace(sample, keypoints=sample.keypoints + np.inf)
        for index in range(3, 30)
    }
    trainer = Trainer(config(tmp_path, stage1=stage))
    with pytest.raises(TrainingError, match="20 steps in a row, the last number 22"):
        trainer.run()
    assert Trainer(config(tmp_path, stage1=stage)).step == 22


def test_samples_that_cannot_be_made_are_counted(few: Few, tmp_path: Path) -> None:
    def refuse(sample: Sample) -> Sample:
        raise SampleError("nobody is there")

    few.special = {1: refuse}
    trainer = Trainer(config(tmp_path))
    assert trainer.run() and trainer.damaged == 1
    few.special = {0: refuse, 1: refuse}
    with pytest.raises(StreamError, match="none of the samples 0 to 1"):
        Trainer(config(tmp_path / "other")).run()


def test_another_configuration_or_a_damaged_state_is_refused(few: Few, tmp_path: Path) -> None:
    Trainer(config(tmp_path)).run()
    with pytest.raises(ResultsError, match=r"another configuration \(ema differ\)"):
        Trainer(config(tmp_path, ema=0.3))
    pytest.importorskip("webdataset")
    shards = write_people(tmp_path / "shards", [annotated_person(rendered_person(3))])
    with pytest.raises(ResultsError, match=r"another configuration \(shards differ\)"):
        Trainer(config(tmp_path, data=Data(workers=0, shards=str(shards))))
    state = tmp_path / "state.pt"
    state.write_bytes(state.read_bytes()[:-2000])
    with pytest.raises(ResultsError, match="is damaged; move its folder away"):
        Trainer(config(tmp_path))


def test_a_full_disk_leaves_the_state_before(
    few: Few, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(content: object, file: Any) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    stop = config(tmp_path, stage2=Stage())
    Trainer(stop).run()
    before = (tmp_path / "state.pt").read_bytes()
    results = Results(tmp_path)
    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"No space left on device.*state\.pt"):
        results.write_state({}, {})
    assert (tmp_path / "state.pt").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {
        *("state.pt", "model", "losses.jsonl", "sheet.jpg"),
    } | ({"tensorboard"} if (tmp_path / "tensorboard").exists() else set())


def test_losses_go_to_tensorboard_where_it_is_installed(
    few: Few, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, int]] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            assert folder == str(tmp_path / "tensorboard") and purge_step == 0

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, step))

        def close(self) -> None:
            written.append(("closed", 0))

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    Trainer(config(tmp_path, stage2=Stage())).run()
    assert ("loss/rotations", 3) in written and written[-1][0] == "closed"


def test_bf16_trains_too(few: Few, tmp_path: Path) -> None:
    assert Trainer(config(tmp_path, bf16=True)).run()
    assert all(np.isfinite(one["loss"]) for one in losses(tmp_path))


def test_learning_rates_rise_and_fall() -> None:
    stage = Stage(steps=100, warmup=10, learning_rate=1.0)
    rates = [learning_rate(stage, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == rates[9] == rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5) and 0.0 < rates[99] < 0.01
    assert learning_rate(replace(stage, warmup=0), 0) == 1.0


def command(folder: Path, workers: int, *before: str) -> list[str]:
    path = folder / "train.yaml"
    path.write_text(YAML.format(output=folder / "out", workers=workers))
    return [sys.executable, *before, "-m", "pear_ros.cli", "train", str(path)]


@pytest.mark.timeout(600)
def test_a_killed_process_continues_with_the_same_losses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir(), killed.mkdir()
    assert main(command(whole, 0)[3:]) == 0
    assert "5 of 5 steps; lost or left out: nothing" in capsys.readouterr().out
    process = subprocess.Popen(command(killed, 1), stderr=subprocess.DEVNULL)
    try:
        while not (killed / "out/state.pt").exists():
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    assert len(losses(killed / "out")) < 5 or process.returncode != 0
    done = subprocess.run(command(killed, 1), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert losses(killed / "out") == losses(whole / "out")


@pytest.mark.timeout(600)
def test_two_processes_learn_the_same_as_one(tmp_path: Path) -> None:
    """Both average their gradients, so that their first step is that of one with both batches."""
    torchrun = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m")
    program = command(tmp_path, 0)[2:]
    done = subprocess.run(
        [sys.executable, *torchrun, *program], capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(losses(tmp_path / "out")) == 5
    from pear_ros.training.config import read_config

    # Alone, in two batches that are accumulated: the samples of both processes.
    alone = read_config(tmp_path / "train.yaml")
    alone = replace(
        alone,
        output=str(tmp_path / "alone"),
        stage1=replace(alone.stage1, accumulate=2),
        stage2=replace(alone.stage2, accumulate=2),
    )
    assert Trainer(alone).run()
    two, one = (
        torch.load(folder / "state.pt", weights_only=True)["state"]["learner"]["average"]
        for folder in (tmp_path / "out", tmp_path / "alone")
    )
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=2e-5, rtol=0)


def test_the_command_ends_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("name: x\noutput: /proc/nothing\n")
    assert main(["train", str(path)]) == 1
    assert "training in /proc/nothing ended:" in capsys.readouterr().err
    path.write_text(f"name: x\noutput: {tmp_path}\ninitial: {tmp_path / 'gone.pt'}\n")
    assert main(["train", str(path)]) == 1
    assert "gone.pt cannot be read" in capsys.readouterr().err
    assert main(["train", str(tmp_path / "none.yaml")]) == 1
    assert "none.yaml cannot be read" in capsys.readouterr().err
