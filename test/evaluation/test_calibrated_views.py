# SPDX-License-Identifier: Apache-2.0
"""Calibrations are read in the right frames; people of several views get their joints in space."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pear_ros.core.camera import Camera
from pear_ros.core.distortion import Distortion
from pear_ros.evaluation.calibrations import CalibratedCamera, read_calibration
from pear_ros.evaluation.clips import Clip, read_clip, write_clip
from pear_ros.evaluation.keypoint_names import COCO_KEYPOINTS
from pear_ros.evaluation.labels import Doubles, LabelError
from pear_ros.evaluation.matching import FoundPerson
from pear_ros.evaluation.triangulated_clips import read_points, smoothed, triangulated, view_files
from pear_ros.evaluation.triangulation import triangulate
from pear_ros.evaluation.views import Found, clip_figures

SIZE = (800, 600)


def looking_at_origin(
    angle: float, name: str, distortion: Distortion | None = None
) -> CalibratedCamera:
    """A camera 4 m from the origin and 1.5 m above it; the world has z up."""
    position = np.array([4 * np.cos(angle), 4 * np.sin(angle), 1.5])
    ahead = -position / np.linalg.norm(position)
    right = np.cross(ahead, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.array([right, np.cross(ahead, right), ahead])
    camera = Camera(*SIZE, 700.0, 710.0, 402.0, 299.0, distortion=distortion)
    return CalibratedCamera(name, camera, rotation, -rotation @ position)


CAMERAS = [
    looking_at_origin(angle, f"cam{n}", Distortion("plumb_bob", (-0.1, 0.05, 0.001, 0.002, 0.0)))
    for n, angle in enumerate((0.1, 1.3, 3.0, 4.4))
]


def person(x: float, seed: int) -> Doubles:
    """17 joints within a standing person at (x, 0), facing along y."""
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [rng.normal(x, 0.15, 17), rng.normal(0, 0.15, 17), rng.uniform(-0.8, 0.8, 17)]
    )


def seen(camera: CalibratedCamera, joints: Doubles) -> Doubles:
    return camera.camera.project(camera.from_world(joints)).astype(float)


def qualisys(cameras: list[CalibratedCamera]) -> str:
    """The cameras as Qualisys writes them: millimetres, 1/64 pixel, axes with y up, z backwards."""
    entries = []
    for one in cameras:
        x, y, z = -one.rotation.T @ one.translation * 1000.0
        axes = (np.diag([1, -1, -1]) @ one.rotation).tolist()
        numbers = " ".join(f'r{r + 1}{c + 1}="{axes[r][c]}"' for r in range(3) for c in range(3))
        lens = one.camera
        k1, k2, p1, p2, k3 = lens.distortion.coefficients
        entries.append(
            f'<camera active="1" serial="{one.name}" viewrotation="0">'
            f'<fov_video left="0" top="0" right="{lens.width - 1}" bottom="{lens.height - 1}"/>'
            f'<transform {numbers} x="{x}" y="{y}" z="{z}"/>'
            f'<intrinsic focalLengthU="{64 * lens.fx}" focalLengthV="{64 * lens.fy}" '
            f'centerPointU="{64 * lens.cx}" centerPointV="{64 * lens.cy}" '
            f'radialDistortion1="{k1}" radialDistortion2="{k2}" radialDistortion3="{k3}" '
            f'tangentalDistortion1="{p1}" tangentalDistortion2="{p2}"/></camera>'
        )
    return f"<calibration><cameras>{''.join(entries)}</cameras></calibration>"


def pose2sim(cameras: list[CalibratedCamera]) -> str:
    parts = []
    for one in cameras:
        lens = one.camera
        matrix = [[lens.fx, 0.0, lens.cx], [0.0, lens.fy, lens.cy], [0.0, 0.0, 1.0]]
        turn = Rotation.from_matrix(one.rotation).as_rotvec().tolist()
        coefficients = list(lens.distortion.coefficients[:4])
        parts.append(
            f'[{one.name}]\nname = "{one.name}"\nsize = [ {lens.width}.0, {lens.height}.0]\n'
            f"matrix = {matrix}\ndistortions = {coefficients}\nrotation = {turn}\n"
            f"translation = {one.translation.tolist()}\nfisheye = false\n"
        )
    return "\n".join([*parts, "[metadata]\nadjusted = false\nerror = 0.0\n"])


@pytest.mark.parametrize(("name", "text"), [("Calib.qca.txt", qualisys), ("Calib.toml", pose2sim)])
def test_calibrations_project_as_the_cameras_do(
    tmp_path: Path, name: str, text: Callable[[list[CalibratedCamera]], str]
) -> None:
    file = tmp_path / name
    file.write_text(text(CAMERAS))
    joints = person(0.2, 3)
    for camera, read in zip(CAMERAS, read_calibration(file), strict=True):
        assert read.name == camera.name and (read.camera.width, read.camera.height) == SIZE
        np.testing.assert_allclose(seen(read, joints), seen(camera, joints), atol=0.02)


def test_wrong_calibrations_are_named(tmp_path: Path) -> None:
    file = tmp_path / "Calib.qca.txt"
    file.write_text("no xml")
    with pytest.raises(LabelError, match="not a calibration in the form of Qualisys"):
        read_calibration(file)
    file.write_text(qualisys(CAMERAS[:1]))
    with pytest.raises(LabelError, match="has 1 cameras"):
        read_calibration(file)
    toml = tmp_path / "Calib.toml"
    toml.write_text("[cam]\nmatrix = [[1\n")
    with pytest.raises(LabelError, match="in the form of Pose2Sim's"):
        read_calibration(toml)


def test_people_of_several_views_are_put_together() -> None:
    two = [person(-0.7, 1), person(0.7, 2)]
    views = [[seen(camera, joints) for joints in two] for camera in CAMERAS]
    views[1].reverse()
    del views[3][0]
    found = triangulate(CAMERAS, views)
    assert sorted(one.members for one in found) == [(0, 1, 0, -1), (1, 0, 1, 0)]
    for one in found:
        truth = two[one.members[0]]
        np.testing.assert_allclose(one.joints, truth, atol=1e-3)
        assert np.nanmax(one.error) < 0.1


def test_a_view_that_is_off_is_left_out_of_the_joint() -> None:
    joints = person(0.0, 1)
    views = [[seen(camera, joints)] for camera in CAMERAS]
    views[2][0][5] += 40.0
    views[1][0][6] = np.nan
    (one,) = triangulate(CAMERAS, views)
    np.testing.assert_allclose(one.joints, joints, atol=1e-3)
    assert np.isnan(one.error[2, 5]) and np.isnan(one.error[1, 6])
    views[0][0][5] -= 60.0
    views[0][0][6] = views[3][0][6] = np.nan
    (one,) = triangulate(CAMERAS, views)
    assert np.isnan(one.joints[[5, 6]]).all() and np.isfinite(one.joints[:5]).all()


def test_smoothing_keeps_motion_and_removes_noise() -> None:
    time = np.arange(120) / 60.0
    motion = np.zeros((120, 1, 1, 3))
    motion[:, 0, 0, 0] = np.sin(2 * np.pi * time)
    noisy = motion + np.random.default_rng(1).normal(0, 0.02, motion.shape)
    noisy[50] = np.nan
    result = smoothed(noisy, 60.0)
    assert np.isnan(result[50]).all()
    kept = np.r_[10:40, 60:110]
    assert np.abs(result - motion)[kept].mean() < 0.6 * np.abs(noisy - motion)[kept].mean()
    assert smoothed(noisy, 10.0) is noisy


def clip_of(tmp_path: Path, joints: Doubles) -> Clip:
    videos = [tmp_path / f"{camera.name}.mp4" for camera in CAMERAS]
    for video in videos:
        video.touch()
    return Clip("clip", CAMERAS, videos, np.arange(len(joints)), 30.0, joints)


def test_a_clip_is_read_as_it_was_written(tmp_path: Path) -> None:
    joints = np.array([[person(-0.7, n), person(0.7, n)] for n in range(3)])
    joints[1, 0, 3] = np.nan
    clip = clip_of(tmp_path, joints)
    write_clip(tmp_path / "clip.npz", clip)
    read = read_clip(tmp_path / "clip.npz")
    np.testing.assert_array_equal(read.joints, joints)
    for camera, other in zip(CAMERAS, read.cameras, strict=True):
        np.testing.assert_allclose(seen(other, joints[0, 0]), seen(camera, joints[0, 0]), atol=0.01)
    assert [path.name for path in read.videos] == [path.name for path in clip.videos]


def test_wrong_clips_are_named(tmp_path: Path) -> None:
    file = tmp_path / "clip.npz"
    write_clip(file, clip_of(tmp_path, person(0.0, 1)[None, None]))
    arrays = dict(np.load(file))
    for change, text in (
        ({"names": arrays["names"][:9]}, "lacks left_wrist"),
        ({"joints": arrays["joints"][..., :2]}, r"'joints' has to be \(1, N, 17, 3\)"),
        ({"R": arrays["R"][:1]}, r"'R' has to be \(4, 3, 3\)"),
        ({"videos": np.array(["a", "b", "c", "d"])}, "missing; give the folder of the videos"),
    ):
        np.savez(file, **{**arrays, **change})
        with pytest.raises(LabelError, match=text):
            read_clip(file)
    arrays.pop("K")
    np.savez(file, **arrays)
    with pytest.raises(LabelError, match="lacks K"):
        read_clip(file)


def test_videos_of_cameras(tmp_path: Path) -> None:
    for name in ("b_cam2.mp4", "a_cam1.mp4"):
        (tmp_path / name).touch()
    assert [path.stem for path in view_files(tmp_path, ["cam1", "cam2"])] == ["a_cam1", "b_cam2"]
    assert [path.stem for path in view_files(tmp_path, ["x", "y"])] == ["a_cam1", "b_cam2"]
    with pytest.raises(LabelError, match="2 videos for the cameras x, y, z"):
        view_files(tmp_path, ["x", "y", "z"])


def test_points_of_views_become_a_clip(tmp_path: Path) -> None:
    joints = np.array([[person(-0.7, 1), person(0.7, 2)]] * 20)
    points = np.array([[[seen(c, one) for one in people] for people in joints] for c in CAMERAS])
    file = tmp_path / "points.npz"
    np.savez(file, points=points, names=np.array(COCO_KEYPOINTS))
    moments = read_points(file, len(CAMERAS))
    clip, error = triangulated("clip", CAMERAS, [tmp_path] * 4, moments, 30.0)
    np.testing.assert_allclose(np.sort(clip.joints, axis=1), np.sort(joints, axis=1), atol=1e-3)
    assert error.startswith("Re-projection error: mean 0.0, median 0.0")
    with pytest.raises(LabelError, match=r"\(3, F, P, 17, 2\)"):
        read_points(file, 3)
    with pytest.raises(LabelError, match="nobody was triangulated"):
        triangulated("clip", CAMERAS, [tmp_path] * 4, [[[], [], [], []]], 30.0)


def as_found(camera: CalibratedCamera, joints: Doubles, turn: bool = False) -> FoundPerson:
    """A person found at the labelled place; `turn`: by half a turn about the vertical."""
    inside = camera.from_world(joints)
    if turn:
        middle = joints.mean(axis=0)
        inside = camera.from_world((joints - middle) * [-1, -1, 1] + middle)
    pixels = camera.camera.project(camera.from_world(joints)).astype(float)
    box = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)]).astype(np.float32)
    return FoundPerson(box, 1.0, pixels, joints=inside, name="h1")


def test_figures_of_a_clip(tmp_path: Path) -> None:
    """All right but in the third view, where front is back in frames 2 and 3 of 10."""
    joints = np.array([[person(0.0, 1)]] * 10)
    found: list[Found] = [
        {n: [as_found(c, joints[n, 0], number == 2 and n in (2, 3))] for n in range(10)}
        for number, c in enumerate(CAMERAS)
    ]
    figures = clip_figures(clip_of(tmp_path, joints), found)
    values = {f.name: f for table in figures.values() for f in table}
    assert values["all in the views"].value == 100.0
    assert values["PA-MPJPE, mm"].value == pytest.approx(0.0, abs=1e-3)
    assert values["root-relative MPJPE, mm"].value > 10.0
    assert values["facing off by more than 90 degrees, % of frames"].value == pytest.approx(5.0)
    assert values["root within 20 degrees, %"].value == pytest.approx(95.0)
    (third,) = (f for f in figures["Facing reversed by view, % of frames"] if f.name == "cam2")
    assert third.value == pytest.approx(20.0)
    # One reversal in one of four views, each of 10 frames at 30 a second.
    assert values["facing reversals per second"].value == pytest.approx(0.25 / (10 / 30))
    assert values["acceleration error, m/s^2"].count == 32
    assert values["PCK@0.05 of the box, %"].value == 100.0


def test_labelled_orientations_and_meshes_are_compared(tmp_path: Path) -> None:
    """The found body is turned by 30 degrees about the vertical, its mesh 10 mm off."""
    joints = np.array([[person(0.0, 1)]] * 3)
    turn = Rotation.from_euler("z", 30, degrees=True).as_matrix()
    vertices = np.random.default_rng(2).normal(0, 0.3, (3, 1, 8, 3))
    clip = dataclasses.replace(
        clip_of(tmp_path, joints),
        orientation=np.tile(np.eye(3), (3, 1, 1, 1)),
        vertices=vertices,
    )
    write_clip(tmp_path / "clip.npz", clip)
    clip = read_clip(tmp_path / "clip.npz")
    found: list[Found] = [
        {
            n: [
                dataclasses.replace(
                    as_found(c, joints[n, 0]),
                    orientation=c.rotation @ turn,
                    vertices=c.from_world(vertices[n, 0]) + np.array([0.01, 0.0, 0.0]),
                )
            ]
            for n in range(3)
        }
        for c in CAMERAS
    ]
    figures = {f.name: f for f in clip_figures(clip, found)["Joints in space"]}
    assert figures["root orientation, median error, degrees"].value == pytest.approx(30.0)
    assert figures["root within 20 degrees, %"].value == 0.0
    assert figures["PVE (root-relative), mm"].value == pytest.approx(10.0)
