# SPDX-License-Identifier: Apache-2.0
"""Reduced meshes: bytes, time and geometric error of each mesh_detail.

    python -m benchmarks.mesh_detail

The open body in each mesh_detail. Messages: one person's visualization_msgs/MarkerArray, from
vertices to published, with a subscriber in a second process; decoded as Foxglove and Lichtblick do
it, by the npm packages @foxglove/rosmsg and @foxglove/rosmsg2-serialization in Node.js, which are
installed into a temporary folder. Overlays: of people whom the default finds in the demo clip, at
two image sizes. Errors: from every vertex of the full mesh to the reduced mesh's surface, of
24 people of random shape, expression and pose with bent limbs and curled fingers. Links: images a
second that fit into a link of that many bits, if nothing else were sent; wireless links give half
to two thirds of their nominal rate. Without npm its column is empty but for a note. Writes
benchmarks/results/mesh_detail.md.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from rosbags.typesys import Stores, get_typestore
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from benchmarks.message_path import FRAME, ID, STAMP, TOPIC, milliseconds, subscribed_to
from benchmarks.report import Table, write_report
from pear_ros.body import BodyModel, load_open_body
from pear_ros.body.submesh import SubMesh
from pear_ros.core.camera import Camera
from pear_ros.core.parameters import MESH_DETAILS
from pear_ros.core.people import SMPLX_JOINT_NAMES, Array, Image, People
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.pipeline import Pipeline
from pear_ros.rendering.overlay import draw_overlay
from pear_ros.ros.conversion.markers import MeshMarkers
from pear_ros.ros.conversion.messages import human_array, image_message, jpeg_message
from testing.mesh_distance import distances

RUNS, OVERLAY_RUNS = 100, 9
PEOPLE = 24
FRAMES, EVERY = 120, 10
"""Of the demo clip, and which of them overlays are drawn on."""
SIZES = ((640, 360), (1280, 720))
LINKS = (20, 100)
"""Mbit/s."""
PACKAGES = ("@foxglove/rosmsg@5.0.5", "@foxglove/rosmsg2-serialization@3.1.0")
DECODE = """
const { parse } = require("@foxglove/rosmsg");
const { MessageReader } = require("@foxglove/rosmsg2-serialization");
const { readFileSync } = require("fs");
const [definition, ...messages] = process.argv.slice(2);
const reader = new MessageReader(parse(readFileSync(definition, "utf8"), { ros2: true }));
for (const path of messages) {
  const bytes = readFileSync(path);
  const spent = [];
  for (let run = 0; run < 150; run++) {
    const start = process.hrtime.bigint();
    const points = reader.readMessage(bytes).markers[0].points.length;
    spent.push(Number(process.hrtime.bigint() - start) / 1e6);
    if (points % 3 !== 0) throw new Error("not a list of triangles");
  }
  console.log(spent.slice(50).sort((a, b) => a - b)[50]);
}
"""

Mask = npt.NDArray[np.bool_]


def shown(body: BodyModel, detail: str) -> SubMesh:
    """What is drawn of the body in one detail."""
    return SubMesh.of(body.faces_of(detail), body.vertex_count)


def marker_bytes(body: BodyModel, detail: str) -> bytes:
    """One person's message."""
    mesh = shown(body, detail)
    markers = MeshMarkers(mesh.faces, mesh.vertex_count)
    return markers.serialize(FRAME, STAMP, [ID], mesh.take(body.v_template[None]))


def publish_times(body: BodyModel) -> list[float]:
    """Median milliseconds from vertices to published, for each of MESH_DETAILS."""
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
    rclpy.init()
    publisher = Node("publisher").create_publisher(MarkerArray, TOPIC, QoSProfile(depth=1))
    medians = []
    with subscribed_to(publisher, True):
        for detail in MESH_DETAILS:
            mesh = shown(body, detail)
            markers = MeshMarkers(mesh.faces, mesh.vertex_count)

            def publish(mesh: SubMesh = mesh, markers: MeshMarkers = markers) -> None:
                meshes = mesh.take(body.v_template[None])
                publisher.publish(markers.serialize(FRAME, STAMP, [ID], meshes))

            milliseconds(publish, 10)
            medians.append(statistics.median(milliseconds(publish, RUNS)))
    rclpy.shutdown()
    return medians


