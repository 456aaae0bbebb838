# SPDX-License-Identifier: Apache-2.0
"""`pear export` of motion: independent readers of each format find the joints where they are."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation

from pear_ros.cli import main
from pear_ros.core import quaternions
from pear_ros.core.people import SMPLX_JOINT_NAMES, People, Person, TrackingState
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.export.amass import save_amass, save_gmr
from pear_ros.export.bvh import save_bvh
from pear_ros.export.motions import Motions, motions_of_recording
from pear_ros.export.stature import height_of
from pear_ros.export.tracks import Recording, ResultsError
from pear_ros.export.trc import save_trc
from pear_ros.motion.heading import facing_ahead
from pear_ros.motion.world import World
from pear_ros.streaming.body_pose import LEVEL_CAMERA
from testing.motion_tracks import BODY, CAMERA, START, walking_recording
from testing.open_people import person, t_pose
from testing.results_bag import ResultsBag
from testing.smplx_file import smplx_forward, write_smplx_file

TIMES = np.arange(0.0, 1.2, 1 / 29.97).tolist()
AMASS = {
    *("gender", "surface_model_type", "mocap_frame_rate", "mocap_time_length", "trans", "poses"),
    *("betas", "num_betas", "root_orient", "pose_body", "pose_hand", "pose_jaw", "pose_eye"),
}
MILLIMETRE = 1e-3
Doubles = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def recording() -> Recording:
    return walking_recording(TIMES, people=("h1", "h2"))


@pytest.fixture(scope="module")
def motions(recording: Recording) -> Motions:
    return motions_of_recording(recording, None)


def test_amass_has_exactly_its_arrays(motions: Motions, tmp_path: Path) -> None:
    files = save_amass(motions, tmp_path)
    assert [file.name for file in files] == ["h1_stageii.npz", "h2_stageii.npz"]
    for file, one in zip(files, motions.people, strict=True):
        with np.load(file, allow_pickle=False) as found:
            count = len(one.motion.pelvis)
            assert set(found) == AMASS
            assert float(found["mocap_frame_rate"]) == int(found["mocap_frame_rate"]) == 30
            assert found["mocap_time_length"] == pytest.approx(count / 30)
            assert str(found["gender"]) == "neutral" and str(found["surface_model_type"]) == "smplx"
            shapes = {key: found[key].shape for key in ("trans", "poses", "betas", "pose_hand")}
            assert shapes == {
                **{"trans": (count, 3), "poses": (count, 165)},
                **{"betas": (16,), "pose_hand": (count, 90)},
            }
            names = ("root_orient", "pose_body", "pose_jaw", "pose_eye", "pose_hand")
            np.testing.assert_array_equal(np.hstack([found[n] for n in names]), found["poses"])
            # Height by the first coefficient, and nothing else of another body's shape.
            assert 1.66 + 0.1 * found["betas"][0] == pytest.approx(height_of(one), abs=1e-4)
            assert not found["betas"][1:].any()


def test_amass_gives_our_joints_with_smplx(motions: Motions, tmp_path: Path) -> None:
    pytest.importorskip("smplx")
    body_file = write_smplx_file(BODY, tmp_path, 0.0)
    for file, one in zip(save_amass(motions, tmp_path), motions.people, strict=True):
        with np.load(file) as found:
            count = len(found["trans"])
            # The body of the recording, in its true size, of which the file tells the place.
            values = {
                "pose": found["poses"],
                "betas": np.tile(np.median(one.track.betas, axis=0), (count, 1)),
                "expression": np.zeros((count, BODY.num_expression), np.float32),
                "transl": found["trans"],
            }
            joints = smplx_forward(body_file, BODY, values)().joints[:, :55].numpy()
        scale = float(np.median(one.track.scale))
        pelvis = joints[:, :1]
        scaled = pelvis + scale * (joints - pelvis)
        assert np.abs(scaled - one.motion.joints()).max() < MILLIMETRE


def test_amass_keeps_the_shape_of_smplx_bodies(tmp_path: Path) -> None:
    betas = np.linspace(-1.0, 1.0, 20).astype(np.float32)
    recording = walking_recording(
        TIMES,
        change=lambda n, p: replace(p, smplx=replace(p.smplx, betas=betas)),
        body_model="smplx-neutral-2020",
    )
    found = motions_of_recording(recording, None)
    with np.load(save_amass(found, tmp_path)[0]) as arrays:
        np.testing.assert_array_equal(arrays["betas"], betas[:16])
    with np.load(save_gmr(found, tmp_path)[0]) as arrays:
        height = 1.66 + 0.1 * arrays["betas"][0]
    assert height == pytest.approx(1.68, abs=0.2)  # From the skeleton, without the body's file.


def test_what_is_unknown_while_a_person_is_predicted_does_not_count(tmp_path: Path) -> None:
    def change(image: int, person: Person) -> Person:
        if image < 15:
            return person
        betas = np.full_like(person.smplx.betas, np.nan)
        smplx = replace(person.smplx, betas=betas)
        return replace(person, state=TrackingState.PREDICTED, scale=np.nan, smplx=smplx)

    found = motions_of_recording(walking_recording(TIMES, change=change), None)
    expected = motions_of_recording(walking_recording(TIMES[:15]), None)
    for save in (save_amass, save_gmr):
        with np.load(save(found, tmp_path)[0]) as arrays:
            assert 1.66 + 0.1 * arrays["betas"][0] == pytest.approx(height_of(expected.people[0]))
    assert found.people[0].scale == expected.people[0].scale


def test_gmr_has_both_kinds_of_hands_and_says_which_were_seen(tmp_path: Path) -> None:
    unseen = np.ones(55, np.float32)
    unseen[25:40] = 0.0
    recording = walking_recording(TIMES, change=lambda n, p: replace(p, joint_confidence=unseen))
    found = motions_of_recording(recording, None)
    (file,) = save_gmr(found, tmp_path)
    with np.load(file) as arrays:
        assert set(arrays) == AMASS | {"left_hand_pose", "right_hand_pose", "hands_seen"}
        hands = np.hstack([arrays["left_hand_pose"], arrays["right_hand_pose"]])
        np.testing.assert_array_equal(hands, arrays["pose_hand"])
        assert not arrays["left_hand_pose"].any() and arrays["right_hand_pose"].any()
        assert not arrays["hands_seen"][:, 0].any() and arrays["hands_seen"][:, 1].all()
        assert arrays["mocap_frame_rate"].item() == 30.0
        expected = facing_ahead(found.people[0].motion)
        np.testing.assert_allclose(
            arrays["trans"], expected.pelvis - expected.skeleton.origin, atol=1e-6
        )


def y_up(points: Doubles) -> Doubles:
    return points[..., [0, 2, 1]] * (1.0, 1.0, -1.0)


def test_bvh_gives_our_joints_with_bvhio(motions: Motions, tmp_path: Path) -> None:
    bvhio = pytest.importorskip("bvhio")
    for file, one in zip(save_bvh(motions, tmp_path), motions.people, strict=True):
        joints = y_up(one.motion.joints())
        root = bvhio.readAsHierarchy(str(file))
        assert bvhio.readAsBvh(str(file)).FrameTime == pytest.approx(1 / 30, abs=1e-6)
        for frame in (0, 7, len(joints) - 1):
            root.loadPose(frame)
            places = {joint.Name: joint.PositionWorld.to_tuple() for joint, _, _ in root.layout()}
            found = np.array([places[name] for name in SMPLX_JOINT_NAMES]) / 100.0
            assert np.abs(found - joints[frame]).max() < MILLIMETRE


def test_trc_gives_our_joints_as_opensim_lays_them_out(motions: Motions, tmp_path: Path) -> None:
    for file, one in zip(save_trc(motions, tmp_path), motions.people, strict=True):
        joints = y_up(one.motion.joints())
        lines = file.read_text().split("\n")
        assert lines[0] == f"PathFileType\t4\t(X/Y/Z)\t{file.name}"
        assert dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True)) == {
            **{"DataRate": "30", "CameraRate": "30", "OrigDataRate": "30", "Units": "m"},
            **{"NumFrames": str(len(joints)), "NumMarkers": "55"},
            **{"OrigDataStartFrame": "1", "OrigNumFrames": str(len(joints))},
        }
        names = [name for name in lines[3].split("\t")[2:] if name]
        assert names == list(SMPLX_JOINT_NAMES)
        assert lines[4].split("\t")[2:5] == ["X1", "Y1", "Z1"]
        rows = np.array([[float(v) for v in line.split("\t")] for line in lines[6:] if line])
        np.testing.assert_array_equal(rows[:, 0], np.arange(1, len(joints) + 1))
        np.testing.assert_allclose(rows[:, 1], np.arange(len(joints)) / 30, atol=1e-6)
        found = rows[:, 2:].reshape(len(joints), 55, 3)
        assert np.abs(found - joints).max() < MILLIMETRE


@pytest.fixture
def stage(recording: Recording, motions: Motions, tmp_path: Path) -> Any:
    pytest.importorskip("pxr")
    from pxr import Usd

    from pear_ros.export.usd import save_usd

    (file,) = save_usd(motions, recording, tmp_path, mesh_detail="low")
    return Usd.Stage.Open(str(file))


def test_usd_gives_our_joints_and_mesh_with_usdskel(stage: Any, motions: Motions) -> None:
    from pxr import Usd, UsdGeom, UsdSkel

    assert UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert stage.GetTimeCodesPerSecond() == 30.0
    cache = UsdSkel.Cache()
    for one in motions.people:
        motion = one.motion
        root = UsdSkel.Root(stage.GetPrimAtPath(f"/people/{motion.id}"))
        cache.Populate(root, Usd.PrimDefaultPredicate)
        (binding,) = cache.ComputeSkelBindings(root, Usd.PrimDefaultPredicate)
        query = cache.GetSkelQuery(binding.GetSkeleton())
        (skinned,) = binding.GetSkinningTargets()
        mesh = UsdGeom.Mesh(skinned.GetPrim())
        for frame in (0, len(motion.pelvis) - 1):
            time = motion.first + frame
            places = query.ComputeJointSkelTransforms(time)
            found = np.array([place.ExtractTranslation() for place in places])
            assert np.abs(found - motion.joints()[frame]).max() < MILLIMETRE
            points = mesh.GetPointsAttr().Get()
            xform = query.ComputeSkinningTransforms(time)
            assert skinned.ComputeSkinnedPoints(xform, points, time)
            expected = vertices(one, frame)
            gap = np.linalg.norm(np.array(points)[:, None] - expected[None, ::7], axis=-1)
            assert np.median(gap.min(axis=0)) < 0.02
            low, high = np.array(points).min(axis=0), np.array(points).max(axis=0)
            np.testing.assert_allclose(low, expected.min(axis=0), atol=0.02)
            np.testing.assert_allclose(high, expected.max(axis=0), atol=0.02)


def vertices(one: Any, frame: int) -> Doubles:
    """The mesh of our own body model in the world."""
    track, motion = one.track, one.motion
    pose = motion.pose[frame : frame + 1]
    betas = np.median(track.betas, axis=0)[None]
    expression = np.zeros((1, BODY.num_expression), np.float32)
    zero = np.zeros((1, 3), np.float32)
    local = BODY.vertices(pose, betas, expression, zero)[0]
    pelvis = BODY.joints(pose, betas, expression, zero)[0, 0]
    return np.asarray(np.median(track.scale) * (local - pelvis) + motion.pelvis[frame])


def test_usd_passes_all_validators_of_usd(stage: Any) -> None:
    validation = pytest.importorskip("pxr.UsdValidation")
    validators = validation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(validators) > 20
    errors = validation.ValidationContext(validators).Validate(stage)
    assert not [f"{error.GetName()}: {error.GetMessage()}" for error in errors]


def test_usd_shows_people_only_while_they_are_there(tmp_path: Path) -> None:
    pytest.importorskip("pxr")
    from pxr import Usd, UsdGeom

    from pear_ros.export.usd import save_usd

    recording = walking_recording(
        TIMES, people=("h1", "h-2"), change=lambda n, p: p if p.id == "h1" or n > 12 else None
    )
    (file,) = save_usd(motions_of_recording(recording, None), recording, tmp_path)
    stage = Usd.Stage.Open(str(file))
    visible = UsdGeom.Imageable(stage.GetPrimAtPath("/people/h_2")).GetVisibilityAttr()
    assert (visible.Get(5), visible.Get(20)) == ("invisible", "inherited")


def test_usd_has_no_two_people_of_one_name(tmp_path: Path) -> None:
    pytest.importorskip("pxr", reason="needs usd-core")
    from pear_ros.export.usd import save_usd

    recording = walking_recording(TIMES, people=("h-1", "h_1"))
    with pytest.raises(ResultsError, match="would be called h_1 in the usd file"):
        save_usd(motions_of_recording(recording, None), recording, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_usd_is_for_the_open_body_alone(tmp_path: Path) -> None:
    pytest.importorskip("pxr")
    from pear_ros.export.usd import save_usd

    recording = walking_recording(TIMES, body_model="ehm-s/1")
    with pytest.raises(ResultsError, match=r"usd is for anny-smplx/2 alone, use amass"):
        save_usd(motions_of_recording(recording, None), recording, tmp_path)
    assert not list(tmp_path.iterdir())


def bag_of(recording_path: Path, transform: RigidTransform | None = None) -> Path:
    """A bag of two walking people, with the camera's place on /tf_static."""
    images: list[tuple[int, People]] = []
    for n, (stamp, people) in enumerate(walking_images()):
        images.append((stamp, people))
        assert n < 100
    with ResultsBag(recording_path) as bag:
        bag.add_body(BODY)
        bag.add_images(images)
        if transform is not None:
            bag.add_static_transform("map", "camera_optical_frame", transform)
    return recording_path


