# SPDX-License-Identifier: Apache-2.0
"""Messages of others are the originals, or equal to them: their type hashes say so.

The hashes (REP-2011) are those that vision_msgs 4.1, hri_msgs 2.0, people_msgs 1.3, moveit_msgs 2
(CollisionObject's contains those of the messages in it), object_recognition_msgs 2 and shape_msgs 5
have when they are built.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

HASHES = {
    "hri_msgs": {
        "BodyPosture": "fa4258f18cc616a912e5aa1d48dbfead0fa5235a8546b4c69b70d64db7cef570",
        "EngagementLevel": "275391f46d2e6cc0d21085f8e02dce6a8150baa57539ec99bd9f4e0321443788",
        "FacialActionUnits": "43f431104624b6ff7f84350f1faa3747efc8a9330dee942b717a08830a267ed3",
        "Gaze": "e8c46fafadbeca4367ca1987944b54863fcfc0175319002a76df5298570f4ab3",
        "Gesture": "fbf9f3c4cb8a64e63a1cf819affbb09a32915da45d4786c701eed225193b7f4a",
        "IdsList": "7e0812d1ac945c98fd3e393568d581ad0ab567f37b24eff633eab778c1bfe62d",
        "NormalizedPointOfInterest2D": (
            "cc1d2f720c82afeb850ff1dbf66f41ecb7caf19f842987f1247e66160cf03953"
        ),
        "NormalizedRegionOfInterest2D": (
            "2e50c93f1ca166ee77af9a5424dc951ae4e452b740162a7f83c082d917dcaff5"
        ),
        "Skeleton2D": "1cb61f012db6ca43c48fa0097ccab9a00108ea39323c13f01bb983323c1e3420",
    },
    "moveit_msgs": {
        "CollisionObject": "74b0acd6d56be032bf4f764b2c2633f50588b5fb2bd71e97206c59052747cf7e",
    },
    "object_recognition_msgs": {
        "ObjectType": "5eb3ee3976403366d7c50d7dbee8bec96b3bced1e752674a7194a35841632134",
    },
    "people_msgs": {
        "People": "9ea98a5e58f833a9532957bca23a6b8006a12885d5a16c8ca41dd901d10c33b6",
        "Person": "434c04a421c02370b4e2322c2a4201bebb3e32545e0145199743678ab9ce0fa0",
    },
    "shape_msgs": {
        "Mesh": "f2150b82d8ee7e8bc3f396a2b158aefb4b9a5510a474be271ba1268aebb55289",
        "MeshTriangle": "618e5c073eeb729e433ef6226e72c01d995c459fb7d76348c9700409a5020bd0",
        "Plane": "dfbfe8314689c850615d4a727af017e9aa86c10e369a606c8c851ef8f16c58c8",
        "SolidPrimitive": "2802a15190aadc3f496584df4b0b4c5824d8a0b31aaef839faa75bc34dda38ac",
    },
    "vision_msgs": {
        "BoundingBox2D": "008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f",
        "BoundingBox3D": "bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698",
        "Detection2D": "0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea",
        "Detection2DArray": "214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968",
        "Detection3D": "ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b",
        "Detection3DArray": "793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018",
        "ObjectHypothesis": "51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90",
        "ObjectHypothesisWithPose": (
            "41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc"
        ),
        "Point2D": "eab0e83f44ab4de92ceaf76dd7d0e7638f2bdd1d16ffbe16c7a136c48e407247",
        "Pose2D": "b0b5d1d7b4c20dd4fcde3ed1d4b289a919290572007d67a97043814db25d3648",
    },
}


@pytest.mark.parametrize(
    ("package", "message"), [(name, message) for name in HASHES for message in HASHES[name]]
)
def test_type_hash_is_the_originals(package: str, message: str) -> None:
    module = pytest.importorskip(f"{package}.msg", reason=f"needs {package}")
    prefix = Path(str(module.__file__)).parents[5]  # of lib/pythonX.Y/site-packages/NAME/msg
    description = prefix / "share" / package / "msg" / f"{message}.json"
    if not description.exists():
        pytest.skip("ROS 2 Humble has no type hashes")
    hashes = json.loads(description.read_text())["type_hashes"]
    found = {entry["type_name"]: entry["hash_string"] for entry in hashes}
    assert found[f"{package}/msg/{message}"] == f"RIHS01_{HASHES[package][message]}"
    assert hasattr(module, message)


def test_stand_ins_hold_nothing_else() -> None:
    interfaces = Path(__file__).parents[1] / "interfaces"
    held = {
        package.name: {file.stem for file in (package / "msg").iterdir()}
        for package in interfaces.iterdir()
    }
    assert held == {package: set(messages) for package, messages in HASHES.items()}
