# SPDX-License-Identifier: Apache-2.0
"""Motion as a USD stage: skinned meshes of the open body with UsdSkel, z up, metres."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Gf, Kind, Sdf, Usd, UsdGeom, UsdShade, UsdSkel, Vt

from pear_ros import __version__
from pear_ros.body import BodyModel, load_open_body
from pear_ros.body.normals import vertex_normals
from pear_ros.body.submesh import SubMesh
from pear_ros.core.people import SMPLX_JOINT_NAMES, SMPLX_PARENTS
from pear_ros.export.motions import Motions, TrackMotion
from pear_ros.export.open_bodies import require_open_body
from pear_ros.export.skinned import INFLUENCES, influences, rest_shape
from pear_ros.export.tracks import Recording, ResultsError
from pear_ros.io.output_files import replaced
from pear_ros.motion.motion import Motion
from pear_ros.rendering.colours import id_colour


def save_usd(
    motions: Motions, recording: Recording, folder: Path, *, mesh_detail: str = "full"
) -> list[Path]:
    """Write all people into people.usdc in `folder`; return the file.

    Time codes are frames since the recording began. A person is invisible while absent.
    `mesh_detail`: number of triangles, one of pear_ros.core.parameters.MESH_DETAILS. Raises
    ResultsError where a body is not the open one or an earlier version.
    """
    body = load_open_body()
    require_open_body(recording, body, "usd", "amass, gmr, bvh or trc")
    _check_names(motions)
    stage = _stage(motions)
    mesh = SubMesh.of(body.faces_of(mesh_detail), body.vertex_count)
    for one in motions.people:
        _add_person(stage, body, mesh, one)
    path = folder / "people.usdc"
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / path.name
        stage.GetRootLayer().Export(str(draft))
        with replaced(path) as file:
            file.write(draft.read_bytes())
    return [path]


def _check_names(motions: Motions) -> None:
    """Raise ResultsError where people would get the same name: USD knows no hyphens in names."""
    names = [_name(one.motion) for one in motions.people]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ResultsError(
            f"several people would be called {', '.join(twice)} in the usd file: export them one "
            "by one, by --person"
        )


def _name(motion: Motion) -> str:
    return motion.id.replace("-", "_")


def _stage(motions: Motions) -> Any:
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetTimeCodesPerSecond(motions.rate)
    stage.SetFramesPerSecond(motions.rate)
    stage.SetStartTimeCode(min(one.motion.first for one in motions.people))
    stage.SetEndTimeCode(max(_end(one.motion) for one in motions.people))
    stage.SetMetadata("comment", f"pear_ros {__version__}")
    world = UsdGeom.Xform.Define(stage, "/people")
    Usd.ModelAPI(world).SetKind(Kind.Tokens.assembly)
    stage.SetDefaultPrim(world.GetPrim())
    return stage


def _end(motion: Motion) -> int:
    """The last frame."""
    return motion.first + len(motion.pelvis) - 1


def _add_person(stage: Any, body: BodyModel, mesh: SubMesh, one: TrackMotion) -> None:
    motion = one.motion
    path = Sdf.Path(f"/people/{_name(motion)}")
    root = UsdSkel.Root.Define(stage, path)
    Usd.ModelAPI(root).SetKind(Kind.Tokens.component)
    root.GetPrim().SetCustomDataByKey("body_model", one.track.body_model)
    root.GetPrim().SetCustomDataByKey("model_id", one.track.model_id)
    visibility = root.CreateVisibilityAttr(UsdGeom.Tokens.inherited)
    visibility.Set(UsdGeom.Tokens.invisible, motion.first - 1)
    visibility.Set(UsdGeom.Tokens.inherited, motion.first)
    visibility.Set(UsdGeom.Tokens.invisible, _end(motion) + 1)
    skeleton = _add_skeleton(stage, path, motion)
    binding = UsdSkel.BindingAPI.Apply(skeleton.GetPrim())
    binding.CreateAnimationSourceRel().SetTargets([_add_animation(stage, path, motion)])
    _add_mesh(stage, path, body, mesh, one, skeleton)


def _joints() -> Any:
    """Paths of the joints, by the names of those above them."""
    paths: list[str] = []
    for name, parent in zip(SMPLX_JOINT_NAMES, SMPLX_PARENTS, strict=True):
        paths.append(f"{paths[parent]}/{name}" if parent >= 0 else name)
    return Vt.TokenArray(paths)


def _add_skeleton(stage: Any, path: Any, motion: Motion) -> Any:
    skeleton = UsdSkel.Skeleton.Define(stage, path.AppendChild("skeleton"))
    rest = motion.skeleton.rest
    skeleton.CreateJointsAttr(_joints())
    skeleton.CreateBindTransformsAttr(_translations(rest))
    skeleton.CreateRestTransformsAttr(_translations(motion.skeleton.bones))
    return skeleton


def _translations(points: Any) -> Any:
    identity = Gf.Matrix4d(1.0)
    moved = [Gf.Matrix4d(identity).SetTranslateOnly(Gf.Vec3d(*p)) for p in points.tolist()]
    return Vt.Matrix4dArray(moved)


def _add_animation(stage: Any, path: Any, motion: Motion) -> Any:
    animation = UsdSkel.Animation.Define(stage, path.AppendChild("animation"))
    animation.CreateJointsAttr(_joints())
    translations = animation.CreateTranslationsAttr()
    rotations = animation.CreateRotationsAttr()
    scales = np.ones((len(SMPLX_JOINT_NAMES), 3), np.float16)
    animation.CreateScalesAttr(Vt.Vec3hArray.FromNumpy(scales))
    places = motion.skeleton.bones.astype(np.float32)
    for frame, (pelvis, turns) in enumerate(zip(motion.pelvis, motion.rotations, strict=True)):
        places[0] = pelvis
        time = motion.first + frame
        translations.Set(Vt.Vec3fArray.FromNumpy(places), time)
        rotations.Set(Vt.QuatfArray.FromNumpy(turns.astype(np.float32)), time)
    return animation.GetPath()


def _add_mesh(
    stage: Any, path: Any, body: BodyModel, reduced: SubMesh, one: TrackMotion, skeleton: Any
) -> None:
    shape = rest_shape(body, one.betas)
    # The skeleton's T-pose has the pelvis at the origin.
    whole = np.float32(one.scale) * (shape.vertices - shape.joints[0])
    vertices = reduced.take(whole)
    mesh = UsdGeom.Mesh.Define(stage, path.AppendChild("mesh"))
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(vertices))
    faces = reduced.faces.astype(np.int32)
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(faces.ravel()))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    normals = reduced.take(vertex_normals(whole, body.faces))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(normals.astype(np.float32)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateExtentAttr(
        Vt.Vec3fArray.FromNumpy(np.stack([vertices.min(axis=0), vertices.max(axis=0)]))
    )
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1.0))
    joints, weights = (reduced.take(values) for values in influences(body))
    binding.CreateJointIndicesPrimvar(False, INFLUENCES).Set(
        Vt.IntArray.FromNumpy(joints.astype(np.int32).ravel())
    )
    binding.CreateJointWeightsPrimvar(False, INFLUENCES).Set(
        Vt.FloatArray.FromNumpy(weights.astype(np.float32).ravel())
    )
    _paint(stage, path, mesh, one.track.id)


def _paint(stage: Any, path: Any, mesh: Any, name: str) -> None:
    """Give the mesh a colour of its own."""
    linear = Gf.Vec3f(*(channel**2.2 for channel in id_colour(name)))  # from sRGB
    mesh.CreateDisplayColorAttr([linear])
    material = UsdShade.Material.Define(stage, path.AppendChild("material"))
    shader = UsdShade.Shader.Define(stage, material.GetPath().AppendChild("surface"))
    shader.CreateIdAttr("UsdPreviewSurface")
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(linear)
    shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(0.8)
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
