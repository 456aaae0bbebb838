# SPDX-License-Identifier: Apache-2.0
"""Message definitions of a bag's topics."""

from __future__ import annotations

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.typesys import (
    Stores,
    TypesysError,
    get_types_from_idl,
    get_types_from_msg,
    get_typestore,
)
from rosbags.typesys.store import Typestore

from pear_ros.bags.pear_messages import pear_typestore
from pear_ros.bags.topic import Topic

_IDL_BORDER = "=" * 80 + "\n"


def types_of(topic: Topic) -> Typestore | None:
    """Return the types that a topic's messages consist of; None where they are not defined.

    They are those in the bag, else those of Humble and of pear_msgs, since bags before Iron contain
    none. Definitions that `rosbags` cannot parse, such as those of service events, count as none.
    """
    form, text = topic.definition
    if form == MessageDefinitionFormat.NONE:
        types = pear_typestore(Stores.ROS2_HUMBLE) or get_typestore(Stores.ROS2_HUMBLE)
    else:
        types = get_typestore(Stores.EMPTY)
        try:
            if form == MessageDefinitionFormat.MSG:
                types.register(get_types_from_msg(text, topic.type))
            else:
                # Consecutive definitions, each below a line with its name.
                parts = [part.partition("\n")[2] for part in text.split(_IDL_BORDER)[1:]]
                for part in parts or [text]:
                    types.register(get_types_from_idl(part))
            types.hash_rihs01(topic.type)  # Raises where a part of it is not defined.
        except (TypesysError, KeyError):
            return None
    return types if topic.type in types.fielddefs else None