def walking_images() -> list[tuple[int, People]]:
    from testing.motion_tracks import walking_people_images

    return walking_people_images(TIMES)


@pytest.fixture
def export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(source: Path, file_format: str, *arguments: str) -> tuple[int, str]:
        command = ["export", str(source), "--format", file_format, "--output"]
        code = main([*command, str(tmp_path / "out"), *arguments])
        return code, capsys.readouterr().err

    return run


def test_tf_gives_up_and_place(tmp_path: Path, export: Callable[..., tuple[int, str]]) -> None:
    # A camera that rolls by 30 degrees, which people alone would not tell.
    axes = Rotation.from_euler("x", -104.0, degrees=True) * Rotation.from_euler(
        "z", 10.0, degrees=True
    )
    transform = RigidTransform(axes.as_matrix(), np.array([2.0, 3.0, 1.5]))
    bag = bag_of(tmp_path / "bag", transform)
    code, said = export(bag, "amass")
    assert code == 0 and "Up is the z axis of 'map', by /tf" in said
    with np.load(tmp_path / "out" / "h1_stageii.npz") as found:
        trans = found["trans"]
        up = quaternions.to_matrices(Rotation.from_rotvec(found["root_orient"]).as_quat())[:, :, 1]
    recorded = walking_images()[5][1].persons[0]
    expected = transform.apply(recorded.joints[0].astype(np.float64))
    np.testing.assert_allclose(trans[5, :2], expected[:2], atol=0.15)
    body_up = Rotation.from_rotvec(recorded.smplx.pose[0]).as_matrix()[:, 1]
    np.testing.assert_allclose(up[5], transform.rotation @ body_up, atol=0.1)


