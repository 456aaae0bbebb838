# SPDX-License-Identifier: Apache-2.0
"""Message definitions of a bag's topics.

`rosbags` makes code of them, whose size grows with the number of fields that a message has when
everything in it is written out. Text, parsing and that number are bounded before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rosbags.interfaces import MessageDefinitionFormat, Nodetype
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.base import make_typesdict
from rosbags.typesys.idl import IDLParser
from rosbags.typesys.msg import MSGParser
from rosbags.typesys.store import Typestore

from pear_ros.bags.pear_messages import pear_typestore
from pear_ros.bags.topic import Topic

_IDL_BORDER = "=" * 80 + "\n"
_MAX_TEXT = 1 << 18
"""Characters of the longest definition; the longest of MoveIt's have a tenth."""
_STEPS_PER_CHARACTER = 200
"""Comparisons of a parser for each character; ordinary definitions take a tenth."""
_FREE_STEPS = 20_000
_MAX_FIELDS = 4_000
"""Fields of a message, with those of the messages in it, and in arrays of fixed size."""
_MAX_DEPTH = 30
"""Messages in a message in a message ..."""


class DefinitionError(ValueError):
    """A definition that is not used, since it could take all memory, or run for ever."""


def types_of(topic: Topic) -> Typestore | None:
    """Return the types that a topic's messages consist of; None where they are not defined.

    They are those in the bag, else those of Humble and of pear_msgs, since bags before Iron contain
    none. Definitions that `rosbags` cannot parse, such as those of service events, count as none,
    and so do those that are longer, deeper or larger than any message of ROS.
    """
    form, text = topic.definition
    if form == MessageDefinitionFormat.NONE:
        types = pear_typestore(Stores.ROS2_HUMBLE) or get_typestore(Stores.ROS2_HUMBLE)
    else:
        types = get_typestore(Stores.EMPTY)
        try:
            found = _parsed(form, text, topic.type)
            _check(found, topic.type)
            types.register(found)
            types.hash_rihs01(topic.type)  # Raises where a part of it is not defined.
        except Exception:  # What a forged definition raises depends on what is wrong with it.
            return None
    return types if topic.type in types.fielddefs else None


def _parsed(form: MessageDefinitionFormat, text: str, name: str) -> dict[str, Any]:
    """Return the fields of each type in a definition. Raises DefinitionError, TypesysError."""
    if len(text) > _MAX_TEXT:
        raise DefinitionError("it is too long")
    if form == MessageDefinitionFormat.MSG:
        return dict(make_typesdict(_BoundedMsgParser(f"MSG: {name}\n{text}").specification()))
    # Consecutive definitions, each below a line with its name.
    parts = [part.partition("\n")[2] for part in text.split(_IDL_BORDER)[1:]]
    found: dict[str, Any] = {}
    for part in parts or [text]:
        found.update(make_typesdict(_BoundedIdlParser(part).specification()))
    return found


def _check(found: Mapping[str, Any], name: str) -> None:
    """Raise DefinitionError where a message of type `name` is too large, or contains itself."""
    sizes: dict[str, int] = {}

    def size(kind: str, depth: int) -> int:
        """Return the number of fields of a type, written out."""
        if depth > _MAX_DEPTH:
            raise DefinitionError("it is too deep, or contains itself")
        if kind not in sizes:
            sizes[kind] = sum(field(description, depth) for _, description in found[kind][1])
            if sizes[kind] > _MAX_FIELDS:
                raise DefinitionError("it is too large")
        return sizes[kind]

    def field(description: Any, depth: int) -> int:
        node, content = description
        if node == Nodetype.NAME:
            return 1 + size(content, depth + 1)
        if node == Nodetype.BASE:
            return 1
        (inner, _), length = content
        if node == Nodetype.ARRAY and length < 1:
            raise DefinitionError("it has an array without elements")
        numbers = inner == Nodetype.BASE and content[0][1][0] != "string"
        many = length if node == Nodetype.ARRAY and not numbers else 1
        return many * field(content[0], depth)

    size(name, 0)


class _Bounded:
    """Stops a parser of `rosbags` that takes too many steps: some texts take exponentially many."""

    text: str
    _steps = 0

    def _count(self) -> None:
        self._steps += 1
        if self._steps > _FREE_STEPS + _STEPS_PER_CHARACTER * len(self.text):
            raise DefinitionError("it takes too long to parse")

    def literal(self, pos: int, text: str) -> Any:
        """Match a literal."""
        self._count()
        return super().literal(pos, text)  # type: ignore[misc]

    def regex(self, pos: int, pattern: str, flags: int = 0) -> Any:
        """Match a regular expression."""
        self._count()
        return super().regex(pos, pattern, flags)  # type: ignore[misc]


class _BoundedMsgParser(_Bounded, MSGParser):
    """A bounded parser of .msg definitions."""


class _BoundedIdlParser(_Bounded, IDLParser):
    """A bounded parser of .idl definitions.

    As in ROS 2's own parser constants are single literals: a product or a shift may be a number of
    any size.
    """

    def const_expr(self, pos: int) -> Any:
        """Parse the value of a constant."""
        return self.unary_expr(pos)
