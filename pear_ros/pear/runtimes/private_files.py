# SPDX-License-Identifier: Apache-2.0
"""Files that only the current user can have written: what is executed must not come from others.

They lie in one folder that belongs to the user alone. Folder and files are opened without
following symbolic links and checked by their descriptors, and files are opened relative to the
folder's: what is checked is what is used. Only a lock file is locked by its path, as filelock does
it; it has no content, and only keeps processes from the same build. Writing replaces a file
atomically.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from filelock import FileLock, Timeout

Bytes: TypeAlias = bytes | memoryview | mmap.mmap

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_PART = ".part"
# O_NONBLOCK: opening a named pipe must not wait for its writer.
_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class UnsafeError(Exception):
    """Another user could have written a file; the text says why."""


class PrivateFolder:
    """A folder of mode 0700 with files of mode 0600, all owned by the user of this process.

    If others may write to the user's own folder, this permission is removed; files that they left
    in it are refused one by one.

    Methods raise UnsafeError for a file; PermissionError where another user could have written the
    folder itself, with what to do; and other OSError.
    """

    def __init__(self, path: Path) -> None:
        """`path` need not exist; it is created by the first write."""
        self.path = path

    def names(self) -> list[str]:
        """Return the sorted names of all files, checked or not; none if there is no folder."""
        try:
            with self._folder() as folder:
                return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []

    def read(self, name: str) -> Bytes:
        """Return a file's content, memory-mapped: it stays the same when the file is replaced."""
        with self._folder() as folder, self._open(folder, name, os.O_RDONLY) as (descriptor, size):
            # An empty file cannot be mapped.
            return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) if size else b""

    def write(self, name: str, content: Bytes) -> None:
        """Create or replace a file atomically: readers see the old content or the new one."""
        part = f".{name}.{secrets.token_hex(8)}{_PART}"
        with self._folder(create=True) as folder:
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN
                with os.fdopen(os.open(part, flags, 0o600, dir_fd=folder), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(part, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(part, dir_fd=folder)
                raise

    def remove(self, name: str) -> None:
        """Remove a file, or the symbolic link of that name, if there is one."""
        with contextlib.suppress(FileNotFoundError), self._folder() as folder:
            os.unlink(name, dir_fd=folder)

    def remove_parts(self, name: str) -> None:
        """Remove temporary files of `name` that killed processes left; none may write it now."""
        for other in self.names():
            if other.startswith(f".{name}.") and other.endswith(_PART):
                self.remove(other)

    @contextlib.contextmanager
    def lock(self, name: str, on_wait: Callable[[], None]) -> Iterator[None]:
        """Hold the lock file `name`, which at most one process does at a time.

        `on_wait` is called before waiting, if another process holds it. The operating system
        releases the lock of a process that ends, however it ends.
        """
        # Created here: not every version of filelock makes it private, or refuses a link.
        flags = os.O_RDWR | os.O_CREAT
        with self._folder(create=True) as folder, self._open(folder, name, flags):
            # No soft lock where the file system has none: it would take this file for a lock.
            lock = FileLock(self.path / name, fallback_to_soft=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait()
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def _folder(self, create: bool = False) -> Iterator[int]:
        """Open the folder, for which no other user has write permission from now on."""
        if create:
            with contextlib.suppress(FileExistsError):
                self.path.mkdir(mode=0o700, parents=True)
        if self.path.is_symlink():
            raise PermissionError(
                f"{self.path} is a symbolic link, which may lead anywhere: put a folder there"
            )
        descriptor = os.open(self.path, _OPEN | os.O_RDONLY | os.O_DIRECTORY)
        try:
            status = os.fstat(descriptor)
            if fault := _owner_fault(status):
                raise PermissionError(f"{self.path} {fault}: remove it, or use another folder")
            if status.st_mode & _WRITABLE_BY_OTHERS:
                os.fchmod(descriptor, 0o700)
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _open(self, folder: int, name: str, flags: int) -> Iterator[tuple[int, int]]:
        """Open a file of the folder; its descriptor and size, if no other user can have written."""
        path = self.path / name
        try:
            descriptor = os.open(name, flags | _OPEN, 0o600, dir_fd=folder)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise UnsafeError(f"{path} is a symbolic link, which may lead anywhere") from error
            raise
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UnsafeError(f"{path} is no file")
            if fault := _owner_fault(status):
                raise UnsafeError(f"{path} {fault}")
            if status.st_mode & _WRITABLE_BY_OTHERS:
                raise UnsafeError(f"others may write to {path}")
            yield descriptor, status.st_size
        finally:
            os.close(descriptor)


def _owner_fault(status: os.stat_result) -> str:
    """Return who else owns a file or folder; empty if this user does."""
    owner, user = status.st_uid, os.geteuid()
    return "" if owner == user else f"belongs to the user with id {owner}, not to this one ({user})"
