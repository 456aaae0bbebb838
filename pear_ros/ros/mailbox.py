# SPDX-License-Identifier: Apache-2.0
"""A one-slot mailbox between the thread that receives images and the one that works on them."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds the newest item only: a slow reader never works on old images."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> bool:
        """Leaves `item`; True when it displaced one that nobody had taken."""
        with self._changed:
            displaced = self._item is not None
            self._item = item
            self._changed.notify()
            return displaced

    def take(self) -> T | None:
        """Waits for an item and takes it; None once the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._item is not None)
            item, self._item = self._item, None
            return None if self._closed else item

    def close(self) -> None:
        """Ends every wait, now and later; an item that nobody took is lost."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
