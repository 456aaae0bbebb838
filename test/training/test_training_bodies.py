# SPDX-License-Identifier: Apache-2.0
"""Trainings for SMPL-X and EHM-s, with made-up files in the layout of the real ones."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("webdataset")
torch = pytest.importorskip("torch", reason="training needs torch")

from pear_ros.annotation.shard_index import ShardIndex  # noqa: E402
from pear_ros.body import load_open_body  # noqa: E402
from pear_ros.body.ehm import EHM_S  # noqa: E402
from pear_ros.body.kinematics import rotation_matrices, rotation_vectors  # noqa: E402
from pear_ros.cli import main  # noqa: E402
from pear_ros.core.configuration import (  # noqa: E402
    EstimatorChoice,
    EstimatorError,
    RuntimeChoice,
)
from pear_ros.core.people import FlameParams, SmplxParams  # noqa: E402
from pear_ros.estimators.factory import make_estimator  # noqa: E402
from pear_ros.pear.body import PearBody, body_joints, body_vertices  # noqa: E402
from pear_ros.pear.checkpoint import load_checkpoint  # noqa: E402
from pear_ros.pear.convert import BODY_NAME  # noqa: E402
from pear_ros.pear.cuda_mesh import body_on  # noqa: E402
from pear_ros.pear.files import find_model_files  # noqa: E402
from pear_ros.pear.placement import image_points  # noqa: E402
from pear_ros.pear.prediction import VECTOR_SIZE  # noqa: E402
from pear_ros.pipeline import Pipeline  # noqa: E402
from pear_ros.training import trainer as trainer_module  # noqa: E402
from pear_ros.training.annotated_samples import AnnotatedSamples, mirrored  # noqa: E402
from pear_ros.training.bodies import (  # noqa: E402
    BodyError,
    body_files,
    flame_parts,
    flame_size,
    load_training_body,
    parameters_of,
)
from pear_ros.training.config import Config, Data, Stage  # noqa: E402
from pear_ros.training.initial import load_initial  # noqa: E402
from pear_ros.training.losses import FLAME_LOSSES, TruePeople, parameter_losses  # noqa: E402
from pear_ros.training.network import NetworkSize, TrainedNetwork  # noqa: E402
from pear_ros.training.people import predicted_people  # noqa: E402
from pear_ros.training.results import Results, ResultsError  # noqa: E402
from pear_ros.training.sample import Sample, SampleError  # noqa: E402
from pear_ros.training.samples import SampleMaker  # noqa: E402
from pear_ros.training.trainer import Trainer  # noqa: E402
from testing.annotated_people import annotated_person, rendered_person, write_people  # noqa: E402

TINY = NetworkSize(depth=1, width=32, heads=1, decoder_width=32, decoder_layers=1)
MAP = 32
NAMES = {"smplx": BODY_NAME, "ehm-s": EHM_S}
JAW = 0.2
both = pytest.mark.parametrize("choice", [*NAMES])


def network_for(body: PearBody, size: NetworkSize = TINY, seed: int = 0) -> TrainedNetwork:
    torch.manual_seed(seed)
    return TrainedNetwork(size, body.num_betas, body.num_expression, flame_size(body) > 0)


def changed(network: TrainedNetwork, before: TrainedNetwork) -> set[str]:
    """Return names of read-outs, and `rest` for everything else, in which two networks differ."""
    old = before.state_dict()
    keys = {key for key, value in network.state_dict().items() if not torch.equal(value, old[key])}
    return {key.split(".")[1] if "_decoder." in key else "rest" for key in keys}


@pytest.fixture(scope="module")
def samples(pear_assets: Path) -> dict[str, list[Sample]]:
    """Four rendered people of each body."""
    found: dict[str, list[Sample]] = {}
    for choice in NAMES:
        load = partial(load_training_body, choice, str(pear_assets))
        make, found[choice], index = SampleMaker(Data(seed=2), MAP, load), [], 0
        while len(found[choice]) < 4:
            with suppress(SampleError):
                found[choice].append(make(index))
            index += 1
    return found


class Few:
    """Gives few samples again and again; stops the training at one."""

    def __init__(self, samples: list[Sample], stop: int = -1) -> None:
        self.samples, self.stop = samples, stop

    def __call__(self, index: int) -> Sample:
        if index == self.stop:
            os.kill(os.getpid(), signal.SIGINT)
        return self.samples[index % len(self.samples)]


def config(output: Path, body: str, folder: Path, **changes: Any) -> Config:
    return replace(
        Config(
            name="tiny",
            output=str(output),
            body=body,
            model_folder=str(folder),
            network=TINY,
            map_size=MAP,
            data=Data(workers=0),
            stage1=Stage(steps=2, batch=1, warmup=1),
            stage2=Stage(steps=1, batch=1, warmup=1, pixels=True),
        ),
        **changes,
    )


def losses(output: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (output / "losses.jsonl").read_text().splitlines()]


@both
def test_rendered_people_are_of_the_body_and_fit_their_crops(
    choice: str, pear_assets: Path, samples: dict[str, list[Sample]]
) -> None:
    body = load_training_body(choice, str(pear_assets))
    assert body.name == NAMES[choice]
    for sample in samples[choice]:
        assert sample.betas.shape == (200,) and sample.expression.shape == (50,)
        assert sample.colours.shape == (10475, 3)
        one = (a[None] for a in (sample.rotations, sample.betas, sample.expression, sample.flame))
        people, whole = parameters_of(body, *one), np.array([[0.0, 0.0, 256.0]])
        joints, vertices = (
            image_points(points(body, people), sample.camera[None], whole)[0]
            for points in (body_joints, body_vertices)
        )
        apart = np.median(np.linalg.norm(joints - sample.keypoints, axis=1))
        assert apart < 0.06 * np.ptp(sample.keypoints[:, 1]), "but for perspective"
        pixel = np.round((vertices - 3.5) / 8).astype(int)
        pixel = pixel[((pixel >= 0) & (pixel < MAP)).all(axis=1)]
        # The limbs of the made-up bodies are as thin as a pixel.
        near = cv2.dilate(np.nan_to_num(sample.mask, nan=1.0), np.ones((3, 3)))
        assert near[pixel[:, 1], pixel[:, 0]].mean() > 0.85
        assert np.nanmean(sample.mask) < 0.4
        head = flame_parts(sample.flame)
        if choice == "smplx":
            assert not sample.flame.size
            continue
        turned = rotation_vectors(sample.rotations[22:25]).ravel()
        assert np.allclose([*head["jaw"], *head["eyes"]], turned, atol=1e-5)
        assert (np.abs(head["head_scale"] - 1.0) < 0.3).all(), "as large as SMPL-X's"


@both
def test_each_loss_is_zero_at_the_truth_and_has_a_gradient_beside_it(
    choice: str, pear_assets: Path
) -> None:
    body = body_on(torch.device("cpu"), load_training_body(choice, str(pear_assets)))
    generator = torch.Generator().manual_seed(1)
    vectors = 0.05 * torch.randn((1, VECTOR_SIZE), generator=generator)
    vectors[:, :312] += torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(52)
    vectors[:, 315:318] += 1.0  # The head's scale.
    vectors[:, -1] += 1.0
    people = predicted_people(vectors, body)
    weights = {"joint_weights": torch.ones(1, 55), "vertex_weights": torch.ones(1, 10475)}
    held = {f.name: getattr(people, f.name) for f in fields(TruePeople) if f.name not in weights}
    true = TruePeople(**held, **weights)
    assert not any(map(float, parameter_losses(people, true).values()))
    beside = (vectors + 0.05).requires_grad_()
    found = parameter_losses(predicted_people(beside, body), true)
    assert (FLAME_LOSSES.keys() <= found.keys()) == (choice == "ehm-s")
    for name, loss in found.items():
        assert float(loss.detach()) > 0.0, name
        (gradient,) = torch.autograd.grad(loss, beside, retain_graph=True)
        assert gradient.isfinite().all() and gradient.any(), name


@both
def test_a_training_in_both_stages_continues_exactly_and_names_its_body(
    choice: str,
    pear_assets: Path,
    samples: dict[str, list[Sample]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    few = Few(samples[choice])
    monkeypatch.setattr(trainer_module, "SampleMaker", lambda *_: few)
    assert Trainer(config(whole, choice, pear_assets)).run()
    course = losses(whole)
    assert ["mask" in one for one in course] == [False, False, True]
    assert all(("head_scale" in one) == (choice == "ehm-s") for one in course)
    assert all(np.isfinite([*one.values()]).all() for one in course)

    few.stop = 0  # In the first step.
    stopped = Trainer(config(cut, choice, pear_assets))
    assert not stopped.run() and stopped.step == 1
    few.stop = -1
    assert Trainer(config(cut, choice, pear_assets)).run()
    assert losses(cut) == course
    one, other = (torch.load(f / "model/pear_model.pt", weights_only=True) for f in (whole, cut))
    assert one["body"] == NAMES[choice] and one["model_id"] == "pear-train/tiny"
    assert all(torch.equal(value, other["head"][key]) for key, value in one["head"].items())
    # The model folder has links to the body's files, so that the node finds all in it.
    files = find_model_files(whole / "model")
    assert files.body == NAMES[choice] and not files.missing


def estimator_choice(folder: Path) -> EstimatorChoice:
    return EstimatorChoice("pear", folder, runtime=RuntimeChoice("torch", strict=True))


@both
def test_the_node_shows_people_of_the_weights_body(
    choice: str, pear_assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body, folder = load_training_body(choice, str(pear_assets)), tmp_path / "model"
    network = network_for(body)
    with torch.no_grad():
        rows = network.head.flame_poses_decoder.bias
        rows[9 if choice == "ehm-s" else 6] = JAW
        network.head.smplx_shape_decoder.bias[199] = 1.5
    results = Results(tmp_path)
    results.write_weights(network, network.state_dict(), "tiny", body.name)
    with pytest.raises(EstimatorError, match=r"SMPLX_NEUTRAL_2020\.npz: SMPL-X body"):
        make_estimator(estimator_choice(folder))
    results.link_body(body_files(choice, str(pear_assets)))
    assert main(["import-model", str(folder), "--output", str(tmp_path / "b.png")]) == 0
    shown = capsys.readouterr().out
    assert f"Body: {BODY_NAME}" in shown and "pear-train/tiny, not PEAR's release" in shown
    assert ("Head: FLAME" in shown) == (choice == "ehm-s")
    estimator = make_estimator(estimator_choice(folder))
    assert estimator.model_id.startswith("pear-train/tiny/")
    pipeline = Pipeline(estimator)
    shot = rendered_person(4)
    people = pipeline(shot.image, shot.camera, 0.0)
    assert people.body_model == body.name and people.model_id.startswith("pear-train/tiny/")
    (person,) = people.persons
    assert person.smplx.betas[199] == pytest.approx(1.5, abs=0.3)
    if choice == "ehm-s":
        assert person.flame is not None and not person.smplx.pose[22].any()
        assert person.flame.jaw[0] == pytest.approx(JAW, abs=0.1)
        assert person.flame.head_scale == pytest.approx(1.0, abs=0.1)
    else:
        assert person.flame is None
        assert person.smplx.pose[22, 0] == pytest.approx(JAW, abs=0.1)
    assert np.isfinite(pipeline.meshes(people)).all()
    estimator.close()


def test_pears_release_on_smplx_keeps_its_jaw_at_rest(pear_models: Path) -> None:
    estimator = make_estimator(replace(estimator_choice(pear_models), pear_body="smplx"))
    assert estimator.model_id.startswith("pear/") and estimator.body.name == BODY_NAME
    shot = rendered_person(4)
    (person,) = Pipeline(estimator)(shot.image, shot.camera, 0.0).persons
    assert person.flame is not None and not person.smplx.pose[22:25].any()
    estimator.close()


def test_a_missing_file_is_named_with_what_to_do(
    pear_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    next(pear_folder.rglob("FLAME_masks.pkl")).unlink()
    with pytest.raises(BodyError, match=r"the folder that model_folder names.\n1 of PEAR's 7 fi"):
        Trainer(config(tmp_path / "out", "ehm-s", pear_folder))
    path = tmp_path / "train.yaml"
    path.write_text(
        f"{{name: x, output: {tmp_path / 'out'}, body: smplx, model_folder: {tmp_path / 'no'}}}"
    )
    assert main(["train", str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: body: smplx is made of files of yours: put them into the")
    assert "which is no folder" in error and "SMPLX_NEUTRAL_2020.npz: SMPL-X body" in error
    assert not (tmp_path / "out").exists()


def test_a_training_with_other_body_files_is_not_continued(
    pear_assets: Path,
    samples: dict[str, list[Sample]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trainer_module, "SampleMaker", lambda *_: Few(samples["smplx"]))
    short = config(tmp_path, "smplx", pear_assets, stage1=Stage(1, batch=1), stage2=Stage())
    assert Trainer(short).run()
    content = torch.load(tmp_path / "state.pt", weights_only=True)
    sha256 = load_training_body("smplx", str(pear_assets)).sha256
    assert sha256 in content["config"]
    content["config"] = content["config"].replace(sha256, "0" * 64)
    torch.save(content, tmp_path / "state.pt")
    with pytest.raises(ResultsError, match=r"another configuration \(body differ\)"):
        Trainer(short)


def size_of(path: Path) -> NetworkSize:
    given = load_checkpoint(path)
    decoder = given.head.transformer
    return NetworkSize(
        depth=len(given.backbone.blocks),
        width=given.backbone.pos_embed.shape[-1],
        heads=given.backbone.blocks[0].attn.heads,
        decoder_width=decoder.pos_embedding.shape[-1],
        decoder_layers=len(decoder.transformer["layers"]),
    )


def test_pears_checkpoint_gives_ehm_s_all_and_smplx_all_but_the_head(
    pear_assets: Path, pear_checkpoint: Path
) -> None:
    size, given = size_of(pear_checkpoint), load_checkpoint(pear_checkpoint).state_dict()
    network = network_for(load_training_body("ehm-s", str(pear_assets)), size)
    load_initial(network, pear_checkpoint, EHM_S)
    assert all(torch.equal(value, given[key]) for key, value in network.state_dict().items())

    body = load_training_body("smplx", str(pear_assets))
    network, before = (network_for(body, size) for _ in range(2))
    load_initial(network, pear_checkpoint, BODY_NAME)
    assert changed(network, before) == {
        *("rest", "smplx_poses_decoder", "cam_decoder"),
        *("smplx_shape_decoder", "smplx_expression_decoder"),
    }


def test_a_checkpoint_of_another_body_gives_what_both_share(
    pear_assets: Path, tmp_path: Path
) -> None:
    smplx, ehm = (load_training_body(choice, str(pear_assets)) for choice in NAMES)
    shared = {"rest", "smplx_poses_decoder", "cam_decoder"}
    shapes = {"smplx_shape_decoder", "smplx_expression_decoder"}
    for given, body, expected in (
        (smplx, ehm, shared | shapes),
        (ehm, smplx, shared | shapes),
        (load_open_body(), ehm, shared),
        (ehm, load_open_body(), shared),
    ):
        source = network_for(given, seed=1)
        with torch.no_grad():
            for weight in source.parameters():
                weight += 0.01
        results = Results(tmp_path)
        results.write_weights(source, source.state_dict(), "tiny", given.name)
        network, before = network_for(body), network_for(body)
        load_initial(network, results.weights_file, body.name)
        assert changed(network, before) == expected, (given.name, body.name)


def test_annotated_people_of_the_body_give_all_of_it(pear_assets: Path, tmp_path: Path) -> None:
    body = load_training_body("ehm-s", str(pear_assets))
    person, rng = annotated_person(rendered_person(3)), np.random.default_rng(0)
    flame = FlameParams(
        *(rng.normal(0, 0.1, size).astype(np.float32) for size in (300, 50, 3, 6, 2)),
        head_scale=np.ones(3, np.float32),
    )
    smplx = SmplxParams(
        person.smplx.pose,
        np.zeros(200, np.float32),
        np.zeros(50, np.float32),
        person.smplx.transl,
    )
    person = replace(person, body_model=EHM_S, smplx=smplx, flame=flame)
    found = drawn(body, write_people(tmp_path / "all", [person]))
    if np.isnan(found.expression).any():
        found = replace(mirrored(found), expression=smplx.expression)
    head = flame_parts(found.flame)
    assert np.allclose(head["shape"], flame.shape) and np.allclose(head["head_scale"], 1.0)
    assert np.allclose(head["eyes"], flame.eyes) and np.allclose(head["jaw"], flame.jaw)
    jaw = rotation_matrices(flame.jaw)
    assert np.allclose(found.rotations[22], jaw, atol=1e-5)

    other = flame_parts(mirrored(found).flame)
    eyes = flame.eyes.reshape(2, 3)[::-1] * [1, -1, -1]
    assert np.allclose(other["eyes"], eyes.ravel()) and np.isnan(other["expression"]).all()
    turned = rotation_matrices(other["eyes"].reshape(2, 3))
    assert np.allclose(mirrored(found).rotations[23:25], turned, atol=1e-5)

    plain = load_training_body("smplx", str(pear_assets))
    on_smplx = replace(person, body_model=BODY_NAME)
    weights = drawn(plain, write_people(tmp_path / "smplx", [on_smplx])).joint_weights
    assert np.flatnonzero(weights == 0.0).tolist() == [22, 23, 24], "at rest, as FLAME's turned"

    for fault, message in (
        (replace(person, flame=None), "no parameters of FLAME"),
        (replace(person, body_model=BODY_NAME), f"body {BODY_NAME}, not {EHM_S}"),
        (
            replace(person, smplx=replace(smplx, betas=smplx.betas[:10])),
            "10 shape and 50 expression coefficients, not 200 and 50",
        ),
    ):
        with pytest.raises(SampleError, match=message):
            drawn(body, write_people(tmp_path / "faults", [fault]))


def drawn(body: PearBody, folder: Path) -> Sample:
    return AnnotatedSamples(ShardIndex(folder), body, MAP)(np.random.default_rng(0))
