# SPDX-License-Identifier: Apache-2.0
"""Checks of the model files and their licences: the default estimator's, and PEAR's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pear_ros.cli.doctor.findings import Finding, fail, ok, warn
from pear_ros.io import downloads as assets

_POINTER = b"version https://git-lfs"
"""The beginning of a pointer file, in place of a file that Git LFS did not fetch."""


def check_assets() -> Iterator[Finding]:
    """Check the landmark models and the demo clip."""
    licences = {one: package.licence for package in assets.PACKAGES for one in package.assets}
    bad = []
    for name in assets.LANDMARK_MODELS:
        try:
            assets.landmark_model(name)
        except assets.AssetError:
            bad.append(assets.LANDMARK_MODELS[name].path.name)
    licence = licences[next(iter(assets.LANDMARK_MODELS.values()))]
    text = f"{len(assets.LANDMARK_MODELS) - len(bad)} of {len(assets.LANDMARK_MODELS)}, {licence}"
    details = {"folder": str(assets.cache_directory()), "missing": bad, "licence": licence}
    if bad:
        text = f"{text}; missing or damaged: {', '.join(bad)}"
        yield fail("models.landmarks", text, f"run: {assets.COMMAND}", **details)
    else:
        yield ok("models.landmarks", f"{text}, in {assets.cache_directory()}", **details)
    try:
        heavy = assets.landmark_model("pose_landmark_heavy")
        yield ok("models.landmarks_heavy", f"{heavy}, {licence}")
    except assets.AssetError as error:
        yield warn("models.landmarks_heavy", str(error), "optional: more accurate, slower")
    try:
        yield ok("models.demo_clip", f"{assets.demo_clip()}, {licences[assets.DEMO_CLIP]}")
    except assets.AssetError as error:
        yield warn("models.demo_clip", str(error), "only `pear demo` and `pear bench` need it")


def check_open_body() -> Iterator[Finding]:
    """Check the open body, which is part of the package."""
    from pear_ros.body import load_open_body

    body = load_open_body()
    yield ok("models.open_body", f"{body.name}, {body.license_note}", name=body.name)


def check_detector() -> Iterator[Finding]:
    """Check the built-in person detector, which is part of the package."""
    from pear_ros.detection.nanodet import model_content

    try:
        content = model_content()
    except assets.AssetError as error:
        advice = "until then BlazePose detects people, and misses many"
        yield warn("models.detector", str(error), advice, detector="blazepose")
    else:
        text = f"NanoDet-g, {_megabytes(len(content))}, licence: Apache-2.0"
        yield ok("models.detector", text, detector="nanodet")


def check_pear_files(folder: Path | None) -> Iterator[Finding]:
    """Check PEAR's files and graphs in `folder`, by default the model folder."""
    from pear_ros.pear.files import FILES, default_model_folder, find_model_files

    where = (folder or default_model_folder()).expanduser().absolute()
    files = find_model_files(where)
    asked_for = folder is not None or "PEAR_ROS_MODELS" in os.environ
    if not files.found and not files.graphs:
        text = f"none of PEAR's files is in {where}"
        if asked_for:
            yield fail("models.pear", text, f"put them there: pear import-model {where}")
        else:
            text = f"{text}: estimator auto uses landmarks and the open body"
            yield ok("models.pear", text, folder=str(where), missing=[f.name for f in FILES])
        return
    missing = [file.name for file in files.missing]
    details = {"folder": str(where), "missing": missing}
    if missing:
        bad = fail if asked_for else warn
        text = f"{len(missing)} of PEAR's files are missing in {where}"
        advice = f"estimator auto uses landmarks until they are there: pear import-model {where}"
        yield bad("models.pear", text, advice, **details)
    else:
        yield ok("models.pear", f"complete in {where}", **details)
    for file in FILES:
        id = f"models.pear_{file.key}"
        if (path := files.found.get(file.key)) is not None:
            yield from _check_file(id, path, file.licence)
        elif file in files.missing:
            text = f"{file.name} is missing: {file.what}; licence: {file.licence}"
            yield warn(id, text, f"from {file.origin}", licence=file.licence)
    yield from _check_graphs(files.graphs)


def _check_file(id: str, path: Path, licence: str) -> Iterator[Finding]:
    """Check a file without reading all of it."""
    size = path.stat().st_size
    details = {"path": str(path), "bytes": size, "licence": licence}
    try:
        with path.open("rb") as file:
            begin = file.read(len(_POINTER))
    except OSError as error:
        yield fail(id, f"{path} cannot be read: {error.strerror}", "change its mode", **details)
        return
    if begin == _POINTER:
        yield fail(id, f"{path} is only a pointer to the file", "fetch it: git lfs pull", **details)
    elif size == 0:
        yield fail(id, f"{path} is empty", "download it again", **details)
    else:
        yield ok(id, f"{path.name}, {_megabytes(size)}, licence: {licence}", **details)


def _check_graphs(graphs: tuple[Path, ...]) -> Iterator[Finding]:
    from pear_ros.pear.graph import GraphError, read_graph

    for path in graphs:
        id = f"models.{path.stem}"
        try:
            graph = read_graph(path)
        except GraphError as error:
            yield fail(id, str(error), "or remove it", path=str(path))
        else:
            text = f"{path.name}, {graph.precision}, weights {graph.weights[:8]}"
            yield ok(id, text, path=str(path), precision=graph.precision, weights=graph.weights)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