def decode_times(messages: list[bytes]) -> list[str]:
    """Median milliseconds that a viewer in JavaScript takes for each message."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return ["npm is missing"] * len(messages)
    types = get_typestore(Stores.ROS2_JAZZY)
    definition, _ = types.generate_msgdef("visualization_msgs/msg/MarkerArray", ros_version=2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", *PACKAGES]
        subprocess.run(install, cwd=folder, check=True)
        (folder / "decode.js").write_text(DECODE)
        (folder / "definition").write_text(definition)
        for number, message in enumerate(messages):
            (folder / str(number)).write_bytes(message)
        command = ["node", "decode.js", "definition", *map(str, range(len(messages)))]
        done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    return [f"{float(line):.1f}" for line in done.stdout.split()]


@dataclass(frozen=True)
class Frame:
    """People in an image of the demo clip."""

    image: Image
    people: People
    meshes: Array


def see(width: int, height: int) -> list[Frame]:
    """Return some images of the clip, scaled, with their people and meshes."""
    pipeline = Pipeline()
    found = []
    for number, (stamp, image) in enumerate(FrameSource(str(demo_clip()))):
        if number >= FRAMES:
            break
        picture = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
        people = pipeline(picture, Camera.from_field_of_view(width, height), stamp)
        if number % EVERY == 0 and people.persons:
            found.append(Frame(picture, people, pipeline.meshes(people)))
    return found


def overlay_times(body: BodyModel, seen: list[Frame]) -> list[float]:
    """Return the mean of the images' median milliseconds for each of MESH_DETAILS, alternating."""
    meshes = [shown(body, detail) for detail in MESH_DETAILS]

    def draw(one: Frame, mesh: SubMesh) -> None:
        ids = [person.id for person in one.people.persons]
        draw_overlay(one.image, one.people.camera, mesh.take(one.meshes), mesh.faces, ids)

    spent = np.empty((len(seen), OVERLAY_RUNS, len(meshes)))
    for index, one in enumerate(seen):
        for run in range(OVERLAY_RUNS):
            for column, mesh in enumerate(meshes):
                (spent[index, run, column],) = milliseconds(partial(draw, one, mesh), 1)
    means: list[float] = np.median(spent, axis=1).mean(axis=0).tolist()
    return means


def random_people(body: BodyModel) -> Array:
    """(PEOPLE, V, 3) in poses of many kinds."""
    rng = np.random.default_rng(0)
    pose = rng.normal(0.0, 0.15, (PEOPLE, 55, 3)).astype(np.float32)

    def bend(joint: str, axis: int, low: float, high: float) -> None:
        pose[:, SMPLX_JOINT_NAMES.index(joint), axis] = rng.uniform(low, high, PEOPLE)

    for side, left in (("left", 1.0), ("right", -1.0)):
        bend(f"{side}_shoulder", 2, *sorted((-1.3 * left, 0.3 * left)))
        bend(f"{side}_elbow", 1, *sorted((-2.3 * left, 0.0)))
        bend(f"{side}_hip", 0, -1.6, 0.2)
        bend(f"{side}_knee", 0, 0.0, 2.2)
        for finger in ("index", "middle", "ring", "pinky"):
            for phalanx in (1, 2, 3):
                bend(f"{side}_{finger}{phalanx}", 2, *sorted((-1.3 * left, 0.1 * left)))
    bend("jaw", 0, 0.0, 0.3)
    betas = rng.normal(0.0, 1.0, (PEOPLE, body.num_betas)).astype(np.float32)
    expression = rng.uniform(0.0, 0.5, (PEOPLE, body.num_expression)).astype(np.float32)
    return np.asarray(body.vertices(pose, betas, expression, np.zeros((PEOPLE, 3), np.float32)))