def test_a_camera_that_moves_by_tf_leaves_people_where_they_are(
    tmp_path: Path, export: Callable[..., tuple[int, str]]
) -> None:
    # Somebody glides at a constant velocity; the camera drives past, turns and nods.
    none = [np.zeros((1, n), np.float32) for n in (BODY.num_betas, BODY.num_expression)]
    rest = BODY.rest_joints(*none)[0].astype(np.float64)
    height = rest[0, 1] - BODY.v_template[:, 1].min()
    axes = Rotation.from_euler("z", 2.0).as_matrix() @ np.roll(np.eye(3), 1, axis=0)

    def joints_at(seconds: Doubles) -> Doubles:
        places = np.stack([4.0 - 0.4 * seconds, 0.9 * seconds, 0.0 * seconds + height], axis=1)
        return np.asarray((rest - rest[0]) @ axes.T + places[:, None])

    def base_at(second: float) -> RigidTransform:
        turn = Rotation.from_euler("zy", [0.3 * np.sin(second), 0.1 + 0.05 * np.sin(2 * second)])
        return RigidTransform(turn.as_matrix(), np.array([0.8 * second, 0.3 * second, 1.3]))

    with ResultsBag(tmp_path / "bag") as bag:
        bag.add_static_transform("base_link", "camera_optical_frame", LEVEL_CAMERA)
        for second in np.arange(-0.1, 1.3, 0.02).tolist():
            bag.add_transform(START + round(second * 1e9), "map", "base_link", base_at(second))
        images = []
        for second, joints in zip(TIMES, joints_at(np.array(TIMES)), strict=True):
            camera = base_at(second).rotation @ LEVEL_CAMERA.rotation
            pose = t_pose()
            pose[0] = Rotation.from_matrix(camera.T @ axes).as_rotvec()
            pelvis = (joints[0] - base_at(second).translation) @ camera
            one = person(pose, tuple((pelvis - rest[0]).tolist()))
            images.append((START + round(second * 1e9), People(CAMERA, "a/1", BODY.name, [one])))
        bag.add_images(images)
    code, said = export(tmp_path / "bag", "trc")
    assert code == 0 and "'map'" in said, said
    table = np.loadtxt(tmp_path / "out" / "h1.trc", skiprows=6)
    expected = joints_at(table[:, 1])
    found = table[:, 2:].reshape(len(table), 55, 3)
    assert np.abs(found - y_up(expected)).max() < MILLIMETRE


