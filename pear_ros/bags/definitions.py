# SPDX-License-Identifier: Apache-2.0
"""What messages of a bag look like."""

from __future__ import annotations

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from pear_ros.bags.topic import Topic

_IDL_BORDER = "=" * 80 + "\n"


def types_of(topic: Topic) -> Typestore | None:
    """The types that a topic's messages are made of; None where nobody knows them.

    Those that the bag brings along, else those of Humble, as bags before Iron bring none.
    """
    form, text = topic.definition
    if form == MessageDefinitionFormat.NONE:
        humble = get_typestore(Stores.ROS2_HUMBLE)
        return humble if topic.type in humble.fielddefs else None
    types = get_typestore(Stores.EMPTY)
    if form == MessageDefinitionFormat.MSG:
        types.register(get_types_from_msg(text, topic.type))
    else:
        # One after the other, each below a line with its name.
        parts = [part.partition("\n")[2] for part in text.split(_IDL_BORDER)[1:]]
        for part in parts or [text]:
            types.register(get_types_from_idl(part))
    return types
