# SPDX-License-Identifier: Apache-2.0
"""What messages of a bag look like."""

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
    """The types that a topic's messages are made of; None where nobody knows them.

    Those that the bag brings along, else those of Humble and of pear_msgs, as bags before Iron
    bring none. Nor are those known of which `rosbags` cannot make sense, as of services' events.
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
                # One after the other, each below a line with its name.
                parts = [part.partition("\n")[2] for part in text.split(_IDL_BORDER)[1:]]
                for part in parts or [text]:
                    types.register(get_types_from_idl(part))
            types.hash_rihs01(topic.type)  # Looks at all that it consists of.
        except (TypesysError, KeyError):
            return None
    return types if topic.type in types.fielddefs else None