def test_a_frame_that_tf_does_not_know_is_refused(
    tmp_path: Path, export: Callable[..., tuple[int, str]]
) -> None:
    code, said = export(bag_of(tmp_path / "bag"), "bvh", "--frame", "hall")
    assert code == 1 and said.count("\n") == 1 and "'hall'" in said
    assert not (tmp_path / "out").exists()


def test_frame_is_for_bags(tmp_path: Path, export: Callable[..., tuple[int, str]]) -> None:
    from testing.motion_tracks import walking_run_file

    source = walking_run_file(tmp_path / "run.npz", TIMES)
    code, said = export(source, "trc", "--frame", "map")
    assert code == 1 and "--frame is for bags" in said
    code, said = export(source, "trc")
    assert code == 0 and "for a camera that stands still" in said


@pytest.mark.parametrize("file_format", ["amass", "gmr", "bvh", "trc", "usd"])
def test_one_image_is_refused_in_one_sentence(
    tmp_path: Path, export: Callable[..., tuple[int, str]], file_format: str
) -> None:
    from testing.motion_tracks import walking_run_file

    if file_format == "usd":
        pytest.importorskip("pxr")
    code, said = export(walking_run_file(tmp_path / "run.npz", TIMES[:1]), file_format)
    assert code == 1 and said.startswith("error: ") and said.count("\n") == 1
    assert "no motion to export" in said and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--rate", text) for text in ("29", "241", "29.97", "nan")),
        *(("--max-gap", text) for text in ("-1", "nan", "long")),
    ],
)
def test_options_out_of_range_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    with pytest.raises(SystemExit):
        main(["export", "x", "--format", "bvh", option, value])
    assert re.search(f"must be .*from .* to .*, not '{value}'", capsys.readouterr().err)


