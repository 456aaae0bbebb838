# SPDX-License-Identifier: Apache-2.0
"""Runs a node as a program: ROS arguments, signals, exit status."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

_STOP_SECONDS = 0.2
"""Greatest time between a signal and the end of spinning."""


class StartError(RuntimeError):
    """A node that cannot start; the text says why and what to do."""


def run(make_node: Callable[[], Node | None], arguments: list[str] | None = None) -> int:
    """Makes a node and spins it until SIGINT (Ctrl-C) or SIGTERM. Returns the exit status.

    A StartError raised by `make_node` is printed, and the status is 1. Where it returns None there
    is nothing to spin, and the status is 0.
    """
    # rclpy's own handlers shut the context down while executor and threads are using it, which now
    # and then ends in a traceback, or not at all.
    stop = threading.Event()
    spinning = False

    def interrupt(*_: object) -> None:
        stop.set()
        if not spinning:
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    node: Node | None = None
    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
        node = make_node()
        if node is None:
            return 0
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        spinning = True
        while not stop.is_set():
            executor.spin_once(timeout_sec=_STOP_SECONDS)
    except StartError as error:
        print(f"Cannot start: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    finally:
        spinning = True
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