def regions(body: BodyModel) -> dict[str, Mask]:
    """Which vertices belong to what."""
    owner = body.weights.toarray().argmax(axis=1)

    def of(*names: str) -> Mask:
        return np.isin(owner, [SMPLX_JOINT_NAMES.index(name) for name in names])

    fingers = SMPLX_JOINT_NAMES[25:]
    return {
        "all of the body": np.ones(body.vertex_count, bool),
        "hands": of("left_wrist", "right_wrist", *fingers),
        "head": of("head", "jaw", "left_eye_smplhf", "right_eye_smplhf"),
    }


def errors(body: BodyModel) -> Table:
    """Millimetres between the full mesh and lighter ones."""
    people, parts = random_people(body), regions(body)
    rows = []
    for detail in MESH_DETAILS[1:]:
        faces = body.faces_of(detail)
        found = 1000.0 * np.stack([distances(mesh, mesh, faces) for mesh in people])
        for name, part in parts.items():
            of_part = found[:, part]
            figures = (of_part.mean(), np.percentile(of_part, 95), of_part.max())
            triangles = part[faces].all(axis=1).sum()
            rows.append([detail, name, f"{triangles:,}", *(f"{value:.1f}" for value in figures)])
    return ["mesh_detail", "of", "triangles", "mean mm", "95 % mm", "greatest mm"], rows


def links(messages: dict[str, int]) -> Table:
    """Images a second for each link."""
    headings = ["topic", "kB an image", *(f"{rate} Mbit/s" for rate in LINKS)]
    rows = [
        [topic, f"{size / 1e3:,.0f}", *(f"{rate * 1e6 / 8 / size:.1f}" for rate in LINKS)]
        for topic, size in messages.items()
    ]
    return headings, rows


def main() -> int:
    """Measure and write the report."""
    body = load_open_body()
    messages = {detail: marker_bytes(body, detail) for detail in MESH_DETAILS}
    published, decoded = publish_times(body), decode_times(list(messages.values()))
    seen = {size: see(*size) for size in SIZES}
    overlays = zip(*(overlay_times(body, seen[size]) for size in SIZES), strict=True)
    rows = []
    for detail, at, there, drawing in zip(MESH_DETAILS, published, decoded, overlays, strict=True):
        mesh = shown(body, detail)
        drawn = [f"{milli:.1f}" for milli in drawing]
        row = [detail, f"{len(mesh.faces):,}", f"{mesh.vertex_count:,}"]
        rows.append([*row, f"{len(messages[detail]) / 1e3:,.0f}", f"{at:.2f}", there, *drawn])
    count = statistics.mean(len(one.people.persons) for one in seen[SIZES[0]])
    headings = [
        *("mesh_detail", "triangles", "vertices", "kB a person and image", "published ms"),
        "decoded in Node.js ms",
        *(f"overlay {width} x {height}, ms" for width, height in SIZES),
    ]

    one = next(one for one in seen[SIZES[0]] if len(one.people.persons) >= 2)
    ids = [person.id for person in one.people.persons]
    header = Header(frame_id=FRAME)
    drawn_on = draw_overlay(one.image, one.people.camera, one.meshes, body.faces, ids)
    two = People(
        one.people.camera, one.people.model_id, one.people.body_model, one.people.persons[:2]
    )
    sizes = {
        **{f"mesh_markers, {detail}, 2 people": 2 * len(m) for detail, m in messages.items()},
        "overlay, 640 x 360": len(serialize_message(image_message(drawn_on, header))),
        "overlay/compressed, 640 x 360": len(serialize_message(jpeg_message(drawn_on, header))),
        "humans, 2 people": len(serialize_message(human_array(two, header))),
    }
    tables = {
        f"Messages of one person, overlays of {count:.1f} people": (headings, rows),
        f"Distance from the full mesh, {PEOPLE} people": errors(body),
        "Images a second over a link": links(sizes),
    }
    write_report("mesh_detail", str(__doc__), tables)
    return 0


if __name__ == "__main__":
    sys.exit(main())