def test_missing_usd_is_said(
    tmp_path: Path, export: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from testing.motion_tracks import walking_run_file

    monkeypatch.setitem(sys.modules, "pxr", None)
    monkeypatch.delitem(sys.modules, "pear_ros.export.usd", raising=False)
    code, said = export(walking_run_file(tmp_path / "run.npz", TIMES), "usd")
    assert code == 1 and said.endswith("error: usd-core is missing: pip install usd-core\n")


def test_rate_and_gap_are_options(tmp_path: Path, export: Callable[..., tuple[int, str]]) -> None:
    from testing.motion_tracks import walking_run_file

    source = walking_run_file(tmp_path / "run.npz", TIMES)
    assert export(source, "bvh", "--rate", "60", "--max-gap", "0.1")[0] == 0
    text = (tmp_path / "out" / "h1.bvh").read_text()
    assert "Frame Time: 0.016666667" in text
    frames = re.search(r"Frames: (\d+)", text)
    assert frames and abs(int(frames.group(1)) - 1.2 * 60) < 4


def test_world_of_a_moving_camera_is_followed(recording: Recording) -> None:
    # The camera moves, and the world's people stay where they are.
    still = motions_of_recording(recording, None)
    world = still_world(recording)
    shake = Rotation.from_euler("y", 0.2 * np.sin(np.arange(len(TIMES)) / 4))
    moved = World(
        world.rotation @ shake.inv().as_matrix(),
        np.repeat(world.translation, len(TIMES), axis=0),
        "test",
    )
    tracks = tuple(_seen_by(track, shake[track.frames]) for track in recording.tracks)
    found = motions_of_recording(replace(recording, tracks=tracks), moved)
    for one, other in zip(found.people, still.people, strict=True):
        apart = np.linalg.norm(one.motion.joints() - other.motion.joints(), axis=-1)
        assert apart.mean() < 0.03


def still_world(recording: Recording) -> World:
    from pear_ros.export.motions import observations_of
    from pear_ros.motion.world import fit_world

    seconds = (recording.stamps_ns - START) * 1e-9
    return fit_world([observations_of(track, seconds) for track in recording.tracks])


def _seen_by(track: Any, turns: Rotation) -> Any:
    joints = np.einsum("tij,tkj->tki", turns.as_matrix(), track.arrays["joints"])
    pose = track.pose.copy()
    pose[:, 0] = (turns * Rotation.from_rotvec(pose[:, 0])).as_rotvec()
    transl = joints[:, 0] - (track.arrays["joints"][:, 0] - track.transl)
    arrays = {**track.arrays, "joints": joints.astype(np.float32)}
    return replace(track, pose=pose, arrays=arrays, transl=transl.astype(np.float32))
