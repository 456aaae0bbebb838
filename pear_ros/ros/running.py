# SPDX-License-Identifier: Apache-2.0
"""Run a node as a program: ROS arguments, signals, exit status."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from pear_ros.core.estimator import DeviceLostError

_STOP_SECONDS = 0.2
"""Greatest time between a signal and the end of spinning."""


class StartError(RuntimeError):
    """The node cannot start; the text says why and what to do."""


def run(make_node: Callable[[], Node | None], arguments: list[str] | None = None) -> int:
    """Make a node and spin it until SIGINT (Ctrl-C) or SIGTERM; return the exit status.

    The status is 1 after a StartError of `make_node`, which is printed, and after a
    DeviceLostError, which the node has logged. If `make_node` returns None, nothing is spun and the
    status is 0.
    """
    # rclpy's own handlers shut down the context while the executor and threads use it, which
    # sometimes causes a traceback or a hang.
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
    except DeviceLostError:
        return 1
    except KeyboardInterrupt:
        pass
    finally:
        spinning = True
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
