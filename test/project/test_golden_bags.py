# SPDX-License-Identifier: Apache-2.0
"""Golden bags, one a release: `pear export` reads the results that older versions wrote.

`python -m testing.golden_bag` adds the one of this version, see CONTRIBUTING.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.typesys import get_types_from_msg

from pear_ros.bags.bag import Bag
from pear_ros.cli import main as pear

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "test" / "data" / "golden"
VERSIONS = sorted(folder.name for folder in GOLDEN.iterdir())

DIFFERENCES: dict[str, set[str]] = {
    "0.1": {
        "+ Human.DETECTED",
        *("+ Human.DEPTH_FLOOR", "+ Human.depth_error", "+ Human.foot_contact"),
        *("+ Separation.human_id", "+ Separation.robot_frame", "+ Separation.robot_radius"),
        *("+ Separation.body_part", "+ Separation.distance", "+ Separation.distance_error"),
        *("+ Separation.closing_speed", "+ Separation.human_point", "+ Separation.robot_point"),
        *("+ SeparationArray.header", "+ SeparationArray.latency", "+ SeparationArray.model_id"),
        *("+ SeparationArray.body_model", "+ SeparationArray.separations"),
    }
}
"""By version, what differs between its messages and today's: "+ Human.field" is new, "- ..." gone.

A changed type is both. Add an entry only along with pear_msgs/CHANGELOG.rst.
"""


def members_of(definitions: dict[str, Any]) -> set[str]:
    """Return constants and fields of the messages of pear_msgs, as "Human.scale ('base', ...)"."""
    return {
        f"{name.removeprefix('pear_msgs/msg/')}.{member}"
        for name, (constants, fields) in definitions.items()
        if name.startswith("pear_msgs/")
        for member in (
            *(f"{one[0]} = {one[2]} {one[1]}" for one in constants),
            *(f"{field} {kind}" for field, kind in fields),
        )
    }


def recorded_members(bag: Path) -> set[str]:
    """Return those of the definitions that a bag contains."""
    definitions: dict[str, Any] = {}
    for topic in Bag(bag).topics.values():
        form, text = topic.definition
        assert form == MessageDefinitionFormat.MSG
        definitions |= get_types_from_msg(text, topic.type)
    return members_of(definitions)


def members_today() -> set[str]:
    definitions: dict[str, Any] = {}
    for file in (ROOT / "pear_msgs" / "msg").glob("*.msg"):
        definitions |= get_types_from_msg(file.read_text(), f"pear_msgs/msg/{file.stem}")
    return members_of(definitions)


def named(difference: str) -> str:
    """Return a difference without the member's type: "+ Human.scale"."""
    return " ".join(difference.split(" ")[:2])


@pytest.mark.parametrize("version", VERSIONS)
def test_definitions_differ_only_as_named(version: str) -> None:
    then, today = recorded_members(GOLDEN / version / "bag"), members_today()
    assert len(then) > 50
    differences = {f"- {one}" for one in then - today} | {f"+ {one}" for one in today - then}
    assert {named(one) for one in differences} == DIFFERENCES[version]


@pytest.mark.parametrize("version", VERSIONS)
def test_export_still_gives_the_arrays_of_the_release(version: str, tmp_path: Path) -> None:
    bag = str(GOLDEN / version / "bag")
    assert pear(["export", bag, "--format", "npz", "--output", str(tmp_path)]) == 0
    released = sorted((GOLDEN / version / "export").glob("*.npz"))
    assert [file.name for file in released] == sorted(file.name for file in tmp_path.iterdir())
    for file in released:
        then, now = dict(np.load(file)), dict(np.load(tmp_path / file.name))
        assert len(then) > 20
        for name, values in then.items():
            assert (now[name].dtype, now[name].shape) == (values.dtype, values.shape), name
            np.testing.assert_array_equal(now[name], values, err_msg=name)


@pytest.mark.parametrize("version", VERSIONS)
def test_csv_has_a_row_for_each_person_in_each_image(version: str, tmp_path: Path) -> None:
    bag = str(GOLDEN / version / "bag")
    assert pear(["export", bag, "--format", "csv", "--output", str(tmp_path)]) == 0
    assert len((tmp_path / "joints.csv").read_text().splitlines()) == 1 + 6


def test_there_is_a_golden_bag_of_this_version() -> None:
    from pear_ros import __version__

    assert ".".join(__version__.split(".")[:2]) in VERSIONS
